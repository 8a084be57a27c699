"""The session a call belongs to, and the keys under which every pod finds its pin. Pure.

Ids of ordinary printable ASCII give the very keys that plano writes; anything else is escaped so
that no two pairs of tenant and session can share a key, and none can be aimed at a slot of a Redis
Cluster.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Final, NamedTuple

from sidecar.domain.call import Call, Operation
from sidecar.domain.ids import Session

KEY_PREFIX: Final = "plano:affinity:"
MAX_PART_BYTES: Final = 128
"""A longer part becomes a hash, so that a client cannot make the store keep long keys."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{0,128}", re.ASCII)
"""Ids that go into a key unchanged: nearly all of them."""
_UNSAFE: Final = frozenset(b"%:~{}") | frozenset(range(0x21)) | frozenset(range(0x7F, 0x100))
_ESCAPES: Final = {
    code: (f"%{code:02X}" if code in _UNSAFE else chr(code)) for code in range(0x100)
}
_ESCAPES_IN_LANE: Final = {**_ESCAPES, ord("/"): "%2F"}
_ESCAPED: Final = re.compile(rb"%([0-9A-F]{2})")
_GLOB: Final = re.compile(r"[*?\[\]\\^]")
"""Characters that keys hold unescaped and that a glob of Redis reads as wildcards."""


_LANES_REMEMBERED: Final = 1024
"""Lanes whose part of a key is kept; a wildcard's model names are the clients' to invent."""


class KeyParts(NamedTuple):
    """What a key was made from."""

    tenant: str | None
    session_id: str
    lane: str | None


def session_of(call: Call, lane: str) -> Session | None:
    """Name the session that a call belongs to; None for a call that stands alone.

    Args: ``lane`` is what the app asked for: the requested model after alias.
    """
    if call.session_id is None or call.endpoint.operation not in (
        Operation.GENERATE,
        Operation.COUNT_TOKENS,
    ):
        return None
    return make_session(call.session_id, call.tenant, lane)


def make_session(session_id: str, tenant: str | None = None, lane: str = "") -> Session:
    """Make a session with its keys, each at most 401 bytes of printable ASCII."""
    key = plain_key(tenant, session_id)
    return Session(tenant, session_id, lane, key, key + lane_suffix(lane))


def plain_key(tenant: str | None, session_id: str) -> str:
    """Return the key that the lane which claims first has, and which plano shares."""
    own = escape_part(session_id)
    return f"{KEY_PREFIX}{own}" if tenant is None else f"{KEY_PREFIX}{escape_part(tenant)}:{own}"


@functools.lru_cache(_LANES_REMEMBERED)
def lane_suffix(lane: str) -> str:
    """Return what a lane beside the first adds to the plain key: ``~`` and the requested model with
    its slash escaped.
    """
    return f"~{_escape(lane, _ESCAPES_IN_LANE)}"


def escape_part(part: str) -> str:
    """Return a tenant or session id as it stands in a key: printable ASCII, at most 128 bytes, no
    separator in it.
    """
    return part if _PLAIN.fullmatch(part) is not None else _escape(part, _ESCAPES)


def parse_key(key: str) -> KeyParts | None:
    """Return what a key was made of; None for a key that is not ours.

    A part that was too long for a key comes back as ``%h`` and its hash.
    """
    if not key.startswith(KEY_PREFIX):
        return None
    plain, tilde, lane = key[len(KEY_PREFIX) :].partition("~")
    *tenants, session_id = plain.split(":")
    if len(tenants) > 1:
        return None
    return KeyParts(
        tenant=_unescape(tenants[0]) if tenants else None,
        session_id=_unescape(session_id),
        lane=_unescape(lane) if tilde else None,
    )


def pattern_of(tenant: str | None, session_id: str | None = None) -> str:
    """Return the glob with which SCAN finds all keys, those of a tenant, or those of a session.

    The glob of a session also matches sessions whose ids begin with its id.
    """
    start = KEY_PREFIX if tenant is None else f"{KEY_PREFIX}{escape_part(tenant)}:"
    if session_id is not None:
        start += escape_part(session_id)
    return _GLOB.sub(r"\\\g<0>", start) + "*"


def _unescape(part: str) -> str:
    if part.startswith("%h"):
        return part
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), part.encode("latin-1")).decode(
        "utf-8", "surrogateescape"
    )


def _escape(part: str, escapes: dict[int, str]) -> str:
    raw = part.encode("utf-8", "surrogateescape")
    escaped = "".join([escapes[code] for code in raw])
    if len(escaped) <= MAX_PART_BYTES:
        return escaped
    return "%h" + hashlib.blake2b(raw, digest_size=16).hexdigest()
