"""From a session to the key under which every pod finds it. Pure.

Ids of ordinary printable ASCII give the very keys that plano writes; anything else is escaped so that no two pairs of
tenant and session can share a key, and none can be aimed at a slot of a Redis Cluster.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from sidecar.domain.ids import SessionKey

KEY_PREFIX: Final = "plano:affinity:"
MAX_PART_BYTES: Final = 128
"""A longer part becomes a hash, so that a client cannot make the store keep long keys."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{0,128}", re.ASCII)
"""What nearly every id is made of, and what stays as it is."""
_UNSAFE: Final = frozenset(b"%:~{}") | frozenset(range(0x21)) | frozenset(range(0x7F, 0x100))
_ESCAPES: Final = {code: (f"%{code:02X}" if code in _UNSAFE else chr(code)) for code in range(0x100)}
_ESCAPES_IN_LANE: Final = {**_ESCAPES, ord("/"): "%2F"}


def escape_part(part: str) -> str:
    """A tenant or session as it stands in a key: printable ASCII, at most 128 bytes, no separator in it."""
    return _escape(part, _ESCAPES)


def plain_key(session: SessionKey) -> str:
    """The key that the lane which claims first owns, and which plano shares."""
    if session.tenant is None:
        return f"{KEY_PREFIX}{escape_part(session.session_id)}"
    return f"{KEY_PREFIX}{escape_part(session.tenant)}:{escape_part(session.session_id)}"


def lane_key(session: SessionKey) -> str:
    """The key of a lane beside the first: the plain key, ``~`` and the requested model with its slash escaped."""
    return f"{plain_key(session)}~{_escape(session.requested_model, _ESCAPES_IN_LANE)}"


def _escape(part: str, escapes: dict[int, str]) -> str:
    if _PLAIN.fullmatch(part) is not None:
        return part
    raw = part.encode("utf-8", "surrogateescape")
    escaped = "".join([escapes[code] for code in raw])
    if len(escaped) <= MAX_PART_BYTES:
        return escaped
    return "%h" + hashlib.blake2b(raw, digest_size=16).hexdigest()
