"""Rooms of several pieces, put together for the composition root (`sidecar.app`), which alone calls
this.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.affinity.memory import MemoryStore
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
from sidecar.routing.classifier import ClassifierPolicy, RankSources, RouteClassifier
from sidecar.routing.preferences import configured_routes
from sidecar.routing.router import Router
from sidecar.routing.sources import MetricsSources
from sidecar.routing.table import ModelTable
from sidecar.upstream.dispatch import Dispatcher
from sidecar.upstream.registry import ProviderRegistry
from sidecar.upstream.router_client import RouterClient
from sidecar.wire.header_names import HeaderPolicy

if TYPE_CHECKING:
    from sidecar.affinity.redis.store import RedisStore


def build_store(config: Config, clock: Clock, observers: Observers) -> MemoryStore | RedisStore:
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


def build_router(
    stack: contextlib.AsyncExitStack,
    loaded: LoadedConfig,
    providers: ProviderRegistry,
    clock: Clock,
) -> Router | None:
    """Who asks the router model; None where the config names none."""
    config = loaded.config
    provider = find_router(config, loaded.providers)
    if provider is None:
        return None
    wanted = config.overrides.llm_routing_model or ""
    model = wanted.partition("/")[2] if provider.is_wildcard else provider.model_id
    ask = RouterClient(providers.clients[provider.name], model).ask
    router = Router(ask, model, config.routing.router_timeout_ms / 1e3, clock.monotonic_s)
    stack.push_async_callback(router.aclose)
    return router


def build_classifier(
    config: Config,
    router: Router | None,
    models: ModelTable,
    book: MetricsSources,
    dispatcher: Dispatcher,
) -> RouteClassifier:
    """Routes, router model and numbers."""
    return RouteClassifier(
        configured_routes(config.routing_preferences, models.entries_of),
        router,
        models.entries_of,
        RankSources(lambda: book.prices, lambda: book.latencies_s, dispatcher.averages.expected),
        ClassifierPolicy(config.routing.router_context_tokens, config.routing.prompt_template),
    )


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
