"""Writing at the pace of the upstream, reading at the pace of the reader. No socket."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.channel import JOINED_BYTES, WRITE_BYTES, Channel, batches
from sidecar.http1.delivery import Delivery
from sidecar.http1.response import UpstreamResponse
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.write_coalescer import write_at_once

LENGTHS = st.one_of(
    st.integers(0, 100),
    st.integers(WRITE_BYTES - 60, WRITE_BYTES + 60),
    st.integers(0, 4 * WRITE_BYTES),
)


@given(st.integers(1, 1000), st.lists(LENGTHS, max_size=5))
def test_nothing_is_lost_and_no_batch_is_too_long(head_bytes, lengths):
    """The batches are head and body in order, each within its bound, none of them empty."""
    head = b"h" * head_bytes
    body = [bytes([65 + at]) * length for at, length in enumerate(lengths)]
    cut = [b"".join(batch) for batch in batches(head, body)]
    assert b"".join(cut) == head + b"".join(body)
    assert max(map(len, cut)) <= WRITE_BYTES
    assert all(cut)


def test_body_is_not_copied():
    """Every piece of a batch is a view of what was given."""
    body = b"x" * (3 * WRITE_BYTES)
    views = [
        piece
        for batch in batches(b"head", [body])
        for piece in batch
        if isinstance(piece, memoryview)
    ]
    assert all(view.obj is body for view in views)
    assert sum(map(len, views)) == len(body)


def test_a_head_that_fills_its_batch_leaves_no_empty_piece():
    """The body begins with the next batch."""
    cut = list(batches(b"h" * WRITE_BYTES, [b"b"]))

    assert [[WRITE_BYTES], [1]] == [[len(piece) for piece in batch] for batch in cut]


class _Transport(asyncio.Transport):
    """Remembers what it is told."""

    def __init__(self, *, is_closing: bool = False, unsent_bytes: int = 0) -> None:
        super().__init__()
        self.log: list[Any] = []
        self._is_closing, self._unsent_bytes = is_closing, unsent_bytes

    def write(self, data):
        self.log.append(bytes(data))

    def writelines(self, pieces):
        self.log.append([bytes(piece) for piece in pieces])

    def is_closing(self):
        return self._is_closing

    def get_write_buffer_size(self):
        return self._unsent_bytes

    def pause_reading(self):
        self.log.append("pause")

    def resume_reading(self):
        self.log.append("resume")


class _Source:
    def abort(self) -> None: ...

    head_memory = None

    def expect_body(self) -> None: ...

    def drained(self) -> None: ...


def _channel(transport: _Transport | None) -> Channel:
    channel = Channel(memoryview(bytearray(1)), write_at_once)
    channel.transport = transport
    return channel


@pytest.mark.parametrize(
    ("body_bytes", "writes"),
    [(10, [b"h" + b"b" * 10]), (JOINED_BYTES, [[b"h", b"b" * JOINED_BYTES]]), (WRITE_BYTES, [])],
)
def test_only_a_long_request_has_to_wait_for_room(body_bytes, writes):
    """A short one is sent in one piece, a middling one in its pieces."""
    transport = _Transport()

    assert bool(writes) == _channel(transport).send_nowait(b"h", (b"b" * body_bytes,))
    assert writes == transport.log


async def test_a_long_request_waits_where_there_is_no_room():
    """It goes on when the transport says so, in order."""
    transport, tasks = _Transport(), Tasks()
    channel = _channel(transport)
    response = UpstreamResponse(_Source(), asyncio.get_running_loop())
    channel.is_write_paused = True
    body = [b"b" * WRITE_BYTES, b"c" * WRITE_BYTES]
    sending = tasks.spawn(channel.send(b"h", body, response), name="send")
    await asyncio.sleep(0)

    assert ([], False) == (transport.log, channel.is_ready_again())
    channel.resume_writing(response)
    await sending
    sent = [b"".join(each) if isinstance(each, list) else each for each in transport.log]
    assert b"h" + b"".join(body) == b"".join(sent)
    assert channel.is_ready_again()


@pytest.mark.parametrize("has_response", [True, False])
async def test_a_long_request_ends_where_the_upstream_responds_or_is_gone(has_response):
    """The rest of it would be read by nobody; the connection cannot be used again."""
    transport = _Transport()
    channel = _channel(transport)
    response = UpstreamResponse(_Source(), asyncio.get_running_loop())
    response.status, response.source = (413, response.source) if has_response else (0, None)
    await channel.send(b"h", [b"b" * WRITE_BYTES], response)

    assert ([], False) == (transport.log, channel.is_ready_again())
    channel.resume_writing(None)


async def test_the_rest_of_a_body_is_written_at_once_and_waited_for_afterwards():
    """Its reader asks for more when there is room; until its end the connection is busy."""
    transport, tasks = _Transport(), Tasks()
    channel = _channel(transport)
    response = UpstreamResponse(_Source(), asyncio.get_running_loop())
    channel.send_nowait(b"h", ())
    channel.begin_rest()
    await channel.send_more(b"a", response)
    channel.is_write_paused = True
    sending = tasks.spawn(channel.send_more(b"b", response), name="send")
    await asyncio.sleep(0)

    assert ([b"h", b"a", b"b"], False) == (transport.log, sending.done())
    assert not channel.is_ready_again()
    channel.resume_writing(response)
    await sending
    channel.end_rest()
    assert channel.is_ready_again()


@pytest.mark.parametrize("has_response", [True, False])
async def test_the_rest_of_a_body_waits_for_no_room_once_the_upstream_responds(has_response):
    """Or is gone."""
    channel = _channel(_Transport())
    response = UpstreamResponse(_Source(), asyncio.get_running_loop())
    response.status, response.source = (413, response.source) if has_response else (0, None)
    channel.is_write_paused = True

    await channel.send_more(b"a", response)


def test_what_is_left_of_a_request_keeps_the_channel_busy():
    """It would stand before the next one."""
    assert not _channel(_Transport(unsent_bytes=1)).is_ready_again()
    assert _channel(_Transport()).is_ready_again()


def test_reading_is_paused_and_resumed_once():
    """However often either is asked for; a channel that is ready again reads on."""
    transport = _Transport()
    channel = _channel(transport)
    for _ in range(2):
        channel.pause_reading()
    for _ in range(2):
        channel.resume_reading()
    channel.pause_reading()
    assert channel.is_ready_again()

    assert ["pause", "resume", "pause", "resume"] == transport.log


def test_a_transport_that_closes_is_left_alone():
    """It would warn."""
    transport = _Transport(is_closing=True)
    channel = _channel(transport)
    channel.pause_reading()
    channel.resume_reading()
    absent = _channel(None)
    absent.pause_reading()
    absent.resume_reading()

    assert [] == transport.log


async def test_aiofastnet_is_paused_behind_its_read():
    """Within one it would lose what else it has decrypted."""
    transport = type("Transport", (_Transport,), {"__module__": "aiofastnet.transport"})()
    channel = _channel(transport)
    channel.pause_reading()
    assert [] == transport.log
    await asyncio.sleep(0)
    assert ["pause"] == transport.log

    channel.resume_reading()
    channel.pause_reading()
    channel.resume_reading()
    await asyncio.sleep(0)
    assert ["pause", "resume", "resume"] == transport.log


class _Reset:
    """What the kernel says of a connection."""

    def __init__(self, *, is_reset: bool) -> None:
        self._is_reset = is_reset

    def is_reset(self) -> bool:
        return self._is_reset


@pytest.mark.parametrize(
    ("transport", "is_reset", "is_paused", "expected"),
    [
        (_Transport(), True, False, ["pause", "resume"]),
        (_Transport(), False, False, []),
        (_Transport(), True, True, []),
        (_Transport(is_closing=True), True, False, []),
        (None, True, False, []),
    ],
    ids=["reset", "well", "paused", "closing", "not made"],
)
def test_reading_begins_anew_where_a_reset_was_missed(transport, is_reset, is_paused, expected):
    """One that is paused begins anew anyway; one that closes is read no more."""
    channel = _channel(transport)
    channel.delivery = cast("Delivery", _Reset(is_reset=is_reset))
    channel._is_read_paused = is_paused
    channel.look_again()

    assert transport is None or expected == transport.log
