"""What becomes of a header field, told by its name: which providers may see it, and what is read
from it.

Source: contract.md, "Request headers" and "Response headers"; RFC 9110, 7.6.1 (Connection).

The tables below are asked once for each spelling of a name; the answers are kept in dicts of
bounded size, since names are the peer's to choose.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import Final

from sidecar.domain.errors import InvalidHeader
from sidecar.runtime.bounded import BoundedMap
from sidecar.wire.header_policy import AFFINITY_HEADER, HeaderPolicy, Treatment

_MAX_CACHED_NAMES: Final = 512
_MAX_CACHED_NAME_BYTES: Final = 64
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)

_LINES: Final = {
    "accept": "common",
    "user-agent": "common",
    "idempotency-key": "common",
    "accept-encoding": "accept_encoding",
    "x-app": "anthropic_family",
    "anthropic-workspace-id": "anthropic_account",
    "openai-organization": "openai_account",
    "openai-project": "openai_account",
    "session_id": "openai_family",
    "originator": "openai_family",
    "http-referer": "openai_family",
    "x-title": "openai_family",
    "authorization": "credentials",
    "x-api-key": "credentials",
    # Framing is the upstream client's, and digests are of a body that may be patched.
    "content-length": "",
    "content-encoding": "",
    "content-md5": "",
    "content-digest": "",
}
"""The field of InboundHeaders that takes a header's line; empty: none."""
_LINES_BY_PREFIX: Final = {
    "content-": "common",
    "x-stainless-": "common",
    "anthropic-": "anthropic_family",
    "openai-": "openai_family",
    "x-codex-": "openai_family",
}
_FACTS: Final = {
    "x-request-id": "request_ids",
    "traceparent": "traceparents",
    "tracestate": "tracestates",
    "x-plano-timeout-ms": "patience",
    "x-stainless-timeout": "patience",
    "x-stainless-read-timeout": "patience",
    "connection": "special",
    "upgrade": "special",
    "origin": "special",
    "content-encoding": "special",
    "transfer-encoding": "special",
    "anthropic-version": "special",
}
"""The field of InboundHeaders that takes a header's value; ``special`` ones are worked out in
`wire.headers`.
"""
_NAMED_FACTS: Final = frozenset(("patience", "sessions", "special"))
"""Facts that are kept as (name, value), since several names feed them."""
_NEVER_PROPAGATED: Final = _HOP_BY_HOP | {
    *("accept-encoding", "content-encoding", "content-length", "expect", "host"),
    *("authorization", "cookie", "x-api-key", AFFINITY_HEADER),
    *("traceparent", "tracestate", "x-request-id"),
}
_NOT_FOR_CONNECTION: Final = frozenset(("content-length", "content-type", "cookie", "host"))
"""With all that is read and all credentials: end-to-end fields without which a request means
something else.
"""


class RequestNames(BoundedMap[bytes, tuple[str, str, str]]):
    """Header names as spelled -> (line, fact, key) of their `Treatment`, under one policy. Filled
    as names come.
    """

    def __init__(self, policy: HeaderPolicy) -> None:
        super().__init__(_MAX_CACHED_NAMES)
        listed = tuple(name.lower() for name in policy.session_headers)
        self.session_names = listed if AFFINITY_HEADER in listed else (AFFINITY_HEADER, *listed)
        self._tenant_name = policy.tenant_header.lower() if policy.tenant_header else None
        self._propagated = frozenset(name.lower() for name in policy.propagate)

    def __missing__(self, name: bytes) -> tuple[str, str, str]:
        """Raises: InvalidHeader where the name is no token."""
        if _TOKEN.fullmatch(name) is None:
            raise InvalidHeader("a header's name holds characters that no name may hold")
        treatment = self.treatment(name.decode().lower())
        answer = (treatment.line, treatment.fact, treatment.key)
        if len(name) <= _MAX_CACHED_NAME_BYTES:
            self.add(name, answer)
        return answer

    def treatment(self, name: str) -> Treatment:
        """What becomes of a header.

        Args: ``name`` is in lower case.
        """
        if name == self._tenant_name:
            return Treatment(fact="tenants", may_be_dropped=False)
        fact = "sessions" if name in self.session_names else _FACTS.get(name, "")
        line = self._line(name)
        return Treatment(
            line=line,
            fact=fact,
            key=name if fact in _NAMED_FACTS else "",
            may_be_dropped=_is_hop_by_hop(name)
            or not (
                fact
                or line == "credentials"
                or name in _NOT_FOR_CONNECTION
                or name.startswith("x-plano-")
            ),
        )

    def _line(self, name: str) -> str:
        if name in _NEVER_PROPAGATED or name.startswith("x-plano-") or _is_hop_by_hop(name):
            return _LINES.get(name, "")
        if name in self._propagated:
            return "baggage" if name == "baggage" else "common"
        if name in _LINES:
            return _LINES[name]
        return next(
            (line for prefix, line in _LINES_BY_PREFIX.items() if name.startswith(prefix)), ""
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
        super().__init__(_MAX_CACHED_NAMES)

    def __missing__(self, name: bytes) -> Passage:
        lower = name.decode("latin-1").lower()
        passage = _PASSAGES.get(lower)
        if passage is None:
            ours = lower.startswith("x-plano-")
            passage = Passage.DROP if ours or _is_hop_by_hop(lower) else Passage.PASS
        if len(name) <= _MAX_CACHED_NAME_BYTES:
            self.add(name, passage)
        return passage


@lru_cache(maxsize=8)
def request_names(policy: HeaderPolicy) -> RequestNames:
    """The names known under a policy. There is one policy, and a second for a moment after a
    reload.
    """
    return RequestNames(policy)


def _is_hop_by_hop(name: str) -> bool:
    return name in _HOP_BY_HOP or name.startswith("proxy-")
