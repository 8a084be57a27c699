"""What becomes of a header field, by its name: which providers may see it, and what is read from
it.

The tables are asked once for each spelling of a name; what they say is kept in dicts of bounded
size, since names are the peer's to choose.

Source: RFC 9110, 7.6.1 (Connection); what each SDK and agent sends.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from sidecar.domain.errors import InvalidHeader
from sidecar.runtime.bounded import BoundedMap

AFFINITY_HEADER: Final = "x-model-affinity"

_MAX_KEPT_NAMES: Final = 512
_MAX_KEPT_NAME_BYTES: Final = 64
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

PLAIN_CONNECTIONS: Final = frozenset((b"keep-alive", b"Keep-Alive", b"close", b"Close"))
"""What nearly every peer says in Connection, and what names no field."""
_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)

_GROUPS: Final = {
    "accept": "common",
    "user-agent": "common",
    "idempotency-key": "common",
    "accept-encoding": "accept_encoding",
    "x-app": "anthropic",
    "anthropic-workspace-id": "anthropic_account",
    "openai-organization": "openai_account",
    "openai-project": "openai_account",
    "session_id": "openai",
    "originator": "openai",
    "http-referer": "openai",
    "x-title": "openai",
    "authorization": "credentials",
    "x-api-key": "credentials",
    # Framing is the upstream client's, and digests are of a body that may be patched.
    "content-length": "",
    "content-encoding": "",
    "content-md5": "",
    "content-digest": "",
}
"""The group of `domain.call.InboundLines` that a header's line goes to; empty: none."""
_GROUPS_BY_PREFIX: Final = {
    "content-": "common",
    "x-stainless-": "common",
    "anthropic-": "anthropic",
    "openai-": "openai",
    "x-codex-": "openai",
}
_FACTS: Final = {
    "x-request-id": "request_ids",
    "traceparent": "traceparents",
    "tracestate": "tracestates",
    "x-plano-timeout-ms": "client_timeouts",
    "x-stainless-timeout": "client_timeouts",
    "x-stainless-read-timeout": "client_timeouts",
    "connection": "special",
    "upgrade": "special",
    "origin": "special",
    "content-encoding": "special",
    "transfer-encoding": "special",
    # Read by the client of a provider that wants one; named here so that Connection cannot drop it.
    "anthropic-version": "special",
}
"""The field of `wire.request_headers.RequestHeaders` that a header's value goes to; ``special``
values are worked out there.
"""
_NAMED_FACTS: Final = frozenset(("client_timeouts", "sessions", "special"))
"""Facts that are kept as (name, value), since several names feed them."""
_NEVER_PROPAGATED: Final = _HOP_BY_HOP | {
    *("accept-encoding", "content-encoding", "content-length", "expect", "host"),
    *("authorization", "cookie", "x-api-key", AFFINITY_HEADER),
    *("traceparent", "tracestate", "x-request-id"),
}
_NOT_FOR_CONNECTION: Final = frozenset(("content-length", "content-type", "cookie", "host"))
"""Beside all that is read and all credentials: end-to-end fields without which a request means
something else.
"""


class HeaderPolicy(BoundedMap[bytes, tuple[str, str, str]]):
    """What the config says about request headers, and what comes of it for each name.

    As a dict: a name as spelled -> (group, fact, key). ``group`` of `domain.call.InboundLines` gets
    the line, ``fact`` of `RequestHeaders` the value, with ``key``, the name in lower case, where
    several names feed that fact; each is empty where there is none. Filled as names come.
    """

    def __init__(
        self,
        session_headers: tuple[str, ...] = (AFFINITY_HEADER,),
        tenant_header: str | None = None,
        propagate: frozenset[str] = frozenset(),
    ) -> None:
        """Args, names in any case: ``session_headers`` carry a session id, the first present one
        counts, and `AFFINITY_HEADER` leads where it is not listed; ``propagate`` adds names that go
        to every provider.
        """
        super().__init__(_MAX_KEPT_NAMES)
        listed = tuple(name.lower() for name in session_headers)
        self.session_names = listed if AFFINITY_HEADER in listed else (AFFINITY_HEADER, *listed)
        self.tenant_name = tenant_header.lower() if tenant_header else None
        self._propagated = frozenset(name.lower() for name in propagate)

    def __missing__(self, name: bytes) -> tuple[str, str, str]:
        """Raises: InvalidHeader where the name is no token."""
        if _TOKEN.fullmatch(name) is None:
            raise InvalidHeader("a header's name holds characters that no name may hold")
        lower = name.decode().lower()
        fact = self._fact(lower)
        use = self._group(lower), fact, lower if fact in _NAMED_FACTS else ""
        if len(name) <= _MAX_KEPT_NAME_BYTES:
            self.add(name, use)
        return use

    def may_be_dropped(self, name: str) -> bool:
        """Whether a Connection header may name this header, which then stays on this hop.

        Args: ``name`` is in lower case.
        """
        if name == self.tenant_name:
            return False
        if name == self.tenant_name:
            return False
        return _is_hop_by_hop(name) or not (
            self._fact(name)
            or self._group(name) == "credentials"
            or name in _NOT_FOR_CONNECTION
            or name.startswith("x-plano-")
        )

    def _fact(self, name: str) -> str:
        if name == self.tenant_name:
            return "tenants"
        return "sessions" if name in self.session_names else _FACTS.get(name, "")

    def _group(self, name: str) -> str:
        if name == self.tenant_name:
            return ""
        if name in _NEVER_PROPAGATED or name.startswith("x-plano-") or _is_hop_by_hop(name):
            return _GROUPS.get(name, "")
        if name in self._propagated:
            return "baggage" if name == "baggage" else "common"
        if name in _GROUPS:
            return _GROUPS[name]
        return next(
            (group for prefix, group in _GROUPS_BY_PREFIX.items() if name.startswith(prefix)), ""
        )


class Passage(enum.IntEnum):
    """What becomes of one response header."""

    DROP = 0
    PASS = 1
    UPSTREAM_ID = 2
    """The provider's ``x-request-id``: ours takes that name."""
    PASS_AND_UPSTREAM_ID = 3
    """The provider's ``request-id``."""
    CONNECTION = 4


_PASSAGES: Final = {
    "connection": Passage.CONNECTION,
    "content-length": Passage.DROP,
    "x-request-id": Passage.UPSTREAM_ID,
    "request-id": Passage.PASS_AND_UPSTREAM_ID,
}


class ResponseNames(BoundedMap[bytes, Passage]):
    """Response header names as spelled -> what becomes of them. Filled as names come."""

    def __init__(self) -> None:
        super().__init__(_MAX_KEPT_NAMES)

    def __missing__(self, name: bytes) -> Passage:
        lower = name.decode("latin-1").lower()
        passage = _PASSAGES.get(lower)
        if passage is None:
            ours = lower.startswith("x-plano-")
            passage = Passage.DROP if ours or _is_hop_by_hop(lower) else Passage.PASS
        if len(name) <= _MAX_KEPT_NAME_BYTES:
            self.add(name, passage)
        return passage


def tokens_of(value: bytes) -> set[bytes]:
    """Return the members of a comma-separated list, in lower case, empty ones left out."""
    return {token for part in value.lower().split(b",") if (token := part.strip(b" \t"))}


def _is_hop_by_hop(name: str) -> bool:
    return name in _HOP_BY_HOP or name.startswith("proxy-")
