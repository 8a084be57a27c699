"""An upstream that is a bare socket: what it does happens between two turns of the loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import Self

import pytest

from sidecar.http1.origin import Origin
from tests.contract.http1.peer import HELLO


class BarePeer:
    """A listening socket, and the last connection that it accepted."""

    def __init__(self, pem: str | None = None) -> None:
        self.connects = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if pem else None
        if self._tls is not None:
            self._tls.load_cert_chain(str(pem))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self.port: int = self._listening.getsockname()[1]
        self.origin = Origin("https" if pem else "http", "127.0.0.1", self.port, "localhost")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._listening.close()
        self.line.close()

    async def serves(self, request: asyncio.Task[object]) -> bytes:
        """Accept a connection and respond to one request on it; the request's own end."""
        heard = await asyncio.to_thread(self._serve)
        await request
        return heard

    def hears(self, size: int) -> bytes:
        """Read so many bytes of the next request, which has been sent."""
        heard = b""
        while len(heard) < size:
            heard += self.line.recv(min(65536, size - len(heard)))
        return heard

    def ends(self) -> None:
        """Close with what TLS and TCP have for it."""
        if isinstance(self.line, ssl.SSLSocket):
            self.line.settimeout(0)
            with pytest.raises(ssl.SSLWantReadError):  # the other side's close_notify
                self.line.unwrap()
        self.line.close()

    def dies(self) -> None:
        """Close as the kernel does for a process that was killed."""
        self.line.close()

    def resets(self) -> None:
        """Close with RST."""
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.line.close()

    def _serve(self) -> bytes:
        self.line, _ = self._listening.accept()
        self.line.settimeout(10)
        if self._tls is not None:
            self.line = self._tls.wrap_socket(self.line, server_side=True)
        self.connects += 1
        heard = self.line.recv(65536)
        while b"\r\n\r\n" not in heard:
            heard += self.line.recv(65536)
        head, _, body = heard.partition(b"\r\n\r\n")
        left = int(head.rpartition(b"Content-Length: ")[2]) - len(body)
        heard += self.hears(left)
        self.line.sendall(HELLO)
        return heard
