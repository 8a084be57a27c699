"""What is concluded from the kernel's counts, and that nothing is where there are none."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, cast

import pytest

from sidecar.http1.delivery import Delivery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is concluded")

RESET = ConnectionResetError()


class _Socket:
    """Shows counts as Linux does."""

    def __init__(self, acked: int, sent: int, again: int = 0, *, size: int = 232) -> None:
        counts = b"\0" * 120 + struct.pack("=Q72xQQ", acked, sent, again)
        self.info = counts.ljust(232, b"\0")[:size]
        self.number = 7
        self.asked = 0

    def fileno(self) -> int:
        return self.number

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (socket.IPPROTO_TCP, 11) == (level, option)
        self.asked += 1
        if self.number == 8:
            raise OSError
        return self.info[:size]


class _Transport:
    def __init__(self, shown: _Socket | socket.socket | None, *, is_encrypted: bool) -> None:
        self.extra = {"socket": shown, "sslcontext": object() if is_encrypted else None}

    def get_extra_info(self, name: str) -> object:
        return self.extra[name]


def delivery(
    shown: _Socket | socket.socket | None, *requests: int, is_encrypted: bool = False
) -> Delivery:
    made = Delivery()
    made.connect(cast("Any", _Transport(shown, is_encrypted=is_encrypted)))
    for request_bytes in requests:
        made.begin(request_bytes)
    return made


@pytest.mark.parametrize(
    ("shown", "cause", "has_peer_ended", "is_untaken"),
    [
        (_Socket(101, 150), None, True, True),
        (_Socket(101, 150), None, False, True),
        (_Socket(101, 150), BrokenPipeError(), False, True),
        (_Socket(101, 150), RESET, False, False),
        (_Socket(101, 100), RESET, False, True),
        (_Socket(101, 180, 80), RESET, False, True),
        (_Socket(101, 230, 80), RESET, False, False),
        (_Socket(102, 150), None, True, False),
        (_Socket(151, 150), None, True, False),
        (_Socket(100, 150), None, True, False),
        (_Socket(0, 0), None, True, False),
    ],
    ids=[
        "ended",
        "closed",
        "ended and reset",
        "only reset",
        "nothing left",
        "nothing left but what was sent again",
        "sent and sent again",
        "took a byte",
        "took all",
        "counts otherwise",
        "counts nothing",
    ],
)
def test_what_the_counts_prove(shown, cause, has_peer_ended, is_untaken):
    """After requests of 100 and of 50 bytes."""
    made = delivery(shown, 100, 50)

    assert is_untaken == made.is_untaken(cause, has_peer_ended=has_peer_ended)


def test_more_of_a_request_counts_before_the_next_one():
    """What is sent as it comes is acknowledged like the rest."""
    made = delivery(_Socket(151, 200), 100)
    made.add(50)
    made.begin(50)

    assert made.is_untaken(None, has_peer_ended=True)


def test_over_tls_the_kernel_is_asked_before_the_second_request_and_each_after():
    """Before the first nothing is kept, and nothing needs to be known."""
    shown = _Socket(700, 800)
    made = delivery(shown, 100, is_encrypted=True)
    assert 0 == shown.asked
    made.begin(50)
    made.begin(50)

    assert 2 == shown.asked
    assert made.is_untaken(None, has_peer_ended=True)


def test_over_tls_nothing_is_proven_once_more_was_acknowledged():
    """Be it of the request or not."""
    made = delivery(_Socket(700, 800), 100, 50, is_encrypted=True)
    made._socket = _Socket(701, 800)

    assert not made.is_untaken(None, has_peer_ended=True)


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize(
    ("shown", "number"),
    [(None, 7), (_Socket(101, 150), -1), (_Socket(101, 150), 8), (_Socket(101, 150, size=196), 7)],
    ids=["no socket", "closed", "no TCP", "an old kernel"],
)
def test_where_the_kernel_tells_nothing_nothing_is_proven(shown, number, is_encrypted):
    """A request is then never sent again on this ground."""
    if shown is not None:
        shown.number = number
    made = delivery(shown, 100, 50, is_encrypted=is_encrypted)

    assert not made.is_untaken(None, has_peer_ended=True)


@pytest.mark.parametrize("shown", [None, _Socket(1, 0)], ids=["no socket", "closed"])
def test_what_cannot_be_looked_at_counts_as_quiet(shown):
    """The loop reports what it sees all the same."""
    if shown is not None:
        shown.number = -1

    assert delivery(shown).is_quiet()


def test_a_connection_is_quiet_until_something_arrives():
    """Bytes, or an end."""
    for happens in (lambda peer: peer.send(b"x"), lambda peer: peer.close()):
        ours, peer = socket.socketpair()
        made = delivery(ours)
        assert made.is_quiet()
        happens(peer)

        assert not made.is_quiet()
        ours.close()
        peer.close()


def test_a_reset_is_told_and_an_end_is_none():
    """Also while bytes wait that came before it."""
    for is_reset in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
            peer, _ = listening.accept()
        made = delivery(ours)
        assert not made.is_reset()
        peer.send(b"x")
        if is_reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

        assert is_reset == made.is_reset()
        ours.close()
