"""The cases of the W3C validation suite (w3c/trace-context, ``test/test.py``, strict level 2), and
what it leaves open.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.ids import ROUTER_SPAN, Sampling, TraceContext, child_span_id
from sidecar.wire.headers import HeaderPolicy
from sidecar.wire.request_headers import read_headers
from sidecar.wire.trace_context import trace_context_of, trace_lines
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
    parents,
    states,
)


def extract(raw: Raw) -> TraceContext:
    """Headers as they stand on the wire -> trace, by way of the header walk."""
    headers = read_headers(
        [(name.encode(), value.encode("latin-1")) for name, value in raw], HeaderPolicy()
    )
    return trace_context_of(headers.traceparents, headers.tracestates)


@pytest.mark.parametrize(("case", "raw"), KEPT)
def test_a_valid_traceparent_is_carried_on(case, raw):
    """Ids and sampling as received, written as version 00."""
    trace = extract(raw)
    assert (f"00-{TRACE}-{PARENT}-01", True) == (trace.traceparent, trace.received)


@pytest.mark.parametrize(("case", "raw"), RESTARTED)
def test_any_other_traceparent_counts_as_absent(case, raw):
    """A new trace with flags 00, and no tracestate, also where a valid one came along."""
    first, second = extract(raw), extract([*raw, ("tracestate", "foo=1")])
    assert (first.received, first.flags, first.tracestate, second.tracestate) == (False, 0, "", "")
    assert len({TRACE, "0" * 32, first.trace_id, second.trace_id}) == 4
    assert (len(first.trace_id), len(first.parent_id)) == (32, 16)


@pytest.mark.parametrize(("case", "values", "expected"), INHERITED)
def test_a_valid_tracestate_is_inherited(case, values, expected):
    """As one list in order, without the blanks around members."""
    assert (",".join(values) if expected is None else expected) == extract(
        states(*values)
    ).tracestate


@pytest.mark.parametrize(("case", "values"), DISCARDED)
def test_an_invalid_tracestate_is_dropped_whole_and_alone(case, values):
    """The traceparent stays."""
    trace = extract(states(*values))
    assert (trace.trace_id, trace.parent_id, trace.received, trace.tracestate) == (
        TRACE,
        PARENT,
        True,
        "",
    )


@pytest.mark.parametrize("name", MISNAMED)
def test_tracestate_has_one_name(name):
    """`tracestate_header_name`: lookalikes are not read."""
    assert extract([("traceparent", GOOD), (name, "foo=1")]).tracestate == ""


@pytest.mark.parametrize("name", NAMED)
def test_tracestate_is_found_in_any_case(name):
    """`tracestate_header_name_valid_casing`."""
    assert extract([("traceparent", GOOD), (name, "foo=1")]).tracestate == "foo=1"


@pytest.mark.parametrize(
    ("sent", "kept"), [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("04", 0), ("f9", 1)]
)
@pytest.mark.parametrize("version", ["00", "cc"])
def test_only_the_flags_of_level_2_are_kept(version, sent, kept):
    """Sampled and random; the rest is written as zero."""
    assert kept == extract(parents(f"{version}-{TRACE}-{PARENT}-{sent}")).flags


def sized(name: str, chars: int) -> str:
    return f"{name}=" + "v" * (chars - len(name) - 1)


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        ([sized("a", 100)] * 1, "a"),
        ([sized(name, 101) for name in "abcd"] + [sized("e", 104)], "abcde"),  # 512 with its commas
        ([sized(name, 101) for name in "abcd"] + [sized("e", 105)], "abcd"),  # 513
        ([sized("a", 200), sized("b", 128), sized("c", 128), sized("d", 128)], "bcd"),
        ([sized("a", 200), sized("b", 200), sized("c", 200)], "ab"),
        (
            [sized("a", 129), sized("b", 128), sized("c", 128), sized("d", 128), sized("e", 128)],
            "bcd",
        ),
        ([sized("a", 10), sized("b", 258), sized("c", 258)], "ab"),
    ],
)
def test_a_long_tracestate_is_cut_at_512_characters(members, kept):
    """Whole members: those over 128 characters first, then any, from the right each time, and no
    more than needed.
    """
    assert list(kept) == [
        member[0] for member in extract(states(",".join(members))).tracestate.split(",")
    ]


def test_what_was_received_is_sent_on_unchanged():
    """Both lines, each with its end; without a tracestate one line."""
    assert trace_lines(extract(states("foo=1,bar=2")), 1) == (
        f"traceparent: {GOOD}\r\ntracestate: foo=1,bar=2\r\n".encode()
    )
    assert trace_lines(extract(parents(GOOD)), 2) == f"traceparent: {GOOD}\r\n".encode()


def traced(sampling: Sampling, sent: str | None = None) -> TraceContext:
    traceparents = [] if sent is None else [f"00-{TRACE}-{PARENT}-{sent}".encode()]
    return trace_context_of(traceparents, [b"foo=1"], sampling)


@pytest.mark.parametrize(
    ("follows_app", "share", "sent", "flags"),
    [
        (True, 0.0, "01", 1),
        (True, 1.0, "00", 0),
        (True, 1.0, "02", 2),
        (True, 0.0, None, 0),
        (True, 1.0, None, 1),
        (False, 0.0, "01", 0),
        (False, 0.0, "03", 2),
        (False, 1.0, "00", 1),
        (False, 1.0, "02", 3),
        (False, 1.0, None, 1),
    ],
)
def test_while_tracing_is_on_the_app_or_a_share_decides_whether_a_trace_is_sampled(
    follows_app, share, sent, flags
):
    """Decided once, at admission; the trace and its tracestate go on."""
    trace = traced(Sampling(follows_app=follows_app, share=share), sent)

    assert flags == trace.flags
    assert (sent is not None) == trace.received == (trace.trace_id == TRACE)
    assert trace.tracestate == ("foo=1" if trace.received else "")


@pytest.mark.parametrize("sent", [None, "00", "01"])
def test_while_tracing_is_on_every_sending_has_a_parent_id_of_its_own(sent):
    """Sampled or not: below the sidecar's span, which is below the app's."""
    trace = traced(Sampling(follows_app=True, share=0.0), sent)
    numbers = (ROUTER_SPAN, 1, 2)
    seen = [trace_lines(trace, number).decode().split("\r\n")[0] for number in numbers]
    expected = [child_span_id(trace.span_id, number) for number in numbers]

    assert [f"traceparent: 00-{trace.trace_id}-{each}-{sent or '00'}" for each in expected] == seen
    assert 5 == len({PARENT, trace.span_id, *expected})
    assert trace.parent_id == (PARENT if sent else trace.span_id)


def test_while_tracing_is_off_the_sidecar_has_no_span():
    """What the app sent is all there is."""
    assert ("", "") == (extract([]).span_id, extract(parents(GOOD)).span_id)


def test_every_restarted_trace_is_another():
    """`multiple_requests_without_traceparent`: ids are not reused."""
    assert len({extract([]).trace_id for _ in range(100)}) == 100


@given(
    st.lists(st.binary(max_size=60) | st.just(GOOD.encode()), max_size=2),
    st.lists(st.binary(max_size=80), max_size=3),
)
def test_any_bytes_give_a_valid_trace(traceparents, tracestates):
    """What comes out is valid whatever went in: read again, it is the same."""
    trace = trace_context_of(traceparents, tracestates)
    again = trace_context_of([trace.traceparent.encode()], [trace.tracestate.encode()])
    assert (trace.traceparent, trace.tracestate, True) == (
        again.traceparent,
        again.tracestate,
        again.received,
    )
