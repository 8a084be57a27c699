"""Builds what the process needs: the only module that constructs services.

`build_foundation` makes what lives as long as the process. `build_generation` makes what one config
decides, on that foundation; a changed config makes the next generation and leaves the foundation
alone. `sidecar.app` holds both, and starts, swaps and ends them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.store import AffinityStore
from sidecar.config.address import names_several_servers
from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router
from sidecar.config.schema import Config
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.clock import Clock, SystemClock
from sidecar.domain.errors import ConfigError
from sidecar.domain.observers import Observers
from sidecar.generation import Generation
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import make_ssl_context
from sidecar.http1.proxy_rules import ProxyRules
from sidecar.listener.admin import Admin, PinPages
from sidecar.listener.admission import Admission, ListenerPolicy
from sidecar.listener.body_memory import BodyMemory
from sidecar.listener.body_reader import BodyReader
from sidecar.listener.handlers import DataHandler
from sidecar.listener.own_replies import OwnReplies
from sidecar.listener.paths import Paths
from sidecar.listener.rescue import Rescue
from sidecar.listener.server import DataServer, is_loopback, listener_path, make_admin_server
from sidecar.proxy import Proxy
from sidecar.routing.preferences import RankSources, Routes, configured_routes
from sidecar.routing.prompt import fits_budget
from sidecar.routing.router import RouteClassifier, RouterPolicy
from sidecar.routing.sources import MetricsSources
from sidecar.routing.table import ModelTable
from sidecar.runtime.lifecycle import Drain, Latch, Tasks
from sidecar.runtime.write_coalescer import Write, WriteCoalescer
from sidecar.selection.decisions import Decisions
from sidecar.selection.pin_updater import PinUpdater
from sidecar.selection.selector import ModelSelector
from sidecar.telemetry.metrics import Metrics, ScrapeSnapshot
from sidecar.telemetry.start_line import config_hash
from sidecar.upstream.cooling import Cooling
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.fetch import Fetcher
from sidecar.upstream.latency import FirstByteAverages
from sidecar.upstream.registry import ConnectionPools, ProviderRegistry
from sidecar.upstream.router_client import RouterClient
from sidecar.wire.body_sessions import BodySessions
from sidecar.wire.headers import HeaderPolicy


class Foundation(msgspec.Struct, frozen=True):
    """What lives as long as the process, and every generation uses."""

    clock: Clock
    latch: Latch
    drain: Drain
    tasks: Tasks
    """Owner of what runs beside calls and may outlive a generation, such as a pin's update."""
    dialects: DialectRegistry
    metrics: Metrics
    observers: Observers
    store: AffinityStore
    write: Write
    """Sends whole messages, those of one turn of the loop together."""
    pools: ConnectionPools
    """By origin and TLS files: a new generation finds the connections that the old one opened."""
    fetcher: Fetcher
    cooling: Cooling
    averages: FirstByteAverages
    body_memory: BodyMemory


def build_foundation(
    config: Config,
    environ: Mapping[str, str],
    dialects: DialectRegistry,
    serving: Callable[[], Generation | None],
) -> Foundation:
    """Make what outlives every config. Nothing is opened, and no task runs yet.

    Args: ``environ`` says which proxies stand before providers; ``serving`` returns the
        generation that serves new calls, None before the first one; it is asked at each scrape.
    Raises: ConfigError where a proxy's URL cannot be used, or the Redis client is not installed.
    """
    clock = SystemClock()
    drain = Drain(clock, in_flight_limit=config.limits.in_flight)
    write = WriteCoalescer(drain.holders).write
    proxies = proxy_rules(environ)
    pools = ConnectionPools(make_ssl_context, write, Dialer(proxies=proxies))
    metrics = Metrics(
        lambda: _snapshot(foundation, serving()),
        listener_path(),
        dialects.cache_apart,
    )
    observers = Observers(metrics.observers)
    foundation = Foundation(
        clock=clock,
        latch=Latch(),
        drain=drain,
        tasks=Tasks(),
        dialects=dialects,
        metrics=metrics,
        observers=observers,
        store=build_store(config, clock, observers),
        write=write,
        pools=pools,
        fetcher=Fetcher(proxies),
        cooling=Cooling(),
        averages=FirstByteAverages(),
        body_memory=BodyMemory(config.limits.buffered_bytes),
    )
    return foundation


def _snapshot(foundation: Foundation, generation: Generation | None) -> ScrapeSnapshot:
    """Read what the gauges show. Before the first generation no candidate is configured."""
    now_s = foundation.clock.monotonic_s()
    pools = foundation.pools.connections()
    cooling = foundation.cooling
    return ScrapeSnapshot(
        foundation.drain.in_flight,
        [(each.provider, each.active, each.idle) for each in pools],
        () if generation is None else cooling.snapshots(generation.candidates(), now_s),
        () if generation is None else generation.source_ages_s(now_s),
        foundation.store.snapshot(),
        "" if generation is None else generation.config_hash,
    )


def build_generation(loaded: LoadedConfig, foundation: Foundation) -> Generation:
    """Make what one config decides. The sources' tasks begin at once; the rest waits for calls.

    Raises: ConfigError where the files of a provider's TLS cannot be used; nothing is left running.
    """
    config, clock, dialects = loaded.config, foundation.clock, foundation.dialects
    observers, store = foundation.observers, foundation.store
    models = ModelTable(
        loaded.providers,
        {alias: entry.target for alias, entry in config.model_aliases.items()},
        unknown_uses_default=config.routing.unknown_model == "default",
        homes=dialects.homes if loaded.is_zero_config else None,
    )
    strip = dialects.without_signed_state if config.routing.signed_state == "strip" else None
    providers = ProviderRegistry(loaded.providers, foundation.pools, dialects.by_name, strip)
    dispatcher = Dispatcher(providers, clock, observers, foundation.cooling, foundation.averages)
    sources = MetricsSources(
        config.model_metrics_sources, foundation.fetcher.fetch, clock.monotonic_s
    )
    routes = build_routes(loaded, models, sources, foundation.averages)
    classifier = build_classifier(loaded, routes, providers, foundation)
    may_ask = None if classifier is None else classifier.may_ask
    decisions = Decisions(models, routes, clock, dispatcher.is_cooling, may_ask, dialects)
    selector = ModelSelector(decisions, classifier, store, clock, observers)
    pin_updater = PinUpdater(store, clock, foundation.tasks)
    attempts = config.limits.attempts
    proxy = Proxy(selector, pin_updater, dispatcher, dialects.by_name, observers, clock, attempts)
    policy = listener_policy(config, foundation.body_memory)
    handler = DataHandler(
        proxy,
        OwnReplies(proxy.decide, models),
        Admission(foundation.drain, dialects, observers, clock, policy),
        Rescue(dialects, observers),
        Paths(dialects.endpoints, policy.passthrough),
        foundation.write,
    )
    tasks = Tasks()
    for index in range(len(sources)):
        tasks.spawn(sources.keep_fresh(index), name=f"source {index}")
    router_closes = () if classifier is None else (classifier.aclose,)
    closes = (selector.aclose, *router_closes, tasks.aclose, dispatcher.aclose)
    return Generation(loaded, handler, selector, routes, sources, config_hash(loaded), closes)


def build_servers(generation: Generation, foundation: Foundation) -> tuple[DataServer, web.Server]:
    """Make the servers of the data port and of the admin port; neither listens yet."""
    config, handler = generation.loaded.config, generation.handler
    pins = PinPages(foundation.store.pins, may_change=config.admin.mutations)
    admin = Admin(foundation.latch, foundation.metrics.render, is_loopback, pins)
    data_server = DataServer(
        handler.handle, handler.handle_parse_error, head_s=config.timeouts.request_header_s
    )
    return data_server, make_admin_server(admin.handle)


def build_store(config: Config, clock: Clock, observers: Observers) -> AffinityStore:
    """Make the affinity store that the config names; one in Redis still has to be started.

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
        )
    try:
        # Costs 20 MiB and a third of a second: only where it is used.
        from sidecar.affinity.redis.connect import connection_maker
        from sidecar.affinity.redis.link import RedisLink
        from sidecar.affinity.redis.store import RedisStore, store_policy
    except ImportError as error:
        raise ConfigError(
            ["session_cache.type redis needs the extra: pip install 'plano-sidecar[redis]'"]
        ) from error
    link = functools.partial(RedisLink, connection_maker(cache))
    return RedisStore(link, store_policy(routing), clock, observers)


def build_routes(
    loaded: LoadedConfig, models: ModelTable, sources: MetricsSources, averages: FirstByteAverages
) -> Routes:
    """Make the configured routes and the numbers that rank their models."""
    config, routing = loaded.config, loaded.config.routing
    return Routes(
        configured_routes(config.routing_preferences, models.entries_of),
        models.entries_of,
        RankSources(sources, averages.expected),
        is_routed=find_router(config, loaded.providers) is not None,
        fits=lambda routes: fits_budget(
            routes, routing.router_context_tokens, routing.prompt_template
        ),
    )


def build_classifier(
    loaded: LoadedConfig, routes: Routes, providers: ProviderRegistry, foundation: Foundation
) -> RouteClassifier | None:
    """Make what asks the router model; None where the config names no router model."""
    config = loaded.config
    provider = find_router(config, loaded.providers)
    if provider is None:
        return None
    wanted = config.overrides.llm_routing_model or ""
    policy = RouterPolicy(
        model=wanted.partition("/")[2] if provider.is_wildcard else provider.model_id,
        deadline_s=config.routing.router_timeout_ms / 1e3,
        context_tokens=config.routing.router_context_tokens,
        template=config.routing.prompt_template,
    )
    ask = RouterClient(providers.clients[provider.name], policy.model).ask
    return RouteClassifier(
        ask,
        routes.configured,
        policy,
        foundation.clock.monotonic_s,
        foundation.dialects.turns_of,
    )


def listener_policy(config: Config, body_memory: BodyMemory) -> ListenerPolicy:
    """Return what the data port lets in."""
    routing, cache = config.routing, config.routing.session_cache
    propagate = frozenset(config.propagate)
    prefixes = sorted(config.passthrough, key=lambda entry: len(entry.path), reverse=True)
    return ListenerPolicy(
        HeaderPolicy(
            routing.session_headers, cache.tenant_header, propagate, routing.agent_headers
        ),
        BodyReader(body_memory, config.limits.body_bytes, config.timeouts.request_body_s),
        allow_origins=frozenset(config.listeners[0].allow_origins),
        fixed_tenant=cache.tenant,
        passthrough=tuple((entry.path.rstrip("/"), entry.provider) for entry in prefixes),
        body_sessions=BodySessions(routing.session_body_keys),
    )


def proxy_rules(environ: Mapping[str, str]) -> ProxyRules:
    """Return which proxies stand before providers. Raises: ConfigError."""
    try:
        return ProxyRules.from_environment(environ)
    except ValueError as error:
        raise ConfigError([f"environment: {error}"]) from error
