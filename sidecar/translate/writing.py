"""How a request is written, whatever its API: member by member, a turn at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently
from sidecar.translate.conversation import (
    Conversation,
    ConversationTurn,
    DocumentPart,
    ImagePart,
    Part,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
    ToolOffer,
    ToolResult,
)
from sidecar.translate.pacing import STEP_BYTES, STEP_TURNS
from sidecar.translate.tool_names import sent_name

Object = dict[str, Any]
"""An object to be written; `msgspec.Raw` stands for JSON that is written as it is."""

EMPTY_SCHEMA: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_encode: Final = msgspec.json.Encoder().encode
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_OPAQUE: Final = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.:-]+")
"""An id that no provider takes for an e-mail address or a telephone number."""
_SYSTEM: Final = "<system>\n{}\n</system>"
"""A system text that has to stand in a user's turn."""


class BodyWriter:
    """Writes the body of a request."""

    def __init__(self, model_id: str) -> None:
        self._written: list[bytes] = []
        """What was written before this step."""
        self._pieces = [b'{"model":', _encode(model_id)]
        self._since_step = 0
        self._turns_since_step = 0
        self._is_first = True

    def member(self, name: str, value: object) -> None:
        """Write a member; nothing where the value is None."""
        if value is not None:
            self._pieces += (b',"%b":' % name.encode(), _encode(value))

    def begin_list(self, name: str) -> None:
        """Begin a member that is a list."""
        self._pieces.append(b',"%b":[' % name.encode())
        self._is_first = True

    def element(self, value: Object) -> None:
        """Write an element of the list that was begun."""
        piece = _encode(value)
        self._pieces += (piece,) if self._is_first else (b",", piece)
        self._is_first = False
        self._since_step += len(piece)

    def end_list(self) -> None:
        """End the list that was begun."""
        self._pieces.append(b"]")

    def must_yield(self) -> bool:
        """Return whether others should go on before the next turn is written."""
        self._turns_since_step += 1
        if self._since_step < STEP_BYTES and self._turns_since_step < STEP_TURNS:
            return False
        self._since_step = self._turns_since_step = 0
        self._written.append(b"".join(self._pieces))
        self._pieces = []
        return True

    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join((*self._written, *self._pieces, b"}"))


def leading_system(turns: Sequence[ConversationTurn]) -> int:
    """Return how many turns are system texts before anything was said."""
    count = 0
    while count < len(turns) and turns[count].role in (Role.SYSTEM, Role.DEVELOPER):
        count += 1
    return count


def is_blank(part: Part) -> bool:
    """Return whether a part is a text that says nothing."""
    return isinstance(part, TextPart | RefusalPart) and (not part.text or part.text.isspace())


def texts_of(parts: Iterable[Part]) -> list[str]:
    """Return the texts among parts."""
    return [each.text for each in parts if isinstance(each, TextPart | RefusalPart) and each.text]


def late_system(text: str) -> str:
    """Return a system text as it stands in a user's turn."""
    return _SYSTEM.format(text)


def document_text(document: DocumentPart) -> str:
    """Return a plain text as it is told in APIs that have no place for one."""
    text = document.text or ""
    return f"{document.name}\n\n{text}" if document.name else text


def offered(conversation: Conversation) -> list[Object]:
    """Return the tools that may be called as name, description, schema and the rest: where only
    some may be called, as the choice says, the others are not offered.
    """
    choice = conversation.tool_choice
    allowed = None if choice is None or choice.kind == "named" else choice.names
    return [tool_of(tool) for tool in conversation.tools if not allowed or tool.name in allowed]


def tool_of(tool: ToolOffer) -> Object:
    """Return a tool as name, description, schema and the rest."""
    schema = tool.schema
    return {
        "name": sent_name(tool.name),
        "description": tool.description or None,
        "schema": EMPTY_SCHEMA if schema is None else msgspec.Raw(schema.encode()),
        "is_strict": bool(tool.is_strict),
        "cache": tool.cache,
    }


def object_schema(schema: msgspec.Raw) -> msgspec.Raw:
    """Return a schema that says that it is of an object, as Anthropic wants each."""
    members = decode_leniently(_members, schema)
    if members is None or "type" in members:
        return schema
    return msgspec.Raw(_encode({"type": "object", **members}))


def user_id(user: str, chars_at_most: int) -> str:
    """Return an end user's id as providers take it: one that might name a person, or is too long,
    as its hash.
    """
    if len(user) <= chars_at_most and _OPAQUE.fullmatch(user):
        return user
    return hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()


def without_none(members: Object) -> Object:
    """Return an object without the members that are None."""
    return {name: value for name, value in members.items() if value is not None}


class OpenCalls:
    """The tool calls of a conversation that wait for their results."""

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def begin(self, parts: Iterable[Part]) -> None:
        """Forget the calls of earlier turns: these are the assistant's newest parts."""
        self._ids = {part.id for part in parts if isinstance(part, ToolCall)}

    def add(self, call_id: str) -> None:
        """Add one call."""
        self._ids.add(call_id)

    def take(self, result: ToolResult) -> bool:
        """Return whether a result is that of an open call, which is answered then."""
        if result.call_id not in self._ids:
            return False
        self._ids.remove(result.call_id)
        return True


def split_results(parts: Iterable[Part], calls: OpenCalls) -> tuple[list[ToolResult], list[Part]]:
    """Return the results of open calls, and the other parts; of a result whose call is missing what
    it says.
    """
    results: list[ToolResult] = []
    others: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            others.append(part)
        elif calls.take(part):
            results.append(part)
        else:
            others += part.parts
    return results, others


def files_of(parts: Iterable[Part]) -> list[ImagePart | DocumentPart]:
    """Return the images and files among parts."""
    return [part for part in parts if isinstance(part, ImagePart | DocumentPart)]
