"""Names what of a response has no place in the caller's API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sidecar.translate.bounds import NAMES_AT_MOST

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNNAMED: Final = "unknown"
KNOWN_CONTENT: Final = frozenset(
    (
        # Chat, and what compatible servers add to it.
        *("annotations", "audio", "choices", "function_call", "images", "logprobs", "reasoning"),
        *("reasoning_content", "reasoning_details", "thinking_blocks"),
        # Messages: blocks, deltas, members.
        *("advisor_tool_result", "bash_code_execution_tool_result", "citations"),
        *("code_execution_tool_result", "compaction", "container_upload", "fallback"),
        *("mcp_tool_listing", "mcp_tool_result", "mcp_tool_use", "redacted_thinking"),
        *("server_tool_use", "signature", "text_editor_code_execution_tool_result", "thinking"),
        *("tool_search_tool_result", "web_fetch_tool_result", "web_search_tool_result"),
        # The responses API: items, families of events, members.
        *("additional_tools", "apply_patch_call", "apply_patch_call_output", "computer_call"),
        *("code_interpreter_call", "code_interpreter_call_code", "computer_call_output"),
        *("custom_tool_call_output", "file_search_call", "function_call_output"),
        *("image_generation_call", "local_shell_call", "local_shell_call_output"),
        *("mcp_approval_request", "mcp_approval_response", "mcp_call", "mcp_call_arguments"),
        *("mcp_list_tools", "namespace", "phase", "program", "program_output", "shell_call"),
        *("shell_call_command", "shell_call_output", "shell_call_output_content"),
        *("tool_search_call", "tool_search_output", "web_search_call"),
    )
)
"""The names that do not come out of a provider's own head, for figures by name."""


class LostContent:
    """A provider's own names for what was left out, as many of them as a log line bears."""

    __slots__ = ("names",)

    def __init__(self, names: set[str]) -> None:
        """Args: ``names`` is added to."""
        self.names = names

    def add(self, name: object) -> None:
        """Note one name. What could not stand in a header is noted as ``unknown``."""
        is_name = isinstance(name, str) and _NAME.fullmatch(name)
        if len(self.names) < NAMES_AT_MOST:
            self.names.add(str(name) if is_name else _UNNAMED)

    def add_present(self, holder: object, members: Iterable[str]) -> None:
        """Note the members of an object that hold something."""
        for name in members:
            if getattr(holder, name):
                self.add(name)
