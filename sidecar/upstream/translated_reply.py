"""A provider's response in the words of the API that the app speaks, where the provider speaks
another one.

Whole responses are translated before anything goes to the app, so that another candidate may serve
where one cannot be; streams event by event, as they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, final

from sidecar.domain.call import Call, RawHeaders
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import UpstreamCut, UpstreamError, UpstreamMalformed, UpstreamReset
from sidecar.domain.ports import ArrivingReply, Reply
from sidecar.domain.translation import AttemptTranslation, StreamTranslation
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.memory_budget import HeldBytes, MemoryShare
from sidecar.runtime.steps import in_slices
from sidecar.upstream.buffered_reply import FREE_BYTES, READ_AT_MOST, BufferedReply
from sidecar.upstream.error_body import read_error_body
from sidecar.wire.own_headers import lost_line, lost_text, translated_line
from sidecar.wire.response_headers import coding_of

WHOLE_BYTES: Final = 3 * 1024 * 1024
"""A longer response is not translated, as a longer event of a stream is not: 128,000 tokens are one
MiB, and what holds pictures no other API can be asked for.
"""
_SLICE_BYTES: Final = 8 * 1024
"""So much of a stream is translated before others go on: some milliseconds at most."""
_LONG_BYTES: Final = 32 * 1024
"""Others go on behind a piece that is longer."""
_KEPT_BYTES: Final = 64 * 1024
"""So much of a stream is kept uncounted: of most responses, all that is."""
_COPIES: Final = 3
"""Of a whole response, while it is translated: its pieces, the body, and what is made of it."""
_OF_THE_BODY: Final = frozenset((b"content-type", b"content-length", b"content-encoding"))
"""Header fields that are true of the provider's bytes alone."""
_JSON: Final = b"application/json"
_EVENT_STREAM: Final = b"text/event-stream"
_STATUS_OF_CLASS: Final = {
    FailureClass.CALLERS_FAULT: 400,
    FailureClass.SWAPPED: 400,
    FailureClass.TOO_LONG: 400,
    FailureClass.CONTENT_POLICY: 400,
    FailureClass.QUOTA: 429,
    FailureClass.BUSY: 503,
}
"""The status of an error that came with one of success and names no other; of other classes 502."""


@final
class WholeReply:
    """Implements `domain.ports.Reply`: a response that is here, translated."""

    def __init__(
        self,
        reply: Reply | BufferedReply,
        status: int,
        attempt: AttemptTranslation,
        body: bytes,
        content_type: bytes = _JSON,
    ) -> None:
        """Args: ``reply`` is the provider's, which has been read or is closed."""
        self.status: int = status
        self.headers: RawHeaders = _headers(reply.headers, content_type)
        self.content_length: int | None = len(body)
        self.sends: int = reply.sends
        self.attempt: Final = attempt
        self._body = body

    def read_nowait(self) -> bytes | None:
        """See `Reply.read_nowait`."""
        return self._body

    async def read(self) -> bytes:
        """See `Reply.read`."""
        body, self._body = self._body, b""
        return body

    def abort(self) -> None:
        """See `Reply.abort`."""
        self._body = b""


@final
class EventsReply:
    """Implements `domain.ports.Reply`: an event stream that is translated as it is read."""

    def __init__(
        self, reply: ArrivingReply, attempt: AttemptTranslation, share: MemoryShare
    ) -> None:
        """Takes over ``reply``. Args: ``share`` is what memory is taken of for what is kept."""
        self.status: int = reply.status
        self.headers: RawHeaders = _headers(reply.headers, _EVENT_STREAM)
        self.content_length: int | None = None
        self.sends: int = reply.sends
        self.attempt: Final = attempt
        self._events: Final = _Events(reply, attempt.stream(), share)
        self._ready = b""
        """Translated, and not read yet."""

    async def begin(self) -> None:
        """Translate the beginning, as far as it shows that it can be translated.

        Raises: UpstreamMalformed where it cannot be; what `Reply.read` raises.
        """
        self._ready = await self._events.next()
        if not self._ready:
            raise UpstreamReset("the response ended before it began")

    def read_nowait(self) -> bytes | None:
        """See `Reply.read_nowait`."""
        return None

    async def read(self) -> bytes:
        """See `Reply.read`. Raises: UpstreamMalformed as well."""
        if self._ready:
            data, self._ready = self._ready, b""
            return data
        return await self._events.next()

    def abort(self) -> None:
        """See `Reply.abort`."""
        self._ready = b""
        self._events.abort()


@final
class _Events:
    """A provider's event stream, read and translated piece by piece."""

    def __init__(self, reply: Reply, stream: StreamTranslation, share: MemoryShare) -> None:
        self._held: Final = HeldBytes(share, _KEPT_BYTES)
        self._reply: Final = reply
        self._stream: Final = stream
        self._raw = b""
        """Read, and not translated yet."""
        self._pieces: Iterator[bytes] = iter(())
        """Of what is being translated."""
        self._is_long = False
        """Whether the piece before was."""
        self._has_ended = False

    async def next(self) -> bytes:
        """Return the next translated bytes; empty at the end."""
        while True:
            if self._is_long:
                await asyncio.sleep(0)
            piece = next(self._pieces, b"")
            self._is_long = len(piece) > _LONG_BYTES
            if piece:
                return piece
            if not self._held.grow_nowait(self._stream.kept_bytes):
                raise UpstreamMalformed("there is no memory to translate the response in")
            if self._has_ended:
                self._held.give_back()
                return b""
            await self._go_on()

    async def _go_on(self) -> None:
        """Begin to translate what comes next."""
        if self._raw:
            await asyncio.sleep(0)
        else:
            self._raw = await self._reply.read()
        self._has_ended = not self._raw
        piece, self._raw = self._raw[:_SLICE_BYTES], self._raw[_SLICE_BYTES:]
        self._pieces = self._stream.feed(piece) if piece else self._stream.end()

    def abort(self) -> None:
        self._raw, self._pieces = b"", iter(())
        self._held.give_back()
        self._reply.abort()


TranslatedReply = WholeReply | EventsReply


async def translated(
    call: Call, candidate: Candidate, reply: ArrivingReply | BufferedReply, share: MemoryShare
) -> BufferedReply | TranslatedReply:
    """Return the response of a candidate that serves a call by translation in the caller's API,
    once it is sure that it can be translated; one that shows an error as it is.

    Args: ``share`` is what memory is taken of for what is held.
    Raises: UpstreamMalformed where it cannot be, is compressed, or too long; UpstreamError
        subclasses where the provider fails. Nothing is left open then.
    """
    if isinstance(reply, BufferedReply):
        return reply
    assert call.translation is not None  # it was sent so
    attempt = call.translation.attempt(candidate)
    try:
        if _is_stream(reply, wanted=call.facts.wants_stream):
            events = EventsReply(reply, attempt, share)
            await events.begin()
            return events
        held = HeldBytes(share, FREE_BYTES)
        try:
            body = await _read_whole(reply, held)
            steps = attempt.whole_in_steps(body, is_stream_wanted=call.facts.wants_stream)
            content_type = _EVENT_STREAM if call.facts.wants_stream else _JSON
            return WholeReply(reply, reply.status, attempt, await in_slices(steps), content_type)
        finally:
            held.give_back()
    except UpstreamError as error:
        reply.abort()
        error.sends = reply.sends
        if isinstance(error, UpstreamCut):
            raise _reset(error) from error
        raise
    except BaseException:
        reply.abort()
        raise


def translated_error(
    call: Call, candidate: Candidate, reply: BufferedReply, failure_class: FailureClass
) -> Reply:
    """Return an error reply as the app can read it: in the words of its API, where the candidate
    speaks another one. The provider's text is inside, as far as it has come.

    An error that came with a status of success gets the one that it means.
    """
    if call.translation is None or call.endpoint.dialect in candidate.dialects:
        return reply
    attempt, status, body = call.translation.attempt(candidate), reply.status, reply.error
    if body is None:
        body = reply.readable[:READ_AT_MOST]
    if status < 400:
        status = read_error_body(body).status or _STATUS_OF_CLASS.get(failure_class, 502)
    reply.abort()
    return WholeReply(reply, status, attempt, attempt.error(status, body))


def translation_of(reply: Reply) -> AttemptTranslation | None:
    """Return what translates a reply; None where the app gets the provider's own bytes."""
    return reply.attempt if isinstance(reply, WholeReply | EventsReply) else None


def lost_of(reply: Reply, lost: str) -> str:
    """Return what is not as the app sent it, or as the provider did, as ``x-plano-lost`` says it:
    more of a stream, the longer it is read.

    Args: ``lost`` is what the request was sent without, as `Dispatched.lost`.
    """
    translation = translation_of(reply)
    if translation is None:
        return lost
    names = lost.split(", ") if lost else []
    return lost_text([*names, *(each.name for each in translation.lost())])


def change_lines(reply: Reply, lost: str) -> bytes:
    """Return the header lines that say so, and in which APIs. Args: as for `lost_of`."""
    translation, all_lost = translation_of(reply), lost_of(reply, lost)
    way = b"" if translation is None else translated_line(translation.way)
    return way + lost_line(all_lost) if all_lost else way


async def _read_whole(reply: ArrivingReply, held: HeldBytes) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await reply.read():
        size += len(piece)
        if size > WHOLE_BYTES:
            raise UpstreamMalformed(f"the response is longer than {WHOLE_BYTES} bytes")
        if not held.grow_nowait(_COPIES * size):
            raise UpstreamMalformed("there is no memory to translate the response in")
        pieces.append(piece)
    return b"".join(pieces)


def _reset(cut: UpstreamCut) -> UpstreamReset:
    """Return the error of a response that was cut before anything of it could go to the app."""
    error = UpstreamReset(cut.message)
    error.sends = cut.sends
    return error


def _headers(raw: RawHeaders, content_type: bytes) -> RawHeaders:
    kept = [(name, value) for name, value in raw if name.lower() not in _OF_THE_BODY]
    return [*kept, (b"content-type", content_type)]


def _is_stream(reply: ArrivingReply, *, wanted: bool) -> bool:
    """Raises: UpstreamMalformed where nothing can be made of the body."""
    content_type = b""
    for name, value in reply.headers:
        if name.lower() == b"content-type":
            content_type = value.strip().lower()
    is_stream = content_type.startswith(_EVENT_STREAM)
    if coding_of(reply.headers):
        raise UpstreamMalformed("a compressed response cannot be translated")
    if is_stream and not wanted:
        raise UpstreamMalformed("a stream came in the place of a whole response")
    return is_stream
