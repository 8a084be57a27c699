"""A sidecar under load whose provider key, Redis password and CA are rotated: a real Redis, a
provider behind real TLS.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

from sidecar.affinity.store import AffinityStore
from sidecar.app import App
from sidecar.runtime.lifecycle import Tasks
from tests.support.certificates import CertificateAuthority
from tests.support.in_process import running_app
from tests.support.net import exchange, json_request
from tests.support.redis_server import RedisServer, redis_server
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import sidecar_config

MODEL = "openai/gpt-4o"
LIMIT_S = 30.0


class TlsFront:
    """Ends TLS before a provider. Its certificate can be changed: handshakes have the new one."""

    def __init__(self, port_behind: int, pem: Path) -> None:
        self.accepted = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self._port_behind = port_behind
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._tasks.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        behind = await asyncio.open_connection("127.0.0.1", self._port_behind)
        for source, target in ((reader, behind[1]), (behind[0], writer)):
            self._tasks.spawn(_carry(source, target), name="carry")


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


class Rotated:
    """All of it, and calls that go on until they are told to end."""

    def __init__(
        self, folder: Path, provider: ScriptedProvider, redis: RedisServer, front: TlsFront
    ) -> None:
        self.provider, self.redis, self.front = provider, redis, front
        self.app: App
        self.ended: collections.Counter[str] = collections.Counter()
        """Calls by how they ended: ``whole``, or what was wrong."""
        self._folder = folder
        self._rounds = itertools.count(2)
        self._is_over = False

    async def call(self, number: int) -> None:
        """One call of a session, every other one a stream."""
        is_stream = number % 2 == 0
        body = {
            "model": "gpt-4o",
            "stream": is_stream,
            "messages": [{"role": "user", "content": "hello"}],
        }
        request = json_request(
            "/v1/chat/completions", body, {"x-model-affinity": f"s{number % 50}"}
        )
        try:
            reply = await exchange(self.app.ports.data, request)
        except (OSError, EOFError) as error:
            self.ended[type(error).__name__] += 1
            return
        is_whole = reply.status == 200 and (not is_stream or b"data: [DONE]" in reply.body)
        self.ended["whole" if is_whole else f"status {reply.status}"] += 1

    @contextlib.asynccontextmanager
    async def load(self, workers: int) -> AsyncIterator[None]:
        """Make calls, so many at a time, until left."""
        numbers = itertools.count()

        async def work() -> None:
            while not self._is_over:
                await self.call(next(numbers))

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
            try:
                await self.some_calls()
                yield
                await self.some_calls()
            finally:
                self._is_over = True

    async def some_calls(self, count: int = 30) -> None:
        """Wait until so many more calls have ended."""
        wanted = self.ended.total() + count
        await until(lambda: self.ended.total() >= wanted)

    async def rotate_key(self) -> None:
        """The file holds another key, and the provider takes no other one any more."""
        key = f"key-{next(self._rounds)}"
        swap(self._folder / "key", key)
        self.provider.keys = frozenset({key})
        await self.some_calls()

    async def rotate_password(self) -> None:
        """Redis has another password, then the file has, and the connection is gone between."""
        password = f"password-{next(self._rounds)}"
        await self.redis.client.config_set("requirepass", password)
        await self.redis.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        swap(self._folder / "password", password)
        store = self.app.foundation.store
        await until(lambda: not is_up(store))
        await until(lambda: is_up(store))

    async def rotate_ca(self) -> None:
        """A bundle of both CAs, the other one's certificate, the bundle without the old one."""
        folder = self._folder / f"ca{next(self._rounds)}"
        ca, pem = authority(folder)
        bundle = self._folder / "ca.pem"
        swap(bundle, bundle.read_text() + ca)
        before = self.front.accepted
        await until(lambda: self.front.accepted > before)  # with the bundle
        self.front.context.load_cert_chain(pem)
        swap(bundle, ca)
        before = self.front.accepted
        await until(lambda: self.front.accepted > before + 1)


def is_up(store: AffinityStore) -> bool:
    """Whether Redis is asked."""
    snapshot = store.snapshot()
    return snapshot is not None and snapshot.is_up


def provider_port(provider: ScriptedProvider) -> int:
    """The port at which a started provider is."""
    return urllib.parse.urlsplit(provider.url).port or 0


def swap(path: Path, text: str) -> None:
    """Change a file as a kubelet does: it is a link, which leads elsewhere at once."""
    path.with_suffix(".next").write_text(text)
    target = path.with_name(f"{path.name}.{abs(hash(text))}")
    path.with_suffix(".next").rename(target)
    link = path.with_suffix(".link")
    link.symlink_to(target)
    link.rename(path)


def authority(folder: Path) -> tuple[str, Path]:
    """Return the PEM of another CA, and the file with a certificate by it and its key."""
    folder.mkdir()
    made = CertificateAuthority(folder)
    pem = made.sign("localhost", "DNS:localhost,IP:127.0.0.1", common_name="localhost")
    return made.ca.read_text(), pem


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():
            await asyncio.sleep(0.005)  # sleep: calls end in their own time


@contextlib.asynccontextmanager
async def rotated(folder: Path, **overrides: Any) -> AsyncIterator[Rotated]:
    """A sidecar whose only provider, its key, its CA, and whose Redis password are all in files."""
    ca, pem = authority(folder / "ca1")
    for name, text in (("key", "key-1"), ("password", "password-1"), ("ca.pem", ca)):
        swap(folder / name, text)
    provider = ScriptedProvider(keys=frozenset({"key-1"}), record=1)
    async with redis_server() as redis, provider, TlsFront(provider_port(provider), pem) as front:
        await redis.client.config_set("requirepass", "password-1")
        entry = {
            "model": MODEL,
            "access_key": f"${{file:{folder / 'key'}}}",
            "base_url": f"https://127.0.0.1:{front.port}",
            "tls": {"ca_file": str(folder / "ca.pem")},
            "default": True,
        }
        cache = {
            "type": "redis",
            "url": redis.url,
            "password": f"${{file:{folder / 'password'}}}",
            "tenant": "acme",
        }
        config = sidecar_config(provider.url) | {
            "model_providers": [entry],
            "model_aliases": {},
            "passthrough": [],
            "routing": {"session_cache": cache},
            **overrides,
        }
        made = Rotated(folder, provider, redis, front)
        async with running_app(config, folder) as made.app:
            yield made
