"""An entry of the near cache: what is known of one session, and what that is worth."""

from __future__ import annotations

import enum
from math import inf
from typing import Final

from sidecar.affinity.lanes import NO_LANES, Lanes


class EntryState(enum.Enum):
    """What an entry is worth while Redis is asked. While it is not, all that is known is used."""

    ABSENT = "absent"
    """Redis has nothing, and will tell if that changes."""
    VERIFIED = "verified"
    """Redis has this, and will tell if that changes: used without asking."""
    UNVERIFIED = "unverified"
    """Redis has told of a change, or may not tell of one: read again before it is used."""
    LOST = "lost"
    """Read from another server than the one that is asked now, as far as is known. This one may
    lack it, so it is claimed anew, however often the connection is lost until then."""
    PENDING = "pending"
    """Changed here: written before it is used."""
    DIRTY = "dirty"
    """Changed here, and could not be written: used all the same, and written once that goes."""

    __hash__ = object.__hash__
    """Enum's own is a Python function, and a lost connection happens to every entry."""


class EntryEvent(enum.Enum):
    """What happens to an entry. A reply to whatever command says what Redis has."""

    READ = "read"
    """Redis has what is believed here."""
    READ_NOTHING = "read_nothing"
    """Redis has nothing, and nothing is believed here."""
    READ_OTHER = "read_other"
    """Redis lacks what was changed here, or what must stand beside what it has."""
    CHANGED = "changed"
    """A call has changed it."""
    KEPT = "kept"
    """Redis could not be asked to write it, refused that, or took too long."""
    INVALIDATED = "invalidated"
    """Redis says that it has changed."""
    WENT_DOWN = "went_down"
    """The connection is gone, and its tracking with it."""
    CAME_BACK = "came_back"
    """A connection to the same server."""
    CAME_UP = "came_up"
    """A connection to another server, or to one that does not say which it is."""
    EXPIRED = "expired"
    """Its time is over."""

    __hash__ = object.__hash__


_A, _V, _U, _L, _P, _D = EntryState
TRANSITIONS: Final[dict[EntryEvent, dict[EntryState, EntryState | None]]] = {
    event: dict(zip(EntryState, row, strict=True))
    for event, row in {
        # from:            ABSENT VERIFIED UNVERIFIED LOST PENDING DIRTY
        EntryEvent.READ: (_V,) * 6,
        EntryEvent.READ_NOTHING: (_A,) * 6,
        EntryEvent.READ_OTHER: (_P, _P, _P, _P, _P, _D),
        EntryEvent.CHANGED: (_P,) * 6,
        EntryEvent.KEPT: (_A, _V, _U, _L, _D, _D),
        EntryEvent.INVALIDATED: (None, _U, _U, _U, _P, _D),
        EntryEvent.WENT_DOWN: (None, _U, _U, _L, _D, _D),
        EntryEvent.CAME_BACK: (None, _U, _U, _L, _P, _P),
        EntryEvent.CAME_UP: (None, _L, _L, _L, _P, _P),
        EntryEvent.EXPIRED: (None,) * 6,
    }.items()
}
"""The next state, by what happens and the state before; None: the entry is dropped."""


class Entry:
    """What is known of a session. Times are monotonic seconds."""

    __slots__ = (
        "believed_until_s",
        "expires_s",
        "is_lasting",
        "lanes",
        "raw",
        "revives",
        "state",
    )

    def __init__(self) -> None:
        self.state = EntryState.ABSENT
        self.raw = b""
        """The bytes under the key as last heard; empty: nothing readable stands there."""
        self.lanes: Lanes | None = NO_LANES
        """Those in ``raw``, None where they are not decoded; or those that are to be written."""
        self.expires_s = 0.0
        self.believed_until_s = inf
        """Until when the entry may be used without asking, where the server does not track."""
        self.is_lasting = False
        """Whether the key has no expiry in Redis: somebody means it to stay."""
        self.revives = False
        """Whether it is to be written to a server that may have lost lanes, which then are put
        back."""
