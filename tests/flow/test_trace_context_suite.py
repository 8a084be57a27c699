"""The W3C validation suite's cases with tracing on: what the provider gets, over real HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.net import exchange, json_request
from tests.support.otlp_receiver import otlp_receiver
from tests.support.recorded_request import RecordedRequest
from tests.support.routed import CHAT, Routed, routed
from tests.support.trace_contexts import (
    DISCARDED,
    GOOD,
    INHERITED,
    KEPT,
    MISNAMED,
    NAMED,
    PARENT,
    RESTARTED,
    TRACE,
    Raw,
    states,
)

VALID = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-(0[0-3])")
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-demo")
PREFERENCES: list[dict[str, Any]] = [
    {
        "name": "summaries",
        "description": "making long texts short",
        "models": ["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-demo"],
    }
]

SUITE = {
    "both_traceparent_and_tracestate_missing",
    "traceparent_included_tracestate_missing",
    "traceparent_duplicated",
    "traceparent_header_name",
    "traceparent_header_name_valid_casing",
    "traceparent_version_0x00",
    "traceparent_version_0xcc",
    "traceparent_version_0xff",
    "traceparent_version_illegal_characters",
    "traceparent_version_too_long",
    "traceparent_version_too_short",
    "traceparent_trace_id_all_zero",
    "traceparent_trace_id_illegal_characters",
    "traceparent_trace_id_too_long",
    "traceparent_trace_id_too_short",
    "traceparent_parent_id_all_zero",
    "traceparent_parent_id_illegal_characters",
    "traceparent_parent_id_too_long",
    "traceparent_parent_id_too_short",
    "traceparent_trace_flags_illegal_characters",
    "traceparent_trace_flags_too_long",
    "traceparent_trace_flags_too_short",
    "traceparent_ows_handling",
    "tracestate_included_traceparent_missing",
    "tracestate_included_traceparent_included",
    "tracestate_header_name",
    "tracestate_header_name_valid_casing",
    "tracestate_empty_header",
    "tracestate_multiple_headers_different_keys",
    "tracestate_duplicated_keys",
    "tracestate_all_allowed_characters",
    "tracestate_ows_handling",
    "tracestate_key_illegal_characters",
    "tracestate_key_illegal_vendor_format",
    "tracestate_member_count_limit",
    "tracestate_key_length_limit",
    "tracestate_value_illegal_characters",
    "multiple_requests_with_valid_traceparent",
    "multiple_requests_without_traceparent",
    "multiple_requests_with_illegal_traceparent",
}
"""The names of the suite's tests."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sidecar() -> AsyncIterator[Routed]:
    """One for all cases, which samples what the app samples and half of the rest."""
    async with otlp_receiver() as receiver:
        tracing = {"otlp_endpoint": receiver.url, "random_sampling": 50}
        async with routed(routing_preferences=PREFERENCES, tracing=tracing) as running:
            yield running


async def _carried(sidecar: Routed, raw: Raw) -> list[RecordedRequest]:
    """Make one call with these header lines. Returns: what providers got of it."""
    before = len(sidecar.provider.requests)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Make this short"}]}
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in raw)
    request = json_request(CHAT, body).replace(b"\r\n", b"\r\n" + lines, 1)
    reply = await exchange(sidecar.app.ports.data, request)

    assert 200 == reply.status
    return list(sidecar.provider.requests)[before:]


def _context(request: RecordedRequest) -> tuple[str, str, str, str | None]:
    """Trace id, parent id and flags, which must be valid, and the tracestate."""
    (traceparent,) = request.header_values("traceparent")
    match = VALID.fullmatch(traceparent)
    assert match is not None
    assert len(request.header_values("tracestate")) <= 1
    return match[1], match[2], match[3], request.header("tracestate")


@pytest.mark.parametrize(("case", "raw"), KEPT)
async def test_a_valid_traceparent_goes_on_below_the_sidecars_span(sidecar, case, raw):
    """The same trace, another parent id."""
    (request,) = await _carried(sidecar, raw)
    trace_id, parent_id, flags, tracestate = _context(request)

    assert (TRACE, "01", None) == (trace_id, flags, tracestate)
    assert parent_id != PARENT


@pytest.mark.parametrize(("case", "raw"), RESTARTED)
async def test_any_other_traceparent_begins_a_new_trace(sidecar, case, raw):
    """Without the tracestate of one that is none."""
    (request,) = await _carried(sidecar, [*raw, ("tracestate", "foo=1")])
    trace_id, parent_id, _, tracestate = _context(request)

    assert trace_id not in {TRACE, f"{TRACE[:-1]}1"}
    assert (parent_id == PARENT, tracestate) == (False, None)


@pytest.mark.parametrize(("case", "values", "expected"), INHERITED)
async def test_a_valid_tracestate_goes_on(sidecar, case, values, expected):
    """As one list."""
    (request,) = await _carried(sidecar, states(*values))
    trace_id, _, _, tracestate = _context(request)

    assert (TRACE, (",".join(values) if expected is None else expected) or None) == (
        trace_id,
        tracestate,
    )


@pytest.mark.parametrize(("case", "values"), DISCARDED)
async def test_an_invalid_tracestate_is_dropped_and_the_trace_goes_on(sidecar, case, values):
    """With another parent id, as always."""
    (request,) = await _carried(sidecar, states(*values))
    trace_id, parent_id, _, tracestate = _context(request)

    assert (TRACE, False, None) == (trace_id, parent_id == PARENT, tracestate)


@pytest.mark.parametrize("name", [*MISNAMED, *NAMED])
async def test_a_tracestate_is_known_by_its_name_in_any_case(sidecar, name):
    """`tracestate_header_name`, `tracestate_header_name_valid_casing`."""
    (request,) = await _carried(sidecar, [("traceparent", GOOD), (name, "foo=1")])

    assert ("foo=1" if name in NAMED else None) == request.header("tracestate")


@pytest.mark.parametrize(
    ("case", "raw", "is_kept"),
    [
        ("multiple_requests_with_valid_traceparent", [("traceparent", GOOD)], True),
        ("multiple_requests_without_traceparent", [], False),
        (
            "multiple_requests_with_illegal_traceparent",
            [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
            False,
        ),
    ],
)
async def test_each_of_a_calls_requests_has_a_parent_id_of_its_own(sidecar, case, raw, is_kept):
    """One trace, three attempts."""
    for model in MODELS[:2]:
        sidecar.provider.script.next("context_length_exceeded", model=model)
    requests = await _carried(sidecar, raw)
    contexts = [_context(request) for request in requests]

    assert 3 == len({parent_id for _, parent_id, _, _ in contexts} - {PARENT})
    assert 1 == len({trace_id for trace_id, _, _, _ in contexts} - {"0" * 32})
    assert is_kept == (contexts[0][0] == TRACE)


async def test_every_case_of_the_suite_is_here():
    """By the names of its tests, of which the last five are looked at above."""
    tables = (*KEPT, *RESTARTED, *INHERITED, *DISCARDED)
    others = {
        "tracestate_header_name",
        "tracestate_header_name_valid_casing",
        "multiple_requests_with_valid_traceparent",
        "multiple_requests_without_traceparent",
        "multiple_requests_with_illegal_traceparent",
    }

    assert set() == SUITE - {case for case, *_ in tables} - others
