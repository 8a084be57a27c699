"""From a session to the key under which every pod finds it. Pure.

Ids of ordinary printable ASCII give the very keys that plano writes; anything else is escaped so
that no two pairs of tenant and session can share a key, and none can be aimed at a slot of a Redis
Cluster.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from sidecar.domain.ids import SessionKey

KEY_PREFIX: Final = "plano:affinity:"
MAX_PART_BYTES: Final = 128
"""A longer part becomes a hash, so that a client cannot make the store keep long keys."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{0,128}", re.ASCII)
"""What nearly every id is made of, and what stays as it is."""
_UNSAFE: Final = frozenset(b"%:~{}") | frozenset(range(0x21)) | frozenset(range(0x7F, 0x100))
_ESCAPES: Final = {
    code: (f"%{code:02X}" if code in _UNSAFE else chr(code)) for code in range(0x100)
}
_ESCAPES_IN_LANE: Final = {**_ESCAPES, ord("/"): "%2F"}
_ESCAPED: Final = re.compile(rb"%([0-9A-F]{2})")
_GLOB: Final = re.compile(r"[*?\[\]\\^]")
"""What has a meaning of its own in a pattern of Redis, and stands unescaped in keys."""


class KeyParts(NamedTuple):
    """What a key is made of."""

    tenant: str | None
    session_id: str
    lane: str | None


def escape_part(part: str) -> str:
    """A tenant or session as it stands in a key: printable ASCII, at most 128 bytes, no separator
    in it.
    """
    return _escape(part, _ESCAPES)


def plain_key(session: SessionKey) -> str:
    """The key that the lane which claims first owns, and which plano shares."""
    if session.tenant is None:
        return f"{KEY_PREFIX}{escape_part(session.session_id)}"
    return f"{KEY_PREFIX}{escape_part(session.tenant)}:{escape_part(session.session_id)}"


def lane_key(session: SessionKey) -> str:
    """The key of a lane beside the first: the plain key, ``~`` and the requested model with its
    slash escaped.
    """
    return lane_key_of(plain_key(session), session.requested_model)


def lane_key_of(plain: str, requested_model: str) -> str:
    """The same, from a plain key."""
    return f"{plain}~{_escape(requested_model, _ESCAPES_IN_LANE)}"


def parse_key(key: str) -> KeyParts | None:
    """What a key was made of; None for what is no key of ours. A part that was too long stays
    ``%h`` and its hash.
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
    """What SCAN must match to find all keys, those of a tenant, or those of a session and some
    more.
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
    if _PLAIN.fullmatch(part) is not None:
        return part
    raw = part.encode("utf-8", "surrogateescape")
    escaped = "".join([escapes[code] for code in raw])
    if len(escaped) <= MAX_PART_BYTES:
        return escaped
    return "%h" + hashlib.blake2b(raw, digest_size=16).hexdigest()
