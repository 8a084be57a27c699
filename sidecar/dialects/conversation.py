"""What was said in a request body: the text turns that routing reads, and the names of the tools on
offer.

Called only where routing needs it. Lists are cut into undecoded messages first and walked from
their end, so that a conversation of any length costs little more than finding its commas.

Source of the rules: routing.md, "What the router model sees".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from sidecar.domain.call import RESPONSES, DialectName
from sidecar.domain.conversation import PromptFacts, Turn

MAX_TURNS: Final = 16
"""Turns that are read; what was said before them no longer tells what is wanted now. Plano's
number.
"""

_USER: Final = frozenset(("user",))
_ROLES: Final = _USER | {"assistant"}
_TEXT_PARTS: Final = frozenset(("text", "input_text", "output_text"))
"""Chat and messages say ``text``, responses says which way it went."""
_NULL: Final = msgspec.Raw(b"null")

_Raws = list[msgspec.Raw]
_T = TypeVar("_T")


class _Body(msgspec.Struct):
    """The members that hold a conversation in one of the dialects."""

    messages: _Raws | None = None
    input: str | _Raws | None = None
    tools: _Raws | None = None
    previous_response_id: msgspec.Raw = _NULL
    conversation: msgspec.Raw = _NULL


class _LooseBody(msgspec.Struct):
    """The same where one of them has another type than its API says."""

    messages: msgspec.Raw = _NULL
    input: msgspec.Raw = _NULL
    tools: msgspec.Raw = _NULL
    previous_response_id: msgspec.Raw = _NULL
    conversation: msgspec.Raw = _NULL


class _Message(msgspec.Struct):
    role: str = ""
    type: str = "message"
    content: msgspec.Raw = _NULL


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Function(msgspec.Struct):
    name: str | None = None


class _Tool(msgspec.Struct):
    name: str | None = None
    function: _Function | None = None


_body_decoder: Final = msgspec.json.Decoder(_Body)
_loose_decoder: Final = msgspec.json.Decoder(_LooseBody)
_list_decoder: Final = msgspec.json.Decoder(_Raws)
_message_decoder: Final = msgspec.json.Decoder(_Message)
_content_decoder: Final = msgspec.json.Decoder(str | list[_Part] | None)
_text_decoder: Final = msgspec.json.Decoder(str)
_part_decoder: Final = msgspec.json.Decoder(_Part)
_tool_decoder: Final = msgspec.json.Decoder(_Tool)

_SURROGATE: Final = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
"""Half a character that stands alone (group 1), which JavaScript sends where it cuts an emoji.
Whole ones and escaped backslashes are matched too, so that neither is taken for one."""


def prompt_facts(dialect: DialectName, body: bytes) -> PromptFacts:
    """The newest text turns of a chat, responses or messages body, oldest first, and its tools'
    names.

    At most `MAX_TURNS` turns of the roles user and assistant that carry text. Where none of them is
    a user's, the newest user turn stands in for the oldest of them: it says what is wanted. Text
    parts are joined with a newline. What does not look like its API says is skipped. Embeddings
    have no conversation.

    Raises: nothing; a body without a readable conversation yields no turns.
    """
    members = _members(body)
    if dialect == RESPONSES:
        said: str | _Raws | None = members.input
    else:
        said = members.messages
    turns: tuple[Turn, ...] = ()
    if not isinstance(said, str):
        turns = _newest_turns(said or [])
    elif _carries_text(said):
        turns = (Turn("user", said),)
    return PromptFacts(
        turns=turns,
        tool_names=_tool_names(members.tools or []),
        holds_provider_state=members.previous_response_id != _NULL or members.conversation != _NULL,
    )


def _members(body: bytes) -> _Body:
    found = _tolerant(_body_decoder.decode, body)
    if found is not None:
        return found
    loose = _tolerant(_loose_decoder.decode, body) or _LooseBody()
    return _Body(
        messages=_tolerant(_list_decoder.decode, loose.messages),
        input=_tolerant(_text_decoder.decode, loose.input)
        or _tolerant(_list_decoder.decode, loose.input),
        tools=_tolerant(_list_decoder.decode, loose.tools),
        previous_response_id=loose.previous_response_id,
        conversation=loose.conversation,
    )


def _newest_turns(messages: _Raws) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    has_user = False
    for raw in reversed(messages):
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
    """The message as a turn; None where its role is another or it carries no text."""
    message = _tolerant(_message_decoder.decode, raw)
    if message is None or message.role not in roles or message.type != "message":
        return None
    text = _text_of(message.content)
    return Turn(message.role, text) if _carries_text(text) else None


def _text_of(content: msgspec.Raw) -> str:
    """The text of a message's content: a string, or parts of which only the text ones count."""
    try:
        known = _content_decoder.decode(content)
    except (ValueError, RecursionError):
        raws = _tolerant(_list_decoder.decode, content) or []
        known = [
            part
            for part in (_tolerant(_part_decoder.decode, raw) for raw in raws)
            if part is not None
        ]
    if known is None or isinstance(known, str):
        return known or ""
    return "\n".join(part.text for part in known if part.type in _TEXT_PARTS and part.text)


def _carries_text(text: str) -> bool:
    return bool(text) and not text.isspace()


def _tool_names(tools: _Raws) -> tuple[str, ...]:
    names = []
    for raw in tools:
        tool = _tolerant(_tool_decoder.decode, raw)
        if tool is not None:
            names.append(tool.name or (tool.function and tool.function.name))
    return tuple(name for name in names if name)


def _tolerant(decode: Callable[[bytes], _T], data: bytes | msgspec.Raw) -> _T | None:
    """What ``decode`` makes of ``data``, lone halves of characters replaced where they are in its
    way; else None.
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
