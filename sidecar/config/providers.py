"""Provider entries with every default filled in: what the rooms that call providers are given."""

from __future__ import annotations

import enum

import msgspec

from sidecar.config.address import (
    MANAGED_HEADERS,
    Address,
    is_header_name,
    is_header_value,
    is_host_header,
    read_base_url,
)
from sidecar.config.conventions import BUILT_IN, BuiltIn
from sidecar.config.paths import Base, anthropic_paths, azure_paths, count_tokens_path, openai_paths
from sidecar.config.report import Path, Report, did_you_mean
from sidecar.config.schema import Config, TimeoutSettings
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.secret import Secret
from sidecar.config.tls_files import TlsFiles, tls_files_of
from sidecar.domain.call import DialectName
from sidecar.domain.decision import Price


class ProviderKind(enum.StrEnum):
    """Whose header family and credential style a provider has."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


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
    kind: ProviderKind
    scheme: str
    host: str
    """Without brackets."""
    port: int
    http_host: str
    """The Host header's value."""
    paths: dict[DialectName, str]
    """The full path of each dialect that it speaks natively, with a query at Azure; may hold
    ``{model}``.
    """
    count_tokens_path: str | None
    base_path: str
    """What stands in for ``/v1`` in a passthrough path."""
    access_key: Secret | None
    passthrough_auth: bool
    headers: tuple[tuple[str, Secret], ...]
    propagate_trace: bool
    accept_encoding_passthrough: bool
    timeouts: Timeouts
    is_default: bool
    is_wildcard: bool
    price: Price | None
    fallbacks: tuple[str, ...]
    failover_on_response_timeout: bool
    is_router: bool
    """The router model: not a model for apps."""
    tls_files: TlsFiles = TlsFiles()
    server_name: str | None = None
    """For SNI and verification, where it is not ``host``."""


def resolve_providers(config: Config, report: Report) -> tuple[Provider, ...]:
    """Every usable entry in config order; what is wrong with the others is in ``report``.

    An ``optional`` entry without its key is left out with a warning.
    """
    used = _used_names(config)
    router = config.overrides.llm_routing_model
    providers: list[Provider] = []
    for at, entry in report.entries(("model_providers",), config.model_providers):
        if _is_left_out(entry, at, report):
            continue
        is_router = entry.model.startswith("plano/") or (
            router in names_of(entry) and not entry.is_default and used.isdisjoint(names_of(entry))
        )
        provider = _resolve(entry, at, report, config.timeouts, is_router=is_router)
        if provider is not None:
            providers.append(provider)
    return tuple(providers)


def names_of(entry: ModelProvider) -> set[str]:
    """Every name by which other keys may mean the entry's model: name, model, bare id. A wildcard
    is no one model.
    """
    if entry.model.endswith("/*"):
        return set()
    return {entry.name or entry.model, entry.model, entry.model.partition("/")[2]}


def find_router(config: Config, providers: tuple[Provider, ...]) -> Provider | None:
    """The entry that serves ``overrides.llm_routing_model``, a wildcard last; None if none is named
    or it is left out.

    The router model's bare id is what follows the first slash of that key.
    """
    wanted = config.overrides.llm_routing_model or ""
    named = (
        each
        for each in providers
        if wanted in {each.name, each.model, each.model_id} and not each.is_wildcard
    )
    covering = (
        each for each in providers if each.is_wildcard and wanted.startswith(f"{each.prefix}/")
    )
    return next(named, None) or next(covering, None)


def _used_names(config: Config) -> set[str]:
    """What aliases, preferences and fallbacks name: models for apps, even if one of them is also
    the router.
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
    if entry.access_key is not None and not entry.access_key:
        report.problem((*at, "access_key"), "is empty")
    elif has_no_key and entry.base_url is None and entry.model.partition("/")[0] in BUILT_IN:
        report.warn(at, "has no access_key: the provider will refuse its calls")
    if entry.passthrough_auth and entry.access_key:
        report.warn(
            (*at, "passthrough_auth"),
            "the caller's credential is forwarded, so access_key is not used",
        )
    return False


def _resolve(
    entry: ModelProvider, at: Path, report: Report, timeouts: TimeoutSettings, *, is_router: bool
) -> Provider | None:
    prefix, _, model_id = entry.model.partition("/")
    known = _conventions(entry, prefix, at, report)
    address = _address(entry, known, at, report)
    _check_headers(entry, known, at, report)
    if known is None or address is None:
        return None
    base_path, paths = _paths(entry, prefix, known, address)
    return Provider(
        name=entry.name or entry.model,
        model=entry.model,
        prefix=prefix,
        model_id=model_id,
        kind=ProviderKind.ANTHROPIC if known.is_anthropic else ProviderKind.OPENAI,
        scheme=address.scheme,
        host=address.host,
        port=address.port,
        http_host=entry.http_host or address.host_header,
        paths=paths,
        count_tokens_path=count_tokens_path(paths),
        base_path=base_path,
        access_key=None if entry.passthrough_auth else entry.access_key,
        passthrough_auth=entry.passthrough_auth,
        headers=tuple(entry.headers.items()),
        propagate_trace=entry.propagate_trace,
        accept_encoding_passthrough=entry.accept_encoding == "passthrough",
        timeouts=_timeouts(entry, timeouts),
        is_default=entry.is_default,
        is_wildcard=model_id == "*",
        price=_price(entry),
        fallbacks=entry.fallbacks,
        failover_on_response_timeout=entry.failover_on_response_timeout,
        is_router=is_router,
        tls_files=tls_files_of(entry.tls, (*at, "tls"), report),
        server_name=entry.tls.server_name,
    )


def _conventions(entry: ModelProvider, prefix: str, at: Path, report: Report) -> BuiltIn | None:
    """What is known about the entry's prefix, or about the interface that it names."""
    known = BUILT_IN.get(prefix)
    if entry.provider_interface is not None:
        interface = BUILT_IN.get(entry.provider_interface, BuiltIn(None))
        # The interface says what is spoken; the address stays the prefix's own.
        return msgspec.structs.replace(interface, origin=None if known is None else known.origin)
    if known is None:
        guess = did_you_mean(prefix, BUILT_IN)
        report.problem(
            (*at, "model"),
            f"the prefix of {report.quoted((*at, 'model'))} is not built in: "
            f"it needs base_url and provider_interface{guess}",
        )
    return known


def _address(
    entry: ModelProvider, known: BuiltIn | None, at: Path, report: Report
) -> Address | None:
    url = entry.base_url or (known.origin if known is not None else None)
    if url is None:
        if known is not None:
            report.problem(at, "needs base_url: the address of this provider is not built in")
        return None
    address = read_base_url(url)
    if isinstance(address, str):
        report.problem((*at, "base_url"), address)
        return None
    if address.query and not entry.model.startswith("azure_openai/"):
        report.problem((*at, "base_url"), "must not hold a query")
    return address


def _check_headers(entry: ModelProvider, known: BuiltIn | None, at: Path, report: Report) -> None:
    """Report what would break the head of a request. Values are never quoted."""
    taken = (
        {_credential_header(entry, known)}
        if entry.access_key and not entry.passthrough_auth
        else set()
    )
    if entry.access_key is not None and not is_header_value(entry.access_key.reveal()):
        report.problem(
            (*at, "access_key"), "holds a line break, a control character or blanks around it"
        )
    if entry.http_host is not None and not is_host_header(entry.http_host):
        report.problem((*at, "http_host"), "must be host or host:port")
    for name, value in entry.headers.items():
        here = (*at, "headers", name)
        if not is_header_name(name):
            report.problem(here, "is not a valid header name")
        elif name.lower() in MANAGED_HEADERS:
            report.problem(
                here, "cannot be set: it belongs to the connection (for Host use http_host)"
            )
        elif name.lower() in taken:
            report.problem(here, "stands there already: by access_key, or in another case")
        taken.add(name.lower())
        if not is_header_value(value.reveal()):
            report.problem(here, "holds a line break, a control character or blanks around it")


def _credential_header(entry: ModelProvider, known: BuiltIn | None) -> str:
    """The header, in lower case, that carries the entry's key."""
    if known is not None and known.is_anthropic:
        return "x-api-key"
    return "api-key" if entry.model.startswith("azure_openai/") else "authorization"


def _paths(
    entry: ModelProvider, prefix: str, known: BuiltIn, address: Address
) -> tuple[str, dict[DialectName, str]]:
    base = Base(address.path, address.query, known.base_path)
    if prefix == "azure_openai":
        base_path, usual = azure_paths(base)
    else:
        base_path, usual = anthropic_paths(base) if known.is_anthropic else openai_paths(base)
    dialects = entry.dialects
    if isinstance(dialects, tuple):
        return base_path, {
            name: usual[name] for name in (DialectName(key.value) for key in dialects)
        }
    paths = {dialect: usual[dialect] for dialect in known.dialects}
    for key, own in (dialects or {}).items():
        name = DialectName(key.value)
        paths[name] = own.path or usual[name]
    return base_path, paths


def _timeouts(entry: ModelProvider, defaults: TimeoutSettings) -> Timeouts:
    own = entry.timeouts
    return Timeouts(
        connect_s=own.connect_s or defaults.connect_s,
        first_byte_s=own.first_byte_s or defaults.first_byte_s,
        response_s=own.response_s or defaults.response_s,
        stream_idle_s=own.stream_idle_s or defaults.stream_idle_s,
    )


def _price(entry: ModelProvider) -> Price | None:
    if entry.price is None:
        return None
    return Price(
        usd_per_mtok_in=entry.price.usd_per_mtok_in,
        usd_per_mtok_out=entry.price.usd_per_mtok_out,
        usd_per_mtok_cached_in=entry.price.usd_per_mtok_cached_in,
    )
