"""The header lines of one provider's requests: its own, and those of the app's that it may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.config.conventions import CredentialStyle, HeaderFamily
from sidecar.config.providers import Provider
from sidecar.domain.call import Call, Operation
from sidecar.wire.trace_context import trace_lines
from sidecar.wire.via import via_line

_ACCEPT_ENCODING: Final = "accept_encoding"
_IDENTITY: Final = b"Accept-Encoding: identity\r\n"
_LISTS: Final = frozenset({b"accept", b"anthropic-beta", b"openai-beta"})
"""Fields whose values add up, so that the config's line is sent beside the app's. Of every other
field there can be only one line.
"""


@final
@dataclass(init=False, unsafe_hash=True)
class DialectLines:
    """What of the header lines depends on the API that is called."""

    own: Final[tuple[bytes, ...]]
    """The entry's credential and its configured headers."""
    groups: Final[tuple[str, ...]]
    """The groups of the app's header lines that may be seen there, the header family's first."""
    version: Final[bytes]
    """Sent where the app names no version of the API; empty for none."""

    def __init__(
        self, own: tuple[bytes, ...], groups: tuple[str, ...], version: bytes = b""
    ) -> None:
        self.own = own
        self.groups = groups
        self.version = version


class HeaderLines:
    r"""The header lines of one provider's requests, each as ``Name: value\r\n``."""

    def __init__(self, provider: Provider, via: bytes = b"") -> None:
        """Args: ``via`` is what is added to Via; empty where none is sent, nor passed on."""
        row = provider.conventions
        self.via = via
        self.own = _own_lines(provider, row.credential, via)
        """The entry's credential, its configured headers, and Via, as most calls have them."""
        first, family = next(iter(provider.paths.by_dialect), None), row.header_family
        version = b"" if first is None else row.version_lines.get(first, "").encode()
        groups = _groups_for(provider, family, via)
        self._passthrough = DialectLines(self.own, groups, version)
        """The rest of an API wants the version that its calls want."""
        native = _own_lines(provider, row.native_credential or row.credential, via)
        self._native = DialectLines(native, groups, version)
        self._by_dialect = {
            name: DialectLines(
                _own_lines(provider, row.credential_for(name), via),
                _groups_for(provider, row.header_family_for(name), via),
                row.version_lines.get(name, "").encode(),
            )
            for name in provider.paths.by_dialect
        }
        self._replaced = frozenset(name.lower().encode() for name, _ in provider.headers) - _LISTS
        """Names whose lines, the app's or ours, are dropped: the config sets them."""
        self._propagate_trace = provider.propagate_trace

    def for_call(self, call: Call, number: int = 1, *, is_native: bool = False) -> list[bytes]:
        """Return all lines of the attempt of that number but Host and Content-Length.

        Args: ``is_native`` is true of a passthrough path beside the provider's base path.
        """
        headers = call.headers
        if call.endpoint.operation is Operation.PASSTHROUGH:
            said = self._native if is_native else self._passthrough
        else:
            said = self._by_dialect[call.endpoint.dialect]
        lines = [*said.own, *headers.get("common", ()), *headers.get(said.groups[0], ())]
        if said.version and not _has_line_of_name(lines, said.version):
            lines.append(said.version)
        for group in said.groups[1:]:
            lines += headers.get(group, ())
        if not call.endpoint.is_body_read:
            lines += headers.get("coding", ())
        if _ACCEPT_ENCODING not in said.groups:
            lines.append(_IDENTITY)
        lines.append(f"x-request-id: {call.request_id}\r\n".encode())
        if self._propagate_trace:
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


def _groups_for(provider: Provider, family: HeaderFamily, via: bytes) -> tuple[str, ...]:
    """Return the groups of the app's header lines that an entry is sent: that of the header family
    first, then those that its config allows.
    """
    groups = [family.value]
    if provider.passthrough_auth:
        groups += ["credentials", f"{family.value}_account"]
    if provider.accept_encoding_passthrough:
        groups.append(_ACCEPT_ENCODING)
    if via:
        groups.append("via")
    return (*groups, "baggage")


def _own_lines(provider: Provider, style: CredentialStyle, via: bytes) -> tuple[bytes, ...]:
    lines = []
    if provider.access_key is not None and not provider.passthrough_auth:
        lines.append(style.line(provider.access_key.reveal()))
    lines += [f"{name}: {value.reveal()}\r\n" for name, value in provider.headers]
    own = tuple(line.encode() for line in lines)
    return (*own, via_line([via])) if via else own
