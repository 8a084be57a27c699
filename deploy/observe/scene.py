"""All that runs: Redis, providers, router model, two sidecars, Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypedDict

import aiohttp

from deploy.observe.child import end_child, find_program, running_child, start_child
from deploy.observe.prometheus import Prometheus
from deploy.observe.providers import PacedProvider, PacedRouterModel, TlsFront, Trouble
from deploy.observe.settings import (
    PRICES,
    Places,
    Ports,
    prometheus_settings,
    sidecar_settings,
)
from tests.support.certificates import CertificateAuthority
from tests.support.net import free_port

PODS: Final = ("checkout-7c9f-a", "checkout-7c9f-b")
_READY_LIMIT_S: Final = 40.0
_PACE: Final = {"gpt-4o-mini": 0.06, "gpt-4o": 0.15, "claude-sonnet-5": 0.25}
"""Median seconds to the first byte."""
_FIRST_KEY, _SECOND_KEY = "sk-us-first", "sk-us-second"


class _Output(TypedDict):
    """The files that a process' output is appended to."""

    stdout: Path
    stderr: Path


class _Files(NamedTuple):
    """What the scene's parts read and write."""

    folder: Path

    def log(self, name: str) -> _Output:
        """Where a process writes."""
        return {"stdout": self.folder / f"{name}.stdout", "stderr": self.folder / f"{name}.stderr"}


class Redis:
    """A Redis that holds nothing when it starts."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._program = find_program("redis-server")
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it accepts connections."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": self._folder,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = await start_child(
            self._program, *words, **_Files(self._folder).log("redis")
        )
        await _until_accepting(self.port)

    async def aclose(self) -> None:
        """End it. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            await end_child(process)


class Providers:
    """The servers that need no key, and Anthropic's certificates."""

    def __init__(self, folder: Path) -> None:
        self.us = PacedProvider(name="openai-us", first_byte_s=_PACE, keys=frozenset({_FIRST_KEY}))
        self.eu = PacedProvider(name="openai-eu", first_byte_s=_PACE, keys=frozenset({"sk-eu"}))
        self.anthropic = PacedProvider(
            name="anthropic", first_byte_s=_PACE, keys=frozenset({"sk-ant"})
        )
        self.router = PacedRouterModel(record=1)
        authority = CertificateAuthority(folder)
        self.ca = authority.ca
        name = "localhost"
        self.certificate = authority.sign("good", f"DNS:{name}", common_name=name)
        self.expired_certificate = authority.sign(
            "expired", f"DNS:{name}", common_name=name, days=-1
        )
        self.front_port = free_port()
        self.front: TlsFront | None = None

    async def __aenter__(self) -> Self:
        for server in (self.us, self.eu, self.anthropic, self.router):
            await server.start("127.0.0.1", free_port())
        self.front = TlsFront(self.front_port, _port_of(self.anthropic.url))
        await self.front.start(self.certificate)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.front is not None:
            await self.front.stop()
        for server in (self.us, self.eu, self.anthropic, self.router):
            await server.aclose()


class Scene:
    """What runs, and what can be broken in it."""

    def __init__(self, providers: Providers, redis: Redis, key_file: Path) -> None:
        self.data_urls: tuple[str, ...] = ()
        self.admin_urls: dict[str, str] = {}
        """By pod."""
        self.prometheus: Prometheus
        self.client: aiohttp.ClientSession
        self._providers = providers
        self._redis = redis
        self._key_file = key_file
        self._router_port = _port_of(providers.router.url)

    async def scrape(self, pod: str) -> str:
        """Return what a sidecar tells Prometheus, in the text format."""
        async with self.client.get(self.admin_urls[pod] + "/metrics") as response:
            return await response.text()

    async def limit_rates(self) -> None:
        """Have OpenAI answer most calls with 429."""
        self._trouble("429 retry-after=2", 0.85)

    async def cut_streams(self) -> None:
        """Have OpenAI break off streams (and whole replies) in the middle."""
        self._trouble("cut-stream after=6", 0.6)

    async def lift_limits(self) -> None:
        """Have OpenAI serve properly."""
        for provider in (self._providers.us, self._providers.eu):
            provider.trouble = None

    def _trouble(self, fault: str, share: float) -> None:
        for provider in (self._providers.us, self._providers.eu):
            provider.trouble = Trouble(fault, share)

    async def stop_anthropic(self) -> None:
        """Refuse connections."""
        await self._front.stop()

    async def start_anthropic(self) -> None:
        """Accept connections, with a certificate that is valid."""
        await self._front.stop()
        await self._front.start(self._providers.certificate)

    async def expire_certificate(self) -> None:
        """Show a certificate that has expired, and break all connections."""
        await self._front.stop()
        await self._front.start(self._providers.expired_certificate)

    async def stop_router(self) -> None:
        """Refuse connections."""
        await self._providers.router.aclose()

    async def start_router(self) -> None:
        """Accept connections again."""
        await self._providers.router.start("127.0.0.1", self._router_port)

    async def revoke_key(self) -> None:
        """Have OpenAI refuse the key of openai-us that the sidecars hold."""
        self._providers.us.keys = frozenset({_SECOND_KEY})

    async def rotate_key(self) -> None:
        """Write the key that OpenAI takes into the sidecars' file."""
        self._key_file.write_text(_SECOND_KEY)

    async def kill_redis(self) -> None:
        """End Redis, with all that it holds."""
        await self._redis.aclose()

    async def restart_redis(self) -> None:
        """Start an empty Redis at the same place."""
        await self._redis.start()

    @property
    def _front(self) -> TlsFront:
        assert self._providers.front is not None
        return self._providers.front


@contextlib.asynccontextmanager
async def running_scene(folder: Path, rules: Path) -> AsyncIterator[Scene]:
    """Start everything and wait until it serves; end everything, also where this is cancelled.

    Args: ``folder`` is for configs, logs and Prometheus' data; ``rules`` holds rule files.
    Raises: ProgramMissing; TimeoutError where something does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        redis = Redis(folder)
        stack.push_async_callback(redis.aclose)
        await redis.start()
        providers = await stack.enter_async_context(Providers(folder))
        prometheus_port = free_port()
        places = _places(folder, providers, redis, prometheus_port)
        scene = Scene(providers, redis, places.key_file)
        ports = {pod: _take_ports() for pod in PODS}
        await _start_sidecars(stack, folder, places, ports)
        scene.data_urls = tuple(f"http://127.0.0.1:{each.data}" for each in ports.values())
        scene.admin_urls = {pod: f"http://127.0.0.1:{each.admin}" for pod, each in ports.items()}
        admins = {pod: each.admin for pod, each in ports.items()}
        config = _write(folder / "prometheus.json", prometheus_settings(admins, rules))
        await stack.enter_async_context(_running_prometheus(folder, config, prometheus_port))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        for url in (*scene.admin_urls.values(), places.prometheus_url):
            await _until_ready(
                client, url + ("/-/ready" if url == places.prometheus_url else "/readyz")
            )
        scene.client, scene.prometheus = client, Prometheus(client, places.prometheus_url)
        yield scene


async def _start_sidecars(
    stack: contextlib.AsyncExitStack, folder: Path, places: Places, ports: dict[str, Ports]
) -> None:
    config = _write(folder / "sidecar.json", sidecar_settings(places))
    for pod, its in ports.items():
        command = (sys.executable, "-m", "sidecar", "run", "--config", config)
        child = running_child(
            *command,
            stdout=folder / f"{pod}.access.log",
            stderr=folder / f"{pod}.log",
            environment=its.variables,
        )
        await stack.enter_async_context(child)


def _running_prometheus(
    folder: Path, config: Path, port: int
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return running_child(
        find_program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        **_Files(folder).log("prometheus"),
    )


def _places(folder: Path, providers: Providers, redis: Redis, prometheus_port: int) -> Places:
    key_file, prices_file = folder / "openai-us.key", folder / "prices.json"
    key_file.write_text(_FIRST_KEY)
    return Places(
        us_url=providers.us.url,
        eu_url=providers.eu.url,
        anthropic_url=f"https://localhost:{providers.front_port}",
        router_url=providers.router.url,
        redis_url=f"redis://127.0.0.1:{redis.port}/0",
        prometheus_url=f"http://127.0.0.1:{prometheus_port}",
        ca_file=providers.ca,
        key_file=key_file,
        prices_file=_write(prices_file, PRICES),
    )


def _take_ports() -> Ports:
    return Ports(free_port(), free_port(), free_port())


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def _write(path: Path, value: Any) -> Path:  # noqa: ANN401 # JSON, which is YAML
    path.write_text(json.dumps(value, indent=1))
    return path


async def _until_accepting(port: int) -> None:
    async with asyncio.timeout(_READY_LIMIT_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def _until_ready(client: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(_READY_LIMIT_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
