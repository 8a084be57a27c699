"""Ids: what may be kept, and what is minted."""

import hashlib
import uuid

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from sidecar.domain.ids import (
    AFFINITY_SPAN,
    ROUTE_SPAN,
    ROUTER_SPAN,
    Sampling,
    TraceContext,
    as_shown,
    child_span_id,
    is_request_id,
    is_sampled_id,
    mint_request_id,
    mint_span_id,
    mint_trace_context,
    shown_hash,
)

RECORD = Decision.RECORD_AND_SAMPLE


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"req-1", True),
        (b"a" * 128, True),
        (b"A.b_c~d:e/f+g=h@i-j", True),
        (b"", False),
        (b"a" * 129, False),
        (b"a b", False),
        (b"a\n", False),
        ("é".encode(), False),
        (b"a,b", False),
    ],
)
def test_a_request_id_is_kept_only_if_it_is_harmless(value, kept):
    """1 to 128 unreserved characters, so that it can stand in any log and header."""
    assert kept == is_request_id(value)


def test_minted_request_ids_are_uuids_of_version_4():
    """Tools that expect a UUID get one, each time another."""
    minted = {mint_request_id() for _ in range(1000)}

    assert 1000 == len(minted)
    assert {(4, uuid.RFC_4122)} == {
        (uuid.UUID(each).version, uuid.UUID(each).variant) for each in minted
    }


def test_a_minted_trace_is_valid_and_unsampled():
    """Nobody exports spans, so nobody is told to."""
    trace = mint_trace_context()

    assert (32, 16, 0, "", False) == (
        len(trace.trace_id),
        len(trace.parent_id),
        trace.flags,
        trace.tracestate,
        trace.received,
    )
    assert f"00-{trace.trace_id}-{trace.parent_id}-00" == trace.traceparent


@pytest.mark.parametrize(("share", "flags"), [(0.0, {0}), (1.0, {1}), (0.5, {0, 1})])
def test_a_new_trace_is_sampled_by_its_share(share, flags):
    """While tracing is on; the sidecar's own span is then the first of the trace."""
    sampling = Sampling(follows_app=True, share=share)
    traces = [mint_trace_context(sampling) for _ in range(200)]

    assert flags == {trace.flags for trace in traces}
    assert all(is_sampled_id(each.trace_id, sampling) == bool(each.flags) for each in traces)
    assert all(each.span_id == each.parent_id and not each.received for each in traces)


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.01, 0.25, 1.0])
def test_the_share_is_that_of_opentelemetrys_own_sampler(share):
    """Services that decide by the ratio decide alike."""
    ratio = TraceIdRatioBased(share)
    sampling = Sampling(follows_app=False, share=share)
    for _ in range(500):
        trace_id = mint_trace_context().trace_id
        theirs = ratio.should_sample(None, int(trace_id, 16), "").decision is RECORD
        assert theirs == is_sampled_id(trace_id, sampling)


@pytest.mark.parametrize("span_id", ["0000000000000001", "ffffffffffffffff", "b7ad6b7169203331"])
def test_child_spans_have_ids_of_their_own(span_id):
    """Each the same whenever it is asked for, none all zero."""
    numbers = (AFFINITY_SPAN, ROUTE_SPAN, ROUTER_SPAN, *range(1, 50))
    ids = [child_span_id(span_id, number) for number in numbers]

    assert len(numbers) == len({*ids} - {span_id, "0" * 16})
    assert {16} == {len(each) for each in ids}
    assert ids == [child_span_id(span_id, number) for number in numbers]


def test_no_child_span_is_all_zero():
    """Not even where the sum is."""
    zero_sum = f"{-0x9E3779B97F4A7C15 % (1 << 64):016x}"

    assert "0000000000000001" == child_span_id(zero_sum, 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("s1", "e8bc163c82eee187"), ("", "e3b0c44298fc1c14"), ("\udc80", "37098e13faf72a01")],
)
def test_a_name_is_shown_as_16_digits_of_its_hash(text, shown):
    """The same wherever operators read it; no text is refused."""
    assert shown == shown_hash(text)


def test_traceparent_is_written_as_version_00():
    """With flags as two digits."""
    trace = TraceContext("a" * 32, "b" * 16, 3)

    assert f"00-{'a' * 32}-{'b' * 16}-03" == trace.traceparent


def test_span_ids_have_16_digits():
    """Zero-padded."""
    assert {16} == {len(mint_span_id()) for _ in range(1000)}


def test_a_name_is_shown_as_a_hash():
    """The same in every process, so that logs and traces of all pods agree."""
    assert hashlib.sha256(b"s1").hexdigest()[:16] == shown_hash("s1")
    assert 16 == len(shown_hash("\ud800"))


@pytest.mark.parametrize("name", ["s1", "0123456789abcdeF", "0123456789abcde"])
def test_what_an_operator_copied_is_not_hashed_again(name):
    """What looks like a hash is one."""
    assert (shown_hash(name), shown_hash(name)) == (as_shown(name), as_shown(shown_hash(name)))
