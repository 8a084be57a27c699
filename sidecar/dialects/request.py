"""Reads request bodies: the members that steer a call, and the turns of a conversation.

Turns are read only where routing needs them. Lists are cut into undecoded messages first and walked
from their end, so that a conversation of any length costs little more than finding its commas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from sidecar.dialects.base import Turn
from sidecar.wire.body import JsonBody

REQUEST_BODY: Final = JsonBody(
    provider_state=(b"previous_response_id", b"conversation"),
    checked=(b"messages", b"input", b"tools"),
)
"""One reading for all dialects: which members an API does not have is for its provider to say.

Conversations and tools must stand in a body once: the router model must see what the provider will.
"""
MAX_TURNS: Final = 16
"""Turns that are read; what was said before them no longer tells what is wanted now. Plano's
number.
"""

_USER: Final = frozenset(("user",))
_ROLES: Final = _USER | {"assistant"}
_TEXT_PARTS: Final = frozenset(("text", "input_text", "output_text"))
"""Chat and messages say ``text``, responses says which way it went."""
_NULL: Final = msgspec.Raw(b"null")

_T = TypeVar("_T")


class _Body(msgspec.Struct):
    messages: list[msgspec.Raw] | None = None


class _Message(msgspec.Struct):
    role: str = ""
    type: str = "message"
    content: msgspec.Raw = _NULL


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


_decode_body: Final = msgspec.json.Decoder(_Body).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_content: Final = msgspec.json.Decoder(str | list[_Part] | None).decode
_decode_part: Final = msgspec.json.Decoder(_Part).decode

_SURROGATE: Final = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
"""Half a character that stands alone (group 1), which JavaScript sends where it cuts an emoji.
Whole ones and escaped backslashes are matched too, so that neither is taken for one."""


_MESSAGES_READ: Final = 4096
"""A body of 32 MiB can hold millions of messages that say nothing; all calls would wait."""
_PARTS_READ: Final = 4096
"""Likewise of the parts of one message."""


def turns_of_messages(body: bytes) -> tuple[Turn, ...]:
    """Read the newest turns of the ``messages`` of a request body.

    Raises: nothing; a body without a readable conversation has no turns.
    """
    return newest_turns(messages_of(body))


def messages_of(body: bytes) -> list[msgspec.Raw]:
    """Cut the ``messages`` of a request body into undecoded ones; none where it has none that can
    be read.
    """
    members = decode_leniently(_decode_body, body)
    return (members and members.messages) or []


def newest_turns(messages: Sequence[msgspec.Raw]) -> tuple[Turn, ...]:
    """Read the newest turns that carry text, oldest first, of the roles user and assistant.

    At most `MAX_TURNS`. Where none of them is a user's, the newest user turn takes the place of the
    oldest of them: it says what is wanted. A message that does not look like its API says is
    skipped. No more than the newest `_MESSAGES_READ` messages are looked at.
    """
    turns: list[Turn] = []
    has_user = False
    for raw in messages[: -_MESSAGES_READ - 1 : -1]:
        is_full = len(turns) == MAX_TURNS
        if is_full and has_user:
            break
        turn = _turn(raw, _USER if is_full else _ROLES)
        if turn is None:
            continue
        if is_full:
            turns.pop()
        turns.append(turn)
        has_user = has_user or turn.role == "user"
    turns.reverse()
    return tuple(turns)


def _turn(raw: msgspec.Raw, roles: frozenset[str]) -> Turn | None:
    """Read a message as a turn; None where its role is another or it carries no text."""
    message = decode_leniently(_decode_message, raw)
    if message is None or message.role not in roles or message.type != "message":
        return None
    text = _text_of(message.content)
    return Turn(message.role, text) if text and not text.isspace() else None


def _text_of(content: msgspec.Raw) -> str:
    """Read a message's content: a text, or parts, whose texts are joined with line ends."""
    try:
        known = _decode_content(content)
    except (ValueError, RecursionError):
        raws = decode_leniently(_decode_list, content) or []
        parts = (decode_leniently(_decode_part, raw) for raw in raws[:_PARTS_READ])
        known = [part for part in parts if part is not None]
    if known is None or isinstance(known, str):
        return known or ""
    return "\n".join(part.text for part in known if part.type in _TEXT_PARTS and part.text)


def decode_leniently(decode: Callable[[bytes], _T], data: bytes | msgspec.Raw) -> _T | None:
    """Decode ``data``, replacing lone halves of characters where they are in the way; None where it
    cannot be decoded.
    """
    try:
        return decode(data)
    except msgspec.ValidationError:
        return None
    except (ValueError, RecursionError):
        repaired = _SURROGATE.sub(_whole_character, data)
    try:
        return decode(repaired)
    except (ValueError, RecursionError):
        return None


def _whole_character(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]
