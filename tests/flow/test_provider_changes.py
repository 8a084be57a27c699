"""A provider restarts, moves, lets its certificate expire, closes idle connections at the worst
moment: 1,000 calls, each served or failed with the right class, and none of them carried out twice.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sidecar.app import App
from sidecar.http1 import resolver
from tests.support.certificates import CertificateAuthority
from tests.support.in_process import running_app
from tests.support.net import exchange, free_port, json_request
from tests.support.sidecar_process import sidecar_config

CALLS, AT_ONCE = 1000, 16
SDK_TRIES = 10
"""More than SDKs make: half of the connections close, and a test must not hang on that."""
HOST = "provider.example"
ANSWER = json.dumps({"id": "c", "object": "chat.completion", "choices": [], "usage": {}}).encode()


class Provider:
    """Answers each call once; knows which it has carried out. Can be stopped, moved and given
    another certificate.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.carried_out: collections.Counter[str] = collections.Counter()
        self.closes_after: Callable[[], bool] = lambda: False
        """Whether a connection is closed, without a word, once it is idle."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(
            self._accept, address, self.port, ssl=tls, backlog=1024
        )

    async def stop(self) -> None:
        """As a process that ends: calls under way break off, answers that were written arrive."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        while self._writers:
            await asyncio.sleep(0)

    def close_idle(self) -> None:
        """Every connection that is open now."""
        for writer in tuple(self._writers):
            writer.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        task.add_done_callback(lambda _: self._writers.discard(writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
                await reader.readexactly(int(fields["content-length"]))
                await asyncio.sleep(random.choice((0, 0, 0.002)))  # sleep: it works
                if writer.is_closing():
                    return
                self.carried_out[fields["x-request-id"]] += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                             % (len(ANSWER), ANSWER))  # fmt: skip
                if self.closes_after():
                    await asyncio.sleep(
                        random.choice((0, 0, 0.001))
                    )  # sleep: the worst moment is one of these
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    yield made
    await made.stop()


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the provider's name stands for; the last one is asked for again at each new
    connection.
    """
    found = ["127.0.0.1"]

    async def look_up(host: str, port: int) -> list[resolver.AddressInfo]:
        assert host == HOST
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found[-1], port))]

    monkeypatch.setattr(resolver.Resolver.__init__, "__defaults__", (look_up,))
    monkeypatch.setattr(resolver, "FRESH_S", 0.02)
    return found


class Results:
    """What 1,000 calls came to: (status, x-plano-error) by request id."""

    def __init__(self) -> None:
        self.replies: dict[str, tuple[int, str | None]] = {}

    def classes(self) -> set[tuple[int, str | None]]:
        return set(self.replies.values())

    @property
    def served(self) -> int:
        return sum(status == 200 for status, _ in self.replies.values())


async def call_all(app: App, *, at: dict[int, Callable[[], Any]], retries: bool = False) -> Results:
    """The calls, some at once; ``at`` says what happens at which of them.

    Args: ``retries`` is whether the app does as an SDK does where `x-should-retry` says so.
    """
    results = Results()
    numbers = iter(range(CALLS))

    async def work() -> None:
        for number in numbers:
            if number in at:
                await at[number]()
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
            request = json_request("/v1/chat/completions", body, {"x-request-id": f"call-{number}"})
            reply = await exchange(app.ports.data, request)
            for _ in range(SDK_TRIES if retries else 0):
                if reply.header("x-should-retry") == "true":
                    reply = await exchange(app.ports.data, request)
            if reply.status != 200:
                await asyncio.sleep(0.02)  # sleep: an app that was refused does not hammer
            results.replies[f"call-{number}"] = reply.status, reply.header("x-plano-error")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return results


def config_of(provider: Provider, scheme: str = "http", **tls: str) -> dict[str, Any]:
    config = sidecar_config(f"{scheme}://{HOST}:{provider.port}")
    config["model_providers"] = [
        entry | ({"tls": tls} if tls else {}) for entry in config["model_providers"]
    ]
    return config


def check(provider: Provider, results: Results) -> None:
    """Served exactly where it was carried out and answered; none twice; failures have the class of
    their kind.
    """
    assert CALLS == len(results.replies)
    assert {1} == set(provider.carried_out.values())
    assert {call for call, (status, _) in results.replies.items() if status == 200} <= set(
        provider.carried_out
    )
    assert results.classes() <= {(200, None), (503, "upstream_connect_failed")}


async def test_a_provider_that_restarts(provider, addresses, tmp_path):
    """Five times, each time down for a moment: what was under way or came meanwhile is a 503, the
    rest is served.
    """
    await provider.start()

    one_at_a_time = asyncio.Lock()

    async def restart() -> None:
        async with one_at_a_time:
            await provider.stop()
            await asyncio.sleep(0.05)  # sleep: it is down
            await provider.start()

    async with running_app(config_of(provider), tmp_path) as app:
        results = await call_all(app, at=dict.fromkeys(range(150, 900, 150), restart))

    check(provider, results)
    print(f"\n{CALLS - results.served} of {CALLS} calls failed in 5 restarts")
    assert 0 < results.served


async def test_a_provider_whose_address_changes(provider, addresses, tmp_path):
    """The old address is gone; the new one is found at the next connection, without a restart of
    anything.
    """
    await provider.start()

    async def move() -> None:
        await provider.stop()
        addresses.append("127.0.0.2")
        await provider.start("127.0.0.2")

    async with running_app(config_of(provider), tmp_path) as app:
        results = await call_all(app, at={300: move})
        later = [
            status for call, (status, _) in results.replies.items() if int(call.split("-")[1]) > 500
        ]

    check(provider, results)
    assert {200} == set(later)


@pytest.mark.parametrize("what", ["each after its answer", "all at once, often"])
async def test_a_provider_that_closes_idle_connections_at_the_worst_moment(
    provider, addresses, tmp_path, what
):
    """The next call may be on its way already: it goes out again on a new connection where the
    kernel proves that the provider took none of it. Where the provider's kernel took it, nothing
    proves that it was not worked on: the app is told to retry, and is served.
    """
    await provider.start()
    if what.startswith("each"):
        provider.closes_after = lambda: random.random() < 0.5

    async def close_idle() -> None:
        provider.close_idle()

    async with running_app(config_of(provider), tmp_path) as app:
        results = await call_all(
            app,
            at={} if what.startswith("each") else dict.fromkeys(range(0, CALLS, 7), close_idle),
            retries=what.startswith("each"),
        )

    check(provider, results)
    if what.startswith("each"):
        assert CALLS == results.served


async def test_a_provider_whose_certificate_expires(provider, addresses, tmp_path):
    """Connections that stand go on; new ones are refused, with a class that says so, until it is
    renewed.
    """
    good, expired, ca = certificates(tmp_path)
    await provider.start(tls=server_tls(good))

    async def expire() -> None:
        await provider.stop()
        await provider.start(tls=server_tls(expired))

    async def renew() -> None:
        await provider.stop()
        await provider.start(tls=server_tls(good))

    async with running_app(
        config_of(provider, "https", ca_file=str(ca), server_name="localhost"), tmp_path
    ) as app:
        results = await call_all(app, at={300: expire, 600: renew})
        status = {int(call.split("-")[1]): status for call, (status, _) in results.replies.items()}

    check(provider, results)
    assert {503} == {status[number] for number in range(350, 550)}
    assert {200} == {status[number] for number in (*range(250), *range(700, CALLS))}


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A good and an expired certificate for localhost, each with its key, and their CA."""
    authority = CertificateAuthority(folder)
    good = authority.sign("good", "DNS:localhost", common_name="localhost")
    expired = authority.sign("expired", "DNS:localhost", common_name="localhost", days=-1)
    return good, expired, authority.ca


def server_tls(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
