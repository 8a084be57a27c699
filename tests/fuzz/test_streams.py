"""Event streams: the same whichever way they are cut, and what WHATWG's own algorithm says."""

from __future__ import annotations

import asyncio

from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.errors import UpstreamCut
from sidecar.stream.relay import Relay
from sidecar.stream.tap import BodyTap, EventTap
from sidecar.upstream.opening import UNDECIDED, EventScan, fields_of_event
from tests.contract.dialects.samples import SAMPLES
from tests.corpus.cases import cut
from tests.fuzz.properties import PLACES, damaged, holds_for
from tests.stream.test_relay import FakeDown, FakeReply
from tests.support.values import FakeClock

STREAMS = [b"".join(sample.events) for sample in SAMPLES.values() if sample.events]
PIECES = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"data: ", b"data:", b"event: error\n", b": x\n", b"\xef\xbb\xbf", b"\xff"),
    *(b"data: [DONE]\n\n", b'data: {"error":{"message":"x"}}\n\n', b"event: message_stop\n", b"\x00", b'"finish_reason":"stop"'),
    *(b'data: {"type":"response.failed","response":{}}\n\n', b"retry: 1\n", b"id", b'"usage":null', b"{", b"}"),
]  # fmt: skip
DIALECT = st.sampled_from(sorted(DIALECTS.by_name.values(), key=lambda each: each.name))


@holds_for(DIALECT, damaged(STREAMS, PIECES), PLACES)
def test_a_tap_sees_the_same_of_a_stream_however_it_is_cut(dialect, stream, places):
    """Network pieces are no message borders."""
    whole, pieces = EventTap(dialect), EventTap(dialect)
    for byte in range(len(stream)):
        whole.feed(stream[byte : byte + 1])
    for piece in cut(stream, places):
        pieces.feed(piece)

    def seen(tap):
        return (tap.served, tap.error, tap.is_complete, tap.may_end, tap.is_between_events)

    assert seen(whole) == seen(pieces)


@holds_for(DIALECT, damaged(STREAMS, PIECES), PLACES)
def test_the_beginning_of_a_stream_is_the_same_however_it_is_cut(dialect, stream, places):
    """The first event that is no preamble decides, wherever segments end."""
    whole, pieces = EventScan(dialect), EventScan(dialect)
    expected = whole.look(stream, is_all=True)
    found, seen = UNDECIDED, b""
    for piece in cut(stream, places):
        seen += piece
        found = pieces.look(seen, is_all=False)
        if found is not UNDECIDED:
            break
    else:
        found = pieces.look(seen, is_all=True)
    assert (expected, whole.error) == (found, pieces.error)


def events_of(stream: bytes) -> list[tuple[bytes, bytes]]:
    """(name, data) of every event that is dispatched, by the algorithm of HTML, 9.2.6."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found, name, data = [], b"", b""
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                found.append((name, data.removesuffix(b"\n")))
            name, data = b"", b""
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value
        elif field == b"data":
            data += value + b"\n"
    return found


@holds_for(damaged(STREAMS, PIECES))
def test_an_events_fields_are_those_of_the_standard(stream):
    """Name and data of each event that is dispatched."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    read = [fields_of_event(event) for event in text.split(b"\n\n")[:-1]]

    assert [event for event in events_of(stream) if event[1]] == [
        event for event in read if event[1]
    ]


@holds_for(DIALECT, damaged(STREAMS, PIECES), PLACES, st.booleans())
def test_an_app_gets_the_bytes_of_a_stream_however_it_is_cut(dialect, stream, places, breaks):
    """All of them, and one end: of a stream that broke the same, whatever the pieces."""
    pieces = [piece for piece in cut(stream, places) if piece]
    ends = [_end_of(dialect, each, breaks=breaks) for each in ([stream] if stream else [], pieces)]

    assert ends[0] == ends[1]
    assert ends[0][0] == stream


def _end_of(dialect, pieces, *, breaks):
    down = FakeDown()
    reply = FakeReply(*pieces, *([UpstreamCut("x")] if breaks else []))
    relayed = asyncio.run(Relay(FakeClock(), dialect, "r").run(reply, [], down))
    sent = b"".join(each for each in down.log if isinstance(each, bytes))
    return sent, [each for each in down.log[1:] if not isinstance(each, bytes)], relayed.result


@holds_for(DIALECT, damaged([b'{"model":"m","usage":{"prompt_tokens":4,"completion_tokens":5}}'], [b'"', b"{", b"}", b"\xff", b'"usage":{}']), PLACES)  # fmt: skip
def test_a_tap_sees_the_same_of_a_body_however_it_is_cut(dialect, body, places):
    """A whole response may come in pieces too."""
    whole, pieces = BodyTap(dialect), BodyTap(dialect)
    whole.feed(body)
    for piece in cut(body, places):
        pieces.feed(piece)
    assert whole.served == pieces.served
