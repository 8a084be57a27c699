"""The session a call belongs to, and the key under which every pod finds its pins. Pure.

A session has one key: ``PREFIX[TENANT:]SESSION[~AGENT]``. Ids of ordinary printable ASCII give the
very keys that plano writes; anything else is escaped so that no two (tenant, session, agent) can
share a key, and none can be aimed at a slot of a Redis Cluster.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Final, NamedTuple

from sidecar.domain.call import Call, Operation
from sidecar.domain.ids import Session

KEY_PREFIX: Final = "plano:affinity:"
"""Plano's own; the config may name another, which keeps two installations apart on one server."""
MAX_PART_BYTES: Final = 128
"""A longer part becomes a hash, so that a client cannot make the store keep long keys."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{0,128}", re.ASCII)
"""Ids that go into a key unchanged: nearly all of them."""
_UNSAFE: Final = frozenset(b"%:~{}") | frozenset(range(0x21)) | frozenset(range(0x7F, 0x100))
_ESCAPES: Final = {
    code: (f"%{code:02X}" if code in _UNSAFE else chr(code)) for code in range(0x100)
}
_SLASH_IN_LANE: Final = "%2F"
_ESCAPES_IN_LANE: Final = {**_ESCAPES, ord("/"): _SLASH_IN_LANE}
_ESCAPED: Final = re.compile(rb"%([0-9A-F]{2})")
_HASHED: Final = re.compile(r"%h[0-9a-f]{32}", re.ASCII)
_GLOB: Final = re.compile(r"[*?\[\]\\^]")
"""Characters that keys hold unescaped and that a glob of Redis reads as wildcards."""


_LANES_REMEMBERED: Final = 1024
"""Lanes whose part of a key is kept; a wildcard's model names are the clients' to invent."""


class KeyParts(NamedTuple):
    """What a key was made from."""

    tenant: str | None
    session_id: str
    agent: str | None
    lane: str | None
    """Only of a key in the form before: a lane beside the first had a key of its own."""


def session_of(call: Call, lane: str, prefix: str = KEY_PREFIX) -> Session | None:
    """Name the session that a call belongs to; None for a call that stands alone.

    Args: ``lane`` is what the app asked for: the requested model after alias.
    """
    if call.session_id is None or call.endpoint.operation not in (
        Operation.GENERATE,
        Operation.COUNT_TOKENS,
    ):
        return None
    return make_session(call.session_id, call.tenant, lane, call.agent, prefix)


def make_session(
    session_id: str,
    tenant: str | None = None,
    lane: str = "",
    agent: str | None = None,
    prefix: str = KEY_PREFIX,
) -> Session:
    """Make a session with its key: the prefix, and at most 386 bytes of printable ASCII."""
    key = session_key(tenant, session_id, agent, prefix)
    return Session(tenant, session_id, agent, lane, key)


def session_key(
    tenant: str | None, session_id: str, agent: str | None = None, prefix: str = KEY_PREFIX
) -> str:
    """Return the key of a session; that of a call without an agent is the one that plano shares."""
    own = escape_part(session_id)
    key = f"{prefix}{own}" if tenant is None else f"{prefix}{escape_part(tenant)}:{own}"
    return key if agent is None else f"{key}~{escape_part(agent)}"


def key_of_shown(
    tenant: str | None, session_id: str, agent: str | None = None, prefix: str = KEY_PREFIX
) -> str:
    """Return the key of a session that an operator names, as `parse_key` shows it: a name that was
    too long for a key may be given by its hash. Not for what an app sends, which could name the
    sessions of others so.
    """
    own = _shown_part(session_id)
    key = f"{prefix}{own}" if tenant is None else f"{prefix}{_shown_part(tenant)}:{own}"
    return key if agent is None else f"{key}~{_shown_part(agent)}"


@functools.lru_cache(_LANES_REMEMBERED)
def lane_suffix(lane: str) -> str:
    """Return what a lane beside the first added to the session's key in the form before, where each
    lane had a key: ``~`` and the requested model, its slash escaped.

    No agent's key has such an end: a slash stands in it as it is.
    """
    return f"~{_escape(lane, _ESCAPES_IN_LANE)}"


def owning_key(key: str) -> str:
    """Return the key of the session whose key, or whose lane's key in the form before, this is."""
    return key.rpartition("~")[0] if _SLASH_IN_LANE in key.rpartition("~")[2] else key


def escape_part(part: str) -> str:
    """Return a tenant, session id or agent as it stands in a key: printable ASCII, at most 128
    bytes, no separator in it.
    """
    return part if _PLAIN.fullmatch(part) is not None else _escape(part, _ESCAPES)


def parse_key(key: str, prefix: str = KEY_PREFIX) -> KeyParts | None:
    """Return what a key was made of; None for a key that is not ours.

    A part that was too long for a key comes back as ``%h`` and its hash. A lane's key in the form
    before (`lane_suffix`) is known by the slash of its model.
    """
    if not key.startswith(prefix):
        return None
    plain, *marks = key[len(prefix) :].split("~")
    *tenants, session_id = plain.split(":")
    if len(tenants) > 1 or len(marks) > 1:
        return None
    mark = _unescape(marks[0]) if marks else None
    is_lane = mark is not None and _SLASH_IN_LANE in marks[0]
    return KeyParts(
        tenant=_unescape(tenants[0]) if tenants else None,
        session_id=_unescape(session_id),
        agent=None if is_lane else mark,
        lane=mark if is_lane else None,
    )


def pattern_of(tenant: str | None, session_id: str | None = None, prefix: str = KEY_PREFIX) -> str:
    """Return the glob with which SCAN finds all keys, those of a tenant, or those of a session and
    its agents, named as for `key_of_shown`.

    The glob of a session also matches sessions whose ids begin with its id.
    """
    start = prefix if tenant is None else f"{prefix}{_shown_part(tenant)}:"
    if session_id is not None:
        start += _shown_part(session_id)
    return _GLOB.sub(r"\\\g<0>", start) + "*"


def _shown_part(part: str) -> str:
    return part if _HASHED.fullmatch(part) is not None else escape_part(part)


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
