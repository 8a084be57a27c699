"""The way back: bytes as they came, ended exactly once, and never a fragment that looks whole."""

import asyncio
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.domain.errors import StreamIdleTimeout, UpstreamCut
from sidecar.domain.ports import DownstreamIdle
from sidecar.domain.vocabulary import CallOutcome
from sidecar.stream.relay import EVENTS_BYTES, Relay, relay_nowait
from tests.support.values import FakeClock

EVENT_STREAM = ((b"Content-Type", b"text/event-stream; charset=utf-8"),)


class FakeReply:
    """A reply that plays a script: bytes are read, exceptions raised, and the end is b""."""

    sends = 1

    def __init__(self, *script, whole=None, status=200, headers=EVENT_STREAM, content_length=None):
        self.status, self.headers, self.content_length = status, headers, content_length
        self._script, self._whole = list(script), whole
        self.log: list[str] = []

    def read_nowait(self):
        return self._whole

    async def read(self):
        step = self._script.pop(0) if self._script else b""
        if isinstance(step, BaseException):
            raise step
        return step

    def abort(self):
        self.log.append("abort")


class FakeDown:
    """An app's end that writes down what it is told."""

    def __init__(self, *, gone_after=None, is_open=True):
        self.is_open = is_open
        self.log: list[Any] = []
        self._left = gone_after
        self.why_gone: ConnectionError = ConnectionResetError()

    def send_whole(self, status, headers, body):
        self.log.append((status, body))

    def start(self, status, headers, content_length):
        self.log.append((status, content_length))

    async def write(self, data):
        if self._left == 0:
            raise self.why_gone
        self._left = None if self._left is None else self._left - 1
        self.log.append(data)

    def finish(self):
        self.log.append("finish")

    def end_broken(self, event):
        self.log.append(("broken", event))

    def abort(self):
        self.log.append("abort")


async def _relay(reply, down, dialect=CHAT):
    chosen = None if dialect is None else DIALECTS.by_name[dialect]
    whole = relay_nowait(reply, [], down, FakeClock(), chosen)
    return whole or await Relay(FakeClock(), chosen, "req-1").run(reply, [], down)


async def test_a_whole_response_goes_out_at_once():
    """One write, no reading, no closing ceremony."""
    reply, down = (
        FakeReply(whole=b"{}", headers=((b"Content-Type", b"application/json"),)),
        FakeDown(),
    )
    relayed = await _relay(reply, down)

    assert [(200, b"{}")] == down.log
    assert (CallOutcome.OK, 2) == (relayed.result, relayed.bytes_out)
    assert [] == reply.log


async def test_chunks_go_out_one_by_one_and_end_once():
    """Each chunk is written as it was read; the end is announced once."""
    down = FakeDown()
    relayed = await _relay(FakeReply(b"data: 1\n\n", b"data: [DONE]\n\n"), down)

    assert [(200, None), b"data: 1\n\n", b"data: [DONE]\n\n", "finish"] == down.log
    assert (CallOutcome.OK, 23) == (relayed.result, relayed.bytes_out)


async def test_a_stream_that_ends_well_without_its_last_event_is_broken():
    """A proxy between us and the provider may end a cut stream properly; the app must not take it
    for the whole.
    """
    down = FakeDown()
    relayed = await _relay(FakeReply(b"data: 1\n\n"), down)

    verb, event = down.log[-1]
    assert ("broken", True) == (verb, b"without its last event" in event)
    assert CallOutcome.INCOMPLETE == relayed.result


@pytest.mark.parametrize("coding", [b"identity", b"None", b""])
async def test_a_coding_that_is_none_leaves_the_stream_in_the_clear(coding):
    """Some servers say so; its events are read, and its last one is missed, as in any other
    stream.
    """
    down = FakeDown()
    event = b'data: {"model":"m","choices":[]}\n\n'
    relayed = await _relay(
        FakeReply(event, headers=(*EVENT_STREAM, (b"Content-Encoding", coding))), down
    )

    assert ("broken", CallOutcome.INCOMPLETE) == (down.log[-1][0], relayed.result)
    assert relayed.served is not None
    assert "m" == relayed.served.served_model


async def test_a_stream_that_came_at_once_is_still_watched_for_its_last_event():
    """A busy machine reads head, events and a proper end together; that makes the fragment no
    whole.
    """
    down = FakeDown()
    relayed = await _relay(FakeReply(b"data: 1\n\n", whole=b"data: 1\n\n"), down)

    assert ("broken", CallOutcome.INCOMPLETE) == (down.log[-1][0], relayed.result)


@pytest.mark.parametrize("end", [b"", UpstreamCut("gone")], ids=["a proper end", "a cut"])
async def test_a_stream_of_announced_length_is_watched_and_its_length_not_told(end):
    """Were the length told and reached, the app would take the fragment for the whole."""
    down = FakeDown()
    relayed = await _relay(FakeReply(b"data: 1\n\n", end, content_length=9), down)

    assert (200, None) == down.log[0]
    assert ("broken", CallOutcome.INCOMPLETE) == (down.log[-1][0], relayed.result)


async def test_a_cut_after_the_last_event_is_no_loss():
    """With the last event through, the response is whole, whatever the connection does then."""
    down = FakeDown()
    relayed = await _relay(FakeReply(b"data: [DONE]\n\n", UpstreamCut("gone")), down)

    assert ("finish", CallOutcome.OK) == (down.log[-1], relayed.result)


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("error", [UpstreamCut("gone"), StreamIdleTimeout("silent")])
async def test_a_cut_between_events_becomes_an_error_event(dialect, error):
    """At an event boundary the app reads why; the connection still ends broken."""
    reply, down = FakeReply(b"data: 1\n\n", error), FakeDown()
    relayed = await _relay(reply, down, dialect)

    assert ["abort"] == reply.log
    verb, event = down.log[-1]
    assert ("broken", True) == (verb, b"gone" in event or b"silent" in event)
    assert CallOutcome.INCOMPLETE == relayed.result
    assert "stream_incomplete" == relayed.error_code


@pytest.mark.parametrize(
    ("reply", "dialect"),
    [
        (FakeReply(b"data: 1\n", UpstreamCut("gone")), CHAT),
        (
            FakeReply(
                b"xyz", UpstreamCut("gone"), headers=((b"content-type", b"application/json"),)
            ),
            CHAT,
        ),
        (FakeReply(b"", headers=EVENT_STREAM, content_length=9), None),
        (
            FakeReply(
                b"x", UpstreamCut("gone"), headers=(*EVENT_STREAM, (b"Content-Encoding", b"gzip"))
            ),
            CHAT,
        ),
        (FakeReply(b"data: 1\n\n", UpstreamCut("gone"), status=500), CHAT),
        (FakeReply(b"data: 1\n\n", UpstreamCut("gone")), None),
        (
            FakeReply(
                b"data: 1",
                UpstreamCut("gone"),
                headers=(*EVENT_STREAM, (b"x-sixteen-bytes-", b"1")),
            ),
            CHAT,
        ),
    ],
    ids=[
        "inside an event",
        "json",
        "no error",
        "gzip",
        "error status",
        "passthrough",
        "another field",
    ],
)
async def test_a_cut_anywhere_else_adds_no_byte(reply, dialect):
    """Inside an event, in compressed or foreign bytes, an event of ours would only confuse."""
    down = FakeDown()
    await _relay(reply, down, dialect)

    assert down.log[-1] in (("broken", b""), "finish")


async def test_an_app_that_left_ends_the_provider_too():
    """The write that fails aborts the reply, so that the provider stops generating."""
    reply, down = FakeReply(b"a", b"b", b"c"), FakeDown(gone_after=1)
    relayed = await _relay(reply, down)

    assert ["abort"] == reply.log
    assert "abort" == down.log[-1]
    assert (CallOutcome.CANCELLED, 2) == (relayed.result, relayed.bytes_out)


async def test_an_app_that_stopped_reading_ends_the_provider_too():
    """It is counted apart from one that left."""
    reply, down = FakeReply(b"a", b"b", b"c"), FakeDown(gone_after=1)
    down.why_gone = DownstreamIdle()
    relayed = await _relay(reply, down)

    assert (["abort"], "abort") == (reply.log, down.log[-1])
    assert (CallOutcome.DOWNSTREAM_IDLE, "downstream_idle", 2) == (
        relayed.result,
        relayed.error_code,
        relayed.bytes_out,
    )


async def test_cancellation_tells_the_app_and_propagates():
    """A drain that ran out of time cancels the task: the app reads an error event, the reply is
    closed.
    """
    reply, down = FakeReply(b"data: 1\n\n", asyncio.CancelledError()), FakeDown()
    with pytest.raises(asyncio.CancelledError):
        await _relay(reply, down)

    assert ["abort"] == reply.log
    verb, event = down.log[-1]
    assert ("broken", True) == (verb, b"shutting down" in event)


async def test_cancellation_writes_nothing_to_an_app_that_has_left():
    """Its leaving is what cancels the task, most times."""
    reply, down = FakeReply(b"data: 1\n\n", asyncio.CancelledError()), FakeDown(is_open=False)
    with pytest.raises(asyncio.CancelledError):
        await _relay(reply, down)

    assert (["abort"], b"data: 1\n\n") == (reply.log, down.log[-1])


@pytest.mark.parametrize(
    ("is_open", "result", "code"),
    [
        (False, CallOutcome.CANCELLED, None),
        (True, CallOutcome.INCOMPLETE, "stream_incomplete"),
    ],
    ids=["the app has left", "a drain has cut it off"],
)
async def test_a_cancelled_relay_says_how_far_it_had_come(is_open, result, code):
    """Its caller is told nothing by return, and the provider bills what it sent."""
    relay = Relay(FakeClock(), DIALECTS.by_name[CHAT], "req-1")
    reply = FakeReply(b'data: {"model":"m"}\n\n', asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await relay.run(reply, [], FakeDown(is_open=is_open))

    assert relay.given_up is not None
    assert relay.given_up.served is not None
    assert (result, code, 21, "m") == (
        relay.given_up.result,
        relay.given_up.error_code,
        relay.given_up.bytes_out,
        relay.given_up.served.served_model,
    )


async def test_a_bug_still_closes_both_ends():
    """Whatever is raised, nothing stays open."""
    reply, down = FakeReply(b"a", RuntimeError("bug")), FakeDown()
    with pytest.raises(RuntimeError):
        await _relay(reply, down)

    assert (["abort"], "abort") == (reply.log, down.log[-1])


async def test_it_tells_when_the_body_began():
    """Not when its head came: for who is ranked by speed that is a difference of seconds."""
    clock = FakeClock(100.0)

    class _Slow(FakeReply):
        async def read(self):
            clock.advance(2.0)
            return await super().read()

    relayed = await Relay(clock, None, "r1").run(_Slow(b"a", b"b", headers=()), [], FakeDown())
    empty = await Relay(clock, None, "r1").run(FakeReply(headers=()), [], FakeDown())
    whole = relay_nowait(FakeReply(whole=b"{}", content_length=2), [], FakeDown(), clock, None)

    assert whole is not None
    assert (100.0, 102.0, None, 106.0) == (
        relayed.first_byte_s, relayed.first_piece_s, empty.first_piece_s, whole.first_piece_s,
    )  # fmt: skip


async def test_many_events_at_once_are_sent_and_read_in_pieces():
    """Others go on between them: to read what thousands of events tell takes milliseconds."""
    event = b'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n'
    events = event * (4 * EVENTS_BYTES // len(event)) + b"data: [DONE]\n\n"
    turns: list[int] = []

    class Counting(FakeDown):
        async def write(self, data):
            asyncio.get_running_loop().call_soon(turns.append, len(data))
            await super().write(data)
            others.append(len(turns))

    others: list[int] = []
    down = Counting()
    relayed = await _relay(FakeReply(events), down)

    assert (CallOutcome.OK, len(events)) == (relayed.result, relayed.bytes_out)
    assert events == b"".join(piece for piece in down.log if isinstance(piece, bytes))
    assert max(turns) == EVENTS_BYTES
    assert others == [*range(len(others))]
