"""What lives as long as the process, and the generation of its config that serves at the moment:
start, swap, drain, stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import msgspec

from sidecar.build.foundation import build_foundation, use_settings
from sidecar.build.generation import build_generation
from sidecar.build.listeners import Servers, build_servers, swap_handlers
from sidecar.config.load import LoadedConfig
from sidecar.config.schema import Config
from sidecar.dialects.registry import DIALECTS, DialectRegistry
from sidecar.generation import Generation
from sidecar.listener.operators_socket import bind_operators
from sidecar.listener.server import assert_c_parser, bind, port_of, raise_file_limit, start_serving
from sidecar.runtime.descriptors import DescriptorShares, descriptor_shares
from sidecar.runtime.timers import Timeout
from sidecar.telemetry.log_writer import log_level, set_log_level
from sidecar.telemetry.loop_lag import probe_loop_lag
from sidecar.upstream.patches import Patches

if TYPE_CHECKING:
    from sidecar.selection.explain import Explanation, TriedCall

_log = logging.getLogger("sidecar")

_FILES_BESIDE_CALLS = 256
"""Descriptors for everything that is not a call: listeners, idle keep-alive connections, logs."""
_SHUTDOWN_S = 1.0
"""How long handlers may take to notice that they were cancelled."""
_LAST_CALLS_S = 0.1
"""How long open connections are still answered once the port is closed."""
_STORE_WAIT_S = 2.0


class Ports(msgspec.Struct, frozen=True):
    """Where a started sidecar listens."""

    data: int = 0
    admin: int = 0
    operators: int = 0
    """The port of operators' pages; 0 where they are at a Unix socket, or nowhere."""
    operators_place: str = ""
    """Where those pages are: ``http://127.0.0.1:9902``, ``unix:/path``, or empty for nowhere."""


class App:
    """One sidecar. ``async with App(loaded) as app`` starts it; leaving stops it at once, `drain`
    stops it gently.

    Args: ``environ`` says which proxies stand before providers (HTTPS_PROXY, NO_PROXY); with
        ``listens`` false no port is opened, for commands that look into it; ``dialects`` are the
        APIs that are served.
    Raises: ConfigError where the config, or ``environ``, asks for what this machine lacks.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        environ: Mapping[str, str] | None = None,
        *,
        listens: bool = True,
        dialects: DialectRegistry = DIALECTS,
    ) -> None:
        self.ports = Ports()
        self._loaded = loaded
        self._listens = listens
        self.foundation = build_foundation(loaded, environ or {}, dialects, self._serving)
        self._generations = self.foundation.reloads.generations
        self._servers: Servers | None = None
        self._stack = contextlib.AsyncExitStack()

    @property
    def generation(self) -> Generation:
        """The one that serves new calls; there is one once the app has started."""
        return self._generations[-1]

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.foundation.drain.end()
        self.foundation.telemetry.end()
        await self._stack.aclose()

    def swap(self, loaded: LoadedConfig) -> None:
        """Serve new calls by another config. Calls in flight end by the config they began with;
        once the last of them has ended, what that config made is closed.

        Ports, the affinity store, the connections to origins that both configs name, cooling and
        averages stay. What `config.changes` names as needing a restart stays as it was at the
        start.
        Raises: ConfigError; then the config in effect stays in effect.
        """
        foundation = self.foundation
        try:
            generation = build_generation(loaded, foundation)
        except Exception:
            foundation.tasks.spawn(self._close_unused_pools(), name="close unused pools")
            raise
        old, level = self.generation, log_level()
        try:
            self._use_settings(old.loaded.config, loaded.config)
            if self._servers is not None:
                swap_handlers(self._servers, generation)
            self._serve_by(generation)
        except Exception:
            foundation.tasks.spawn(self._discard(generation), name="discard a generation")
            self._stay_with(old, level)
            raise
        if _is_another(loaded, old.loaded):
            # An operator has looked after it: what was refused for its key may serve again.
            for provider in loaded.providers:
                foundation.cooling.reset_ejections(provider.name, foundation.clock.monotonic_s())
        last_call_ended = foundation.drain.watch()
        foundation.tasks.spawn(self._retire(old, last_call_ended), name="retire a generation")

    @property
    def has_connections(self) -> bool:
        """Whether an app has a connection to the data port open, in use or not."""
        return self._servers is not None and bool(self._servers.data.connections)

    async def drain(self) -> None:
        """Turn readiness off and serve on until quiet, or until the grace is spent. Once: a drain
        that has begun already is waited for.
        """
        await self.foundation.shutdown.drained()

    async def explain(self, tried: TriedCall) -> Explanation:
        """Return why a call goes to which model, as `sidecar.selection.explain` finds out.

        Raises: SidecarError.
        """
        from sidecar.selection.explain import explain  # of one command: serving needs it not

        generation, foundation = self.generation, self.foundation
        if tried.session.session_id is not None:
            await self._until_store_is_up()
        await generation.sources.wait_for_first_reads()
        return await explain(
            tried,
            selector=generation.selector,
            patches=Patches(generation.loaded.providers),
            clock=foundation.clock,
            dialect=foundation.dialects.by_name[tried.dialect],
        )

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        assert_c_parser()
        shares = _raise_file_limit(self._loaded.config)
        foundation = self.foundation
        for close in (
            foundation.telemetry.aclose,
            foundation.tasks.aclose,
            foundation.store.aclose,
            foundation.pools.aclose,
            foundation.fetcher.aclose,
            self._close_generations,
        ):
            stack.push_async_callback(close)
        foundation.store.start()
        self._serve_by(build_generation(self._loaded, foundation))
        if not self._listens:
            return
        foundation.telemetry.start()
        await self._listen(stack, shares)
        metrics = foundation.telemetry.metrics
        foundation.tasks.spawn(foundation.pools.keep_tls_fresh(), name="look at tls files")
        foundation.tasks.spawn(
            probe_loop_lag(metrics.loop_lag.observe, foundation.clock.monotonic_s), name="loop lag"
        )
        # What lives now lives for good, and next to nothing but what is new is garbage.
        gc.collect(0)
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        foundation.latch.release()

    async def _listen(self, stack: contextlib.AsyncExitStack, shares: DescriptorShares) -> None:
        servers = build_servers(self.generation, self.foundation, shares)
        for server in (servers.operators, servers.admin, servers.data):
            stack.push_async_callback(server.shutdown, _SHUTDOWN_S)
            stack.callback(server.pre_shutdown)  # idle connections would be waited for
        listener, admin = self._loaded.config.listeners[0], self._loaded.config.admin
        stack.push_async_callback(self._answer_last_calls)
        data_sockets = await bind(
            servers.data, listener.addresses, listener.port, "the data port", servers.data.room
        )
        for each in data_sockets:
            stack.callback(each.close)
        admin_sockets = await bind(
            servers.admin, admin.addresses, admin.port, "the admin port", servers.admin.room
        )
        for each in admin_sockets:
            stack.callback(each.close)
        operators = await bind_operators(servers.operators, admin.operators, servers.operators.room)
        stack.callback(operators.close)
        servers.admin_handler.operators_place = operators.place
        for listening in (*data_sockets, *admin_sockets, *operators.servers):
            await start_serving(listening)
        self._servers = servers
        self.ports = Ports(
            port_of(data_sockets[0]),
            port_of(admin_sockets[0]),
            operators.port,
            operators.place,
        )

    def _use_settings(self, old: Config, new: Config) -> None:
        use_settings(self.foundation, new)
        if new.limits.in_flight != old.limits.in_flight:
            _raise_file_limit(new)
        # An operator may have set another level meanwhile, which another key's change leaves alone.
        if new.logging.level != old.logging.level:
            set_log_level(new.logging.level)

    async def _answer_last_calls(self) -> None:
        """Refuse calls that were on their way while the port was closed: a connection that breaks
        without an answer says less.
        """
        if self.has_connections:
            await asyncio.sleep(_LAST_CALLS_S)

    async def _retire(self, generation: Generation, last_call_ended: asyncio.Future[None]) -> None:
        await last_call_ended
        await generation.aclose()
        self._generations.remove(generation)
        await self._close_unused_pools()

    def _stay_with(self, old: Generation, level: str) -> None:
        """Undo a swap that failed halfway."""
        use_settings(self.foundation, old.loaded.config)
        set_log_level(level)
        self._use_lines_of(old)
        if self._servers is not None:
            swap_handlers(self._servers, old)

    async def _discard(self, generation: Generation) -> None:
        await generation.aclose()
        await self._close_unused_pools()

    async def _close_unused_pools(self) -> None:
        await self.foundation.pools.close_all_but(
            provider for each in self._generations for provider in each.loaded.providers
        )

    async def _close_generations(self) -> None:
        for generation in reversed(self._generations):
            await generation.aclose()

    async def _until_store_is_up(self) -> None:
        """Wait for the store a moment. Calls never do; a person who asks once may."""
        try:
            async with Timeout(_STORE_WAIT_S):
                await self.foundation.store.wait_until_up()
        except TimeoutError:
            _log.warning("the affinity store cannot be reached: pins are not shown")

    def _serve_by(self, generation: Generation) -> None:
        self._use_lines_of(generation)
        self._generations.append(generation)  # last: from here on it is the one that serves

    def _use_lines_of(self, generation: Generation) -> None:
        """Let metrics and the access log go by a generation."""
        telemetry, lines = self.foundation.telemetry, generation.loaded.config.access_log
        telemetry.metrics.pricing.book = generation.sources
        telemetry.calls.log.configure(lines.mode, lines.sample)

    def _serving(self) -> Generation | None:
        return self._generations[-1] if self._generations else None


def _is_another(loaded: LoadedConfig, before: LoadedConfig) -> bool:
    """Return whether a config differs, in what its files hold too, from the one before."""
    return (loaded.config, loaded.providers) != (before.config, before.providers)


def _raise_file_limit(config: Config) -> DescriptorShares:
    """Let the process open as many files as its connections need; return who may have how many."""
    wanted = 2 * config.limits.in_flight + _FILES_BESIDE_CALLS
    files = raise_file_limit(wanted + config.limits.idle_connections)
    if 0 <= files < wanted:  # -1 is no limit
        _log.warning("only %d files may be open: limits.in_flight needs up to %d", files, wanted)
    return descriptor_shares(files)
