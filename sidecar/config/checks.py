"""What no single key can show to be wrong: names that must be known or unique, keys that need
another key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from sidecar.config.address import (
    CREDENTIAL_HEADERS,
    MANAGED_HEADERS,
    is_header_name,
    is_http_url,
)
from sidecar.config.checks_routing import check_routing, check_session_headers
from sidecar.config.conventions import family_of
from sidecar.config.exposure import warn_of_exposure
from sidecar.config.families import FAMILIES
from sidecar.config.operator_address import PORT_AT_MOST, read_operator_address
from sidecar.config.providers import names_of
from sidecar.config.report import Path, Report, did_you_mean, spell
from sidecar.config.schema import Config
from sidecar.domain.ids import MAX_NAME_BYTES
from sidecar.runtime.hosts import bracketed, host_of

_PROVIDERS: Final = ("model_providers",)
_ROUTER: Final = ("overrides", "llm_routing_model")
_ROUTER_FAMILIES: Final = frozenset(name for name, row in FAMILIES.items() if row.is_router)
_FORWARDED: Final = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key"})
"""Credentials that an app may bring to a provider with ``passthrough_auth``."""
_STAY_HERE: Final = frozenset({"cookie", "x-model-affinity"})
"""With ``x-plano-*`` and the tenant's header: what never leaves the pod."""
_CODINGS: Final = frozenset({"accept-encoding", "content-encoding"})
_NO_MODEL: Final = frozenset({"", "none"})
"""Values of ``model`` in a request that mean the default model."""
_TOO_LONG: Final = f"cannot be asked for: it is longer than {MAX_NAME_BYTES} bytes"
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\sA-Z]+")
"""As browsers write it: scheme and host in lower case, no path (RFC 6454, 6.2)."""


def check(config: Config, report: Report) -> None:
    """Report every contradiction in a config whose single keys are in order."""
    _check_names(config, report)
    _check_defaults(config, report)
    if report.is_complete(_PROVIDERS):
        _check_references(config, report)
        _check_passthrough(config, report)
    check_routing(config, report)
    _check_listeners(config, report)
    _check_headers(config, report)
    _check_usage(config, report)
    _check_the_rest(config, report)
    warn_of_exposure(config, report)


def _check_names(config: Config, report: Report) -> None:
    first: dict[str, Path] = {}
    models = {entry.model for entry in config.model_providers}
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        name = entry.name or entry.model
        is_own = entry.name is not None
        key: Path = (*at, "name" if is_own else "model")
        fault = None
        if name in first:
            advice = "" if is_own else "; entries of one model need names of their own"
            fault = f"is taken by {spell(first[name])}{advice}"
        elif name in models and name != entry.model:
            fault = "is another entry's model"
        elif name in _NO_MODEL:
            fault = "cannot be asked for: it means the default"
        elif len(name.encode()) > MAX_NAME_BYTES:
            fault = _TOO_LONG
        if fault is not None:
            report.problem(key, f"name {report.quoted(key)} {fault}")
        first.setdefault(name, at)
    for alias in _NO_MODEL.intersection(config.model_aliases):
        report.problem(
            ("model_aliases", alias),
            "cannot be asked for: an empty model, or none, means the default",
        )
    for alias in config.model_aliases:
        if len(alias.encode()) > MAX_NAME_BYTES:
            report.problem(("model_aliases", alias), _TOO_LONG)


def _check_defaults(config: Config, report: Report) -> None:
    first: Path | None = None
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        key = (*at, "default")
        if entry.is_default and entry.model.endswith("/*"):
            report.problem(key, "a wildcard cannot be the default: it is no one model")
        elif entry.is_default and family_of(entry.model) in _ROUTER_FAMILIES:
            report.problem(key, "a router model cannot be the default")
        elif entry.is_default and first is not None:
            report.problem(key, f"there are two defaults; the other is {spell(first)}")
        if entry.is_default and first is None:
            first = at
    could_be = any(
        not entry.model.endswith("/*") and family_of(entry.model) not in _ROUTER_FAMILIES
        for entry in config.model_providers
    )
    if first is None and could_be and report.is_complete(_PROVIDERS):
        report.warn(_PROVIDERS, "no entry is the default: calls that name no model are refused")


def _check_references(config: Config, report: Report) -> None:
    known = {name for entry in config.model_providers for name in names_of(entry)}
    wildcards = tuple(
        entry.model[:-1] for entry in config.model_providers if entry.model.endswith("/*")
    )
    for path, name in _references(config, report):
        is_wild = name.startswith(wildcards) and not name.endswith(("/", "/*"))
        if name not in known and not is_wild:
            from sidecar.config.hints import unknown_router  # of mistakes alone

            what_to_do = unknown_router(name) if path == _ROUTER else ""
            guess = what_to_do or did_you_mean(name, known)
            report.problem(path, f"{report.quoted(path)} is not a configured model{guess}")


def _check_passthrough(config: Config, report: Report) -> None:
    prefixes = {family_of(entry.model) for entry in config.model_providers}
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
    """Return every place that names a model, with the name."""
    for alias, target in config.model_aliases.items():
        yield ("model_aliases", alias, "target"), target.target
    for at, preference in report.entries(("routing_preferences",), config.routing_preferences):
        yield from report.entries((*at, "models"), preference.models)
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        yield from report.entries((*at, "fallbacks"), entry.fallbacks)
    for at, name in report.entries(("routing", "route_only"), config.routing.route_only):
        if name not in config.model_aliases:
            yield at, name
    if config.overrides.llm_routing_model is not None:
        yield _ROUTER, config.overrides.llm_routing_model


def _check_listeners(config: Config, report: Report) -> None:
    listeners = [*report.entries(("listeners",), config.listeners)]
    for at, _ in listeners[1:]:
        report.problem(at, "only one model listener is served")
    admin = config.admin
    _check_addresses(("admin",), admin.addresses, report)
    for at, each in listeners:
        _check_addresses(at, each.addresses, report)
        for path, origin in report.entries((*at, "allow_origins"), each.allow_origins):
            if not _ORIGIN.fullmatch(origin):
                report.problem(
                    path, f"{report.quoted(path)} is not an origin such as http://localhost:3000"
                )
        for path, host in report.entries((*at, "allow_hosts"), each.allow_hosts or ()):
            if not _is_host(host):
                report.problem(
                    path, f"{report.quoted(path)} is not a name or an IP address without a port"
                )
        if each.port == admin.port != 0 and _overlap(set(each.addresses), set(admin.addresses)):
            report.problem((*at, "port"), "is the admin port as well")
    _check_operator_address(config, report)


def _check_operator_address(config: Config, report: Report) -> None:
    admin, key = config.admin, ("admin", "operator_address")
    if admin.operator_address is None:
        _check_port_after(config, report)
        return
    place = read_operator_address(admin.operator_address)
    if isinstance(place, str):
        report.problem(key, place)
        return
    hosts = set(place.hosts)
    ports = [("the admin port", admin.port, admin.addresses)]
    # There is none where its entry could not be read.
    ports += [("the data port", each.port, each.addresses) for each in config.listeners[:1]]
    for name, port, addresses in ports:
        if place.port == port != 0 and _overlap(hosts, set(addresses)):
            report.problem(key, f"is {name} as well")


def _check_port_after(config: Config, report: Report) -> None:
    """Check the port that operators' pages have where the config does not say."""
    place, fault = config.admin.operators, None
    if place.port > PORT_AT_MOST:
        fault = "does not exist"
    for data in config.listeners[:1]:
        if place.port == data.port != 0 and _overlap(set(place.hosts), set(data.addresses)):
            fault = "is the data port"
    if fault is not None:
        report.problem(
            ("admin", "port"),
            f"the port after it, {place.port}, is for operators' pages and {fault}; "
            "admin.operator_address names another place",
        )


def _check_addresses(at: Path, addresses: Iterable[str], report: Report) -> None:
    for address in addresses:
        if not _is_ip_address(address):
            report.problem((*at, "address"), "must be an IP address or localhost")


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    """Return whether a text is a host alone, without a port, an IPv6 address without brackets."""
    return "*" not in text and host_of(f"{bracketed(text)}:1") is not None


def _overlap(ours: set[str], theirs: set[str]) -> bool:
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound
    return bool(ours & theirs or ours & everywhere or theirs & everywhere)


def _check_headers(config: Config, report: Report) -> None:
    propagated = [*report.entries(("propagate",), config.propagate)]
    for at, entry in report.entries(("model_providers",), config.model_providers):
        propagated += report.entries((*at, "propagate"), entry.propagate)
    tenant_header = config.routing.session_cache.tenant_header
    for path, name in (*check_session_headers(config.routing, report), *propagated):
        if not is_header_name(name):
            report.problem(path, f"{report.quoted(path)} is not a header name")
    for path, name in propagated:
        why = _why_not_sent(name.lower(), (tenant_header or "").lower())
        if why is not None:
            report.problem(path, f"{report.quoted(path)} {why}")


def _why_not_sent(name: str, tenant_header: str) -> str | None:
    """Return why a header, named in lower case, cannot go to providers; None where it can."""
    if name in MANAGED_HEADERS or name.startswith("proxy-"):
        return "belongs to the connection and cannot be sent on"
    if name in _FORWARDED:
        return "is a credential; use passthrough_auth of a provider"
    if name in _STAY_HERE or name.startswith("x-plano-") or name == tenant_header:
        return "never leaves the pod"
    if name in CREDENTIAL_HEADERS:
        return "is a credential, and goes to no provider"
    if name in _CODINGS:
        return "cannot be sent on; see accept_encoding of a provider"
    return None


def _check_usage(config: Config, report: Report) -> None:
    """Warn where nothing is asked for though the config says so."""
    for at, entry in report.entries(_PROVIDERS, config.model_providers):
        if entry.usage != "ask":
            continue
        family = entry.provider_interface or family_of(entry.model)
        row = FAMILIES.get(family)
        if not entry.may_ask_usage:
            why = "what accept_encoding lets come compressed cannot be taken out again"
        elif row is not None and not row.tells_usage_if_asked:
            why = f"{family} tells usage in any case, or is not known to tell it where asked"
        else:
            continue
        report.warn((*at, "usage"), f"does nothing here: {why}")


def _check_the_rest(config: Config, report: Report) -> None:
    endpoint = config.tracing.otlp_endpoint
    if endpoint is not None and not is_http_url(endpoint):
        report.problem(
            ("tracing", "otlp_endpoint"), "must be a URL of http:// or https://, without blanks"
        )
    limits = config.limits
    if limits.buffered_bytes is not None and limits.body_bytes > limits.buffered_bytes:
        report.warn(
            ("limits", "body_bytes"),
            "is above buffered_bytes: a body between the two can never be admitted",
        )
