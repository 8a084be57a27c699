"""Carries a response back to the app: bytes as they come, ended exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from sidecar.dialects.base import Dialect, Problem
from sidecar.dialects.usage import read_response
from sidecar.domain.clock import Clock
from sidecar.domain.errors import SidecarError, UpstreamCut
from sidecar.domain.outcome import Served
from sidecar.domain.ports import Downstream, DownstreamIdle, Reply
from sidecar.domain.vocabulary import CallOutcome
from sidecar.stream.tap import BodyTap, EventTap
from sidecar.stream.usage_cut import UsageCut
from sidecar.wire.response_headers import coding_of

_EVENT_STREAM: Final = b"text/event-stream"
EVENTS_BYTES: Final = 8 * 1024
"""Of an event stream as many bytes are sent on and looked at in one turn of the loop."""


@final
@dataclass(init=False, unsafe_hash=True)
class Relayed:
    """How the relay of one response ended."""

    result: Final[CallOutcome]
    bytes_out: Final[int]
    first_byte_s: Final[float]
    """Monotonic clock: when the first byte went to the app."""
    waited_s: Final[float]
    """How long the relay waited for the provider after the head."""
    error_code: Final[str | None]
    first_piece_s: Final[float | None]
    """Monotonic clock: when the first bytes of the body arrived. Some servers send a head long
    before it.
    """
    served: Final[Served | None]
    """What the response said about itself; None for errors, and where no dialect is known."""
    error_event: Final[bytes | None]
    """The data of the event by which the provider said that it failed, where it did."""

    def __init__(
        self,
        result: CallOutcome,
        bytes_out: int,
        first_byte_s: float,
        waited_s: float = 0.0,
        error_code: str | None = None,
        first_piece_s: float | None = None,
        served: Served | None = None,
        error_event: bytes | None = None,
    ) -> None:
        self.result = result
        self.bytes_out = bytes_out
        self.first_byte_s = first_byte_s
        self.waited_s = waited_s
        self.error_code = error_code
        self.first_piece_s = first_piece_s
        self.served = served
        self.error_event = error_event


def relay_nowait(
    reply: Reply, lines: list[bytes], down: Downstream, clock: Clock, dialect: Dialect | None
) -> Relayed | None:
    """Send a reply that has arrived completely, in one write. Return None where it has not: then
    `Relay` carries it.

    An event stream is left to `Relay` even if all of it has arrived: its last event may be missing.
    One with an announced length is told by the call: other bodies' headers need not be searched.
    """
    if reply.content_length is None and _is_plain_event_stream(reply):
        return None
    whole = reply.read_nowait()
    if whole is None:
        return None
    down.send_whole(reply.status, lines, whole)
    sent_s = clock.monotonic_s()
    served = None
    if dialect is not None and reply.status < 400:
        served = read_response(dialect, whole)
    return Relayed(CallOutcome.OK, len(whole), sent_s, first_piece_s=sent_s, served=served)


class Relay:
    """Carries one reply to one app."""

    def __init__(self, clock: Clock, dialect: Dialect | None, request_id: str) -> None:
        self._monotonic_s: Callable[[], float] = clock.monotonic_s
        self._dialect = dialect
        self._request_id = request_id
        self.cuts_usage = False
        """Whether the app has not asked for what a `UsageCut` takes out of a stream."""
        self._cut: UsageCut | None = None
        self.given_up: Relayed | None = None
        """How far `run` had come when its task was cancelled; it returns nothing then."""

    async def run(self, reply: Reply, lines: list[bytes], down: Downstream) -> Relayed:
        """Send the reply's status and ``lines``, then its body as it comes; return how that ended.

        Where the provider dies, stalls or sends nonsense in mid-body, the app gets an error event
        if it can read one, and a broken connection otherwise, so that no SDK takes the fragment for
        the whole. An error event of the provider's own is the last one: the connection breaks
        behind it, since some SDKs hand it out like any other event.

        Raises: CancelledError only.
        """
        events: EventTap | None = None
        tap: EventTap | BodyTap | None = None
        if self._dialect is not None and _is_plain_event_stream(reply):
            tap = events = EventTap(self._dialect)
            option = self._dialect.stream.usage_option if self.cuts_usage else None
            self._cut = None if option is None else UsageCut(option)
        elif self._dialect is not None and reply.status < 400:
            tap = BodyTap(self._dialect)
        down.start(reply.status, lines, _length_to_tell(reply, events))
        sent = _Sent(self._monotonic_s(), tap)
        try:
            await self._pump(reply, down, events, sent)
        except ConnectionError as error:
            reply.abort()
            down.abort()
            if isinstance(error, DownstreamIdle):
                return sent.ended(CallOutcome.DOWNSTREAM_IDLE, DownstreamIdle.code)
            return sent.ended(CallOutcome.CANCELLED)
        except SidecarError as error:
            reply.abort()
            if events is None or not events.is_complete:
                self._end_broken(down, events, error, sent)
                return sent.ended(CallOutcome.INCOMPLETE, UpstreamCut.code)
            # The last event had come: how the connection ended after it does not matter.
        except asyncio.CancelledError:
            reply.abort()
            self.given_up = self._give_up(down, events, sent)
            raise
        except BaseException:
            reply.abort()
            down.abort()
            raise
        down.finish()
        if events is not None and events.error is not None:
            return sent.ended(CallOutcome.UPSTREAM_ERROR)
        return sent.ended(CallOutcome.OK)

    async def _pump(
        self, reply: Reply, down: Downstream, events: EventTap | None, sent: _Sent
    ) -> None:
        """Send the body's pieces on as they come.

        Raises: what `Reply.read` and `Downstream.write` raise, and UpstreamCut where the end came
            too early.
        """
        while True:
            asked_s = self._monotonic_s()
            data = await reply.read()
            came_s = self._monotonic_s()
            sent.waited_s += came_s - asked_s
            if not data:
                break
            if not sent.size:
                sent.first_piece_s = came_s
            while True:
                # To read what many events tell takes milliseconds, between which others go on.
                is_all = events is None or len(data) <= EVENTS_BYTES
                piece = data if is_all else data[:EVENTS_BYTES]
                kept = piece if self._cut is None else self._cut.feed(piece)
                sent.size += len(kept)
                try:
                    if kept:
                        await down.write(kept)
                finally:
                    # After the write, so that looking at the bytes delays none of them; also where
                    # the write is cancelled: they are on their way, and an event may follow.
                    if sent.tap is not None:
                        sent.tap.feed(piece)
                if is_all:
                    break
                data = data[EVENTS_BYTES:]
                await asyncio.sleep(0)
        rest = b"" if self._cut is None else self._rest(sent)
        if rest:  # pragma: no cover - a stream that ends inside an event: the flows of usage
            await down.write(rest)
        if events is not None and not events.may_end:
            raise UpstreamCut("the provider ended the stream without its last event")

    def _give_up(self, down: Downstream, events: EventTap | None, sent: _Sent) -> Relayed:
        """The app has left, or a drain has run out of time. In the second case the app is still
        there and reads why.
        """
        if not down.is_open:
            return sent.ended(CallOutcome.CANCELLED)
        error = UpstreamCut("the sidecar is shutting down; the stream is incomplete")
        self._end_broken(down, events, error, sent)
        return sent.ended(CallOutcome.INCOMPLETE, UpstreamCut.code)

    def _rest(self, sent: _Sent) -> bytes:
        """Return what was held back, to be sent now that nothing follows it."""
        rest = b"" if self._cut is None else self._cut.finish()
        sent.size += len(rest)
        return rest

    def _end_broken(
        self, down: Downstream, events: EventTap | None, error: SidecarError, sent: _Sent
    ) -> None:
        event = b""
        if (
            self._dialect is not None
            and events is not None
            and events.error is None
            and events.is_between_events
        ):
            problem = Problem(
                error.status, UpstreamCut.code, error.message, request_id=self._request_id
            )
            event = self._dialect.error_event(problem)
        down.end_broken(self._rest(sent) + event)


class _Sent:
    """What has gone to the app so far."""

    __slots__ = ("first_byte_s", "first_piece_s", "size", "tap", "waited_s")

    def __init__(self, first_byte_s: float, tap: EventTap | BodyTap | None) -> None:
        self.first_byte_s = first_byte_s
        self.first_piece_s: float | None = None
        self.tap = tap
        self.size = 0
        self.waited_s = 0.0

    def ended(self, result: CallOutcome, error_code: str | None = None) -> Relayed:
        served = None if self.tap is None else self.tap.served
        error_event = self.tap.error if isinstance(self.tap, EventTap) else None
        return Relayed(
            result,
            self.size,
            self.first_byte_s,
            self.waited_s,
            error_code,
            self.first_piece_s,
            served,
            error_event,
        )


def _length_to_tell(reply: Reply, events: EventTap | None) -> int | None:
    """Return the length to announce to the app; of an event stream none: with all of it there, no
    event could follow, and no app would notice that the connection breaks.
    """
    return reply.content_length if events is None else None


def _is_plain_event_stream(reply: Reply) -> bool:
    """Whether an event may be added: an identity-coded event stream that is no error."""
    if reply.status >= 400:
        return False
    is_event_stream = False
    for name, value in reply.headers:
        if len(name) == 12 and name.lower() == b"content-type":
            is_event_stream = value.lower().startswith(_EVENT_STREAM)
    return is_event_stream and not coding_of(reply.headers)
