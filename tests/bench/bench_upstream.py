"""What one exchange of the upstream client costs, in microseconds of this process's CPU and of wall
clock.

    python tests/bench/bench_upstream.py [--tls] [--loop stdlib|uvloop|aiofastnet|both] [--request
        BYTES] [--answer BYTES] [--concurrency N] [--exchanges N] [--floor] [--profile]

The server is a process of its own that parses nothing. ``both`` is aiofastnet on uvloop. Prints
figures, asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import multiprocessing
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import cast

from sidecar.http1.origin import ExchangeTimeouts, Origin, make_ssl_context
from sidecar.http1.pool import Pool

TIMEOUTS = ExchangeTimeouts(connect_s=5, first_byte_s=30, response_s=60, idle_s=30)


class RawServer(asyncio.Protocol):
    """Answers every ``request_bytes`` bytes with the same answer."""

    def __init__(self, request_bytes: int, answer: bytes) -> None:
        self.request_bytes = request_bytes
        self.answer = answer
        self.seen_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.seen_bytes += len(data)
        while self.seen_bytes >= self.request_bytes:
            self.seen_bytes -= self.request_bytes
            self.transport.write(self.answer)


def serve(pipe: Pipe, request_bytes: int, answer: bytes, pem: str | None) -> None:
    async def run() -> None:
        tls = None
        if pem is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(pem)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: RawServer(request_bytes, answer), "127.0.0.1", 0, ssl=tls
        )
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)
        server.close()

    with (
        contextlib.suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=factory_of("uvloop")) as runner,
    ):
        runner.run(run())


def factory_of(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "stdlib":
        return None
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    import aiofastnet

    if name == "aiofastnet":
        return aiofastnet.loop_factory()
    import uvloop

    return aiofastnet.loop_factory(uvloop.new_event_loop)


class Floor(asyncio.BufferedProtocol):
    """The least that any client on this loop can do: write, be called back, wake a future. Reads no
    answer.
    """

    buffer = memoryview(bytearray(65536))

    def __init__(self, answer_bytes: int) -> None:
        self.answer_bytes = answer_bytes
        self.waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seen_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.seen_bytes += nbytes
        if self.seen_bytes >= self.answer_bytes:
            self.seen_bytes = 0
            self.waiter.set_result(None)

    async def send(self, request: bytes) -> None:
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self.waiter


async def measure_floor(
    port: int,
    request: bytes,
    answer_bytes: int,
    tls: ssl.SSLContext | None,
    options: argparse.Namespace,
):
    loop = asyncio.get_running_loop()
    left = options.exchanges

    async def work() -> None:
        nonlocal left
        name = "localhost" if tls else None
        transport, floor = await loop.create_connection(
            lambda: Floor(answer_bytes), "127.0.0.1", port, ssl=tls, server_hostname=name
        )
        while left > 0:
            left -= 1
            await floor.send(request)
        transport.abort()

    cpu_s, wall_s = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(options.concurrency)))
    each = 1e6 / options.exchanges
    return (
        (time.process_time() - cpu_s) * each,
        (time.perf_counter() - wall_s) * each,
        options.concurrency,
    )


async def measure(
    port: int,
    head: bytes,
    body: list[bytes],
    tls: ssl.SSLContext | None,
    options: argparse.Namespace,
):
    pool = Pool(Origin("https" if tls else "http", "127.0.0.1", port, "localhost"), ssl_context=tls)
    left = options.exchanges

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            reply = await pool.send(head, body, TIMEOUTS)
            if reply.read_nowait() is None:
                while await reply.read():
                    pass

    left = 2000
    await asyncio.gather(*(work() for _ in range(options.concurrency)))
    left = options.exchanges
    profile = cProfile.Profile() if options.profile else None
    if profile is not None:
        profile.enable()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(options.concurrency)))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    if profile is not None:
        profile.disable()
        profile.print_stats("tottime")
    each = 1e6 / options.exchanges
    opened = pool.opened_total
    await pool.aclose()
    return cpu_s * each, wall_s * each, opened


def make_certificate(folder: str) -> str:
    pem = Path(folder) / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = [
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        str(pem),
        "-out",
        f"{pem}.crt",
    ]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    return str(pem)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tls", action="store_true")
    parser.add_argument(
        "--loop", default="stdlib", choices=["stdlib", "uvloop", "aiofastnet", "both"]
    )
    parser.add_argument("--request", type=int, default=1024)
    parser.add_argument("--answer", type=int, default=1024)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--exchanges", type=int, default=20000)
    parser.add_argument("--floor", action="store_true", help="measure a client that does nothing")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    fields = b"".join(b"x-ratelimit-field-%d: 1234567\r\n" % i for i in range(10))
    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n"
        % (
            fields,
            options.answer,
        )
    )
    answer += b"x" * options.answer
    body = [b"x" * 30, b'"gpt"', b"y" * (options.request - 35)]
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
        % options.request
    )
    with tempfile.TemporaryDirectory() as folder:
        pem = make_certificate(folder) if options.tls else None
        tls = make_ssl_context(f"{pem}.crt") if pem else None
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(
            target=serve, args=(theirs, len(head) + options.request, answer, pem)
        )
        server.start()
        try:
            with asyncio.Runner(loop_factory=factory_of(options.loop)) as runner:
                if options.floor:
                    work = measure_floor(
                        ours.recv(), head + b"".join(body), len(answer), tls, options
                    )
                else:
                    work = measure(ours.recv(), head, body, tls, options)
                cpu_us, wall_us, opened = runner.run(work)
        finally:
            ours.send(None)
            server.join()
    what = f"{'floor ' if options.floor else ''}{options.loop}{' tls' if options.tls else ''} {options.request}/{options.answer} B x{options.concurrency}"
    print(f"{what}: {cpu_us:.1f} us CPU, {wall_us:.1f} us wall an exchange; {opened} connections")


if __name__ == "__main__":
    main()
