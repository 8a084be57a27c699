"""Reads the items of a request of the responses API as turns."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import msgspec

from sidecar.translate.cache_marks import mark_of
from sidecar.translate.conversation import (
    Content,
    ConversationTurn,
    DocumentPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
    ToolOffer,
    ToolResult,
)
from sidecar.translate.data_urls import file_of, image_of
from sidecar.translate.late_results import results_behind_calls
from sidecar.translate.raw_json import Json, Members, is_null, is_text
from sidecar.translate.reading import Reading
from sidecar.translate.request_steps import turns_in_steps
from sidecar.translate.responses_tools_reader import additional_tools
from sidecar.translate.tool_calls import custom_arguments
from sidecar.translate.tool_names import qualified

_ROLES: Final = {each.value: each for each in Role}
_TEXTS: Final = ("input_text", "output_text", "text")


class ResponsesItems:
    """Reads the items of one request."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.tools: list[ToolOffer] = []
        """Those that items have offered, in their order."""

    def turns(self, members: Members) -> Generator[None, None, tuple[ConversationTurn, ...]]:
        """Return the turns. Others go on wherever this yields. Raises: InvalidBody."""
        turns = yield from turns_in_steps(self._reading, members, "input", self._turn)
        return results_behind_calls(turns)

    def _turn(self, raw: Json) -> ConversationTurn | None:
        """Read an item; None where no target takes it."""
        reading = self._reading
        found = reading.labelled("input", raw, "message")
        if found is None:
            return None
        label, item = found
        if label == "message":
            role = _ROLES.get(reading.needed_text(item, "role"))
            if role is None:
                raise reading.wrong("role", "user, assistant, system or developer")
            return ConversationTurn(
                role, tuple(self._parts(item, "content", "input[message].content"))
            )
        if label == "additional_tools":
            self.tools += additional_tools(reading, item)
            return None
        call_id = reading.text(item, "call_id") or ""
        if label == "function_call":
            arguments = reading.text(item, "arguments") or ""
            return _called(call_id, self._name(item), arguments)
        if label == "custom_tool_call":
            arguments = custom_arguments(reading.text(item, "input"))
            return _called(call_id, self._name(item), arguments)
        output = self._parts(item, "output", f"input[{label}].output")
        given = tuple([each for each in output if not isinstance(each, RefusalPart)])
        return ConversationTurn(Role.USER, (ToolResult(call_id, given),))

    def _name(self, item: Members) -> str:
        reading = self._reading
        return qualified(reading.text(item, "namespace"), reading.needed_text(item, "name"))

    def _parts(self, item: Members, name: str, path: str) -> list[Content | RefusalPart]:
        """Read a text, or a list of parts. Raises: InvalidBody."""
        reading = self._reading
        raw = item.get(name)
        if raw is None or is_null(raw):
            return []
        if is_text(raw):
            text = reading.text_of(raw)
            return [TextPart(text)] if text else []
        parts = [self._part(each, path) for each in reading.objects_of(raw)]
        return [part for part in parts if part is not None]

    def _part(self, members: dict[str, msgspec.Raw], path: str) -> Content | RefusalPart | None:
        reading = self._reading
        found = reading.known(path, members)
        if found is None:
            return None
        label, part = found
        if label == "refusal":
            return RefusalPart(reading.needed_text(part, "refusal"))
        cache = mark_of(reading, part, "input.content")
        if label in _TEXTS:
            text = reading.needed_text(part, "text")
            return TextPart(text, cache) if text else None
        if label == "input_image":
            url = reading.text(part, "image_url")
            return None if url is None else image_of(url, reading.text(part, "detail"), cache)
        name = reading.text(part, "filename")
        data, url = reading.text(part, "file_data"), reading.text(part, "file_url")
        if data is not None:
            return file_of(data, name, cache)
        return None if url is None else DocumentPart(url=url, name=name, cache=cache)


def _called(call_id: str, name: str, arguments: str) -> ConversationTurn:
    return ConversationTurn(Role.ASSISTANT, (ToolCall(call_id, name, arguments),))
