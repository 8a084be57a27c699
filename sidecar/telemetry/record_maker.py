"""Makes the record of a call, where somebody wants one. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sidecar.domain.call import Call
from sidecar.domain.decision import Binding, Decision
from sidecar.domain.events import CallEnded, RequestRefused
from sidecar.domain.ids import shown_hash
from sidecar.domain.outcome import Attempt, Outcome, Timing, Usage
from sidecar.domain.vocabulary import CallOutcome, FailureClass
from sidecar.telemetry.call_flags import flags_of, flags_of_refused
from sidecar.telemetry.call_record import (
    AttemptRecord,
    CallRecord,
    CandidateRecord,
    DecisionRecord,
    PinRecord,
)
from sidecar.telemetry.log_format import printable
from sidecar.wire.provider_ids import provider_request_id

TOKEN_BYTES: Final = 4
"""Of a request's body, for the estimate of a prompt's tokens; plano's own estimate."""
TEXT_CHARS: Final = 200
"""A longer text that a client or a provider made up is cut."""


def record_of(event: CallEnded, ended_unix_s: float, cost_usd: float | None = None) -> CallRecord:
    """Return the record of a call that has ended.

    Args: ``ended_unix_s`` is now; ``cost_usd`` is what the call cost, where that is known.
    """
    call, decision, outcome = event.call, event.decision, event.outcome
    facts: dict[str, Any] = {
        "time": utc(ended_unix_s - outcome.timing.total_s),
        **_request_fields(call),
        "streamed": outcome.streamed,
        "status": outcome.status,
        "outcome": outcome.result.value,
        "flags": ",".join(flags_of(event)),
        **_decision_fields(event, decision),
        **_served_fields(outcome),
        "attempts": len(outcome.attempts),
        "bytes_out": outcome.bytes_out,
        **_times(outcome.timing),
        "cost_usd": cost_usd,
        "lost": outcome.lost or None,
        **_failure_fields(outcome),
    }
    return CallRecord(**facts)


def record_of_refused(event: RequestRefused, unix_s: float) -> CallRecord:
    """Return the record of a request that was refused before it became a call."""
    return CallRecord(
        time=utc(unix_s),
        request_id=event.request_id,
        method=shortened(event.method),
        path=shortened(event.path),
        dialect=event.dialect,
        status=event.status,
        outcome=event.result.value,
        flags=",".join(flags_of_refused(event.code)),
        error=event.code,
    )


def attempt_record(attempt: Attempt) -> AttemptRecord:
    """Return what is written down of one attempt."""
    candidate, report = attempt.candidate, attempt.report
    first_byte_s = attempt.first_byte_s
    return AttemptRecord(
        shortened(candidate.model_name),
        candidate.provider,
        attempt.outcome.value,
        attempt.status,
        None if attempt.reason is None else attempt.reason.value,
        None if report is None else shortened(report.cause),
        None if report is None else report.place,
        None if report is None else report.code,
        None if report is None else report.provider_request_id,
        None if first_byte_s is None else milliseconds(first_byte_s),
        milliseconds(attempt.total_s),
    )


def pin_record(pin: Binding | None) -> PinRecord | None:
    """Return what is written down of a pin; None where there is none."""
    if pin is None:
        return None
    route = None if pin.route_name is None else shortened(pin.route_name)
    home = None if pin.home is None else shortened(pin.home)
    return PinRecord(
        shortened(pin.model_name),
        pin.provider,
        route,
        pin.generation,
        home,
        pin.home_provider,
        pin.provisional,
    )


def utc(unix_s: float) -> str:
    """Return a point in time as RFC 3339 has it, with milliseconds."""
    moment = dt.datetime.fromtimestamp(unix_s, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(seconds: float) -> float:
    """Return a duration in milliseconds, to the microsecond."""
    return round(seconds * 1e3, 3)


def shortened(text: str) -> str:
    """Return a text of somebody else's, of at most `TEXT_CHARS` and an ellipsis; whatever could end
    a line, move a terminal's cursor or not be written as UTF-8 is escaped.
    """
    return printable(text if len(text) <= TEXT_CHARS else f"{text[:TEXT_CHARS]}...")


def _request_fields(call: Call) -> dict[str, object]:
    session_id, tenant, agent = call.session_id, call.tenant, call.agent
    requested_model = call.facts.requested_model
    return {
        "request_id": call.request_id,
        "trace_id": call.trace.trace_id,
        "method": shortened(call.method),
        "path": shortened(call.endpoint.path),
        "dialect": call.endpoint.dialect,
        "requested_model": None if requested_model is None else shortened(requested_model),
        "session": None if session_id is None else shown_hash(session_id),
        "agent": None if agent is None else shown_hash(agent),
        "tenant": None if tenant is None else shown_hash(tenant),
        "bytes_in": call.bytes_in,
    }


def _decision_fields(event: CallEnded, decision: Decision | None) -> dict[str, object]:
    prompt_tokens = event.call.body_bytes // TOKEN_BYTES
    if decision is None:
        return {"decision": DecisionRecord(event.config_hash, prompt_tokens)}
    routing, numbers = decision.routing, dict[str, float | None]()
    if routing is not None:
        for candidate, number in zip(routing.candidates, routing.numbers, strict=True):
            numbers[candidate.model_name] = number
    return {
        "routed_model": shortened(decision.candidates[0].model_name),
        "route": None if decision.route_name is None else shortened(decision.route_name),
        "source": decision.source.value,
        "decision": DecisionRecord(
            event.config_hash,
            prompt_tokens,
            None if routing is None else routing.outcome.value,
            None if routing is None else routing.prefer or None,
            routing is not None and routing.is_exploring,
            None if decision.pin_outcome is None else decision.pin_outcome.value,
            tuple(
                CandidateRecord(
                    shortened(each.model_name), each.provider, numbers.get(each.model_name)
                )
                for each in decision.candidates
            ),
        ),
    }


def _served_fields(outcome: Outcome) -> dict[str, object]:
    fields: dict[str, object] = {"translated": outcome.translated or None}
    candidate, served = outcome.candidate, outcome.served
    if candidate is not None:
        fields["account"] = candidate.provider
        fields["model"] = shortened(candidate.model_name)
    elif outcome.attempts:
        fields["account"] = outcome.attempts[-1].candidate.provider
        fields["model"] = shortened(outcome.attempts[-1].candidate.model_name)
    if served is None:
        return fields
    if served.served_model is not None:
        fields["served_model"] = shortened(served.served_model)
    if served.finish is not None:
        fields["finish"] = shortened(served.finish)
    return fields if served.usage is None else fields | _token_fields(served.usage)


def _token_fields(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _times(timing: Timing) -> dict[str, object]:
    first_byte_s = timing.first_byte_s
    return {
        "total_ms": milliseconds(timing.total_s),
        "routing_ms": milliseconds(timing.routing_s),
        "affinity_ms": milliseconds(timing.affinity_s),
        "router_ms": milliseconds(timing.router_s),
        "upstream_ms": milliseconds(timing.upstream_s),
        "first_byte_ms": None if first_byte_s is None else milliseconds(first_byte_s),
        "overhead_ms": milliseconds(timing.overhead_s),
    }


def _failure_fields(outcome: Outcome) -> dict[str, object]:
    """What went wrong, also where another candidate served in the end."""
    fields: dict[str, object] = {"error": outcome.error_code}
    reason: FailureClass | None = None
    for attempt in outcome.attempts:
        if attempt.report is not None:
            reason = attempt.reason
            fields["cause"] = shortened(attempt.report.cause)
            fields["provider_code"] = attempt.report.code
            fields["provider_request_id"] = attempt.report.provider_request_id
    if outcome.reply_headers:
        fields["provider_request_id"] = provider_request_id(outcome.reply_headers)
    if outcome.error_code is None and outcome.result is not CallOutcome.OK and reason is not None:
        fields["error"] = reason.value
    return fields
