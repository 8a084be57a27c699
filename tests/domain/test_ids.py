"""Ids: what may be kept, and what is minted."""

import hashlib
import uuid

import pytest

from sidecar.domain.ids import (
    TraceContext,
    is_request_id,
    mint_request_id,
    mint_span_id,
    mint_trace_context,
    shown_hash,
)


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
