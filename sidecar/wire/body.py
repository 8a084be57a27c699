"""Request bodies in JSON: read the few members that steer a call.

The conversation is never decoded. msgspec checks the whole body's syntax and says how long each
top-level value is; adding up those lengths finds each member's place. Of a body that is longer than
`AT_ONCE_BYTES` only the outline is checked, in steps, between which other calls go on. Everything
is linear in the body's length.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, utf_8_decode
from collections.abc import Callable, Generator, Iterable
from typing import Final, final

import msgspec

from sidecar.domain.call import BodyFacts, Edit
from sidecar.domain.errors import InvalidBody
from sidecar.domain.ids import MAX_NAME_BYTES
from sidecar.wire.members import top_level_values
from sidecar.wire.outline import QUOTE, STEP_BYTES, Outline

AT_ONCE_BYTES: Final = 1024 * 1024
"""Bodies up to here are read at once: that takes a few milliseconds at most."""
_WORD_BYTES: Final = 64
"""None of the values that are compared with words is longer."""
_MODEL_BYTES: Final = 6 * MAX_NAME_BYTES + 2
"""No name is longer, all its characters escaped."""
_NAME_BYTES: Final = 1024
"""No name that is read is longer, whatever its escapes."""
_OWN_BYTES: Final = 64 * 1024 + 1
"""As much of ``routing_preferences`` is cut out: longer ones are refused."""

_MEMBER_HEAD: Final = (
    rb'[ \t\r\n]*+[{,][ \t\r\n]*+"(?:(%b)|[^"\\]*+(?:(\\.)[^"\\]*+)*+)"[ \t\r\n]*+:[ \t\r\n]*+'
)
"""What precedes a member's value: brace or comma, the name, the colon. Group 1 is a name that
is read, group 2 says that the name has escapes; most members have neither. Possessive, so that no
input backtracks.
"""
_NEXT_COMMA: Final = re.compile(rb"[ \t\r\n]*+,")
_model_decoder: Final = msgspec.json.Decoder(str | None)

_NO_MEMBERS: Final[frozenset[bytes]] = frozenset()
_Match = Callable[[bytes, int], "re.Match[bytes] | None"]
_Place = tuple[int, int, int]
"""The place of a member that is read: the end of the member before it (0 for the first), its
value's start and end.
"""


@final
class JsonBody:
    """Reads request bodies: one JSON object with ``model`` and ``stream`` at its top level."""

    def __init__(
        self, provider_state: Iterable[bytes], checked: Iterable[bytes], conversation: bytes = b""
    ) -> None:
        """Args: ``provider_state`` are members that only the provider which made their value can
        serve; ``checked`` are members which must not stand in a body twice; ``conversation`` is the
        one of them that holds the conversation, where one does.
        """
        self._conversation: Final = conversation
        self._provider_state: Final = frozenset(provider_state)
        self._steering: Final = self._provider_state | {b"stream", b"routing_preferences"}
        self._once: Final = self._steering | {b"model"} | frozenset(checked)
        """What must not stand in a body twice."""
        self._read: Final = self._once | {b"stream_options"}
        self._matches: Final[dict[frozenset[bytes], _Match]] = {}
        """By the ``session_members`` of `peek`; those of a config, made when they are first used.
        """

    def peek(self, body: bytes, session_members: frozenset[bytes] = _NO_MEMBERS) -> BodyFacts:
        """Read what lookup, routing and patching need of a request body.

        Members that are not read pass without a look, repeated ones and lone surrogates too. Of
        repeated ``session_members`` and ``stream_options``, whose places the facts have, the last
        one counts.

        Raises: InvalidBody where the body is not one JSON object in UTF-8, nests too deeply, has
            too many members, or a member that is read has the wrong type or is there twice
            (``param`` names it).
        """
        if not body.isascii():
            for _ in _checked_utf8(body):
                pass
        places: dict[bytes, _Place] = {}
        position = 0
        match_head = self._matches.get(session_members) or self._match_of(session_members)
        values = top_level_values(body)
        for raw in values:
            head = match_head(body, position)
            assert head is not None  # the decoder read a member here
            end = head.end() + len(raw)
            if head.lastindex is not None:
                name = head[1] or _unescaped(head[0])
                if name in self._read or name in session_members:
                    if name in places and name in self._once:
                        raise _twice(name)
                    places[name] = (head.start(), head.end(), end)
            position = end
        return self._facts(body, places, len(values), session_members)

    def peek_in_steps(
        self, body: bytes, session_members: frozenset[bytes] = _NO_MEMBERS
    ) -> Generator[None, None, BodyFacts]:
        """Do as `peek`, and let others go on wherever this yields. What stands inside an array or
        object is not checked, but that it is closed.
        """
        yield from _checked_utf8(body)
        outline = Outline(body)
        while not outline.advance():
            yield
        places: dict[bytes, _Place] = {}
        for behind, (start, end), value in outline.members:
            name = body[start:end] if end - start <= _NAME_BYTES else b""
            if name.find(b"\\") >= 0:
                name = _unescaped(b'"%b"' % name)
            if name in self._read or name in session_members:
                if name in places and name in self._once:
                    raise _twice(name)
                places[name] = (behind, *value)
        return self._facts(body, places, len(outline.members), session_members)

    def _match_of(self, session_members: frozenset[bytes]) -> _Match:
        """Return what matches the head of a member, the names that are read as group 1."""
        names = sorted(map(re.escape, self._read | session_members))
        match: _Match = re.compile(_MEMBER_HEAD % b"|".join(names), re.DOTALL).match
        self._matches[session_members] = match
        return match

    def _facts(
        self,
        body: bytes,
        places: dict[bytes, _Place],
        members: int,
        session_members: frozenset[bytes],
    ) -> BodyFacts:
        """Check the types of the members that were found, and cut out our own.

        Raises: InvalidBody.
        """
        session_spans: tuple[tuple[bytes, int, int], ...] = ()
        if session_members and not session_members.isdisjoint(places):
            present = [name for name in session_members if name in places]
            session_spans = tuple([(name, *places[name][1:]) for name in present])
        model, said = places.get(b"model"), places.get(self._conversation)
        conversation = None if said is None else (said[1], said[2])
        insert_at = body.index(b"{") + 1
        if model is not None and self._steering.isdisjoint(places):
            # The usual case.
            return BodyFacts(
                _model(body, model[1], model[2]),
                False,
                (model[1], model[2]),
                (),
                insert_at,
                session_spans=session_spans,
                conversation=conversation,
            )
        stream, options = places.get(b"stream"), places.get(b"stream_options")
        own = places.get(b"routing_preferences")
        return BodyFacts(
            requested_model=None if model is None else _model(body, model[1], model[2]),
            wants_stream=False if stream is None else _stream(body, stream[1], stream[2]),
            model_span=None if model is None else model[1:],
            edits=() if own is None else (_cut(body, own),),
            insert_at=insert_at,
            is_empty_object=members == (0 if own is None else 1),
            routing_preferences=None if own is None else _short(body, own, _OWN_BYTES),
            holds_provider_state=self._holds_provider_state(body, places),
            session_spans=session_spans,
            conversation=conversation,
            stream_options=options and options[1:],
        )

    def _holds_provider_state(self, body: bytes, places: dict[bytes, _Place]) -> bool:
        """Whether a member that names a provider's own state is there and not null."""
        for name in self._provider_state:
            place = places.get(name)
            if place is not None and _short(body, place) != b"null":
                return True
        return False


def _checked_utf8(body: bytes) -> Generator[None, None, None]:
    """Refuse bytes that are not UTF-8, also in members that are not decoded. In steps, since what
    proves a text valid is a decoded copy of up to four times its size.

    Raises: InvalidBody.
    """
    _refuse_byte_order_mark(body)
    view = memoryview(body)
    position = 0
    while position < len(body):
        end = position + STEP_BYTES
        try:
            _, used = utf_8_decode(view[position:end], "strict", end >= len(body))
        except UnicodeDecodeError as error:
            raise InvalidBody(f"the body is not UTF-8 (byte {position + error.start})") from error
        position += used
        yield


def _refuse_byte_order_mark(body: bytes) -> None:
    """Say of a body that begins with what editors and spreadsheets put before a text, which nobody
    sees, that it does; JSON has none (RFC 8259, 8.1).

    Raises: InvalidBody.
    """
    if body.startswith(BOM_UTF8):
        raise InvalidBody(
            "the body begins with a byte order mark (BOM, bytes EF BB BF): send UTF-8 without it"
        )
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise InvalidBody(
            "the body is UTF-16, as its byte order mark (BOM) says: send UTF-8 without one"
        )


def _short(body: bytes, place: _Place, most: int = _WORD_BYTES) -> bytes:
    """Return the value at a place, of a longer one its beginning: no more counts."""
    return body[place[1] : min(place[2], place[1] + most)]


def _unescaped(head: bytes) -> bytes:
    """Return the name in a member's head, escapes resolved. Empty where an escape stands for half a
    character, which no name of ours holds.
    """
    try:
        return msgspec.json.decode(
            head[head.index(b'"') : head.rindex(b'"') + 1], type=str
        ).encode()
    except msgspec.DecodeError:
        return b""


def _model(body: bytes, start: int, end: int) -> str | None:
    """The requested model; None where the app leaves the choice to us.

    Raises: InvalidBody.
    """
    if end - start > _MODEL_BYTES:
        raise _too_long() if body[start] == QUOTE else _no_string()
    value = body[start:end]
    # `in` would first take the bytes for a number, which costs an error.
    if value.find(b"\\") < 0 and value[:1] == b'"':
        if len(value) > MAX_NAME_BYTES + 2:
            raise _too_long()
        model: str | None = value[1:-1].decode()
        return None if model in ("", "none") else model
    try:
        model = _model_decoder.decode(value)
    except msgspec.ValidationError as error:
        raise _no_string() from error
    except msgspec.DecodeError as error:  # a lone surrogate
        raise InvalidBody("'model' is not valid text", param="model") from error
    if model in (None, "", "none"):
        return None
    if len(model.encode()) > MAX_NAME_BYTES:
        raise _too_long()
    return model


def _twice(name: bytes) -> InvalidBody:
    return InvalidBody(f"{name.decode()!r} stands more than once in the body", param=name.decode())


def _no_string() -> InvalidBody:
    return InvalidBody("'model' must be a string", param="model")


def _too_long() -> InvalidBody:
    return InvalidBody(f"'model' is longer than {MAX_NAME_BYTES} bytes", param="model")


def _stream(body: bytes, start: int, end: int) -> bool:
    """Whether the app wants a stream; null means no.

    Raises: InvalidBody.
    """
    value = body[start:end] if end - start <= _WORD_BYTES else b""
    if value == b"true":
        return True
    if value in (b"false", b"null"):
        return False
    raise InvalidBody("'stream' must be true or false", param="stream")


def _cut(body: bytes, place: _Place) -> Edit:
    """The edit without a member: it goes with exactly one neighbouring comma, the one before it, or
    where it is first, the one after.
    """
    before, start, end = place
    if before:
        return body.index(b",", before), end, b""
    comma = _NEXT_COMMA.match(body, end)
    # Where it is the first member, its name is the first quote of the body.
    return body.index(b'"', 0, start), end if comma is None else comma.end(), b""
