"""What becomes of a header field of the app's by its name, and the head of a request to a provider.

Source: RFC 9110, 7.6.1 (Connection).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sidecar.domain.errors import InvalidHeader, MalformedRequest
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

CACHE_HINTS: Final = {
    "session-id": "openai_cache",
    "thread-id": "openai_cache",
    "x-client-request-id": "openai_cache",
    "x-session-affinity": "fireworks_cache",
    "x-affinity": "mistral_cache",
    "x-grok-conv-id": "xai_cache",
}
"""Headers by which apps tell a provider's prompt cache what belongs together, and the group of
each: it goes to no other provider.
"""
_GROUPS: Final = {
    **CACHE_HINTS,
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
    "api-key": "credentials",
    "x-goog-api-key": "credentials",
    "content-encoding": "coding",
    # Framing is the upstream client's, and digests are of a body that may be patched.
    "content-length": "",
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
    "x-openrouter-": "openai",
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
    "host": "hosts",
    "sec-fetch-site": "fetch_sites",
    "origin": "special",
    "content-encoding": "special",
    "transfer-encoding": "special",
    "via": "vias",
    # Read by the client of a provider that wants one; named here so that Connection cannot drop it.
    "anthropic-version": "special",
}
"""The field of `wire.request_headers.RequestHeaders` that a header's value goes to; ``special``
values are worked out there.
"""
_NAMED_FACTS: Final = frozenset(("agents", "client_timeouts", "sessions", "special"))
"""Facts that are kept as (name, value), since several names feed them."""
_NEVER_PROPAGATED: Final = _HOP_BY_HOP | {
    *("accept-encoding", "content-encoding", "content-length", "expect", "host"),
    *("authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", AFFINITY_HEADER),
    *("traceparent", "tracestate", "x-request-id"),
}
_NOT_FOR_CONNECTION: Final = frozenset(("content-length", "content-type", "cookie", "host"))
"""Beside all that is read and all credentials: end-to-end fields without which a request means
something else.
"""


def split_group(name: str) -> str:
    """Return the group of a header, named in lower case, that some entries alone are to see beside
    those that usually do.
    """
    return f"+{name}"


def usual_group(name: str) -> str:
    """Return the group that a header's line goes to where the config says nothing of it; empty:
    none.

    Args: ``name`` is in lower case.
    """
    if name in _GROUPS:
        return _GROUPS[name]
    return next(
        (group for prefix, group in _GROUPS_BY_PREFIX.items() if name.startswith(prefix)), ""
    )


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
        agent_headers: tuple[str, ...] = (),
        split: frozenset[str] = frozenset(),
    ) -> None:
        """Args, names in any case: ``session_headers`` carry a session id, the first present one
        counts, and `AFFINITY_HEADER` leads where it is not listed; ``agent_headers`` name the
        sub-agent that makes the call, likewise; ``propagate`` adds names that go to every provider,
        ``split`` names that go to some as well.
        """
        super().__init__(_MAX_KEPT_NAMES)
        listed = tuple(name.lower() for name in session_headers)
        self.session_names = listed if AFFINITY_HEADER in listed else (AFFINITY_HEADER, *listed)
        self.agent_names = tuple(name.lower() for name in agent_headers)
        self.tenant_name = tenant_header.lower() if tenant_header else None
        self._propagated = frozenset(name.lower() for name in propagate)
        self._split = frozenset(name.lower() for name in split)

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
        return is_hop_by_hop(name) or not (
            self._fact(name)
            or self._group(name) == "credentials"
            or name in _NOT_FOR_CONNECTION
            or name.startswith("x-plano-")
        )

    def _fact(self, name: str) -> str:
        if name == self.tenant_name:
            return "tenants"
        if name in self.session_names:
            return "sessions"
        return "agents" if name in self.agent_names else _FACTS.get(name, "")

    def _group(self, name: str) -> str:
        if name == self.tenant_name:
            return ""
        if name in _NEVER_PROPAGATED or name.startswith("x-plano-") or is_hop_by_hop(name):
            return _GROUPS.get(name, "")
        if name in self._propagated:
            return "baggage" if name == "baggage" else "common"
        return split_group(name) if name in self._split else usual_group(name)


def tokens_of(value: bytes) -> set[bytes]:
    """Return the members of a comma-separated list, in lower case, empty ones left out."""
    return {token for part in value.lower().split(b",") if (token := part.strip(b" \t"))}


def is_hop_by_hop(name: str) -> bool:
    """Return whether a header, named in lower case, is of one connection alone."""
    return name in _HOP_BY_HOP or name.startswith("proxy-")


CHUNKED: Final = -1
"""In the place of a body's length: it is sent in chunks."""
_TARGET: Final = re.compile(r"[!-~]+")


def request_head(
    method: str, target: str, host: str, lines: Iterable[bytes], content_length: int | None
) -> bytes:
    """Write the head of an HTTP/1.1 request, blank line included.

    Args: ``target`` is path and query; ``host`` has its port where that is not the scheme's;
        ``lines`` end in CRLF; with ``content_length`` None there is no such header, with `CHUNKED`
        the body's end is told by its last chunk.
    Raises: MalformedRequest where method, target or host holds a blank, a control character or is
        not ASCII.
    """
    for part in (method, target, host):
        if _TARGET.fullmatch(part) is None:
            raise MalformedRequest("the request's target holds characters that no target may hold")
    start = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
    framing = b"\r\n"
    if content_length == CHUNKED:
        framing = b"Transfer-Encoding: chunked\r\n\r\n"
    elif content_length is not None:
        framing = b"Content-Length: %d\r\n\r\n" % content_length
    return b"".join((start, *lines, framing))
