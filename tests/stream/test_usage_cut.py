"""The event with nothing but the usage is taken out of a stream, and nothing else is changed."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage_option import USAGE_OPTION
from sidecar.domain.call import CHAT
from sidecar.domain.errors import UpstreamCut
from sidecar.domain.vocabulary import CallOutcome
from sidecar.runtime.lifecycle import Tasks
from sidecar.stream.relay import Relay, Relayed
from sidecar.stream.usage_cut import HELD_AT_MOST, UsageCut
from tests.stream.test_relay import EVENT_STREAM, FakeDown, FakeReply
from tests.support.values import FakeClock

ENDS = ["\n", "\r\n", "\r"]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7}
HEAD = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o"}


QUOTED = 'a quoted "choices": [] and "usage": {}'


def beside(**more: Any) -> str:
    return json.dumps({**HEAD, "choices": [], "usage": USAGE, **more})


def content(text: str, **more: Any) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return json.dumps({**HEAD, "choices": [choice], "usage": None, **more})


def fed(stream: bytes, *cuts: int) -> bytes:
    cut = UsageCut(USAGE_OPTION)
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges) if b > a]
    return b"".join([cut.feed(piece) for piece in pieces]) + cut.finish()


others = st.sampled_from(
    [
        f"data: {content('Hel')}",
        f"data:{content('lo')}",
        f"data: {content(QUOTED)}",
        f"data: {json.dumps({**HEAD, 'choices': [{'delta': {}, 'finish_reason': 'stop'}], 'usage': USAGE})}",
        f"data: {json.dumps({**HEAD, 'choices': [], 'prompt_filter_results': [1], 'usage': None})}",
        f"data: {json.dumps({**HEAD, 'choices': []})}",
        f"data: {json.dumps({'x': {'choices': [], 'usage': {}}, 'choices': [1], 'usage': USAGE})}",
        f"data: {json.dumps({'usage': USAGE})}",
        'data: {"error": {"message": "overloaded", "choices": []}}',
        'event: error\ndata: {"choices": [], "message": "no"}',
        "data: [DONE]",
        "data:[DONE]",
        ": ping",
        ": choices\ndata: {}",
        "retry: 10",
        "id: 7\ndata: [1, 2]",
        'data: {"choices": [], "usage":\ndata: {}}',
        "data: no JSON, nor an end",
        "data",
        "nothing that is a field",
        "",
    ]
)
ones = st.sampled_from(
    [
        f"data: {beside()}",
        f"data:{beside(service_tier='default')}",
        f"data: {json.dumps({**HEAD, 'choices': None, 'usage': USAGE})}",
        f"data: {json.dumps({'usage': USAGE, 'choices': []}, separators=(',', ':'))}",
        f"id: 7\ndata: {beside()}",
        f"event: message\ndata: {beside()}\nid: 8",
    ]
)


@given(
    st.lists(others, max_size=5),
    ones,
    st.lists(others, max_size=3),
    st.sampled_from(ENDS),
    st.lists(st.integers(0, 2000), max_size=12),
)
def test_a_stream_goes_on_without_that_event_however_it_is_cut(before, one, after, end, cuts):
    """Any sequence of events, any line ends, any chunks."""

    def written(events: list[str]) -> bytes:
        return "".join([f"{event}\n\n".replace("\n", end) for event in events]).encode()

    stream = written([*before, one, *after])

    assert written([*before, *after]) == fed(stream, *[at for at in cuts if at < len(stream)])


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_cut_at_every_byte(end):
    """Two chunks, and single bytes."""
    first, last = f"data: {content('hi')}\n\n", "data: [DONE]\n\n"
    stream = f"{first}: ping\n\ndata: {beside()}\n\n{last}".replace("\n", end).encode()
    expected = f"{first}: ping\n\n{last}".replace("\n", end).encode()

    for at in range(len(stream)):
        assert expected == fed(stream, at)
    assert expected == fed(stream, *range(len(stream)))


@given(
    st.lists(others | ones, max_size=6),
    st.sampled_from(ENDS),
    st.lists(st.integers(0, 3000), max_size=9),
)
@example(["data"], "\r", [4, 5])
def test_what_goes_on_does_not_depend_on_the_chunks(events, end, cuts):
    """Also of a stream that ends inside an event, or brings several such events."""
    whole = "\n\n".join(events).replace("\n", end).encode()
    for stream in (whole, whole[: len(whole) * 2 // 3]):
        assert fed(stream) == fed(stream, *[at for at in cuts if at < len(stream)])


@given(
    st.binary(max_size=80) | st.text('da:{}"\r\n choices[]nulusge', max_size=120).map(str.encode),
    st.lists(st.integers(0, 120), max_size=9),
)
def test_any_bytes_go_on_whatever_the_chunks(stream, cuts):
    """Nothing is lost or changed in what is no such event."""
    assert fed(stream) == fed(stream, *[at for at in cuts if at < len(stream)])
    if b"usage" not in stream:
        assert stream == fed(stream)


def test_a_whole_chunk_goes_on_as_the_same_bytes():
    """Nearly every chunk is whole events, none of them the one: it is not even copied."""
    cut, chunk = UsageCut(USAGE_OPTION), f"data: {content('hi')}\n\n".encode() * 9

    assert cut.feed(chunk) is chunk


@pytest.mark.parametrize(
    ("beginning", "gone"),
    [
        ('data: {"id":"c1","choices":[', 0),
        ('data: {"id":"c1","choices": [ {', 31),
        ('data: {"id":"c1","choices":[{"delta":{"content":"a long', 55),
        ("data: [DON", 10),
        ("data: {", 0),
        ("data:", 0),
        ("da", 0),
        ("id: 7", 0),
        (": a comm", 8),
        ("<html>", 6),
    ],
)
def test_only_what_may_be_the_event_waits(beginning, gone):
    """Everything else goes on byte by byte, as it comes."""
    assert gone == len(UsageCut(USAGE_OPTION).feed(beginning.encode()))


def test_no_more_is_held_than_such_an_event_is_long():
    """Whatever the provider sends."""
    cut = UsageCut(USAGE_OPTION)
    first = b'data: {"choices":[],"x":"'

    assert b"" == cut.feed(first + b"y" * (HELD_AT_MOST - len(first)))
    assert HELD_AT_MOST + 1 == len(cut.feed(b"y"))
    assert b"z" == cut.feed(b"z")
    assert b'","usage":{}}\n\n' == cut.feed(b'","usage":{}}\n\n')


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_stream_that_ends_with_that_event_ends_without_it(end):
    """Some servers forget the empty line behind it."""
    assert b"data: {}\n\n" == fed(f"data: {{}}\n\ndata: {beside()}{end}".encode())


FIRST, LAST = f"data: {content('hi')}\n\n".encode(), b"data: [DONE]\n\n"
ONE = f"data: {beside()}\n\n".encode()


def a_relay() -> Relay:
    relay = Relay(FakeClock(), DIALECTS.by_name[CHAT], "req-1")
    relay.cuts_usage = True
    return relay


async def relayed(
    *script: Any, down: FakeDown | None = None, **changes: Any
) -> tuple[list[Any], Relayed]:
    down = down or FakeDown()
    return down.log, await a_relay().run(FakeReply(*script, **changes), [], down)


async def test_the_app_gets_the_stream_that_it_asked_for_and_its_usage_counts():
    """Each chunk at once; what is taken out is no byte of the app's."""
    log, ended = await relayed(FIRST, ONE[:20], ONE[20:], LAST)

    assert [(200, None), FIRST, LAST, "finish"] == log
    assert (CallOutcome.OK, len(FIRST + LAST)) == (ended.result, ended.bytes_out)
    assert ended.served is not None
    assert ended.served.usage is not None
    assert (11, 7) == (ended.served.usage.input_tokens, ended.served.usage.output_tokens)


@pytest.mark.parametrize("at", [1, 5, 40])
async def test_a_stream_that_breaks_off_inside_that_event_is_broken_as_any_other(at):
    """What was held has come, so it goes; no event is put behind half a one."""
    log, ended = await relayed(FIRST, ONE[:at], UpstreamCut("gone"))

    assert [(200, None), FIRST, ("broken", ONE[:at])] == log
    assert (CallOutcome.INCOMPLETE, len(FIRST) + at) == (ended.result, ended.bytes_out)


async def test_a_stream_that_breaks_off_behind_that_event_gets_an_error_event():
    """It stands between two events, for the app too."""
    log, ended = await relayed(FIRST, ONE, UpstreamCut("gone"))
    verb, event = log[-1]

    assert ("broken", True, False) == (
        verb,
        event.startswith(b"data: {"),
        b"prompt_tokens" in event,
    )
    assert (CallOutcome.INCOMPLETE, len(FIRST)) == (ended.result, ended.bytes_out)


async def test_a_providers_error_event_goes_on():
    """It is the last one, as without."""
    error = b'data: {"error":{"message":"overloaded"}}\n\n'
    log, ended = await relayed(FIRST, error[:9], error[9:])

    assert error == b"".join(each for each in log[2:] if isinstance(each, bytes))
    assert ended.error_event == error[6:-2]


async def test_a_body_that_is_no_stream_stays_as_it_is():
    """Also one that looks like that event: some servers answer whole."""
    log, _ = await relayed(ONE, headers=((b"Content-Type", b"application/json"),))
    coded, _ = await relayed(ONE, headers=(*EVENT_STREAM, (b"Content-Encoding", b"gzip")))

    assert (ONE, ONE) == (log[1], coded[1])


async def test_what_is_held_goes_when_a_drain_ends_the_stream():
    """The app is still there."""
    relay, down, waiting = (
        a_relay(),
        FakeDown(),
        asyncio.Event(),
    )

    class Waits(FakeReply):
        async def read(self) -> bytes:
            piece: bytes = await super().read()
            if not piece:
                waiting.set()
                await asyncio.Event().wait()
            return piece

    running = Tasks().spawn(relay.run(Waits(FIRST, ONE[:9]), [], down), name="relay")
    await waiting.wait()
    running.cancel()
    await asyncio.wait([running])

    assert ("broken", ONE[:9]) == down.log[-1]
