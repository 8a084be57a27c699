"""What lives as long as the process, made once."""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.store import AffinityStore, StoreSettings
from sidecar.build.memory import Memory, build_memory, use_memory
from sidecar.config.address import names_several_servers
from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router, router_model
from sidecar.config.schema import Config
from sidecar.config.schema_routing import Routing
from sidecar.config.tracing import TracingSettings
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.clock import Clock, SystemClock
from sidecar.domain.errors import ConfigError
from sidecar.domain.log_fields import event_fields
from sidecar.domain.observers import Observers
from sidecar.generation import Generation
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import make_ssl_context
from sidecar.http1.proxy_rules import ProxyRules
from sidecar.listener.kept_connections import ConnectionLimits, KeptConnections
from sidecar.listener.server import listener_path
from sidecar.runtime.installation import as_if_missing, can_export_spans, needs_extra
from sidecar.runtime.lifecycle import Drain, DrainTimes, Latch, Tasks
from sidecar.runtime.memory_budget import MemoryShare
from sidecar.runtime.shutdown import Shutdown
from sidecar.runtime.write_coalescer import Write, WriteCoalescer
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.span_facts import CalledServer
from sidecar.telemetry.spans import ROUTER
from sidecar.telemetry.start_line import store_place
from sidecar.telemetry.status import ReloadStatus
from sidecar.telemetry.telemetry import Telemetry
from sidecar.telemetry.tracer import CallTracer
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.fetch import Fetcher
from sidecar.upstream.latency import FirstByteAverages
from sidecar.upstream.registry import ConnectionPools
from sidecar.wire.via import mint_member

_log: Final = logging.getLogger("sidecar")


class Reloads:
    """What became of changed configs."""

    def __init__(self, now_unix_s: float) -> None:
        self.status = ReloadStatus(now_unix_s, is_successful=True, success_unix_s=now_unix_s)
        self.generations: list[Generation] = []
        """Those that still serve a call, in the order in which they came; the last one serves new
        calls. Empty before the start."""
        self.numbers: Iterator[int] = itertools.count(1)
        """The next generation's number."""


class Foundation(msgspec.Struct, frozen=True):
    """What lives as long as the process, and every generation uses."""

    clock: Clock
    latch: Latch
    drain: Drain
    shutdown: Shutdown
    tasks: Tasks
    """Owner of what runs beside calls and may outlive a generation, such as a pin's update."""
    dialects: DialectRegistry
    telemetry: Telemetry
    store: AffinityStore
    write: Write
    """Sends whole messages, those of one turn of the loop together."""
    pools: ConnectionPools
    """By origin and TLS files: a new generation finds the connections that the old one opened."""
    fetcher: Fetcher
    cooling: Cooling
    averages: FirstByteAverages
    memory: Memory
    kept_connections: KeptConnections
    store_place: str
    """As `telemetry.start_line.store_place`."""
    data_addresses: tuple[str, ...]
    """The IP addresses of the data port, which another config does not change."""
    serving: Callable[[], Generation | None]
    """Returns the generation that serves new calls; None before the first one."""
    reloads: Reloads
    via: bytes = msgspec.field(default_factory=mint_member)
    """What this process adds to Via, as `wire.via` has it."""


def build_foundation(
    loaded: LoadedConfig,
    environ: Mapping[str, str],
    dialects: DialectRegistry,
    serving: Callable[[], Generation | None],
) -> Foundation:
    """Make what outlives every config. Nothing is opened, and no task runs yet.

    Args: ``environ`` says which proxies stand before providers; ``serving`` returns the
        generation that serves new calls, None before the first one; it is asked at each scrape.
    Raises: ConfigError where a proxy's URL cannot be used, or the Redis client or what traces calls
        is not installed.
    """
    config, clock, memory = loaded.config, SystemClock(), build_memory(loaded.config.limits)
    drain = Drain(clock, in_flight_limit=config.limits.in_flight)
    write, proxies = WriteCoalescer(drain.holders).write, proxy_rules(environ)
    dialer = Dialer(proxies=proxies, unix_s=clock.unix_s)
    pools = ConnectionPools(make_ssl_context, write, dialer, memory.replies, memory.response_heads)
    tracer = build_tracer(loaded.tracing, clock, lambda name: _server_of(name, serving()))
    telemetry = _build_telemetry(clock, dialects, tracer, lambda: scrape_snapshot(foundation))
    latch, tasks, times = Latch(), Tasks(), DrainTimes(config.drain.quiet_s, config.drain.grace_s)
    foundation = Foundation(
        clock=clock,
        latch=latch,
        drain=drain,
        shutdown=Shutdown(drain, tasks, clock, times, lambda: _begin_drain(latch)),
        tasks=tasks,
        dialects=dialects,
        telemetry=telemetry,
        store=build_store(config, clock, telemetry.observers, memory.pins),
        write=write,
        pools=pools,
        fetcher=Fetcher(proxies, memory.price_lists),
        cooling=Cooling(),
        averages=FirstByteAverages(),
        memory=memory,
        kept_connections=KeptConnections(connection_limits(config), telemetry.observers),
        store_place=store_place(config),
        data_addresses=config.listeners[0].addresses,
        serving=serving,
        reloads=Reloads(clock.unix_s()),
    )
    return foundation


def use_settings(foundation: Foundation, config: Config) -> None:
    """Let what outlives every config go by the settings of another one, as far as it can at work;
    `config.changes` names the rest.
    """
    foundation.drain.limit = config.limits.in_flight
    use_memory(foundation.memory, config.limits)
    foundation.kept_connections.configure(connection_limits(config))
    foundation.shutdown.configure(config.drain.quiet_s, config.drain.grace_s)
    foundation.store.use(_store_settings(config.routing))


def connection_limits(config: Config) -> ConnectionLimits:
    """Return what a config says of the connections to the data port."""
    return ConnectionLimits(
        config.timeouts.request_header_s,
        config.timeouts.downstream_idle_s,
        config.timeouts.idle_connection_s,
        config.limits.idle_connections,
    )


def _build_telemetry(
    clock: Clock,
    dialects: DialectRegistry,
    tracer: CallTracer | None,
    snapshot: Callable[[], ScrapeSnapshot],
) -> Telemetry:
    telemetry = Telemetry(clock, snapshot, listener_path(), dialects.cache_apart, tracer)
    telemetry.metrics.begin(dialects.by_name)
    return telemetry


def _begin_drain(latch: Latch) -> None:
    latch.drain()
    _log.info("draining", extra=event_fields("draining"))


def scrape_snapshot(foundation: Foundation) -> ScrapeSnapshot:
    """Read what the gauges show. Before the first generation no candidate is configured."""
    generation, reloads = foundation.serving(), foundation.reloads
    now_s = foundation.clock.monotonic_s()
    cooling = foundation.cooling
    return ScrapeSnapshot(
        foundation.drain.in_flight,
        [(each.provider, each.active, each.idle) for each in foundation.pools.connections()],
        cooling.snapshots(generation.candidates(), now_s) if generation else (),
        generation.source_ages_s(now_s) if generation else (),
        foundation.store.snapshot(),
        routes=generation.serving_by_route(lambda each: cooling.due_s(each, now_s) is not None)
        if generation
        else (),
        memory_limit_bytes=foundation.memory.budget.limit_bytes,
        memory_used=[(each.name, each.used_bytes) for each in foundation.memory.budget.shares],
        dropped_lines=foundation.telemetry.dropped_lines(),
        config_hash=generation.loaded.hash if generation else "",
        generations=max(1, len(reloads.generations)),
        downstream=foundation.kept_connections.counts(),
        is_reload_successful=reloads.status.is_successful,
        reload_success_unix_s=reloads.status.success_unix_s,
    )


def _server_of(name: str, generation: Generation | None) -> CalledServer | None:
    """Return where an entry's requests go, as `SpanMaker` asks for it."""
    if generation is None:
        return None
    loaded = generation.loaded
    if name == ROUTER:
        router = find_router(loaded.config, loaded.providers)
        if router is None:
            return None
        server, model = router.server, router_model(loaded.config, router)
        return CalledServer(server.host, server.port, model)
    for each in loaded.providers:
        if each.name == name:
            return CalledServer(each.server.host, each.server.port)
    return None


def build_tracer(
    settings: TracingSettings | None,
    clock: Clock,
    server_of: Callable[[str], CalledServer | None],
) -> CallTracer | None:
    """Make what traces calls; None where they are not traced.

    Raises: ConfigError where the config asks for it and it is not installed. Where the environment
        alone does, which may speak to others, that is no more than a warning.
    """
    if settings is None:
        return None
    if not can_export_spans():
        if settings.is_asked_for:
            raise ConfigError([f"tracing {needs_extra('otel')}"])
        _log.warning("calls are not traced: tracing %s", needs_extra("otel"))
        return None
    return CallTracer(settings, clock, server_of)


def build_store(
    config: Config, clock: Clock, observers: Observers, memory: MemoryShare | None = None
) -> AffinityStore:
    """Make the affinity store that the config names; one in Redis still has to be started.

    Args: ``memory`` is what pins may take in this process; None: without a limit.
    Raises: ConfigError where the Redis client is not installed.
    """
    routing, cache = config.routing, config.routing.session_cache
    if cache.type == "memory" or cache.url is None or names_several_servers(cache.url.reveal()):
        return MemoryStore(
            clock,
            ttl_s=routing.session_ttl_s,
            max_entries=routing.session_max_entries,
            is_sliding=routing.session_ttl_mode == "sliding",
            observers=observers,
            memory=memory,
        )
    try:
        # Costs 6 MiB and a tenth of a second: only where it is used. The metrics of redis-py, which
        # nothing reads, would cost half of that again wherever OpenTelemetry is installed.
        with as_if_missing("opentelemetry"):
            from sidecar.affinity.redis.connect import connection_maker
            from sidecar.affinity.redis.link import RedisLink
            from sidecar.affinity.redis.queries import StorePolicy
            from sidecar.affinity.redis.store import RedisStore
    except ImportError as error:
        raise ConfigError([f"session_cache.type redis {needs_extra('redis')}"]) from error
    link = functools.partial(RedisLink, connection_maker(cache))
    policy = StorePolicy(
        **msgspec.structs.asdict(_store_settings(routing)),
        has_near_cache=cache.near_cache,
        key_prefix=cache.key_prefix,
        tenant=cache.tenant,
    )
    return RedisStore(link, policy, clock, observers, memory)


def _store_settings(routing: Routing) -> StoreSettings:
    return StoreSettings(
        ttl_s=routing.session_ttl_s,
        is_sliding=routing.session_ttl_mode == "sliding",
        max_entries=routing.session_max_entries,
        budget_s=routing.session_cache.call_budget_ms / 1e3,
    )


def proxy_rules(environ: Mapping[str, str]) -> ProxyRules:
    """Return which proxies stand before providers. Raises: ConfigError."""
    try:
        return ProxyRules.from_environment(environ)
    except ValueError as error:
        raise ConfigError([f"environment: {error}"]) from error
