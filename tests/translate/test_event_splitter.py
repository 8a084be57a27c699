"""Server-sent events are told apart as the standard says, whatever the chunks."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.translate.bounds import LINE_BYTES, Untranslatable
from sidecar.translate.event_splitter import COMMENT, EventSplitter

STREAMS = {
    "line ends of all kinds": (
        b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\ndata: e\n\r\n",
        [(b"", b"a"), (b"", b"b"), (b"", b"c"), (b"", b"d"), (b"", b"e")],
    ),
    "a mark of byte order": (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
    "names": (b"event: ping\ndata: {}\n\nevent:x\ndata:\n\n", [(b"ping", b"{}"), (b"x", b"")]),
    "no blank behind the colon, and two": (b"data:a\n\ndata:  b\n\n", [(b"", b"a"), (b"", b" b")]),
    "several lines of data": (b"data: a\ndata: b\ndata:\n\n", [(b"", b"a\nb\n")]),
    "fields that say nothing here": (b"id: 4\nretry: 9\nfoo\nx: y\ndata: a\n\n", [(b"", b"a")]),
    "a name without data": (b"event: ping\n\ndata: a\n\n", [(b"", b"a")]),
    "comments": (b": alive\n\n:\n\ndata: a\n\n", [COMMENT, COMMENT, (b"", b"a")]),
    "a comment inside an event": (b"data: a\n: alive\ndata: b\n\n", [(b"", b"a\nb")]),
    "blank lines": (b"\n\n\r\n\r\rdata: a\n\n\n\n", [(b"", b"a")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
@given(size=st.integers(1, 9))
def test_events_are_told_apart(stream, events, size):
    """In chunks of any size."""
    splitter, found = EventSplitter(), []
    for at in range(0, len(stream), size):
        found += splitter.feed(stream[at : at + size])

    assert events == found
    assert [] == splitter.end()


@pytest.mark.parametrize("rest", [b"data: a", b"data: a\n", b"data: a\r", b"data: a\r\n"])
def test_the_last_event_may_lack_its_empty_line(rest):
    """Some servers forget it, or the end of the last line."""
    splitter = EventSplitter()

    assert [] == splitter.feed(rest)
    assert [(b"", b"a")] == splitter.end()


def test_an_empty_chunk_changes_nothing():
    """Also between a CR and its LF."""
    splitter = EventSplitter()
    found = [splitter.feed(chunk) for chunk in (b"data: a\r", b"", b"\n\r\n")]

    assert [[], [], [(b"", b"a")]] == found


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, 1 << 26])
@pytest.mark.parametrize("line", [b"data: x", b"data", b": x"])
def test_a_line_that_is_too_long_is_refused(line, size):
    """Before more of it is kept than may be; one of no interest may pass in one chunk."""
    stream, splitter = line + b"x" * (LINE_BYTES + 1), EventSplitter()
    kept = []

    def feed():
        for at in range(0, len(stream), size):
            splitter.feed(stream[at : at + size])
            kept.append(sys.getsizeof(splitter._rest))

    with pytest.raises(Untranslatable):
        feed()

    assert max(kept, default=0) <= 2 * LINE_BYTES


def test_an_event_of_many_lines_is_refused_once_it_is_too_long():
    """Its data count together."""
    splitter = EventSplitter()
    line = b"data: " + b"x" * (LINE_BYTES // 8) + b"\n"

    with pytest.raises(Untranslatable):
        list(map(splitter.feed, [line] * 9))
