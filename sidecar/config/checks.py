"""What no single key can tell: names that must be known, be unique, or need something else to stand in the file."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from sidecar.config.address import MANAGED_HEADERS, is_header_name
from sidecar.config.providers import names_of
from sidecar.config.report import Path, Report, did_you_mean, spell
from sidecar.config.schema import Config
from sidecar.config.schema_routing import MetricsSource

_PROVIDERS: Final = ("model_providers",)
_REDIS_URL: Final = re.compile(r"rediss?(?:\+(?:sentinel|cluster))?://\S+", re.IGNORECASE)
_CREDENTIALS: Final = frozenset({"authorization", "x-api-key"})
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\sA-Z]+")
"""As browsers write it: scheme and host in lower case, no path (RFC 6454, 6.2)."""
_NO_ROUTE: Final = "other"
"""What the router model answers where nothing fits."""
_PLACEHOLDERS: Final = ("{routes}", "{conversation}")


def check(config: Config, report: Report) -> None:
    """Report every contradiction in a config whose single keys are in order."""
    _check_names(config, report)
    _check_defaults(config, report)
    if report.is_complete(_PROVIDERS):
        _check_references(config, report)
    _check_preferences(config, report)
    _check_sources(config, report)
    _check_listeners(config, report)
    _check_headers(config, report)
    _check_session_cache(config, report)
    _check_sizes(config, report)


def _check_names(config: Config, report: Report) -> None:
    first: dict[str, Path] = {}
    models = {entry.model for entry in config.model_providers}
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        name = entry.name or entry.model
        key: Path = (*at, "model" if entry.name is None else "name")
        if name in first:
            advice = "; entries of one model need names of their own" if entry.name is None else ""
            report.problem(key, f"name {report.quoted(key)} is taken by {spell(first[name])}{advice}")
        elif name in models and name != entry.model:
            report.problem(key, f"name {report.quoted(key)} is another entry's model")
        first.setdefault(name, at)


def _check_defaults(config: Config, report: Report) -> None:
    first: Path | None = None
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        key = (*at, "default")
        if entry.is_default and entry.model.endswith("/*"):
            report.problem(key, "a wildcard cannot be the default: it is no one model")
        elif entry.is_default and entry.model.startswith("plano/"):
            report.problem(key, "a router model cannot be the default")
        elif entry.is_default and first is not None:
            report.problem(key, f"there are two defaults; the other is {spell(first)}")
        if entry.is_default and first is None:
            first = at


def _check_references(config: Config, report: Report) -> None:
    known = {name for entry in config.model_providers for name in names_of(entry)}
    wildcards = tuple(entry.model[:-1] for entry in config.model_providers if entry.model.endswith("/*"))
    for path, name in _references(config, report):
        is_wild = name.startswith(wildcards) and not name.endswith(("/", "/*"))
        if name not in known and not is_wild:
            guess = did_you_mean(name, known)
            report.problem(path, f"{report.quoted(path)} is not a configured model{guess}")
    prefixes = {entry.model.partition("/")[0] for entry in config.model_providers}
    providers = prefixes | {entry.name or entry.model for entry in config.model_providers}
    seen: set[str] = set()
    for at, item in report.entries(("passthrough",), config.passthrough):
        if item.provider not in providers:
            path = (*at, "provider")
            guess = did_you_mean(item.provider, providers)
            report.problem(path, f"{report.quoted(path)} is neither a provider entry nor the prefix of one{guess}")
        if item.path in seen or not item.path.strip("/"):
            report.problem((*at, "path"), "must be a path of its own below /")
        seen.add(item.path)


def _references(config: Config, report: Report) -> Iterable[tuple[Path, str]]:
    """Every place that names a model, with the name."""
    for alias, target in config.model_aliases.items():
        yield ("model_aliases", alias, "target"), target.target
    for at, preference in report.entries(("routing_preferences",), config.routing_preferences):
        yield from report.entries((*at, "models"), preference.models)
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        yield from report.entries((*at, "fallbacks"), entry.fallbacks)
    if config.overrides.llm_routing_model is not None:
        yield ("overrides", "llm_routing_model"), config.overrides.llm_routing_model


def _check_preferences(config: Config, report: Report) -> None:
    names: set[str] = set()
    priced = {name for entry in config.model_providers if entry.price is not None for name in names_of(entry)}
    has_cost_source = any(source.type == "cost" for source in config.model_metrics_sources)
    for at, preference in report.entries(("routing_preferences",), config.routing_preferences):
        if preference.name in names:
            report.problem((*at, "name"), f"two preferences are named {report.quoted((*at, 'name'))}")
        if not preference.name.isprintable():
            report.problem((*at, "name"), "holds a control character; the name stands in a response header")
        if preference.name == _NO_ROUTE:
            report.problem((*at, "name"), f"{_NO_ROUTE!r} is what the router model answers where nothing fits")
        names.add(preference.name)
        wants_price = preference.selection_policy.prefer == "cheapest"
        if wants_price and not has_cost_source and priced.isdisjoint(preference.models):
            report.problem(
                (*at, "selection_policy", "prefer"),
                "'cheapest' needs a price on one of its models, or a source of type cost in model_metrics_sources",
            )
    if config.routing_preferences and config.overrides.llm_routing_model is None:
        report.warn(
            ("routing_preferences",),
            "without overrides.llm_routing_model nothing can be matched: every call uses the model that it requests",
        )
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
    if is_prometheus != (source.type == "latency"):
        return "prometheus tells latency; digitalocean, models.dev and file tell cost"
    if is_prometheus and (source.url is None or source.query is None):
        return "prometheus needs url and query"
    if source.provider == "file" and source.path is None:
        return "file needs path"
    return None


def _check_listeners(config: Config, report: Report) -> None:
    listeners = [*report.entries(("listeners",), config.listeners)]
    for at, _ in listeners[1:]:
        report.problem(at, "only one model listener is served")
    admin = config.admin
    for path, addresses in ((("admin",), admin.addresses), *((at, each.addresses) for at, each in listeners)):
        for address in addresses:
            if not _is_ip_address(address):
                report.problem((*path, "address"), "must be an IP address or localhost")
    for at, each in listeners:
        for path, origin in report.entries((*at, "allow_origins"), each.allow_origins):
            if not _ORIGIN.fullmatch(origin):
                report.problem(path, f"{report.quoted(path)} is not an origin such as http://localhost:3000")
        if each.port == admin.port != 0 and _overlap(set(each.addresses), set(admin.addresses)):
            report.problem((*at, "port"), "is the admin port as well")


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _overlap(ours: set[str], theirs: set[str]) -> bool:
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound
    return bool(ours & theirs or ours & everywhere or theirs & everywhere)


def _check_headers(config: Config, report: Report) -> None:
    names: list[tuple[Path, str]] = [*report.entries(("routing", "session_headers"), config.routing.session_headers)]
    propagated = [*report.entries(("propagate",), config.propagate)]
    tenant_header = config.routing.session_cache.tenant_header
    if tenant_header is not None:
        names.append((("routing", "session_cache", "tenant_header"), tenant_header))
    for path, name in (*names, *propagated):
        if not is_header_name(name):
            report.problem(path, f"{report.quoted(path)} is not a header name")
    for path, name in propagated:
        if name.lower() in MANAGED_HEADERS:
            report.problem(path, f"{report.quoted(path)} belongs to the connection and cannot be sent on")
        elif name.lower() in _CREDENTIALS:
            report.problem(path, f"{report.quoted(path)} is a credential; use passthrough_auth of a provider")


def _check_session_cache(config: Config, report: Report) -> None:
    cache = config.routing.session_cache
    here = ("routing", "session_cache")
    if cache.type == "redis" and not cache.url:
        report.problem(here, "type redis needs url")
    elif cache.url is not None and cache.url.reveal().lower().startswith(("redis+sentinel://", "redis+cluster://")):
        report.warn(
            (*here, "url"), "Sentinel and Cluster are not built yet: pins are kept in memory, each sidecar its own"
        )
    elif cache.url is not None and not _REDIS_URL.fullmatch(cache.url.reveal()):
        report.problem((*here, "url"), "must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://")
    elif cache.url is not None and (why := _redis_url_problem(cache.url.reveal())):
        report.problem((*here, "url"), why)
    if (cache.tls.cert_file is None) != (cache.tls.key_file is None):
        report.problem((*here, "tls"), "cert_file and key_file need each other")


def _redis_url_problem(url: str) -> str:
    """What is wrong with the URL of one server, in words that hold nothing of it; empty where it is sound."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL: a password with @ : / # in it belongs under `password`"
    if not host or "," in host or port == 0:
        return "must name one host, and a port from 1 to 65535 if any"
    if parts.query or parts.fragment or not re.fullmatch(r"/?[0-9]{0,9}/?", parts.path):
        return "may have nothing behind the host but `/` and the number of a database"
    return ""


def _check_sizes(config: Config, report: Report) -> None:
    if config.limits.body_bytes > config.limits.buffered_bytes:
        report.warn(("limits", "body_bytes"), "is above buffered_bytes: a body between the two can never be admitted")
