"""What the spans of one call are: names, times and attributes, from facts. Pure.

No prompt, answer, key or tenant is among the facts, and a session only as its hash. Names that an
app or a provider made up are cut.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from sidecar.domain.call import Call
from sidecar.domain.decision import Decision, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.ids import AFFINITY_SPAN, ROUTE_SPAN, ROUTER_SPAN, shown_hash
from sidecar.domain.outcome import Attempt, Served
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, RouterOutcome
from sidecar.telemetry import span_names as names

TEXT_CHARS: Final = 256
"""Of a name; a longer one is cut."""
_FAILED: Final = frozenset(
    (CallOutcome.UPSTREAM_ERROR, CallOutcome.SIDECAR_ERROR, CallOutcome.INCOMPLETE)
)
"""What is no fault of the app's: such a span's status is an error."""
_NOT_FAILED: Final = frozenset((AttemptOutcome.OK, AttemptOutcome.CANCELLED))
_UNDERSTOOD: Final = frozenset((RouterOutcome.MATCHED, RouterOutcome.OTHER))

Attributes = dict[str, str | int | bool]
Times = tuple[float, float]
"""Begin and end, in seconds on any one clock."""


class SpanKind(enum.Enum):
    """What a span is to its trace."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


class Span(msgspec.Struct, frozen=True):
    """One span that is over."""

    name: str
    kind: SpanKind
    number: int
    """0 for the sidecar's own span of the call, the parent of the others; theirs is what
    `domain.ids.child_span_id` takes.
    """
    times: Times
    attributes: Attributes
    is_error: bool = False


class CalledServer(msgspec.Struct, frozen=True):
    """Where an entry's requests go."""

    host: str
    port: int
    model: str = ""
    """What the router model is called; empty for other entries."""


def call_span(event: CallEnded) -> Span:
    """Return the sidecar's own span of a call, on the clock of ``admitted_s``."""
    call, outcome, decision = event.call, event.outcome, event.decision
    attributes: Attributes = {
        names.METHOD: _text(call.method),
        names.URL_PATH: _text(call.endpoint.path),
        **_session_of(call),
    }
    if call.facts.requested_model is not None:
        attributes[names.REQUEST_MODEL] = _text(call.facts.requested_model)
    if decision is not None:
        attributes |= _why(decision)
    if outcome.translated:
        attributes[names.TRANSLATED] = outcome.translated
    if outcome.status:
        attributes[names.STATUS_CODE] = outcome.status
    if outcome.lost:
        attributes[names.LOST] = _text(outcome.lost)
    if outcome.result is not CallOutcome.OK:
        attributes[names.ERROR_TYPE] = outcome.error_code or outcome.result.value
    times = call.admitted_s, call.admitted_s + outcome.timing.total_s
    name = _text(f"{call.method} {call.endpoint.path}")
    return Span(name, SpanKind.SERVER, 0, times, attributes, outcome.result in _FAILED)


def route_span(call: Call, decision: Decision, routing_s: float) -> Span:
    """Return the span of the decision."""
    times = call.admitted_s, call.admitted_s + routing_s
    return Span("route", SpanKind.INTERNAL, ROUTE_SPAN, times, _why(decision))


def pin_span(times: Times) -> Span:
    """Return the span of a look into the affinity store."""
    return Span("affinity get", SpanKind.INTERNAL, AFFINITY_SPAN, times, {})


def router_span(outcome: RouterOutcome, times: Times, server: CalledServer | None) -> Span:
    """Return the span of the question to the router model."""
    attributes: Attributes = {names.OPERATION: "chat"}
    name = "router"
    if server is not None:
        name = _text(f"router {server.model}")
        attributes |= {names.REQUEST_MODEL: _text(server.model), **_address(server)}
    is_error = outcome not in _UNDERSTOOD
    if is_error:
        attributes[names.ERROR_TYPE] = outcome.value
    return Span(name, SpanKind.CLIENT, ROUTER_SPAN, times, attributes, is_error)


def attempt_span(call: Call, attempt: Attempt, resends: int, server: CalledServer | None) -> Span:
    """Return the span of an attempt at a provider.

    Args: ``resends`` says how often its request was lost on a dead connection before.
    """
    candidate, outcome = attempt.candidate, attempt.outcome
    operation, model = names.OPERATION_NAMES[call.endpoint.operation], candidate.upstream_model
    attributes: Attributes = {
        names.OPERATION: operation,
        names.PROVIDER: names.provider_name(candidate.family),
        names.REQUEST_MODEL: _text(model),
        names.ATTEMPT: attempt.number,
        **_session_of(call),
    }
    if attempt.status is not None:
        attributes[names.STATUS_CODE] = attempt.status
    if outcome is not AttemptOutcome.OK:
        attributes[names.ERROR_TYPE] = outcome.value
    if resends:
        attributes[names.RESENDS] = resends
    if server is not None:
        attributes |= _address(server)
    times = attempt.sent_s, attempt.sent_s + attempt.total_s
    is_error = outcome not in _NOT_FAILED
    name = _text(f"{operation} {model}".rstrip())
    return Span(name, SpanKind.CLIENT, attempt.number, times, attributes, is_error)


def served_attributes(served: Served) -> Attributes:
    """Return what a response said about itself, for the span of its attempt."""
    attributes: Attributes = {}
    if served.served_model is not None:
        attributes[names.RESPONSE_MODEL] = _text(served.served_model)
    usage = served.usage
    if usage is not None and usage.input_tokens is not None:
        attributes[names.INPUT_TOKENS] = usage.input_tokens
    if usage is not None and usage.output_tokens is not None:
        attributes[names.OUTPUT_TOKENS] = usage.output_tokens
    return attributes


def _why(decision: Decision) -> Attributes:
    attributes: Attributes = {
        names.SOURCE: decision.source.value,
        names.PINNED: decision.source is Source.PINNED,
    }
    if decision.route_name is not None:
        attributes[names.ROUTE] = _text(decision.metric_route)
    return attributes


def _session_of(call: Call) -> Attributes:
    if call.session_id is None:
        return {}
    return {names.CONVERSATION: shown_hash(call.session_id)}


def _address(server: CalledServer) -> Attributes:
    return {names.SERVER_ADDRESS: _text(server.host), names.SERVER_PORT: server.port}


def _text(text: str) -> str:
    """Return a text that UTF-8 can carry, cut: one that it cannot would cost a whole batch."""
    return text[:TEXT_CHARS].encode("utf-8", "replace").decode()
