"""The last event is found wherever it is cut, and nowhere else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from sidecar.stream.tap import EventTap


def _seen(dialect, *chunks):
    tap = EventTap(DIALECTS.by_name[dialect])
    for chunk in chunks:
        tap.feed(chunk)
    return tap.is_complete


@pytest.mark.parametrize(
    ("dialect", "stream", "seen"),
    [
        (CHAT, b"data: {}\n\ndata: [DONE]\n\n", True),
        (CHAT, b"data:[DONE]\r\n\r\n", True),
        (CHAT, b'data: {"content":"data: [DONE]"}\n\n', False),
        (CHAT, b'data: {"a":"data: [DONE]"}\n\ndata: [DONE]\n\n', True),
        (CHAT, b"data: {}\n\n", False),
        (MESSAGES, b"event: message_stop\ndata: {}\n\n", True),
        (MESSAGES, b"event: message_delta\ndata: {}\n\n", False),
        (RESPONSES, b"event: response.completed\ndata: {}\n\n", True),
        (RESPONSES, b"\revent:response.failed\r\r", True),
        (RESPONSES, b"event: response.incomplete\n\n", True),
        (RESPONSES, b"event: response.created\ndata: {}\n\n", False),
        (EMBEDDINGS, b"", True),
    ],
)
def test_the_last_event_is_known_by_the_start_of_a_line(dialect, stream, seen):
    """A model that writes the marker in its text does not end its stream."""
    assert seen == _seen(dialect, stream)


@given(
    st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([b"data: [DONE]\n\n", b'{"x":"data: [DONE]"}\n\n']),
)
def test_any_chunking_sees_the_same(cuts, ending):
    """Network pieces are no message borders."""
    stream = b'data: {"content":"hello"}\n\n' + ending
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]

    assert _seen(CHAT, stream) == _seen(CHAT, *chunks)


def test_little_is_kept():
    """A stream of any length costs a few bytes."""
    tap = EventTap(DIALECTS.by_name[CHAT])
    tap.feed(b"x" * 1_000_000 + b"\n")

    assert (40, 0) == (len(tap._tail), len(tap._lines._rest))


@pytest.mark.parametrize("blank", [b"", b" "])
def test_an_event_without_a_name_is_known_by_its_type(blank):
    """Some providers leave the event's name out; a model's own text has its quotes escaped."""
    assert _seen(RESPONSES, b'data: {"type":' + blank + b'"response.completed"}\n\n')
    assert not _seen(RESPONSES, b'data: {"delta":"\\"type\\":\\"response.completed\\""}\n\n')


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n"])
@pytest.mark.parametrize(
    "start", [b"event: response.completed\ndata: {", b"data: {"], ids=["named", "unnamed"]
)
def test_a_last_event_that_brings_the_answer_counts_once_it_is_whole(start, end):
    """What an SDK hands out of responses stands in it: cut anywhere inside it, the stream is
    incomplete.
    """
    event = start + b'"type":"response.completed","response":{"output":[{"text":"}\\n{}"}]}}'

    assert [] == [cut for cut in range(len(event) + 1) if _seen(RESPONSES, event[:cut])]
    assert all(_seen(RESPONSES, event[:cut], event[cut:] + end) for cut in range(len(event)))
    assert _seen(RESPONSES, *(bytes([byte]) for byte in event + end))


def test_a_last_event_that_only_says_so_counts_from_its_name_on():
    """All that an app reads came before it; some servers forget the empty line behind it."""
    assert _seen(CHAT, b"data: [DONE]")
    assert _seen(MESSAGES, b"event: message_stop")
