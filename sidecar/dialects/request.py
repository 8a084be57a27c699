"""Reads request bodies: the members that steer a call, and the turns of a conversation.

Turns are read only where routing needs them, from the conversation's end and no further than is
needed, so that one of any length costs little.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from typing import Final, final

import msgspec

from sidecar.dialects.base import Turn
from sidecar.dialects.lenient import decode_leniently, text_at
from sidecar.domain.call import BodyFacts
from sidecar.domain.errors import InvalidBody
from sidecar.wire.body import JsonBody
from sidecar.wire.from_end import Effort, FromEnd, Span, name_and_value
from sidecar.wire.members import same_lengths
from sidecar.wire.outline import OPENING_BRACE, OPENING_BRACKET, Outline

_PROVIDER_STATE: Final = (b"previous_response_id", b"conversation")
_CHECKED: Final = (b"messages", b"input", b"tools")
"""Conversations and tools must stand in a body once: the router model must see what the provider
will.
"""
REQUEST_BODY: Final = JsonBody(_PROVIDER_STATE, _CHECKED, conversation=b"messages")
INPUT_BODY: Final = JsonBody(_PROVIDER_STATE, _CHECKED, conversation=b"input")
"""One reading for all dialects, but for where the conversation is: which members an API does not
have is for its provider to say.
"""
MAX_TURNS: Final = 16
"""Turns that are read; what was said before them no longer tells what is wanted now. Plano's
number.
"""
WHOLE_BYTES: Final = 256 * 1024
"""A message up to here is decoded as a whole; of a longer one only its role and its texts are."""

LISTED_BYTES: Final = 64 * 1024
"""The messages of a conversation up to here are cut out at once."""
_STEPS: Final = 256 * 1024
_DECODED_BYTES: Final = 1536 * 1024
_OBJECTS: Final = 4096
"""What one reading of a conversation may take, a few milliseconds: a body of 32 MiB can hold
millions of messages that say nothing.
"""
_AGAIN_BYTES: Final = 4 * 1024 * 1024
"""Up to here a conversation whose newest turns took all of that is gone through in steps, to find
what its user wants: an agent's results and screenshots may be megabytes behind one short request.
"""
_MESSAGES_A_STEP: Final = 64
"""Between two of them others go on: a millisecond."""
_PLACES_AN_OBJECT: Final = 16
"""To find so many parts of a message takes as long as to decode one."""
_WORD_BYTES: Final = 64

_USER: Final = frozenset(("user",))
_ROLES: Final = _USER | {"assistant"}
_TEXT_PARTS: Final = frozenset(("text", "input_text", "output_text"))
"""Chat and messages say ``text``, responses says which way it went."""
_NULL: Final = msgspec.Raw(b"null")


class _Message(msgspec.Struct):
    role: str = ""
    type: str = "message"
    content: msgspec.Raw = _NULL


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_content: Final = msgspec.json.Decoder(str | list[_Part] | None).decode
_decode_part: Final = msgspec.json.Decoder(_Part).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def effort_of_reading() -> Effort:
    """Return what one reading of a conversation may take."""
    return Effort(_STEPS, _DECODED_BYTES, _OBJECTS)


def newest_messages(body: bytes, place: Span | None, effort: Effort) -> Iterator[msgspec.Raw]:
    """Yield the messages of a conversation, the newest first, until the effort is spent or one is
    longer than `WHOLE_BYTES`.
    """
    messages = None if place is None else _elements(body, place, effort)
    while messages is not None and (place := messages.next()) is not None:
        size = place[1] - place[0]
        if size > WHOLE_BYTES or not effort.decode(size):
            return
        yield msgspec.Raw(body[place[0] : place[1]])


def newest_turns(
    body: bytes, facts: BodyFacts, room_bytes: int | None
) -> Generator[None, None, tuple[Turn, ...]]:
    """Read the newest turns that carry text, oldest first, of the roles user and assistant. Args:
    as of `Dialect.turns`.

    At most `MAX_TURNS`, and once they are longer than ``room_bytes`` no older ones. Where none of
    them is a user's, the newest user turn comes before them, and takes the place of the oldest
    where there are `MAX_TURNS`: it says what is wanted. A message that does not look like its API
    says is skipped. Raises: nothing; a body without a readable conversation has no turns.
    """
    place = facts.conversation
    if place is None or body[place[0]] != OPENING_BRACKET:
        return ()
    if place[1] - place[0] > LISTED_BYTES:
        yield  # the body has just been read
    reading = _Reading(body, room_bytes)
    turns: list[Turn] = []
    has_user, characters, most = False, 0, len(body) if room_bytes is None else room_bytes
    for number, message in enumerate(reading.messages(place), 1):
        if not number % _MESSAGES_A_STEP:
            yield
        is_full = len(turns) == MAX_TURNS or characters > most
        if is_full and has_user:
            break
        turn = reading.turn(message, _USER if is_full else _ROLES)
        if turn is None:
            continue
        if len(turns) == MAX_TURNS:
            turns.pop()
        turns.append(turn)
        characters += len(turn.text)
        has_user = has_user or turn.role == "user"
    if not has_user and reading.effort.is_spent:
        yield
        wanted = yield from reading.newest_of_user(place)
        if wanted is not None:
            turns[MAX_TURNS - 1 :] = [wanted]
    turns.reverse()
    return tuple(turns)


def newest_text(body: bytes, place: Span, room_bytes: int | None) -> tuple[Turn, ...]:
    """Read a conversation that is one text of the user's."""
    start, end = place
    if end - start <= WHOLE_BYTES:
        text = decode_leniently(_decode_text, body[start:end]) or ""
    else:
        text = text_at(body, place, room_bytes or 0)
    return (Turn("user", text),) if text and not text.isspace() else ()


def _elements(body: bytes, place: Span, effort: Effort) -> FromEnd | None:
    """Return a reader of the elements at a place; None where no array stands there."""
    return FromEnd(body, place, effort) if body[place[0]] == OPENING_BRACKET else None


@final
class _Reading:
    """Reads messages of one body as turns, within bounds."""

    def __init__(self, body: bytes, room_bytes: int | None) -> None:
        self.effort = Effort(_STEPS, _DECODED_BYTES, _OBJECTS)
        self._body = body
        self._room_bytes = room_bytes or 0

    def messages(self, array: Span) -> Iterator[Span | msgspec.Raw]:
        """Yield the messages of a conversation, the newest first, until the effort is spent: of a
        short one all are cut out at once, which is faster, of a longer one each is looked for.
        """
        start, end = array
        if end - start > LISTED_BYTES:
            found = FromEnd(self._body, array, self.effort)
            while (place := found.next()) is not None:
                yield place
            return
        for raw in reversed(decode_leniently(_decode_list, self._body[start:end]) or []):
            if self.effort.objects < 0:
                return
            yield raw

    def newest_of_user(self, array: Span) -> Generator[None, None, Turn | None]:
        """Return the newest user turn of a conversation of moderate length, however much stands
        behind it; None where there is none, or where looking for it would take too long.
        """
        if array[1] - array[0] > _AGAIN_BYTES:
            return None
        outline = Outline(self._body, array)
        try:
            while not outline.advance():
                yield
        except InvalidBody:
            return None
        self.effort = Effort(_STEPS, 2 * _AGAIN_BYTES, _OBJECTS)
        for number, message in enumerate(reversed(outline.members)):
            if not number % _MESSAGES_A_STEP:
                yield
            if self._is_of_user(message.value):
                return self.turn(message.value, _USER)
            if self.effort.is_spent:
                break
        return None

    def _is_of_user(self, place: Span) -> bool:
        """Return whether a message is a user's turn. None is repaired for that, which would spend
        the effort.
        """
        start, end = place
        if end - start > WHOLE_BYTES:
            return self.turn(place, _USER) is not None
        return self.turn(msgspec.Raw(same_lengths(self._body[start:end])), _USER) is not None

    def turn(self, found: Span | msgspec.Raw, roles: frozenset[str]) -> Turn | None:
        """Read a message as a turn; None where its role is another or it carries no text."""
        if isinstance(found, tuple) and found[1] - found[0] > WHOLE_BYTES:
            role, text = self._long_message(found, roles)
        else:
            data = self._body[found[0] : found[1]] if isinstance(found, tuple) else found
            message = decode_leniently(_decode_message, data, self.effort)
            if message is None or message.role not in roles or message.type != "message":
                return None
            role, text = message.role, self._text_of(message.content)
        return Turn(role, text) if text and not text.isspace() else None

    def _text_of(self, content: msgspec.Raw) -> str:
        """Read a message's content: a text, or parts, whose texts are joined with line ends."""
        self.effort.decoded_bytes -= len(content)
        if self.effort.decoded_bytes < 0:
            return ""
        try:
            known = _decode_content(content)
        except (ValueError, RecursionError):
            known = self._parts_of(content)
        if known is None or isinstance(known, str):
            return known or ""
        return "\n".join(part.text for part in known if part.type in _TEXT_PARTS and part.text)

    def _parts_of(self, content: msgspec.Raw) -> list[_Part]:
        """Read those parts of a content that look as they should."""
        parts = []
        raws = decode_leniently(_decode_list, content, self.effort) or []
        self.effort.objects -= len(raws) // _PLACES_AN_OBJECT
        for raw in raws:
            part = decode_leniently(_decode_part, raw, self.effort)
            if part is not None:
                parts.append(part)
            elif self.effort.is_spent:
                break
        return parts

    def _long_message(self, place: Span, roles: frozenset[str]) -> tuple[str, str]:
        """Return role and text of a message that is too long to be decoded. Of parts that are
        longer than the room the last ones are read.
        """
        members = self._members(place, (b"role", b"type", b"content"))
        role, content = self._word(members.get(b"role")), members.get(b"content")
        is_turn = role in roles and self._word(members.get(b"type")) in ("", "message")
        if not is_turn or content is None:
            return role, ""
        parts = _elements(self._body, content, self.effort)
        if parts is None:
            return role, text_at(self._body, content, self._room_bytes)
        texts: list[str] = []
        characters = 0
        while characters <= self._room_bytes and (part := parts.next()) is not None:
            texts.append(self._part(part))
            characters += len(texts[-1])
        return role, "\n".join(filter(None, reversed(texts)))

    def _part(self, place: Span) -> str:
        """Return the text of a part of a long message; empty where it is no text."""
        if place[1] - place[0] <= WHOLE_BYTES:
            data = self._body[place[0] : place[1]]
            part = decode_leniently(_decode_part, data, self.effort)
            return (part.text or "") if part is not None and part.type in _TEXT_PARTS else ""
        members = self._members(place, (b"type", b"text"))
        text, is_text = members.get(b"text"), self._word(members.get(b"type")) in _TEXT_PARTS
        return text_at(self._body, text, self._room_bytes) if is_text and text is not None else ""

    def _members(self, place: Span, names: Collection[bytes]) -> dict[bytes, Span]:
        """Return the places of the values of some members of an object. Of several of one name the
        last counts.
        """
        found: dict[bytes, Span] = {}
        if self._body[place[0]] != OPENING_BRACE:
            return found
        members = FromEnd(self._body, place, self.effort)
        while len(found) < len(names) and (member := members.next()) is not None:
            name, value = name_and_value(self._body, member)
            if name in names:
                found.setdefault(name, value)
        return found

    def _word(self, place: Span | None) -> str:
        """Return a word at a place; empty where there is none."""
        if place is None or place[1] - place[0] > _WORD_BYTES:
            return ""
        return self._body[place[0] + 1 : place[1] - 1].decode("utf-8", "replace")
