"""The composition root: builds every object once, in order, on one exit stack. Nobody else
constructs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Mapping
from typing import Self

import msgspec

from sidecar.affinity.store import AffinityStore
from sidecar.build import (
    build_classifier,
    build_routes,
    build_store,
    listener_policy,
    proxy_rules,
)
from sidecar.config.load import LoadedConfig
from sidecar.config.schema import Config
from sidecar.dialects.registry import DIALECTS, DialectRegistry
from sidecar.domain.call import CHAT
from sidecar.domain.clock import SystemClock
from sidecar.domain.observers import Observers
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import make_ssl_context
from sidecar.listener.admin import Admin
from sidecar.listener.handlers import DataHandler
from sidecar.listener.pins import PinPages
from sidecar.listener.rescue import Rescue
from sidecar.listener.server import (
    DataServer,
    assert_c_parser,
    bind,
    is_loopback,
    make_admin_server,
    port_of,
    raise_file_limit,
)
from sidecar.proxy import Proxy
from sidecar.routing.preferences import Routes
from sidecar.routing.sources import MetricsSources
from sidecar.routing.table import ModelTable
from sidecar.runtime.lifecycle import Drain, Latch, Tasks
from sidecar.runtime.write_coalescer import WriteCoalescer
from sidecar.selection.decisions import Decisions
from sidecar.selection.explain import Explanation, explain
from sidecar.selection.pin_updater import PinUpdater
from sidecar.selection.selector import ModelSelector
from sidecar.telemetry.metrics import Metrics, ScrapeSnapshot
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.fetch import Fetcher
from sidecar.upstream.registry import ConnectionPools, ProviderRegistry

_log = logging.getLogger("sidecar")

_FILES_BESIDE_CALLS = 256
"""Descriptors for everything that is not a call: listeners, idle keep-alive connections, logs."""
_SHUTDOWN_S = 1.0
"""How long handlers may take to notice that they were cancelled."""

_STORE_WAIT_S = 2.0


class Ports(msgspec.Struct, frozen=True):
    """Where a started sidecar listens."""

    data: int
    admin: int


class App:
    """One sidecar. ``async with App(loaded) as app`` starts it; leaving stops it at once, `drain`
    stops it gently.

    Args: ``environ`` says which proxies stand before providers (HTTPS_PROXY, NO_PROXY); with
        ``listens`` false no port is opened, for commands that look into it; ``dialects`` are the
        APIs that are served.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        environ: Mapping[str, str] | None = None,
        *,
        listens: bool = True,
        dialects: DialectRegistry = DIALECTS,
    ) -> None:
        self._loaded = loaded
        self._environ = environ or {}
        self._listens = listens
        self._dialects = dialects
        self._config: Config = loaded.config
        self._stack = contextlib.AsyncExitStack()
        self._clock = SystemClock()
        self._latch = Latch()
        self._drain = Drain(self._clock, in_flight_limit=self._config.limits.in_flight)
        self._tasks = Tasks()
        self._pools: ConnectionPools | None = None
        self._dispatcher: Dispatcher | None = None
        self._sources: MetricsSources | None = None
        self._routes: Routes | None = None
        self._selector: ModelSelector | None = None
        self._store: AffinityStore | None = None
        self.ports = Ports(0, 0)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drain.end()
        await self._stack.aclose()

    async def explain(self, text: str, session: tuple[str | None, str | None]) -> Explanation:
        """Why a conversation goes to which model. See `sidecar.selection.explain`."""
        assert self._selector is not None and self._store is not None  # noqa: PT018 - both are there once started
        if session[0] is not None:
            await self._until_store_is_up(self._store)
        endpoint = self._dialects.by_name[CHAT].endpoints[0]
        return await explain(
            text, selector=self._selector, clock=self._clock, endpoint=endpoint, session=session
        )

    async def _until_store_is_up(self, store: AffinityStore) -> None:
        """Calls never wait for a store that is still being connected to; a person who asks once
        does, for a moment.
        """
        try:
            async with asyncio.timeout(_STORE_WAIT_S):
                await store.wait_until_up()
        except TimeoutError:
            _log.warning("the affinity store cannot be reached: pins are not shown")

    async def drain(self) -> None:
        """Turn readiness off and serve on until quiet, or until the grace is spent."""
        self._latch.drain()
        await self._drain.run(
            quiet_s=self._config.drain.quiet_s, grace_s=self._config.drain.grace_s
        )

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        assert_c_parser()
        wanted = 2 * self._config.limits.in_flight + _FILES_BESIDE_CALLS
        files = raise_file_limit(wanted)
        if 0 <= files < wanted:  # -1 is no limit
            _log.warning(
                "only %d files may be open: limits.in_flight needs up to %d", files, wanted
            )
        stack.push_async_callback(self._tasks.aclose)
        metrics = Metrics(self._snapshot)
        door = self._build_door(stack, Observers(metrics.observers))
        if not self._listens:
            return
        assert self._store is not None
        pins = PinPages(self._store.pins, may_change=self._config.admin.mutations)
        admin = Admin(self._latch, metrics.render, is_loopback, pins)
        await self._listen(stack, door, admin)
        # What lives now lives for good: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        self._latch.release()

    def _snapshot(self) -> ScrapeSnapshot:
        now_s, store = self._clock.monotonic_s(), self._store
        connections = () if self._pools is None else self._pools.connections()
        statuses = () if self._sources is None else self._sources.statuses(now_s)
        return ScrapeSnapshot(
            self._drain.in_flight,
            [(each.provider, each.active, each.idle) for each in connections],
            () if self._dispatcher is None else self._dispatcher.cooling.ejected(now_s),
            [(status.provider, status.age_s) for status in statuses],
            None if store is None else store.snapshot(),
        )

    def _build_door(self, stack: contextlib.AsyncExitStack, observers: Observers) -> DataHandler:
        config, loaded, clock = self._config, self._loaded, self._clock
        models = ModelTable(
            loaded.providers,
            {alias: entry.target for alias, entry in config.model_aliases.items()},
            unknown_uses_default=config.routing.unknown_model == "default",
            homes=self._dialects.homes if loaded.is_zero_config else None,
        )
        store = self._store = build_store(config, clock, observers)
        stack.push_async_callback(store.aclose)
        store.start()
        proxies = proxy_rules(self._environ)
        outbox = WriteCoalescer(self._drain.holders)
        pools = self._pools = ConnectionPools(
            make_ssl_context, outbox.write, Dialer(proxies=proxies)
        )
        stack.push_async_callback(pools.aclose)
        providers = ProviderRegistry(loaded.providers, pools, self._dialects.by_name)
        dispatcher = self._dispatcher = Dispatcher(providers, clock, observers)
        stack.push_async_callback(dispatcher.aclose)
        fetcher = Fetcher(proxies)
        stack.push_async_callback(fetcher.aclose)
        book = self._sources = MetricsSources(
            config.model_metrics_sources, fetcher.fetch, clock.monotonic_s
        )
        for index in range(len(book)):
            self._tasks.spawn(book.keep_fresh(index), name=f"source {index}")
        routes = self._routes = build_routes(loaded, models, book, dispatcher)
        classifier = build_classifier(loaded, routes, providers, clock)
        if classifier is not None:
            stack.push_async_callback(classifier.aclose)
        may_ask = _never if classifier is None else classifier.may_ask
        decisions = Decisions(models, routes, clock, dispatcher.is_cooling, may_ask)
        selector = self._selector = ModelSelector(decisions, classifier, store, clock, observers)
        stack.push_async_callback(selector.aclose)
        follower = PinUpdater(store, clock, self._tasks)
        proxy = Proxy(
            selector,
            follower,
            dispatcher,
            self._dialects.by_name,
            observers,
            clock,
            config.limits.attempts,
        )
        return DataHandler(
            proxy,
            models,
            Rescue(self._dialects.by_name),
            self._dialects,
            self._drain,
            observers,
            clock,
            listener_policy(config),
            outbox.write,
        )

    async def _listen(
        self, stack: contextlib.AsyncExitStack, door: DataHandler, admin: Admin
    ) -> None:
        listener = self._config.listeners[0]
        data_server = DataServer(
            door.handle, door.handle_parse_error, head_s=self._config.timeouts.request_header_s
        )
        admin_server = make_admin_server(admin.handle)
        for server in (admin_server, data_server):
            stack.push_async_callback(server.shutdown, _SHUTDOWN_S)
            stack.callback(server.pre_shutdown)  # idle connections would be waited for
        data_sockets = await bind(data_server, listener.addresses, listener.port, "the data port")
        stack.callback(_close_all, data_sockets)
        admin_sockets = await bind(
            admin_server, self._config.admin.addresses, self._config.admin.port, "the admin port"
        )
        stack.callback(_close_all, admin_sockets)
        for listening in (*data_sockets, *admin_sockets):
            await listening.start_serving()
        self.ports = Ports(port_of(data_sockets[0]), port_of(admin_sockets[0]))


def _never(_now_s: float) -> bool:
    """Without a router model there is nothing to ask."""
    return False


def _close_all(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()


async def serve(
    loaded: LoadedConfig, announce: Callable[[str], None], environ: Mapping[str, str]
) -> None:
    """Run one sidecar until SIGTERM or SIGINT has drained it; a second signal stops it at once.

    ``announce`` gets one line when it is ready. Raises: ConfigError where a port cannot be had.
    """
    loop = asyncio.get_running_loop()
    asked, insisted = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (insisted if asked.is_set() else asked).set()

    # Before anything slow: PID 1 has no default action for SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    tasks = Tasks()
    try:
        async with App(loaded, environ) as app:
            announce(f"ready: data port {app.ports.data}, admin port {app.ports.admin}")
            await asked.wait()
            _log.info("draining")
            ends = [
                tasks.spawn(app.drain(), name="drain"),
                tasks.spawn(insisted.wait(), name="second signal"),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await tasks.aclose()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
