"""The providers as they can be called: for each its pool, its paths, its timeouts, its fixed header
lines.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from sidecar.config.address import is_header_value
from sidecar.config.providers import Provider, ProviderKind
from sidecar.config.tls_files import TlsFiles
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import ConfigError
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import Connections, ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from sidecar.http1.ports import Write
from sidecar.wire.body import patch_body, pieces_length
from sidecar.wire.headers import request_head
from sidecar.wire.trace_context import trace_lines

_IDENTITY: Final = b"Accept-Encoding: identity\r\n"
_ANTHROPIC_VERSION: Final = b"anthropic-version: 2023-06-01\r\n"
"""Added where a messages call lacks it; the only version that Anthropic has published."""
_LISTS: Final = frozenset({b"accept", b"anthropic-beta", b"openai-beta"})
"""Fields whose values add up, so that the config's stands beside the app's; of all others there can
be one.
"""
_OTHER_VERSION: Final = re.compile(r"/v(?!1(?:/|$))\d")
"""``/v1beta/...``, ``/v2/...``: at a provider whose base is ``/v1beta/openai`` they are not below
it.
"""

_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})


class ProviderClient:
    """One provider entry, ready to be called."""

    def __init__(self, provider: Provider, pool: Pool) -> None:
        self.provider = provider
        self.pool = pool
        self._is_anthropic = provider.kind is ProviderKind.ANTHROPIC
        self._header_family = "anthropic" if self._is_anthropic else "openai"
        self._passthrough_auth = provider.passthrough_auth
        self._accept_encoding_passthrough = provider.accept_encoding_passthrough
        self._propagate_trace = provider.propagate_trace
        self._paths = {name.value: path for name, path in provider.paths.items()}
        self._own_lines = _own_lines(provider)
        self._own_names = frozenset(name.lower().encode() for name, _ in provider.headers) - _LISTS
        """What the config sets goes instead of the app's, or ours, of that name."""
        self._starts = {
            name.value: self._start(path)
            for name, path in provider.paths.items()
            if "{model}" not in path
        }
        self._timeouts = _Timeouts(provider)

    @property
    def own_lines(self) -> tuple[bytes, ...]:
        """The entry's credential and configured headers."""
        return self._own_lines

    async def renew_credential(self) -> bool:
        """Read the files of the entry's key and headers again; whether another credential is sent
        from now on.
        """
        renewed = await asyncio.to_thread(_renewed, self.provider)
        if renewed is None:
            return False
        self.provider = renewed
        self._own_lines = _own_lines(renewed)
        return True

    def timeouts_of(self, *, is_stream: bool) -> ExchangeTimeouts:
        """The provider's timeouts, for a question of our own."""
        return self._timeouts.of(is_stream=is_stream, left_s=None)

    def timeouts(self, call: Call, *, left_s: float | None) -> ExchangeTimeouts:
        """The provider's timeouts, shortened by what is left of the app's patience."""
        return self._timeouts.of(is_stream=call.facts.wants_stream, left_s=left_s)

    def request(
        self, call: Call, candidate: Candidate
    ) -> tuple[bytes, Sequence[bytes | memoryview]]:
        """The head and the body's pieces for one attempt: the app's bytes with only the ``model``
        value changed.
        """
        if call.endpoint.operation is Operation.PASSTHROUGH:
            length = None if not call.body and call.method in _BODILESS else len(call.body)
            return self._head(call, candidate, length), (call.body,) if call.body else ()
        pieces = patch_body(call.body, call.facts, candidate.upstream_model)
        length = pieces_length(pieces)
        start = self._starts.get(call.endpoint.dialect)
        if start is None or call.query or call.endpoint.operation is Operation.COUNT_TOKENS:
            return self._head(call, candidate, length), pieces
        return b"%b%bContent-Length: %d\r\n\r\n" % (
            start,
            b"".join(self._lines(call)),
            length,
        ), pieces

    def _head(self, call: Call, candidate: Candidate, length: int | None) -> bytes:
        host = self.provider.http_host
        return request_head(
            call.method, self._target(call, candidate), host, self._lines(call), length
        )

    def _start(self, path: str) -> bytes:
        """Request line and Host of a call without a query: the same for every call of a dialect."""
        return request_head("POST", path, self.provider.http_host, (), None)[:-2]

    def _target(self, call: Call, candidate: Candidate) -> str:
        operation = call.endpoint.operation
        if operation is Operation.PASSTHROUGH:
            return _passed(call.endpoint.path, self.provider.base_path) + call.query
        if operation is Operation.COUNT_TOKENS:
            path = self.provider.count_tokens_path or ""
        else:
            path = self._paths[call.dialect.value]
        if "{model}" in path:
            # A wildcard's model is the client's to name: it must not reach another path.
            path = path.replace("{model}", quote(candidate.upstream_model, safe=""))
        if call.query and "?" in path:
            return f"{path}&{call.query[1:]}"
        return path + call.query

    def _lines(self, call: Call) -> list[bytes]:
        headers, family = call.headers, self._header_family
        lines = [*headers.get("common", ()), *headers.get(family, ())]
        needs_version = self._is_anthropic and call.dialect is DialectName.MESSAGES
        if needs_version and b"anthropic-version:" not in b"".join(lines).lower():
            lines.append(_ANTHROPIC_VERSION)
        if self._passthrough_auth:
            lines += headers.get("credentials", ())
            lines += headers.get(f"{family}_account", ())
        passed = headers.get("accept_encoding", ())
        lines += passed if self._accept_encoding_passthrough else (_IDENTITY,)
        lines += headers.get("baggage", ())
        lines.append(f"x-request-id: {call.request_id}\r\n".encode())
        if self._propagate_trace:
            lines.append(trace_lines(call.trace))
        if self._own_names:
            lines = [
                line for line in lines if line[: line.index(b":")].lower() not in self._own_names
            ]
        return [*self._own_lines, *lines]


class _Timeouts:
    """A provider's timeouts in the two shapes that calls have, made once."""

    def __init__(self, provider: Provider) -> None:
        given = provider.timeouts
        self._stream = ExchangeTimeouts(
            connect_s=given.connect_s,
            first_byte_s=given.first_byte_s,
            response_s=None,
            idle_s=given.stream_idle_s,
        )
        self._whole = ExchangeTimeouts(
            connect_s=given.connect_s, first_byte_s=None, response_s=given.response_s, idle_s=None
        )

    def of(self, *, is_stream: bool, left_s: float | None) -> ExchangeTimeouts:
        chosen = self._stream if is_stream else self._whole
        if left_s is None:
            return chosen
        left_s = max(left_s, 0.001)
        return ExchangeTimeouts(
            connect_s=min(chosen.connect_s, left_s),
            first_byte_s=None if chosen.first_byte_s is None else min(chosen.first_byte_s, left_s),
            response_s=None if chosen.response_s is None else min(chosen.response_s, left_s),
            idle_s=chosen.idle_s,
        )


class ProviderRegistry:
    """All providers by entry name; entries of one origin share a pool.

    Raises: ConfigError where a provider's certificates or keys cannot be used.
    """

    def __init__(
        self,
        providers: Iterable[Provider],
        make_tls: Callable[[TlsFiles], ssl.SSLContext],
        write: Write | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self.links: dict[str, ProviderClient] = {}
        self._pools: dict[tuple[Origin, TlsFiles], Pool] = {}
        self._first_entries: dict[tuple[Origin, TlsFiles], str] = {}
        self._dialer = dialer or Dialer()
        contexts: dict[TlsFiles, ssl.SSLContext] = {}
        for provider in providers:
            origin = Origin(provider.scheme, provider.host, provider.port, provider.server_name)
            key = origin, provider.tls_files
            if key not in self._pools:
                context = (
                    _context(provider, contexts, make_tls) if provider.scheme == "https" else None
                )
                self._pools[key] = Pool(
                    origin, ssl_context=context, write=write, dialer=self._dialer
                )
                self._first_entries[key] = provider.name
            self.links[provider.name] = ProviderClient(provider, self._pools[key])

    def connections(self) -> Iterator[Connections]:
        """What each pool holds now."""
        for key, pool in self._pools.items():
            yield Connections(self._first_entries[key], pool.active, pool.idle)

    async def aclose(self) -> None:
        """Close every pool."""
        for pool in self._pools.values():
            await pool.aclose()
        await self._dialer.aclose()


def _context(
    provider: Provider,
    contexts: dict[TlsFiles, ssl.SSLContext],
    make_tls: Callable[[TlsFiles], ssl.SSLContext],
) -> ssl.SSLContext:
    """The context for a provider's files, made once for all entries that have the same."""
    files = provider.tls_files
    context = contexts.get(files)
    if context is None:
        try:
            context = contexts[files] = make_tls(files)
        except (OSError, ValueError) as error:
            reason = (
                getattr(error, "reason", None)
                or getattr(error, "strerror", None)
                or type(error).__name__
            )
            raise ConfigError(
                [f"provider {provider.name}: its tls files cannot be used: {reason}"]
            ) from error
    return context


def _renewed(provider: Provider) -> Provider | None:
    """The provider with the secrets that its files hold now; None where they are the same, or
    cannot be sent.
    """
    key = None if provider.access_key is None else provider.access_key.renewed()
    headers = {name: value.renewed() for name, value in provider.headers}
    new = [secret for secret in (key, *headers.values()) if secret is not None]
    if not new or not all(is_header_value(secret.reveal()) for secret in new):
        return None
    return msgspec.structs.replace(
        provider,
        access_key=key or provider.access_key,
        headers=tuple((name, headers[name] or value) for name, value in provider.headers),
    )


def _passed(path: str, base_path: str) -> str:
    """Where a passthrough path is at the provider: ``base_path`` stands for ``/v1``; another
    version stays itself.
    """
    if _OTHER_VERSION.match(path) is not None:
        return path
    return base_path + path.removeprefix("/v1")


def _own_lines(provider: Provider) -> tuple[bytes, ...]:
    lines = []
    if provider.access_key is not None and not provider.passthrough_auth:
        key = provider.access_key.reveal()
        if provider.kind is ProviderKind.ANTHROPIC:
            lines.append(f"x-api-key: {key}\r\n")
        elif provider.prefix == "azure_openai":
            lines.append(f"api-key: {key}\r\n")
        else:
            lines.append(f"Authorization: Bearer {key}\r\n")
    lines += [f"{name}: {value.reveal()}\r\n" for name, value in provider.headers]
    return tuple(line.encode() for line in lines)
