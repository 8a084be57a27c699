"""What no single key can tell: names that must be known, be unique, or need something else to stand
in the file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from sidecar.config.address import MANAGED_HEADERS, is_header_name, is_http_url
from sidecar.config.providers import names_of
from sidecar.config.redis_url import RedisAddress, names_several_servers, read_redis_url
from sidecar.config.report import Path, Report, did_you_mean, spell
from sidecar.config.schema import Config
from sidecar.config.schema_routing import MetricsSource, RedisTls, SessionCache
from sidecar.config.tls_files import unreadable

_PROVIDERS: Final = ("model_providers",)
_CREDENTIALS: Final = frozenset({"authorization", "x-api-key"})
_STAY_HERE: Final = frozenset({"cookie", "x-model-affinity"})
"""With ``x-plano-*`` and the tenant: what is the pod's own business."""
_CODINGS: Final = frozenset({"accept-encoding", "content-encoding"})
_NO_MODEL: Final = frozenset({"", "none"})
"""What in a body's ``model`` means that the app names none."""
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
    _check_the_rest(config, report)


def _check_names(config: Config, report: Report) -> None:
    first: dict[str, Path] = {}
    models = {entry.model for entry in config.model_providers}
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        name = entry.name or entry.model
        key: Path = (*at, "model" if entry.name is None else "name")
        if name in first:
            advice = "; entries of one model need names of their own" if entry.name is None else ""
            report.problem(
                key, f"name {report.quoted(key)} is taken by {spell(first[name])}{advice}"
            )
        elif name in models and name != entry.model:
            report.problem(key, f"name {report.quoted(key)} is another entry's model")
        elif name in _NO_MODEL:
            report.problem(
                key, f"name {report.quoted(key)} cannot be asked for: it means the default"
            )
        first.setdefault(name, at)
    for alias in _NO_MODEL.intersection(config.model_aliases):
        report.problem(
            ("model_aliases", alias),
            "cannot be asked for: an empty model, or none, means the default",
        )


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
    wildcards = tuple(
        entry.model[:-1] for entry in config.model_providers if entry.model.endswith("/*")
    )
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
            report.problem(
                path,
                f"{report.quoted(path)} is neither a provider entry nor the prefix of one{guess}",
            )
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
    priced = {
        name
        for entry in config.model_providers
        if entry.price is not None
        for name in names_of(entry)
    }
    has_cost_source = any(source.type == "cost" for source in config.model_metrics_sources)
    for at, preference in report.entries(("routing_preferences",), config.routing_preferences):
        if preference.name in names:
            report.problem(
                (*at, "name"), f"two preferences are named {report.quoted((*at, 'name'))}"
            )
        if not preference.name.isprintable():
            report.problem(
                (*at, "name"), "holds a control character; the name stands in a response header"
            )
        if preference.name == _NO_ROUTE:
            report.problem(
                (*at, "name"), f"{_NO_ROUTE!r} is what the router model answers where nothing fits"
            )
        names.add(preference.name)
        wants_price = preference.selection_policy.prefer == "cheapest"
        if wants_price and not has_cost_source and priced.isdisjoint(preference.models):
            report.problem(
                (*at, "selection_policy", "prefer"),
                "'cheapest' needs a price on one of its models, or a source of type cost "
                "in model_metrics_sources",
            )
    if config.routing_preferences and config.overrides.llm_routing_model is None:
        report.warn(
            ("routing_preferences",),
            "without overrides.llm_routing_model nothing can be matched: every call "
            "uses the model that it requests",
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
    if source.url is not None and not is_http_url(source.url):
        return "its url must be one of http:// or https://, without blanks"
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
    for path, addresses in (
        (("admin",), admin.addresses),
        *((at, each.addresses) for at, each in listeners),
    ):
        for address in addresses:
            if not _is_ip_address(address):
                report.problem((*path, "address"), "must be an IP address or localhost")
    for at, each in listeners:
        for path, origin in report.entries((*at, "allow_origins"), each.allow_origins):
            if not _ORIGIN.fullmatch(origin):
                report.problem(
                    path, f"{report.quoted(path)} is not an origin such as http://localhost:3000"
                )
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
    names: list[tuple[Path, str]] = [
        *report.entries(("routing", "session_headers"), config.routing.session_headers)
    ]
    propagated = [*report.entries(("propagate",), config.propagate)]
    tenant_header = config.routing.session_cache.tenant_header
    if tenant_header is not None:
        names.append((("routing", "session_cache", "tenant_header"), tenant_header))
    for path, name in (*names, *propagated):
        if not is_header_name(name):
            report.problem(path, f"{report.quoted(path)} is not a header name")
    for path, name in propagated:
        why = _why_not_sent(name.lower(), (tenant_header or "").lower())
        if why is not None:
            report.problem(path, f"{report.quoted(path)} {why}")


def _why_not_sent(name: str, tenant_header: str) -> str | None:
    """Why a header cannot go to providers, by its lower-case name."""
    if name in MANAGED_HEADERS or name.startswith("proxy-"):
        return "belongs to the connection and cannot be sent on"
    if name in _CREDENTIALS:
        return "is a credential; use passthrough_auth of a provider"
    if name in _STAY_HERE or name.startswith("x-plano-") or name == tenant_header:
        return "never leaves the pod"
    if name in _CODINGS:
        return "cannot be sent on; see accept_encoding of a provider"
    return None


def _check_session_cache(config: Config, report: Report) -> None:
    cache = config.routing.session_cache
    here = ("routing", "session_cache")
    if cache.type == "redis" and not cache.url:
        report.problem(here, "type redis needs url")
    elif cache.url is not None and names_several_servers(cache.url.reveal()):
        report.warn(
            (*here, "url"),
            "Sentinel and ProviderRegistry are not built yet: pins are kept in "
            "memory, each sidecar its own",
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


def _check_the_rest(config: Config, report: Report) -> None:
    endpoint = config.tracing.otlp_endpoint
    if endpoint is not None and not is_http_url(endpoint):
        report.problem(
            ("tracing", "otlp_endpoint"), "must be a URL of http:// or https://, without blanks"
        )
    if config.limits.body_bytes > config.limits.buffered_bytes:
        report.warn(
            ("limits", "body_bytes"),
            "is above buffered_bytes: a body between the two can never be admitted",
        )
