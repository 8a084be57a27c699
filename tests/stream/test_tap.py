"""The tap: right whatever the chunking, bounded whatever the stream."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage import NOTHING, WHOLE_BYTES, read_response
from sidecar.domain.call import CHAT, RESPONSES
from sidecar.domain.outcome import Served, Usage
from sidecar.stream import event_reader
from sidecar.stream.tap import LINE_BYTES, BodyTap, EventTap, ends_event
from tests.contract.dialects.samples import SAMPLES

STREAMS = {
    name: (b"".join(sample.events), sample.streamed)
    for name, sample in SAMPLES.items()
    if sample.events
}


def test_lines_may_end_in_cr_alone():
    """The standard has three line ends."""
    stream, expected = STREAMS[RESPONSES]
    tap = EventTap(DIALECTS.by_name[RESPONSES])
    tap.feed(stream.replace(b"\n", b"\r"))

    assert expected == tap.served


@pytest.mark.parametrize("size", [1 << 16, 10 << 20])
def test_a_line_of_50_mb_is_given_up_and_the_next_one_read(size):
    """Little is kept meanwhile."""
    tap, most = EventTap(DIALECTS.by_name[CHAT]), 0
    line = b'data: {"model":"' + b"x" * (50 << 20) + b'"}\n\n'
    for start in range(0, len(line), size):
        tap.feed(line[start : start + size])
        most = max(most, sys.getsizeof(tap._lines._rest))
    assert NOTHING == Served(tap.served.usage)
    tap.feed(STREAMS[CHAT][0])

    assert STREAMS[CHAT][1] == tap.served
    assert most <= 2 * LINE_BYTES + size


def test_a_line_that_comes_in_crumbs_takes_linear_time():
    """No byte is copied again for each one that follows: a quadratic tap would need minutes for
    this.
    """
    tap = EventTap(DIALECTS.by_name[CHAT])
    for _ in range(LINE_BYTES // 8):
        tap.feed(b"12345678")

    assert LINE_BYTES == len(tap._lines._rest)


@pytest.mark.parametrize(
    "junk",
    [b"data: {\n\n", b"data: [1]\n\n", b"\xff\xfe\n", b"data\n\n", b"\n" * 1000, b"data: \n"],
)
def test_junk_says_nothing(junk):
    """And breaks nothing."""
    for dialect in DIALECTS.by_name:
        tap = EventTap(DIALECTS.by_name[dialect])
        tap.feed(junk)
        assert NOTHING == tap.served


def test_a_model_that_comes_later_is_read():
    """Azure begins with an event whose model is empty."""
    tap = EventTap(DIALECTS.by_name[CHAT])
    tap.feed(b'data: {"model":"","choices":[]}\n\n')
    tap.feed(b'data: {"model":"gpt-4o","choices":[]}\n\n')

    assert "gpt-4o" == tap.served.served_model


@given(
    st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b"data: [DONE]", b"data: x", b"\r\n\r\n", b"\n\n", b""]
        ),
        max_size=14,
    ),
    st.sampled_from([*DIALECTS.by_name.values()]),
)
def test_an_event_may_follow_where_nothing_but_whole_events_has_come(chunks, dialect):
    """That is a property of the bytes so far, not of how they came; also behind the last event."""
    tap = EventTap(dialect)
    for chunk in chunks:
        tap.feed(chunk)

    assert ends_event(b"\n\n" + b"".join(chunks)) is tap.is_between_events


@pytest.mark.parametrize("filler", [0, WHOLE_BYTES, 20 * WHOLE_BYTES])
@pytest.mark.parametrize("size", [999, 100_000])
def test_a_body_in_pieces(filler, size):
    """As if it had come at once, and little is kept of a long one."""
    body = json.dumps(
        {"model": "m", "x": "y" * filler, "usage": {"prompt_tokens": 4, "completion_tokens": 5}}
    ).encode()
    tap = BodyTap(DIALECTS.by_name[CHAT])
    for start in range(0, len(body), size):
        tap.feed(body[start : start + size])

    assert read_response(DIALECTS.by_name[CHAT], body) == tap.served
    assert Usage(4, 5) == tap.served.usage
    assert len(tap._kept) <= WHOLE_BYTES


def test_of_a_huge_event_only_the_end_is_decoded(monkeypatch):
    """A megabyte of empty lists takes 80 ms to decode; the usage at its end counts all the same."""
    decoded: list[int] = []

    def read(dialect, data):
        decoded.append(len(data))
        return NOTHING

    monkeypatch.setattr(event_reader, "read_event", read)
    tap = EventTap(DIALECTS.by_name[CHAT])
    lists = b",".join([b"[]"] * 100_000)
    usage = b'"usage":{"prompt_tokens":3,"completion_tokens":4}'
    tap.feed(b'data: {"x":[%b],%b}\n\n' % (lists, usage))

    assert decoded == []
    assert tap.served.usage == Usage(3, 4, None, None, None)
    assert tap.error is None

    tap.feed(b'event: error\ndata: {"x":[%b]}\n\n' % lists)
    assert decoded == []
    assert tap.error is not None
