"""The record of a call: its fields for each kind of end, and what is never in it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sidecar.domain.call import CHAT, BodyFacts
from sidecar.domain.decision import Binding
from sidecar.domain.events import RequestRefused
from sidecar.domain.ids import shown_hash
from sidecar.domain.outcome import Served
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass
from sidecar.telemetry.call_record import SCHEMA
from sidecar.telemetry.record_maker import (
    TEXT_CHARS,
    attempt_record,
    pin_record,
    record_of,
    record_of_refused,
    shortened,
)
from tests.telemetry.calls import (
    FIRST,
    LIMITED,
    PIN,
    ROUTED,
    SECOND,
    ended,
    failed_at,
    refused,
    served_by,
)

NAMES: dict[str, Any] = {"session_id": "s-1", "tenant": "acme", "agent": "a-7"}


def _line(record: object) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(msgspec.json.encode(record))
    return line


def test_a_pinned_calls_record_has_every_field():
    """In the order of a line, `schema` first."""
    event = ended(call={**NAMES, "facts": BodyFacts("gpt-4o"), "body": b"x" * 40})
    line = _line(record_of(event, 1_000_001.0, 0.0060))
    assert event.call.body not in msgspec.json.encode(line)

    assert "schema" == next(iter(line))
    assert {
        "schema": SCHEMA,
        "time": "1970-01-12T13:46:40.000Z",
        "request_id": event.call.request_id,
        "trace_id": event.call.trace.trace_id,
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "chat",
        "streamed": True,
        "status": 200,
        "outcome": "ok",
        "flags": "AH",
        "requested_model": "gpt-4o",
        "routed_model": "openai/gpt-4o",
        "served_model": "gpt-4o-2024-08-06",
        "account": "openai-main",
        "model": "openai/gpt-4o",
        "translated": None,
        "route": "code",
        "source": "pinned",
        "attempts": 1,
        "session": shown_hash("s-1"),
        "agent": shown_hash("a-7"),
        "tenant": shown_hash("acme"),
        "bytes_in": 40,
        "bytes_out": 42,
        "total_ms": 1000.0,
        "routing_ms": 250.0,
        "affinity_ms": 62.5,
        "router_ms": 125.0,
        "upstream_ms": 500.0,
        "first_byte_ms": 750.0,
        "overhead_ms": 312.5,
        "input_tokens": 1000,
        "output_tokens": 500,
        "cached_input_tokens": 250,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "cost_usd": 0.006,
        "finish": "stop",
        "lost": None,
        "error": None,
        "cause": None,
        "provider_code": None,
        "provider_request_id": "req_9",
        "decision": {
            "config_hash": "abcdef012345",
            "prompt_tokens": 10,
            "router_outcome": None,
            "prefer": None,
            "is_exploring": False,
            "pin_outcome": None,
            "candidates": [
                {"model": "openai/gpt-4o", "account": "openai-main", "number": None},
                {"model": "anthropic/claude", "account": "anthropic", "number": None},
            ],
        },
    } == line


def test_a_routed_calls_record_has_what_a_replay_compares():
    """What the router model came to, the order, and the numbers that made it."""
    decision = _line(record_of(ended(decision=ROUTED), 0.0))["decision"]

    assert ("matched", "cheapest", False) == (
        decision["router_outcome"],
        decision["prefer"],
        decision["is_exploring"],
    )
    assert [("anthropic/claude", 3.0), ("openai/gpt-4o", None)] == [
        (each["model"], each["number"]) for each in decision["candidates"]
    ]


def test_what_was_sent_otherwise_than_the_app_wrote_it_is_told():
    """As the app was told."""
    assert "max_tokens, temperature" == record_of(ended(lost="max_tokens, temperature"), 0.0).lost


def test_a_call_that_failed_over_tells_why():
    """And the request id of the response that the app got."""
    attempts = (
        failed_at(SECOND, AttemptOutcome.RATE_LIMITED, report=LIMITED),
        served_by(FIRST),
    )
    line = _line(record_of(ended(attempts=attempts), 0.0))

    assert (2, None, "rate limit reached (429)", "slow", "req_9") == (
        line["attempts"],
        line["error"],
        line["cause"],
        line["provider_code"],
        line["provider_request_id"],
    )


def test_a_call_that_none_served_tells_the_last_failure():
    """With the code of our own error, and where it was tried last."""
    event = refused(
        "upstream_connect_failed",
        503,
        CallOutcome.UPSTREAM_ERROR,
        attempts=(failed_at(FIRST, report=LIMITED), failed_at(SECOND)),
    )
    line = _line(record_of(event, 0.0))

    assert ("upstream_connect_failed", "connection refused", None, None) == (
        line["error"],
        line["cause"],
        line["provider_request_id"],
        line["served_model"],
    )
    assert ("anthropic", "anthropic/claude") == (line["account"], line["model"])


def test_a_providers_error_is_named_by_what_it_means():
    """The sidecar itself has no code for it."""
    event = ended(
        CallOutcome.CLIENT_ERROR,
        400,
        attempts=(failed_at(FIRST, AttemptOutcome.CLIENT_ERROR, FailureClass.TOO_LONG, LIMITED),),
        served=None,
    )

    assert "too_long" == record_of(event, 0.0).error


def test_a_call_that_ended_before_a_model_was_chosen_has_its_request():
    """And no model but the requested one."""
    event = refused("model_not_found", 404, CallOutcome.CLIENT_ERROR, decision=None, attempts=())
    record = record_of(event, 0.0)

    assert (None, None, None, 404, "NR") == (
        record.routed_model,
        record.source,
        record.account,
        record.status,
        record.flags,
    )
    assert record.decision is not None
    assert ("abcdef012345", ()) == (record.decision.config_hash, record.decision.candidates)


def test_a_response_that_said_little_leaves_gaps():
    """Unknown is null, never zero."""
    record = record_of(ended(served=Served()), 0.0)

    assert (None, None, None, None) == (
        record.served_model,
        record.finish,
        record.input_tokens,
        record.cost_usd,
    )


@pytest.mark.parametrize(("status", "outcome"), [(404, "client_error"), (503, "sidecar_error")])
def test_a_request_that_became_no_call_has_a_record(status, outcome):
    """Its path without what stands behind the question mark."""
    event = RequestRefused(CHAT, status, "path_not_found", "r1", "GET", "/v2/" + "x" * 500)
    record = record_of_refused(event, 0.0)

    assert (status, outcome, "path_not_found", "r1", "GET", "NR") == (
        record.status,
        record.outcome,
        record.error,
        record.request_id,
        record.method,
        record.flags,
    )
    assert len(record.path) == TEXT_CHARS + 3


def test_hostile_names_stay_inside_one_short_line():
    """Whatever an app calls its model, and whatever a provider says that it used."""
    name = "\n\r\u2028\x1b[31m\x00" * 1000
    event = ended(call={"facts": BodyFacts(name)}, served=Served(None, name, name))
    line = msgspec.json.encode(record_of(event, 0.0))

    assert (1, 1) == (len(line.splitlines()), len(line.decode("ascii", "replace").splitlines()))
    assert len(line) < 8_000


def test_an_attempt_is_written_down_with_its_cause_and_times():
    """What a person needs to see where the time went."""
    record = attempt_record(failed_at(FIRST, report=LIMITED))

    assert ("busy", "rate limit reached (429)", "slow", "req_1", 250.0, None) == (
        record.reason,
        record.cause,
        record.code,
        record.provider_request_id,
        record.total_ms,
        record.first_byte_ms,
    )
    assert (None, 500.0) == (
        attempt_record(served_by(FIRST)).cause,
        attempt_record(served_by(FIRST)).first_byte_ms,
    )


def test_a_pin_is_written_down_without_its_session():
    """Model, entry and generation; and where it belongs, while it is away."""
    away = Binding("a/b", None, generation=3, home="c/d", home_provider="c", provisional=True)

    assert None is pin_record(None)
    assert [("openai/gpt-4o", "openai-main", "code", None), ("a/b", None, None, "c/d")] == [
        (record.model, record.account, record.route, record.home)
        for record in (pin_record(PIN), pin_record(away))
        if record is not None
    ]


def test_a_short_text_is_kept():
    """As it is."""
    assert "abc" == shortened("abc")
