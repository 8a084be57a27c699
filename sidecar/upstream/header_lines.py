"""The header lines of one provider's requests: its own, and those of the app's that it may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.config.conventions import CredentialStyle, HeaderFamily
from sidecar.config.providers import Provider
from sidecar.domain.call import Call, Operation
from sidecar.upstream.cache_key import CacheKey
from sidecar.wire.headers import CACHE_HINTS, split_group, usual_group
from sidecar.wire.trace_context import trace_lines
from sidecar.wire.via import via_line

_ACCEPT_ENCODING: Final = "accept_encoding"
_IDENTITY: Final = b"Accept-Encoding: identity\r\n"
_LISTS: Final = frozenset({b"accept", b"anthropic-beta", b"openai-beta"})
"""Fields whose values add up, so that the config's line is sent beside the app's. Of every other
field there can be only one line.
"""
_OWN_MEMBER: Final = b'"prompt_cache_key"'


@final
class MadeHint:
    """A header that is made of a call's session, for one provider's prompt cache."""

    def __init__(self, name: str, key: CacheKey) -> None:
        self._group = CACHE_HINTS[name]
        self._start = f"{name}: "
        self._key = key

    def lines(self, call: Call) -> list[bytes]:
        """Return the line; none where the app says itself what belongs together, by such a line or
        in the body, however deep. The call has a session.
        """
        if self._group in call.headers or _OWN_MEMBER in call.body:
            return []
        return [f"{self._start}{self._key.of(call)}\r\n".encode()]


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
    hint: Final[MadeHint | None]
    """Sent where a session's app does not name it to the provider's prompt cache; None: nothing."""

    def __init__(
        self,
        own: tuple[bytes, ...],
        groups: tuple[str, ...],
        version: bytes = b"",
        hint: MadeHint | None = None,
    ) -> None:
        self.own = own
        self.groups = groups
        self.version = version
        self.hint = hint


class HeaderLines:
    r"""The header lines of one provider's requests, each as ``Name: value\r\n``."""

    def __init__(
        self, provider: Provider, via: bytes = b"", split: frozenset[str] = frozenset()
    ) -> None:
        """Args: ``via`` is what is added to Via; empty where none is sent, nor passed on. ``split``
        are the names, in lower case, that entries' own ``propagate`` holds, those of all entries.
        """
        row = provider.conventions
        self.via = via
        self.split = split
        self.own = _own_lines(provider, row.credential, via)
        """The entry's credential, its configured headers, and Via, as most calls have them."""
        first, family = next(iter(provider.paths.by_dialect), None), row.header_family
        version = b"" if first is None else row.version_lines.get(first, "").encode()
        groups = _groups_for(provider, family, via, split)
        native = _own_lines(provider, row.native_credential or row.credential, via)
        self._rest = (
            DialectLines(self.own, groups, version),
            DialectLines(native, groups, version),
        )
        """Of the rest of an API, which wants the version that its calls want, and of what stands
        beside its base path.
        """
        hint = _hint_of(provider)
        self._by_dialect = {
            name: DialectLines(
                _own_lines(provider, row.credential_for(name), via),
                _groups_for(provider, row.header_family_for(name), via, split),
                row.version_lines.get(name, "").encode(),
                hint,
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
        headers, operation = call.headers, call.endpoint.operation
        if operation is Operation.PASSTHROUGH:
            said = self._rest[is_native]
        else:
            said = self._by_dialect[call.endpoint.dialect]
        lines = [*said.own, *headers.get("common", ())]
        for group in said.groups:
            lines += headers.get(group, ())
        if said.version and not _has_line_of_name(lines, said.version):
            lines.append(said.version)
        hint = said.hint
        if hint is not None and call.session_id is not None and operation is Operation.GENERATE:
            lines += hint.lines(call)
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


def _groups_for(
    provider: Provider, family: HeaderFamily, via: bytes, split: frozenset[str]
) -> tuple[str, ...]:
    """Return the groups of the app's header lines that an entry is sent, beside those that all are:
    that of the header family first, then those that its row and its config allow.
    """
    groups = [family.value]
    if provider.passthrough_auth:
        groups += ["credentials", f"{family.value}_account"]
    if provider.accept_encoding_passthrough:
        groups.append(_ACCEPT_ENCODING)
    if via:
        groups.append("via")
    names = provider.conventions.cache_hints.headers
    groups += ["baggage", *dict.fromkeys(CACHE_HINTS[name] for name in names)]
    usual = {"common", *groups}
    own = {name.lower() for name in provider.propagate}
    groups += [
        split_group(name) for name in sorted(split) if name in own or usual_group(name) in usual
    ]
    return tuple(groups)


def _hint_of(provider: Provider) -> MadeHint | None:
    """Return what names sessions to a provider whose prompt cache has a header for it."""
    name = provider.conventions.cache_hints.made
    secret = provider.access_key
    if name is None or secret is None or provider.cache_hint == "leave":
        return None
    return MadeHint(name, CacheKey(secret.reveal()))


def _own_lines(provider: Provider, style: CredentialStyle, via: bytes) -> tuple[bytes, ...]:
    lines = []
    if provider.access_key is not None and not provider.passthrough_auth:
        lines.append(style.line(provider.access_key.reveal()))
    lines += [f"{name}: {value.reveal()}\r\n" for name, value in provider.headers]
    own = tuple(line.encode() for line in lines)
    return (*own, via_line([via])) if via else own
