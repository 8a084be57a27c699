"""One provider, ready to be called: the request that it is sent for a call, its timeouts and its
connection pool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from sidecar.config.providers import Provider
from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.decision import Candidate
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.http1.pool import Pool
from sidecar.wire.headers import CHUNKED, request_head
from sidecar.wire.trace_context import trace_lines

_IDENTITY: Final = b"Accept-Encoding: identity\r\n"
_LISTS: Final = frozenset({b"accept", b"anthropic-beta", b"openai-beta"})
"""Fields whose values add up, so that the config's line is sent beside the app's. Of every other
field there can be only one line.
"""
_OTHER_VERSION: Final = re.compile(r"/v(?!1(?:/|$))\d")
"""A passthrough path such as ``/v1beta/...`` or ``/v2/...``: it is not below the provider's
``/v1``, so the base path does not apply to it.
"""
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})


class ProviderClient:
    """One provider entry, ready to be called."""

    def __init__(
        self, provider: Provider, pool: Pool, dialects: Mapping[DialectName, Dialect]
    ) -> None:
        self.provider = provider
        self.pool = pool
        self.dialects = dialects
        self.header_lines = HeaderLines(provider)
        self._starts = _starts(provider)
        self._stream_timeouts = ExchangeTimeouts(
            connect_s=provider.timeouts.connect_s,
            first_byte_s=provider.timeouts.first_byte_s,
            response_s=None,
            idle_s=provider.timeouts.stream_idle_s,
        )
        self._whole_timeouts = ExchangeTimeouts(
            connect_s=provider.timeouts.connect_s,
            first_byte_s=None,
            response_s=provider.timeouts.response_s,
            idle_s=None,
        )

    def use(self, provider: Provider) -> None:
        """Send the secrets of ``provider`` from now on: the same entry, read again."""
        self.provider = provider
        self.header_lines = HeaderLines(provider)

    def timeouts(self, *, is_stream: bool) -> ExchangeTimeouts:
        """Return the provider's timeouts for a stream or a whole response."""
        return self._stream_timeouts if is_stream else self._whole_timeouts

    def request(
        self, call: Call, candidate: Candidate, number: int = 1
    ) -> tuple[bytes, Sequence[bytes | memoryview]]:
        """Return the head and the body's pieces of the call's attempt of that number. The body is
        the app's, byte for byte but for the value of ``model``.
        """
        operation = call.endpoint.operation
        if operation is Operation.PASSTHROUGH:
            if call.upload is not None:
                length = CHUNKED if call.upload.length is None else call.upload.length
                return self._head(call, candidate, length, number), ()
            sized = None if not call.body and call.method in _BODILESS else len(call.body)
            head = self._head(call, candidate, sized, number)
            return head, (call.body,) if call.body else ()
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

    def _head(self, call: Call, candidate: Candidate, length: int | None, number: int) -> bytes:
        return request_head(
            call.method,
            self._target(call, candidate),
            self.provider.server.http_host,
            self.header_lines.for_call(call, number),
            length,
        )

    def _target(self, call: Call, candidate: Candidate) -> str:
        """Return path and query of an attempt."""
        operation = call.endpoint.operation
        if operation is Operation.PASSTHROUGH:
            return _passthrough_path(call.endpoint.path, self.provider.paths.base) + call.query
        if operation is Operation.COUNT_TOKENS:
            path = self.provider.paths.count_tokens or ""
        else:
            path = self.provider.paths.by_dialect[call.endpoint.dialect]
        if "{model}" in path:
            # The caller may invent the model behind a wildcard: quoted, it can reach no other path.
            path = path.replace("{model}", quote(candidate.upstream_model, safe=""))
        if call.query and "?" in path:
            return f"{path}&{call.query[1:]}"
        return path + call.query


class HeaderLines:
    r"""The header lines of one provider's requests, each as ``Name: value\r\n``."""

    def __init__(self, provider: Provider) -> None:
        self.own = _own_lines(provider)
        """The entry's credential and its configured headers."""
        self._replaced = frozenset(name.lower().encode() for name, _ in provider.headers) - _LISTS
        """Names whose lines, the app's or ours, are dropped: the config sets them."""
        conventions = provider.conventions
        self._family = conventions.header_family.value
        """The group of the app's header lines that providers of this family may see."""
        self._version_lines = {
            name: line.encode() for name, line in conventions.version_lines.items()
        }
        self._passthrough_auth = provider.passthrough_auth
        self._accept_encoding_passthrough = provider.accept_encoding_passthrough
        self._propagate_trace = provider.propagate_trace

    def for_call(self, call: Call, number: int = 1) -> list[bytes]:
        """Return all lines of the attempt of that number but Host and Content-Length."""
        headers, family = call.headers, self._family
        lines = [*self.own, *headers.get("common", ()), *headers.get(family, ())]
        version = self._version_lines.get(call.endpoint.dialect)
        if version is not None and not _has_line_of_name(lines, version):
            lines.append(version)
        if self._passthrough_auth:
            lines += headers.get("credentials", ())
            lines += headers.get(f"{family}_account", ())
        if self._accept_encoding_passthrough:
            lines += headers.get("accept_encoding", ())
        else:
            lines.append(_IDENTITY)
        lines += headers.get("baggage", ())
        lines.append(f"x-request-id: {call.request_id}\r\n".encode())
        if self._propagate_trace:
            lines.append(trace_lines(call.trace, number))
        return lines if not self._replaced else self._without_replaced(lines)

    def _without_replaced(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines, which begin with the entry's own, without the others of those names."""
        others = lines[len(self.own) :]
        kept = [line for line in others if line[: line.index(b":")].lower() not in self._replaced]
        return [*self.own, *kept]


def _has_line_of_name(lines: list[bytes], line: bytes) -> bool:
    """Return whether there is a line of the same header name as another line's."""
    name = line[: line.index(b":") + 1].lower()
    size = len(name)
    for each in lines:  # noqa: SIM110 - a generator costs a frame for each line of every call
        if each[:size].lower() == name:
            return True
    return False


def _starts(provider: Provider) -> dict[str, bytes]:
    """Return, by dialect, the request line and Host that all its calls without a query begin with.

    A dialect whose path holds the model's name has none.
    """
    return {
        name: request_head("POST", path, provider.server.http_host, (), None)[:-2]
        for name, path in provider.paths.by_dialect.items()
        if "{model}" not in path
    }


def _own_lines(provider: Provider) -> tuple[bytes, ...]:
    lines = []
    if provider.access_key is not None and not provider.passthrough_auth:
        lines.append(provider.conventions.credential.line(provider.access_key.reveal()))
    lines += [f"{name}: {value.reveal()}\r\n" for name, value in provider.headers]
    return tuple(line.encode() for line in lines)


def _passthrough_path(path: str, base_path: str) -> str:
    """Return where a passthrough path is at the provider: below ``base_path``, which takes the
    place of ``/v1``. A path of another version is sent unchanged.
    """
    if _OTHER_VERSION.match(path) is not None:
        return path
    return base_path + path.removeprefix("/v1")
