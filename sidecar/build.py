"""Rooms of several pieces, put together for the composition root (`sidecar.app`), which alone calls
this.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.store import AffinityStore
from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router
from sidecar.config.redis_url import names_several_servers
from sidecar.config.schema import Config
from sidecar.domain.clock import Clock
from sidecar.domain.errors import ConfigError
from sidecar.domain.observers import Observers
from sidecar.http1.proxy_rules import ProxyRules
from sidecar.listener.body_memory import BodyMemory
from sidecar.listener.body_reader import BodyReader
from sidecar.listener.policy import ListenerPolicy
from sidecar.routing.preferences import RankSources, Routes, configured_routes
from sidecar.routing.router import RouteClassifier, RouterPolicy
from sidecar.routing.sources import MetricsSources
from sidecar.routing.table import ModelTable
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.registry import ProviderRegistry
from sidecar.upstream.router_client import RouterClient
from sidecar.wire.header_names import HeaderPolicy


def build_store(config: Config, clock: Clock, observers: Observers) -> AffinityStore:
    """The affinity store that the config names; one in Redis still has to be started.

    Raises: ConfigError where the Redis client is not installed.
    """
    routing = config.routing
    cache = routing.session_cache
    is_sliding = routing.session_ttl_mode == "sliding"
    if cache.type == "memory" or cache.url is None or names_several_servers(cache.url.reveal()):
        return MemoryStore(
            clock,
            ttl_s=routing.session_ttl_s,
            max_entries=routing.session_max_entries,
            is_sliding=is_sliding,
            observers=observers,
        )
    try:
        # Costs 20 MiB and a third of a second: only where it is used.
        from sidecar.affinity.redis.connect import connection_maker
        from sidecar.affinity.redis.link import RedisLink
        from sidecar.affinity.redis.queries import StorePolicy
        from sidecar.affinity.redis.store import RedisStore
    except ImportError as error:
        raise ConfigError(
            ["session_cache.type redis needs the extra: pip install 'plano-sidecar[redis]'"]
        ) from error
    policy = StorePolicy(
        ttl_s=routing.session_ttl_s,
        budget_s=cache.call_budget_ms / 1e3,
        max_entries=routing.session_max_entries,
        is_sliding=is_sliding,
        has_near_cache=cache.near_cache,
    )
    return RedisStore(
        functools.partial(RedisLink, connection_maker(cache)), policy, clock, observers
    )


def build_routes(
    loaded: LoadedConfig, models: ModelTable, book: MetricsSources, dispatcher: Dispatcher
) -> Routes:
    """The configured routes, in effect where the config names a router model."""
    config = loaded.config
    return Routes(
        configured_routes(config.routing_preferences, models.entries_of),
        models.entries_of,
        RankSources(lambda: book.prices, lambda: book.latencies_s, dispatcher.averages.expected),
        is_routed=find_router(config, loaded.providers) is not None,
    )


def build_classifier(
    loaded: LoadedConfig, routes: Routes, providers: ProviderRegistry, clock: Clock
) -> RouteClassifier | None:
    """Asks the router model; None where the config names none."""
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
    return RouteClassifier(ask, routes.configured, policy, clock.monotonic_s)


def listener_policy(config: Config) -> ListenerPolicy:
    """What the data port lets in."""
    cache = config.routing.session_cache
    prefixes = sorted(config.passthrough, key=lambda entry: len(entry.path), reverse=True)
    return ListenerPolicy(
        headers=HeaderPolicy(
            session_headers=tuple(name.lower() for name in config.routing.session_headers),
            tenant_header=cache.tenant_header.lower() if cache.tenant_header else None,
            propagate=frozenset(name.lower() for name in config.propagate),
        ),
        intake=BodyReader(
            BodyMemory(config.limits.buffered_bytes),
            config.limits.body_bytes,
            config.timeouts.request_body_s,
        ),
        allow_origins=frozenset(config.listeners[0].allow_origins),
        fixed_tenant=cache.tenant,
        passthrough=tuple((entry.path.rstrip("/"), entry.provider) for entry in prefixes),
    )


def proxy_rules(environ: Mapping[str, str]) -> ProxyRules:
    """Which proxies stand before providers. Raises: ConfigError."""
    try:
        return ProxyRules.from_environment(environ)
    except ValueError as error:
        raise ConfigError([f"environment: {error}"]) from error
