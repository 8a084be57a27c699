"""What the requests of OpenAI's two APIs have in common, as they are written."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

import msgspec

from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import (
    CacheMark,
    Conversation,
    DocumentPart,
    ImagePart,
    OutputFormat,
)
from sidecar.translate.data_urls import PDF, data_url
from sidecar.translate.fitting import Fitted
from sidecar.translate.losses import Feature
from sidecar.translate.mark_counts import MARKS_AT_MOST, count_marks
from sidecar.translate.tool_names import sent_name
from sidecar.translate.writing import BodyWriter, Object, tool_of, user_id, without_none

_USER_CHARS: Final = 64
_BREAKPOINT: Final[Object] = {"mode": "explicit"}
_FORMAT_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_USUAL_NAME: Final = "response"
"""Of a schema without a name: OpenAI wants one."""
_WORDS: Final = {"auto": "auto", "none": "none", "any": "required"}


class Breakpoints:
    """Which of a conversation's marks are written, as ``prompt_cache_breakpoint``: the last four
    that stand where OpenAI's APIs take one. Without any, OpenAI chooses a place by itself.
    """

    def __init__(self, count: int, abilities: Abilities) -> None:
        self._is_taken = abilities.has_cache_marks
        self._left_out = count - MARKS_AT_MOST

    @staticmethod
    def of(conversation: Conversation, abilities: Abilities) -> Generator[None, None, Breakpoints]:
        """Return those of a conversation; others go on wherever this yields."""
        count = 0
        if abilities.has_cache_marks and Feature.CACHE in conversation.features:
            count = yield from count_marks(conversation.turns)
        return Breakpoints(count, abilities)

    def next(self, mark: CacheMark | None) -> Object | None:
        """Return what is written of the next mark; None for one that is left out."""
        if mark is None or not self._is_taken:
            return None
        self._left_out -= 1
        return None if self._left_out >= 0 else _BREAKPOINT


def image_url(image: ImagePart) -> str:
    """Return the address of a picture."""
    if image.url is not None:
        return image.url
    return data_url(image.media_type or "", image.data or "")


def file_name(document: DocumentPart) -> str:
    """Return a file's name, which OpenAI wants to have."""
    if document.name:
        return document.name
    return "file.pdf" if document.media_type == PDF else "file"


def format_name(output: OutputFormat) -> str:
    """Return a schema's name."""
    name = output.name or ""
    return name if _FORMAT_NAME.fullmatch(name) else _USUAL_NAME


def schema_format(output: OutputFormat) -> Object:
    """Return name, description, schema and strictness of a format."""
    return without_none(
        {
            "name": format_name(output),
            "description": output.description,
            "schema": msgspec.Raw((output.schema or "{}").encode()),
            "strict": output.is_strict,
        }
    )


def all_tools(conversation: Conversation) -> list[Object]:
    """Return all tools, those that must not be called now included."""
    return [tool_of(tool) for tool in conversation.tools]


def choice_word(conversation: Conversation, fitted: Fitted) -> str | None:
    """Return the tool choice as a word; None where it is none, or says what is true anyway."""
    choice = conversation.tool_choice
    if choice is None or fitted.cannot_force:
        return None
    word = _WORDS.get(choice.kind)
    return None if word == "auto" else word


def named_tool(conversation: Conversation, fitted: Fitted) -> str | None:
    """Return the name of the tool that must be called, as it is sent."""
    choice = conversation.tool_choice
    if choice is None or choice.kind != "named" or fitted.cannot_force:
        return None
    return sent_name(choice.names[0])


def allowed_tools(conversation: Conversation, abilities: Abilities) -> tuple[str, ...]:
    """Return the names of the tools that alone may be called, as they are sent; none where all may
    be, or where the target cannot be told.
    """
    choice = conversation.tool_choice
    if choice is None or choice.kind == "named" or not abilities.has_openai_members:
        return ()
    return tuple(map(sent_name, choice.names))


def write_common(
    writer: BodyWriter, conversation: Conversation, abilities: Abilities, fitted: Fitted
) -> None:
    """Write the members that both APIs spell alike."""
    if fitted.calls_one_at_a_time and conversation.tools:
        writer.member("parallel_tool_calls", False)
    writer.member("temperature", fitted.sampling.temperature)
    writer.member("top_p", fitted.sampling.top_p)
    writer.member("service_tier", fitted.service_tier)
    if conversation.user and abilities.has_users:
        name = "safety_identifier" if abilities.has_openai_members else "user"
        writer.member(name, user_id(conversation.user, _USER_CHARS))
    if abilities.has_openai_members:
        writer.member("prompt_cache_key", conversation.cache_key)
        for name, raw in conversation.shared:
            writer.member(name, msgspec.Raw(raw.encode()))
    writer.member("stream", True if conversation.wants_stream else None)
