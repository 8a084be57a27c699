"""What contradicts itself in a config's preferences, metrics sources and session cache."""

from __future__ import annotations

from typing import Final

from sidecar.config.address import (
    RedisAddress,
    is_http_url,
    names_credential,
    names_several_servers,
    read_redis_url,
    unreadable,
)
from sidecar.config.providers import names_of
from sidecar.config.report import Path, Report, spell
from sidecar.config.schema import Config
from sidecar.config.schema_routing import (
    MetricsSource,
    RedisTls,
    Routing,
    RoutingPreference,
    SessionCache,
)

_NO_ROUTE: Final = "other"
"""What the router model says where nothing fits."""
_PLACEHOLDERS: Final = ("{routes}", "{conversation}")


def check_routing(config: Config, report: Report) -> None:
    """Report every contradiction in the settings of routing and affinity."""
    _check_preferences(config, report)
    _check_template(config, report)
    _check_sources(config, report)
    _check_session_cache(config.routing.session_cache, report)


def _check_preferences(config: Config, report: Report) -> None:
    here = ("routing_preferences",)
    names: set[str] = set()
    known = {name for entry in config.model_providers for name in names_of(entry)}
    priced = _priced_names(config)
    has_cost_source = any(source.type == "cost" for source in config.model_metrics_sources)
    for at, preference in report.entries(here, config.routing_preferences):
        name = (*at, "name")
        if preference.name in names:
            report.problem(name, f"two preferences are named {report.quoted(name)}")
        names.add(preference.name)
        _check_name(preference, name, report)
        is_known = known.issuperset(preference.models)
        wants_price = preference.selection_policy.prefer == "cheapest"
        if (
            wants_price
            and is_known
            and not has_cost_source
            and priced.isdisjoint(preference.models)
        ):
            report.problem(
                (*at, "selection_policy", "prefer"),
                "'cheapest' needs a price on one of its models, or a source of type cost "
                "in model_metrics_sources",
            )
    if config.routing_preferences and config.overrides.llm_routing_model is None:
        report.warn(
            here,
            "without overrides.llm_routing_model nothing can be matched: every call "
            "uses the model that it requests",
        )


def _check_name(preference: RoutingPreference, at: Path, report: Report) -> None:
    if not preference.name.isprintable():
        report.problem(at, "holds a control character; the name stands in a response header")
    if preference.name == _NO_ROUTE:
        report.problem(at, f"{_NO_ROUTE!r} is what the router model answers where nothing fits")


def _priced_names(config: Config) -> set[str]:
    """Return every name of a model that has a price of its own."""
    return {
        name
        for entry in config.model_providers
        if entry.price is not None
        for name in names_of(entry)
    }


def _check_template(config: Config, report: Report) -> None:
    template = config.routing.prompt_template
    if template is not None and any(placeholder not in template for placeholder in _PLACEHOLDERS):
        report.problem(("routing", "prompt_template"), f"must hold {' and '.join(_PLACEHOLDERS)}")


def _check_sources(config: Config, report: Report) -> None:
    seen: set[str] = set()
    for at, source in report.entries(("model_metrics_sources",), config.model_metrics_sources):
        if source.type in seen:
            report.problem(at, f"there is a source of type {source.type} already")
        seen.add(source.type)
        needs = _needs_of(source)
        if needs is not None:
            report.problem(at, needs)


def _needs_of(source: MetricsSource) -> str | None:
    is_prometheus = source.provider == "prometheus"
    if source.url is not None and not is_http_url(source.url):
        return "its url must be one of http:// or https://, without blanks"
    if is_prometheus != (source.type == "latency"):
        return "prometheus tells latency; digitalocean, models.dev and file tell cost"
    if is_prometheus and (source.url is None or source.query is None):
        return "prometheus needs url and query"
    if source.provider == "file" and source.path is None:
        return "file needs path"
    return None


def _check_session_cache(cache: SessionCache, report: Report) -> None:
    here = ("routing", "session_cache")
    if cache.type == "redis" and not cache.url:
        if not report.is_faulty((*here, "url")):
            report.problem(here, "type redis needs url")
    elif cache.url is not None and names_several_servers(cache.url.reveal()):
        report.warn(
            (*here, "url"),
            "Sentinel and Cluster are not built yet: pins are kept in memory, each sidecar its own",
        )
    elif cache.url is not None:
        _check_redis(cache, read_redis_url(cache.url.reveal()), here, report)
    if (cache.tls.cert_file is None) != (cache.tls.key_file is None):
        report.problem((*here, "tls"), "cert_file and key_file need each other")


def _check_redis(
    cache: SessionCache, address: RedisAddress | str, here: Path, report: Report
) -> None:
    if isinstance(address, str):
        report.problem((*here, "url"), address)
    elif address.is_tls:
        for key in unreadable(cache.tls):
            # No problem: a sidecar starts and serves without Redis.
            report.warn(
                (*here, "tls", key),
                "names no file that can be read: until it does, pins are kept in memory",
            )
    elif cache.tls != RedisTls():
        report.problem(
            (*here, "tls"), "is for rediss://; with redis:// the password would go in the clear"
        )


def check_session_headers(routing: Routing, report: Report) -> list[tuple[Path, str]]:
    """Report headers that cannot name a tenant, a session or an agent, and those that would name
    two of them. Return all of them.
    """
    named: list[tuple[Path, str]] = []
    if routing.session_cache.tenant_header is not None:
        named.append(
            (("routing", "session_cache", "tenant_header"), routing.session_cache.tenant_header)
        )
    for key, headers in (
        ("session_headers", routing.session_headers),
        ("agent_headers", routing.agent_headers),
    ):
        named += report.entries(("routing", key), headers)
    first: dict[str, Path] = {}
    for path, header in named:
        name = header.lower()
        if names_credential(name):  # as a name it would stand in keys and on pages
            report.problem(path, f"{report.quoted(path)} carries a credential and cannot be a name")
        elif path[1] != first.setdefault(name, path)[1]:
            report.problem(
                path, f"{report.quoted(path)} has a meaning already: {spell(first[name])}"
            )
    return named
