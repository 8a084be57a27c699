"""What `plano-sidecar doctor` looks at, made of the same parts as what serves calls."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.affinity.session import session_key
from sidecar.build.foundation import Foundation, build_foundation
from sidecar.build.generation import build_classifier, build_routes
from sidecar.config.address import names_several_servers
from sidecar.config.conventions import ROUTER_DIALECT
from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router
from sidecar.config.schema import Config
from sidecar.dialects.registry import DIALECTS
from sidecar.doctor.checks import CheckOptions, CheckUp, StoreCheck, Subjects
from sidecar.doctor.findings import Finding
from sidecar.doctor.router_check import RouterCheck
from sidecar.doctor.store_findings import in_memory, not_served
from sidecar.doctor.trace_check import TraceCheck
from sidecar.domain.clock import Clock
from sidecar.domain.errors import ConfigError
from sidecar.domain.ids import mint_request_id
from sidecar.routing.sources import MetricsSources
from sidecar.routing.table import ModelTable
from sidecar.runtime.installation import can_export_spans, needs_extra
from sidecar.upstream.entry_probe import EntryProbe
from sidecar.upstream.registry import ProviderRegistry


async def check_up(
    loaded: LoadedConfig, environ: Mapping[str, str], options: CheckOptions
) -> list[Finding]:
    """Look at all that a config names; leave nothing open, also where this is cancelled.

    Raises: ConfigError where the config, or ``environ``, asks for what this machine lacks.
    """
    foundation = build_foundation(loaded, environ, DIALECTS, lambda: None)
    try:
        return await build_check_up(loaded, foundation, options).run()
    finally:
        await foundation.pools.aclose()
        await foundation.fetcher.aclose()


def build_check_up(loaded: LoadedConfig, foundation: Foundation, options: CheckOptions) -> CheckUp:
    """Make a check-up of a config. Nothing is asked yet.

    Raises: ConfigError where the files of a provider's TLS cannot be used, or the Redis client is
        not installed.
    """
    config, clock = loaded.config, foundation.clock
    providers = ProviderRegistry(loaded.providers, foundation.pools, foundation.dialects.by_name)
    sources = MetricsSources(
        config.model_metrics_sources, foundation.fetcher.fetch, clock.monotonic_s
    )
    subjects = Subjects(
        probes=[
            EntryProbe(client, clock.monotonic_s, clock.unix_s)
            for client in providers.clients.values()
        ],
        left_out=_left_out(loaded),
        router=_router_check(loaded, foundation, providers, sources),
        store=_store_check(config, clock),
        sources=sources,
        configured_sources=config.model_metrics_sources,
        models=[
            each.model for each in loaded.providers if not each.is_wildcard and not each.is_router
        ],
        tracing=_trace_check(loaded, clock),
    )
    return CheckUp(subjects, clock, options)


def _left_out(loaded: LoadedConfig) -> list[str]:
    served = {each.name for each in loaded.providers}
    names = [each.name or each.model for each in loaded.config.model_providers]
    return [name for name in names if name not in served]


def _router_check(
    loaded: LoadedConfig,
    foundation: Foundation,
    providers: ProviderRegistry,
    sources: MetricsSources,
) -> RouterCheck | None:
    aliases = {alias: entry.target for alias, entry in loaded.config.model_aliases.items()}
    models = ModelTable(loaded.providers, aliases)
    routes = build_routes(loaded, models, sources, foundation.averages)
    classifier = build_classifier(loaded, routes, providers, foundation)
    provider = find_router(loaded.config, loaded.providers)
    if classifier is None or provider is None:
        return None
    return RouterCheck(
        name=provider.name,
        classify=classifier.classify,
        routes=routes.configured,
        dialect=foundation.dialects.by_name[ROUTER_DIALECT],
        monotonic_s=foundation.clock.monotonic_s,
        deadline_s=loaded.config.routing.router_timeout_ms / 1e3,
    )


def _trace_check(loaded: LoadedConfig, clock: Clock) -> TraceCheck | None:
    settings = loaded.tracing
    if settings is None or not can_export_spans():
        return None

    def export(timeout_s: float) -> str | None:
        from sidecar.telemetry.otlp import export_nothing  # a quarter of a second, and 20 MiB

        return export_nothing(settings, timeout_s)

    return TraceCheck(settings.place, export, clock.monotonic_s)


def _store_check(config: Config, clock: Clock) -> StoreCheck | Finding:
    cache = config.routing.session_cache
    if cache.type == "memory" or cache.url is None:
        return in_memory()
    if names_several_servers(cache.url.reveal()):
        return not_served()
    try:
        from sidecar.affinity.redis.connect import connection_maker
        from sidecar.affinity.redis.examine import RedisExaminer
    except ImportError as error:
        raise ConfigError([f"session_cache.type redis {needs_extra('redis')}"]) from error
    key = session_key(cache.tenant, f"doctor-{mint_request_id()}", prefix=cache.key_prefix)
    examiner = RedisExaminer(
        connection_maker(cache), key, clock.monotonic_s, tracks=cache.near_cache
    )
    return StoreCheck(
        examiner.examine,
        cache.call_budget_ms,
        is_tenant_known=cache.tenant is not None or cache.tenant_header is None,
    )
