"""Provider entries with every default filled in: what the rooms that call providers are given."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import astuple

from sidecar.config.address import (
    HOSTED_IDLE_S,
    OWN_IDLE_S,
    Address,
    Server,
    read_base_url,
    tls_files_of,
)
from sidecar.config.conventions import Conventions, ProviderPaths, family_of
from sidecar.config.families import FAMILIES, UNKNOWN
from sidecar.config.provider_headers import check_headers
from sidecar.config.report import Path, Report
from sidecar.config.schema import Config, TimeoutSettings
from sidecar.config.schema_providers import CacheHintUse, ModelProvider, Translate
from sidecar.config.secret import Secret
from sidecar.domain.call import DialectName
from sidecar.domain.decision import Price


class Timeouts(msgspec.Struct, frozen=True):
    """How long one provider may take."""

    connect_s: float
    first_byte_s: float
    response_s: float
    stream_idle_s: float


class Provider(msgspec.Struct, frozen=True):
    """One entry of ``model_providers``, ready to be called."""

    name: str
    """Unique; the ``model`` value where the entry names itself no other way."""
    model: str
    """``openai/gpt-4o`` or ``openai/*``."""
    prefix: str
    model_id: str
    """What goes into the body, ``*`` for a wildcard."""
    server: Server
    paths: ProviderPaths
    """Of the dialects that the entry speaks."""
    conventions: Conventions
    access_key: Secret | None
    """What is sent; None with ``passthrough_auth``."""
    passthrough_auth: bool
    headers: tuple[tuple[str, Secret], ...]
    propagate_trace: bool
    accept_encoding_passthrough: bool
    timeouts: Timeouts
    price: Price | None
    fallbacks: tuple[str, ...]
    failover_on_response_timeout: bool
    is_default: bool
    is_router: bool
    """Whether it is the router model, which is no model for apps."""
    asks_usage: bool = False
    """Whether chat streams are asked for their usage on the app's behalf."""
    names_dialects: bool = False
    """By the config: then they hold for all of its models."""
    translate: Translate = True
    patches: bool = True
    """Whether calls that were written for another model go without what this one is known to
    refuse.
    """
    propagate: tuple[str, ...] = ()
    """Names of more of the app's headers that it is sent, in any case."""
    cache_hint: CacheHintUse = "header"
    """How sessions are named to its prompt cache."""

    @property
    def is_wildcard(self) -> bool:
        """Whether it serves any model of its prefix."""
        return self.model_id == "*"

    def spoken_by(self, model_id: str) -> frozenset[DialectName]:
        """Return the dialects of one of the entry's models."""
        spoken, row = frozenset(self.paths.by_dialect), self.conventions
        if row.claude_dialects is None or self.names_dialects or not self.is_wildcard:
            return spoken
        return spoken.intersection(row.spoken_by(model_id))

    @property
    def has_model_in_path(self) -> bool:
        """Whether its calls name the model in their path, as deployments are named."""
        return any("{model}" in path for path in self.paths.by_dialect.values())


def resolve_providers(config: Config, report: Report) -> tuple[Provider, ...]:
    """Return every usable entry in config order. What is wrong with the others is in ``report``.

    An ``optional`` entry without its key is left out with a warning.
    """
    used = _used_names(config)
    router = config.overrides.llm_routing_model
    providers: list[Provider] = []
    for at, entry in report.entries(("model_providers",), config.model_providers):
        if _is_left_out(entry, at, report):
            continue
        is_router = _family(entry).is_router or (
            router in names_of(entry) and not entry.is_default and used.isdisjoint(names_of(entry))
        )
        provider = _resolve(entry, at, report, config, is_router=is_router)
        if provider is not None:
            providers.append(provider)
    return tuple(providers)


def names_of(entry: ModelProvider) -> set[str]:
    """Return every name by which other keys may mean the entry's model; none for a wildcard."""
    if entry.model.endswith("/*"):
        return set()
    return {entry.name or entry.model, entry.model, entry.model.partition("/")[2]}


def router_model(config: Config, router: Provider) -> str:
    """Return the router model's bare id at the entry that `find_router` returned."""
    wanted = config.overrides.llm_routing_model or ""
    return wanted.partition("/")[2] if router.is_wildcard else router.model_id


def split_names(providers: Iterable[Provider]) -> frozenset[str]:
    """Return the names of headers, in lower case, that some entries are sent beyond all others."""
    return frozenset(name.lower() for each in providers for name in each.propagate)


def find_router(config: Config, providers: tuple[Provider, ...]) -> Provider | None:
    """Return the entry of ``overrides.llm_routing_model``, a wildcard last; None without one."""
    wanted = config.overrides.llm_routing_model or ""
    for each in providers:
        if wanted in {each.name, each.model, each.model_id} and not each.is_wildcard:
            return each
    for each in providers:
        if each.is_wildcard and wanted.startswith(f"{each.prefix}/"):
            return each
    return None


def _family(entry: ModelProvider) -> Conventions:
    return FAMILIES.get(family_of(entry.model), UNKNOWN)


def _used_names(config: Config) -> set[str]:
    """Return what aliases, preferences and fallbacks name: models for apps, even if one of them is
    also the router.
    """
    names = {alias.target for alias in config.model_aliases.values()}
    names.update(name for preference in config.routing_preferences for name in preference.models)
    names.update(name for entry in config.model_providers for name in entry.fallbacks)
    return names


def _is_left_out(entry: ModelProvider, at: Path, report: Report) -> bool:
    has_no_key = not entry.access_key and not entry.passthrough_auth
    if has_no_key and entry.optional and (entry.access_key is not None or entry.base_url is None):
        report.warn(at, "is left out: it is optional and its access_key is missing")
        return True
    _check_credential(entry, at, report)
    return False


def _check_credential(entry: ModelProvider, at: Path, report: Report) -> None:
    has_no_key = not entry.access_key and not entry.passthrough_auth
    if entry.access_key is not None and not entry.access_key:
        report.problem((*at, "access_key"), "is empty")
    elif has_no_key and entry.base_url is None and family_of(entry.model) in FAMILIES:
        report.warn(at, "has no access_key: the provider will refuse its calls")
    if entry.passthrough_auth and entry.access_key:
        report.warn(
            (*at, "passthrough_auth"),
            "the caller's credential is forwarded, so access_key is not used",
        )


def _resolve(
    entry: ModelProvider, at: Path, report: Report, config: Config, *, is_router: bool
) -> Provider | None:
    conventions = _conventions(entry, at, report)
    address = _address(entry, conventions, at, report)
    check_headers(entry, conventions or UNKNOWN, at, report)
    if conventions is None or address is None:
        return None
    prefix, _, model_id = entry.model.partition("/")
    return Provider(
        name=entry.name or entry.model,
        model=entry.model,
        prefix=prefix,
        model_id=model_id,
        server=_server(entry, address, at, report),
        paths=_paths(entry, conventions, address),
        conventions=conventions,
        access_key=None if entry.passthrough_auth else entry.access_key,
        passthrough_auth=entry.passthrough_auth,
        headers=tuple(entry.headers.items()),
        propagate_trace=entry.propagate_trace,
        accept_encoding_passthrough=entry.accept_encoding == "passthrough",
        timeouts=_timeouts(entry, config.timeouts),
        price=None if entry.price is None else Price(*astuple(entry.price)),
        fallbacks=entry.fallbacks,
        failover_on_response_timeout=entry.failover_on_response_timeout,
        is_default=entry.is_default,
        is_router=is_router,
        asks_usage=entry.may_ask_usage and conventions.tells_usage_if_asked,
        names_dialects=entry.dialects is not None,
        translate=config.translate if entry.translate is None else entry.translate,
        patches=entry.patches,
        propagate=entry.propagate,
        cache_hint=entry.cache_hint,
    )


def _server(entry: ModelProvider, address: Address, at: Path, report: Report) -> Server:
    return Server(
        scheme=address.scheme,
        host=address.host,
        port=address.port,
        http_host=entry.http_host or address.host_header,
        tls_files=tls_files_of(entry.tls, (*at, "tls"), report),
        server_name=entry.tls.server_name,
        keep_idle_s=HOSTED_IDLE_S if entry.base_url is None else OWN_IDLE_S,
    )


def _conventions(entry: ModelProvider, at: Path, report: Report) -> Conventions | None:
    """Return the row of the entry's family, or of the interface that it names; None, reported, for
    an unknown family without an interface.
    """
    prefix = family_of(entry.model)
    if entry.provider_interface is not None:
        interface = FAMILIES.get(entry.provider_interface, UNKNOWN)
        return FAMILIES.get(prefix, UNKNOWN).speaking(interface)
    if prefix not in FAMILIES:
        from sidecar.config.hints import unknown_prefix  # of mistakes alone

        report.problem(
            (*at, "model"),
            f"the prefix of {report.quoted((*at, 'model'))} is not built in: "
            f"it needs base_url and provider_interface{unknown_prefix(prefix)}",
        )
    return FAMILIES.get(prefix)


def _address(
    entry: ModelProvider, conventions: Conventions | None, at: Path, report: Report
) -> Address | None:
    url = entry.base_url or (conventions.origin if conventions is not None else None)
    if url is None:
        if conventions is not None:
            report.problem(at, "needs base_url: the address of this provider is not built in")
        return None
    address = read_base_url(url)
    if isinstance(address, str):
        report.problem((*at, "base_url"), address)
        return None
    if address.query and not _family(entry).is_host:
        report.problem((*at, "base_url"), "must not hold a query")
    return address


def _paths(entry: ModelProvider, conventions: Conventions, address: Address) -> ProviderPaths:
    usual = conventions.paths(conventions.base_path_for(address.path), address.query)
    dialects = entry.dialects
    paths: dict[DialectName, str]
    if isinstance(dialects, tuple):
        paths = {
            name: usual.by_dialect[name] for name in (DialectName(key.value) for key in dialects)
        }
    else:
        spoken = conventions.spoken_by(entry.model.partition("/")[2])
        paths = {dialect: usual.by_dialect[dialect] for dialect in spoken}
        for key, own in (dialects or {}).items():
            name = DialectName(key.value)
            paths[name] = own.path or usual.by_dialect[name]
    return ProviderPaths(usual.base, paths)


def _timeouts(entry: ModelProvider, defaults: TimeoutSettings) -> Timeouts:
    own, connect_s = entry.timeouts, entry.timeouts.connect_s or defaults.connect_s
    first_byte_s = own.first_byte_s or defaults.first_byte_of(entry)
    response_s = own.response_s or defaults.response_s
    idle_s = own.stream_idle_s or defaults.stream_idle_s
    return Timeouts(connect_s, first_byte_s, response_s, idle_s)
