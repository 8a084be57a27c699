"""Calls that an operator has named, to have all of their facts written: by request id, or by
session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.ids import as_shown, shown_hash
from sidecar.runtime.bounded import BoundedMap

NAMES_AT_MOST: Final = 100
NAMED_S: Final = 600.0
"""How long a name is kept at most."""

_REQUEST: Final = "request"
_SESSION: Final = "session"


class NamedCall(msgspec.Struct, frozen=True):
    """What one name asks for."""

    kind: str
    """``request`` or ``session``."""
    name: str
    """A request id, or a session as logs show it."""
    left_s: float


class NamedCalls:
    """The names, for a while. A session's own name is hashed before it is kept.

    Args: ``monotonic_s`` is the clock.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self.until_s: BoundedMap[tuple[str, str], float] = BoundedMap(NAMES_AT_MOST)
        """(kind, name) -> when it is forgotten, on the monotonic clock. Empty: nothing is named."""

    def name_request(self, request_id: str, for_s: float = NAMED_S) -> None:
        """Name the call of this ``x-request-id``, for `NAMED_S` at most."""
        self._name(_REQUEST, request_id, for_s)

    def name_session(self, session_id: str, for_s: float = NAMED_S) -> None:
        """Name all calls of a session, as the app names it or as logs show it, for `NAMED_S` at
        most.
        """
        self._name(_SESSION, as_shown(session_id), for_s)

    def clear(self) -> None:
        """Forget all names."""
        self.until_s.clear()

    def names(self) -> list[NamedCall]:
        """Return what is named now."""
        now_s = self._forget_old()
        return [
            NamedCall(kind, name, round(until_s - now_s, 1))
            for (kind, name), until_s in self.until_s.items()
        ]

    def has(self, request_id: str, session_id: str | None) -> bool:
        """Return whether a call is one of those that are named."""
        self._forget_old()
        if (_REQUEST, request_id) in self.until_s:
            return True
        return session_id is not None and (_SESSION, shown_hash(session_id)) in self.until_s

    def _name(self, kind: str, name: str, for_s: float) -> None:
        self.until_s.add((kind, name), self._monotonic_s() + max(0.0, min(for_s, NAMED_S)))

    def _forget_old(self) -> float:
        now_s = self._monotonic_s()
        for key, until_s in list(self.until_s.items()):
            if until_s <= now_s:
                del self.until_s[key]
        return now_s
