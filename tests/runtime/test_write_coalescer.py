"""Writes of one turn go out together, in order, and a lone call does not wait for them."""

import asyncio

from sidecar.runtime.write_coalescer import WriteCoalescer, write_at_once


class _Transport(asyncio.Transport):
    """A transport that logs what is written."""

    def __init__(self, log, *, closing=False):
        super().__init__()
        self._log, self._closing = log, closing

    def write(self, data):
        self._log.append(bytes(data))

    def writelines(self, pieces):
        self._log.append([bytes(piece) for piece in pieces])

    def is_closing(self):
        return self._closing


async def test_a_lone_call_is_sent_at_once():
    """With nothing to send together, nothing waits."""
    log: list[bytes] = []
    WriteCoalescer({"a call"}).write(_Transport(log), b"x")

    assert [b"x"] == log


async def test_writes_of_one_turn_go_out_at_its_end_in_order():
    """Nothing leaves while the turn lasts, and then everything does, as it came."""
    log: list[bytes] = []
    coalescer = WriteCoalescer({"one", "another"})
    transport = _Transport(log)
    for message in (b"1", (b"2", memoryview(b"3")), b"4"):
        coalescer.write(transport, message)

    assert [] == log
    await asyncio.sleep(0)
    assert [b"1", [b"2", b"3"], b"4"] == log


async def test_a_transport_that_closed_meanwhile_is_left_alone():
    """Writing to it would only earn a warning."""
    log: list[bytes] = []
    coalescer = WriteCoalescer({"one", "another"})
    coalescer.write(_Transport(log, closing=True), b"x")
    coalescer.write(_Transport(log), b"y")
    await asyncio.sleep(0)

    assert [b"y"] == log


def test_pieces_are_not_written_where_the_transport_is_closing():
    """Asyncio's own writelines would register the descriptor for its next owner, from Python 3.12
    on.
    """
    log: list[object] = []
    for closing in (True, False):
        write_at_once(_Transport(log, closing=closing), (b"head", b"body"))

    assert [[b"head", b"body"]] == log
