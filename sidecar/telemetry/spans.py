"""Hears of sampled calls, and makes a call's spans when it has ended.

So no span is kept open while a call waits, and an unsampled call costs one look at its flags for
each event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.clock import Clock
from sidecar.domain.events import AttemptEnded, CallEnded, Listeners, PinRead, RouterAsked
from sidecar.domain.ids import FLAG_SAMPLED, TraceContext
from sidecar.domain.outcome import Attempt
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.runtime.bounded import BoundedMap
from sidecar.telemetry.span_facts import (
    CalledServer,
    Span,
    Times,
    attempt_span,
    call_span,
    pin_span,
    route_span,
    router_span,
    served_attributes,
)

ROUTER: Final = ""
"""Stands for the router model's entry; no entry has an empty name."""
_CALLS_AT_MOST: Final = 4096
"""In flight, of which something was heard; the oldest ones are left without their parts."""
_ATTEMPTS_AT_MOST: Final = 64
"""Of one call."""


class _Heard(msgspec.Struct):
    """What was heard of a sampled call that has not ended. Holds no call, hence no body."""

    pin: Times | None = None
    """When its pin was read, on the monotonic clock."""
    router: tuple[RouterOutcome, Times] | None = None
    attempts: list[Attempt] = []


class SpanMaker:
    """Hands the spans of each sampled call to ``take`` when it has ended.

    Args: ``take`` gets the trace and the spans, the sidecar's own span of the call first, all on
        the clock of the day; ``server_of`` says where an entry's requests go, `ROUTER` for the
        router model: None for one that the config does not have any more.
    """

    def __init__(
        self,
        clock: Clock,
        take: Callable[[TraceContext, list[Span]], None],
        server_of: Callable[[str], CalledServer | None],
    ) -> None:
        self._clock = clock
        self._take = take
        self._server_of = server_of
        self._heard: BoundedMap[str, _Heard] = BoundedMap(_CALLS_AT_MOST)
        """By the calls' own span ids."""

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {
            PinRead: self._pin_read,
            RouterAsked: self._router_asked,
            AttemptEnded: self._attempt_ended,
            CallEnded: self._call_ended,
        }

    def _pin_read(self, event: PinRead) -> None:
        trace = event.call.trace
        if trace.flags & FLAG_SAMPLED:
            self._heard_of(trace).pin = event.began_s, event.began_s + event.waited_s

    def _router_asked(self, event: RouterAsked) -> None:
        # A call that did not wait was decided without the model: nothing was sent for it.
        if event.call is None or not event.waited_s:
            return
        trace = event.call.trace
        if trace.flags & FLAG_SAMPLED:
            times = event.began_s, self._clock.monotonic_s()
            self._heard_of(trace).router = event.outcome, times

    def _attempt_ended(self, event: AttemptEnded) -> None:
        trace = event.call.trace
        if trace.flags & FLAG_SAMPLED:
            attempts = self._heard_of(trace).attempts
            if len(attempts) < _ATTEMPTS_AT_MOST:
                attempts.append(event.attempt)

    def _call_ended(self, event: CallEnded) -> None:
        trace = event.call.trace
        if not trace.flags & FLAG_SAMPLED:
            return
        heard = self._heard.pop(trace.span_id, None) or _Heard()
        spans = [call_span(event)]
        if event.decision is not None:
            spans.append(route_span(event.call, event.decision, event.outcome.timing.routing_s))
        if heard.pin is not None:
            spans.append(pin_span(heard.pin))
        if heard.router is not None:
            spans.append(router_span(*heard.router, self._server_of(ROUTER)))
        spans += self._attempt_spans(event, heard.attempts)
        # Machines compare their spans by the clock of the day; durations are the monotonic one's.
        shift_s = self._clock.unix_s() - self._clock.monotonic_s()
        self._take(trace, [_shifted(each, shift_s) for each in spans])

    def _attempt_spans(self, event: CallEnded, attempts: list[Attempt]) -> list[Span]:
        spans: list[Span] = []
        resends = 0
        for attempt in attempts:
            if not attempt.number:
                resends += 1
                continue
            server = self._server_of(attempt.candidate.provider)
            spans.append(attempt_span(event.call, attempt, resends, server))
            resends = 0
        served, candidate = event.outcome.served, event.outcome.candidate
        if spans and served is not None and attempts[-1].candidate == candidate:
            spans[-1].attributes.update(served_attributes(served))
        return spans

    def _heard_of(self, trace: TraceContext) -> _Heard:
        heard = self._heard.get(trace.span_id)
        if heard is None:
            heard = _Heard()
            self._heard.add(trace.span_id, heard)
        return heard


def _shifted(span: Span, shift_s: float) -> Span:
    began_s, ended_s = span.times
    return msgspec.structs.replace(span, times=(began_s + shift_s, ended_s + shift_s))
