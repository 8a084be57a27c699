"""One provider, ready to be called: the request that it is sent for a call, its timeouts and its
connection pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from sidecar.config.conventions import HeaderFamily
from sidecar.config.providers import Provider
from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName, Operation, RawHeaders
from sidecar.domain.decision import Candidate
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.http1.pool import Pool
from sidecar.runtime.hosts import is_loopback
from sidecar.upstream.header_lines import HeaderLines
from sidecar.upstream.passthrough import (
    local_headers,
    local_reference,
    passed_body,
    upstream_path,
)
from sidecar.wire.headers import request_head

_SHARED_PARAMETERS: Final = {HeaderFamily.ANTHROPIC: ("beta=true",)}
"""What SDKs of a header family put into a query, whoever the provider is."""


class _Timeouts(NamedTuple):
    """How long each kind of exchange may take."""

    whole: ExchangeTimeouts
    stream: ExchangeTimeouts
    passthrough: ExchangeTimeouts
    """Until its response begins, that of a whole one; from then on, that of a stream."""


class ProviderClient:
    """One provider entry, ready to be called."""

    def __init__(
        self,
        provider: Provider,
        pool: Pool,
        dialects: Mapping[DialectName, Dialect],
        via: bytes = b"",
        split: frozenset[str] = frozenset(),
    ) -> None:
        """Args: ``via`` is what this process adds to Via; empty: nothing. ``split`` as for
        `HeaderLines`.
        """
        self.provider = provider
        self.pool = pool
        self.dialects = dialects
        own_via = via if _may_be_sidecar(provider) else b""
        self.header_lines = HeaderLines(provider, own_via, split)
        self._starts = _starts(provider)
        limits = provider.timeouts
        connect_s, idle_s = limits.connect_s, limits.stream_idle_s
        self._timeouts = _Timeouts(
            ExchangeTimeouts(connect_s, response_s=limits.response_s),
            ExchangeTimeouts(connect_s, first_byte_s=limits.first_byte_s, idle_s=idle_s),
            ExchangeTimeouts(connect_s, first_byte_s=limits.response_s, idle_s=idle_s),
        )

    def use(self, provider: Provider) -> None:
        """Send the secrets of ``provider`` from now on: the same entry, read again."""
        self.provider = provider
        lines = self.header_lines
        self.header_lines = HeaderLines(provider, lines.via, lines.split)

    def timeouts(self, *, is_stream: bool) -> ExchangeTimeouts:
        """Return the provider's timeouts for a stream or a whole response."""
        return self._timeouts.stream if is_stream else self._timeouts.whole

    def timeouts_for(self, call: Call) -> ExchangeTimeouts:
        """Return the provider's timeouts for a call. What is passed through may be a stream or a
        file: it may take as long as it moves.
        """
        if call.endpoint.operation is Operation.PASSTHROUGH:
            return self._timeouts.passthrough
        return self._timeouts.stream if call.facts.wants_stream else self._timeouts.whole

    def request(
        self, call: Call, candidate: Candidate, number: int = 1
    ) -> tuple[bytes, Sequence[bytes | memoryview]]:
        """Return the head and the body's pieces of the call's attempt of that number. The body is
        the app's, byte for byte but for the value of ``model``; or what was written for this very
        candidate.
        """
        operation = call.endpoint.operation
        if operation is Operation.PASSTHROUGH:
            dialect = self.dialects[call.endpoint.dialect]
            passed, size = passed_body(call, candidate.upstream_model, dialect.patch)
            return self._head(call, candidate, size, number), passed
        if call.facts.is_written:
            return self._head(call, candidate, len(call.body), number), (call.body,)
        dialect = self.dialects[call.endpoint.dialect]
        pieces = dialect.patch(call.body, call.facts, candidate.upstream_model)
        length = 0
        for piece in pieces:  # compiled, this is a few instructions; `sum` and `map` are calls
            length += len(piece)
        start = self._starts.get(call.endpoint.dialect)
        if start is None or call.query or operation is Operation.COUNT_TOKENS:
            return self._head(call, candidate, length, number), pieces
        lines = b"".join(self.header_lines.for_call(call, number))
        return b"%b%bContent-Length: %d\r\n\r\n" % (start, lines, length), pieces

    def local_headers(
        self,
        call: Call,
        candidate: Candidate,
        headers: RawHeaders,
        is_served: Callable[[str], bool],
    ) -> tuple[RawHeaders, str]:
        """Return the headers of the response to a call that is passed through, with places at the
        provider as the app reaches them here, and the names of those that were left out.

        Args: ``is_served`` tells whether a path here is passed through to this provider.
        """
        target, provider = self._target(call, candidate), self.provider

        def to_local(value: bytes) -> bytes | None:
            return local_reference(value, target, provider.server, provider.paths.base, is_served)

        return local_headers(headers, to_local)

    def _head(self, call: Call, candidate: Candidate, length: int | None, number: int) -> bytes:
        target = self._target(call, candidate)
        is_native = not target.startswith(self.provider.paths.base)
        lines = self.header_lines.for_call(call, number, is_native=is_native)
        return request_head(call.method, target, self.provider.server.http_host, lines, length)

    def _target(self, call: Call, candidate: Candidate) -> str:
        """Return path and query of an attempt."""
        operation = call.endpoint.operation
        if operation is Operation.PASSTHROUGH:
            return upstream_path(call.endpoint.path, self.provider.paths.base) + call.query
        query = call.query and self._query(call)
        if operation is Operation.COUNT_TOKENS:
            path = self.provider.paths.count_tokens or ""
        else:
            path = self.provider.paths.by_dialect[call.endpoint.dialect]
        if "{model}" in path:
            # The caller may invent the model behind a wildcard: quoted, it can reach no other path.
            path = path.replace("{model}", quote(candidate.upstream_model, safe=""))
        return f"{path}&{query[1:]}" if query and "?" in path else path + query

    def _query(self, call: Call) -> str:
        """Return what this provider may see of the app's query: all, where it was written for it;
        else what every provider of its family understands.
        """
        if call.query_for is None or self.provider.name in call.query_for:
            return call.query
        known = _SHARED_PARAMETERS.get(self.provider.conventions.header_family, ())
        kept = [each for each in call.query[1:].split("&") if each in known]
        return f"?{'&'.join(kept)}" if kept else ""


def _starts(provider: Provider) -> dict[str, bytes]:
    """Return, by dialect, the request line and Host that all its calls without a query begin with.

    A dialect whose path holds the model's name has none.
    """
    return {
        name: request_head("POST", path, provider.server.http_host, (), None)[:-2]
        for name, path in provider.paths.by_dialect.items()
        if "{model}" not in path
    }


def _may_be_sidecar(provider: Provider) -> bool:
    """Return whether an entry may lead back to this sidecar, or to another one. Who serves hosted
    models over TLS is not told which calls come from one pod.
    """
    return provider.server.scheme == "http" or is_loopback(provider.server.host)
