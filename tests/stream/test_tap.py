"""The tap: right whatever the chunking, bounded whatever the stream."""

from __future__ import annotations

import itertools
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage import NOTHING, WHOLE_BYTES, read_response
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.domain.outcome import Served, Usage
from sidecar.stream.tap import LINE_BYTES, BodyTap, EventTap
from sidecar.wire.sse import ends_event

STREAMS = {
    CHAT: (
        (
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[{"delta":{"role":"assistant"},"finish_reason":null}],"usage":null}\n\n'
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[{"delta":{"content":"a \\"usage\\": \\u00e9"},"finish_reason":null}],"usage":null}\n\n'
            b": keep-alive\n\n"
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":null}\n\n'
            b'data: {"id":"c","model":"gpt-4o-2024","choices":[],"usage":{"prompt_tokens":25,"completion_tokens":48}}\n\n'
            b"data: [DONE]\n\n"
        ),
        Served(Usage(25, 48), "gpt-4o-2024", "tool_calls"),
    ),
    MESSAGES: (
        (
            b'event: message_start\r\ndata: {"type":"message_start","message":{"model":"claude","usage":{"input_tokens":25,"output_tokens":1}}}\r\n\r\n'
            b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n'
            b'event: content_block_delta\r\ndata: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"\xc3\xa9"}}\r\n\r\n'
            b'event: message_delta\r\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":48}}\r\n\r\n'
            b'event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n'
        ),
        Served(Usage(25, 48), "claude", "end_turn"),
    ),
    RESPONSES: (
        (
            b'event: response.created\ndata: {"type":"response.created","response":{"model":"gpt-5","status":"in_progress","usage":null}}\n\n'
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n'
            b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"gpt-5","status":"completed","usage":{"input_tokens":25,"output_tokens":48}}}\n\n'
        ),
        Served(Usage(25, 48), "gpt-5", "completed"),
    ),
}


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_a_stream_in_chunks_of_any_size(dialect, size):
    """The same facts each time."""
    stream, expected = STREAMS[dialect]
    tap = EventTap(DIALECTS.by_name[dialect])
    for start in range(0, len(stream), size):
        tap.feed(stream[start : start + size])

    assert expected == tap.served


@given(dialect=st.sampled_from(list(STREAMS)), cuts=st.lists(st.integers(0, 900), max_size=8))
def test_a_stream_cut_anywhere(dialect, cuts):
    """Inside lines, between CR and LF, in the middle of a character."""
    stream, expected = STREAMS[dialect]
    tap = EventTap(DIALECTS.by_name[dialect])
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in itertools.pairwise(edges):
        tap.feed(stream[start:end])

    assert expected == tap.served


def test_lines_may_end_in_cr_alone():
    """The standard has three line ends."""
    stream, expected = STREAMS[RESPONSES]
    tap = EventTap(DIALECTS.by_name[RESPONSES])
    tap.feed(stream.replace(b"\n", b"\r"))

    assert expected == tap.served


@pytest.mark.parametrize("size", [1 << 16, 10 << 20])
def test_a_line_of_50_mb_is_given_up_and_the_next_one_read(size):
    """Little is held meanwhile."""
    tap, most = EventTap(DIALECTS.by_name[CHAT]), 0
    line = b'data: {"model":"' + b"x" * (50 << 20) + b'"}\n\n'
    for start in range(0, len(line), size):
        tap.feed(line[start : start + size])
        most = max(most, sys.getsizeof(tap._line))
    assert NOTHING == Served(tap.served.usage)
    tap.feed(STREAMS[CHAT][0])

    assert STREAMS[CHAT][1] == tap.served
    assert most <= 2 * LINE_BYTES + size


def test_a_line_that_comes_byte_by_byte_takes_linear_time():
    """No byte is copied again for each one that follows: a quadratic tap would need minutes for
    this.
    """
    tap = EventTap(DIALECTS.by_name[CHAT])
    for _ in range(LINE_BYTES):
        tap.feed(b"x")

    assert LINE_BYTES == len(tap._line)


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
def test_an_answer_in_pieces(filler, size):
    """As if it had come at once, and little is held of a long one."""
    body = json.dumps(
        {"model": "m", "x": "y" * filler, "usage": {"prompt_tokens": 4, "completion_tokens": 5}}
    ).encode()
    tap = BodyTap(DIALECTS.by_name[CHAT])
    for start in range(0, len(body), size):
        tap.feed(body[start : start + size])

    assert read_response(DIALECTS.by_name[CHAT], body) == tap.served
    assert Usage(4, 5) == tap.served.usage
    assert len(tap._kept) <= WHOLE_BYTES
