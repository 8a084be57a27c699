"""One provider, ready to be called: the request that it is sent for a call, its timeouts and its
connection pool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import quote

from sidecar.config.conventions import CredentialStyle
from sidecar.config.providers import Provider
from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.decision import Candidate
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.http1.pool import Pool
from sidecar.wire.headers import request_head
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
            length = None if not call.body and call.method in _BODILESS else len(call.body)
            head = self._head(call, candidate, length, number)
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
        target = self._target(call, candidate)
        is_native = not target.startswith(self.provider.paths.base)
        lines = self.header_lines.for_call(call, number, is_native=is_native)
        return request_head(call.method, target, self.provider.server.http_host, lines, length)

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


@final
@dataclass(init=False, unsafe_hash=True)
class DialectLines:
    """What of the header lines depends on the API that is called."""

    own: Final[tuple[bytes, ...]]
    """The entry's credential and its configured headers."""
    family: Final[str]
    """The group of the app's header lines that may be seen there."""
    version: Final[bytes]
    """Sent where the app names no version of the API; empty for none."""

    def __init__(self, own: tuple[bytes, ...], family: str, version: bytes = b"") -> None:
        self.own = own
        self.family = family
        self.version = version


class HeaderLines:
    r"""The header lines of one provider's requests, each as ``Name: value\r\n``."""

    def __init__(self, provider: Provider) -> None:
        row = provider.conventions
        self._provider = provider
        self.own = _own_lines(provider, row.credential)
        """The entry's credential and its configured headers, as most calls have them."""
        first, family = next(iter(provider.paths.by_dialect), None), row.header_family.value
        version = b"" if first is None else row.version_lines.get(first, "").encode()
        self._passthrough = DialectLines(self.own, family, version)
        """The rest of an API wants the version that its calls want."""
        native = row.native_credential or row.credential
        self._native = DialectLines(_own_lines(provider, native), family, version)
        self._by_dialect = {
            name: DialectLines(
                _own_lines(provider, row.credential_for(name)),
                row.header_family_for(name).value,
                row.version_lines.get(name, "").encode(),
            )
            for name in provider.paths.by_dialect
        }
        self._replaced = frozenset(name.lower().encode() for name, _ in provider.headers) - _LISTS
        """Names whose lines, the app's or ours, are dropped: the config sets them."""

    def for_call(self, call: Call, number: int = 1, *, is_native: bool = False) -> list[bytes]:
        """Return all lines of the attempt of that number but Host and Content-Length.

        Args: ``is_native`` is true of a passthrough path beside the provider's base path.
        """
        headers, provider = call.headers, self._provider
        if call.endpoint.operation is Operation.PASSTHROUGH:
            said = self._native if is_native else self._passthrough
        else:
            said = self._by_dialect[call.endpoint.dialect]
        family = said.family
        lines = [*said.own, *headers.get("common", ()), *headers.get(family, ())]
        if said.version and not _has_line_of_name(lines, said.version):
            lines.append(said.version)
        if provider.passthrough_auth:
            lines += headers.get("credentials", ())
            lines += headers.get(f"{family}_account", ())
        if provider.accept_encoding_passthrough:
            lines += headers.get("accept_encoding", ())
        else:
            lines.append(_IDENTITY)
        lines += headers.get("baggage", ())
        lines.append(f"x-request-id: {call.request_id}\r\n".encode())
        if provider.propagate_trace:
            lines.append(trace_lines(call.trace, number))
        return lines if not self._replaced else self._without_replaced(lines, len(said.own))

    def _without_replaced(self, lines: list[bytes], count: int) -> list[bytes]:
        """Return the lines without those of replaced names, but for the first ones, the entry's."""
        replaced = self._replaced
        kept = [line for line in lines[count:] if line.partition(b":")[0].lower() not in replaced]
        return [*lines[:count], *kept]


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


def _own_lines(provider: Provider, style: CredentialStyle) -> tuple[bytes, ...]:
    lines = []
    if provider.access_key is not None and not provider.passthrough_auth:
        lines.append(style.line(provider.access_key.reveal()))
    lines += [f"{name}: {value.reveal()}\r\n" for name, value in provider.headers]
    return tuple(line.encode() for line in lines)


def _passthrough_path(path: str, base_path: str) -> str:
    """Return where a passthrough path is at the provider: below ``base_path``, which takes the
    place of ``/v1``. A path of another version is sent unchanged.
    """
    if _OTHER_VERSION.match(path) is not None:
        return path
    return base_path + path.removeprefix("/v1")
