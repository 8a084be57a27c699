"""What the kernel knows of a connection: which bytes of a request its peer has acknowledged, and
whether anything waits to be read.

A request that got no response may be sent again only if the peer took none of it. That none of it
was acknowledged proves too little: a peer may acknowledge up to half a second after it has read,
and a reset within that time takes the acknowledgement along. It is proven where the peer had ended
the connection before the first byte arrived, since what it sends then acknowledges all that it has;
and where no byte has left this host. Linux tells both by ``TCP_INFO``. Elsewhere, on a kernel that
counts differently, and where a transport shows no socket, nothing is proven.

TLS adds bytes of its own, so there the kernel is also asked before each request: a microsecond.
asyncio's and uvloop's TLS close the socket before they tell of a reset, or uvloop's of an end
without TLS's own: there nothing is proven. aiofastnet shows it until the end.
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from struct import Struct
from typing import Any, Final

_TCP_INFO: Final = 11 if sys.platform == "linux" else 0
"""Of ``linux/tcp.h``; other systems use that number, or that name, for something else."""
_COUNTS: Final = Struct("=120xQ72xQQ")
"""The head of its struct: ``tcpi_bytes_acked`` (since Linux 4.1), ``tcpi_bytes_sent`` and
``tcpi_bytes_retrans`` (since 4.19).
"""


class Delivery:
    """Follows the requests of one connection into the kernel of its peer."""

    def __init__(self) -> None:
        self._socket: Any = None
        """A socket or what a transport shows in place of one; its descriptor is -1 once closed."""
        self._is_encrypted = False
        self._written_bytes = 0
        """Of all requests so far. Over TLS that is less than the kernel sent."""
        self._acked_before_bytes = 0
        """What was acknowledged before the last request; 0 where that is not known."""

    def connect(self, transport: asyncio.Transport) -> None:
        """Follow what is written to a transport from now on. Nothing was before."""
        self._socket = transport.get_extra_info("socket")
        self._is_encrypted = transport.get_extra_info("sslcontext") is not None

    def begin(self, request_bytes: int) -> None:
        """A request is about to be written, and its predecessor has been responded to."""
        written_bytes = self._written_bytes
        self._written_bytes = written_bytes + request_bytes
        if not self._is_encrypted:
            self._acked_before_bytes = written_bytes + 1  # The kernel counts the SYN too.
        elif written_bytes:
            counts = self._counts()
            self._acked_before_bytes = 0 if counts is None else counts[0]

    def add(self, size: int) -> None:
        """More of the request that was begun is about to be written."""
        self._written_bytes += size

    def is_untaken(self, cause: Exception | None, *, has_peer_ended: bool) -> bool:
        """Return whether it is proven that the peer took no byte of the last request.

        Args: ``cause`` is what the transport was lost by, None where the peer closed it;
            ``has_peer_ended`` says that the transport told the end of the peer's bytes.
        """
        counts = self._counts()
        if counts is None:
            return False
        acked_bytes, sent_bytes = counts
        if not acked_bytes or acked_bytes != self._acked_before_bytes:
            return False
        # Writing to a connection that the peer has ended and then reset is EPIPE; to one that it
        # has only reset, ECONNRESET.
        has_ended = has_peer_ended or cause is None or isinstance(cause, BrokenPipeError)
        return has_ended or sent_bytes + 1 == acked_bytes

    def is_quiet(self) -> bool:
        """Return whether the connection is open and nothing has arrived on it; True where that
        cannot be seen.
        """
        return not self._polled(select.POLLIN)

    def is_reset(self) -> bool:
        """Return whether the peer has reset the connection; False where that cannot be seen."""
        return bool(self._polled(0) & select.POLLERR)

    def _polled(self, events: int) -> int:
        """Return which of ``events``, and of errors, are there now."""
        descriptor = -1 if self._socket is None else self._socket.fileno()
        if descriptor < 0:
            return 0
        poll = select.poll()
        poll.register(descriptor, events)
        found = poll.poll(0)
        return found[0][1] if found else 0

    def _counts(self) -> tuple[int, int] | None:
        """Return how many bytes were acknowledged, and how many sent at least once."""
        if not _TCP_INFO or self._socket is None or self._socket.fileno() < 0:
            return None
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _COUNTS.size)
        except OSError:
            return None
        if len(info) < _COUNTS.size:
            return None
        acked_bytes, sent_bytes, sent_again_bytes = _COUNTS.unpack(info)
        return acked_bytes, sent_bytes - sent_again_bytes
