"""Whether Redis is asked at all, and how long a server that takes no writes is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from redis.exceptions import ResponseError

from sidecar.affinity.entry import EntryEvent
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.errors import is_forbidden, refuses_writes, words_of
from sidecar.affinity.redis.store_log import StoreLog
from sidecar.affinity.session import owning_key
from sidecar.runtime.breaker import Breaker, BreakerPolicy

BREAKER: Final = BreakerPolicy(failures_in_a_row=5, share=0.5, of_last=20, window_s=0.015)
"""A Redis that forks, or runs one slow command, is late for every call of that moment. The window
counts that as one failure: to leave Redis alone for it would cost more than the delay did."""


class StoreHealth:
    """Decides from what happens with Redis whether the near cache is alone. The connection
    (by `LinkEvents`) and every operation report to it.
    """

    def __init__(
        self, near: NearCache, monotonic_s: Callable[[], float], untracked_s: float
    ) -> None:
        self.is_asked = asyncio.Event()
        """Set while Redis is asked."""
        self._near = near
        self._breaker = Breaker(BREAKER)
        self._monotonic_s = monotonic_s
        self._untracked_s = untracked_s
        self._lines = StoreLog(monotonic_s)

    def served(self) -> None:
        """Redis has replied, with whatever."""
        self._breaker.record(self._monotonic_s(), is_failure=False)

    def failed(self) -> bool:
        """Redis has not replied, or too late. Return whether its connection should be dropped."""
        self._breaker.record(self._monotonic_s(), is_failure=True)
        if not self._breaker.is_open or self._near.is_alone:
            return False
        self._be_alone()
        self._lines.is_silent()
        return True

    def is_refusal(self, error: ResponseError) -> bool:
        """Return whether Redis works and refuses this: then it is no failure. Logged once."""
        if is_forbidden(error):
            self._lines.lacks_rights(words_of(error))
            return True
        if not refuses_writes(error):
            return False
        self._lines.takes_no_writes(words_of(error))
        return True

    def wrote(self) -> None:
        """Redis has taken pins that were kept here."""
        self._lines.takes_writes()

    def came_up(self, place: str, *, is_tracking: bool, is_same_server: bool) -> None:
        """A connection was made: what was read before it is read again, or is claimed anew where
        the server may be another one.
        """
        self._near.believed_s = inf if is_tracking else self._untracked_s
        self._near.happened(EntryEvent.CAME_BACK if is_same_server else EntryEvent.CAME_UP)
        self._breaker.reset()
        if self._near.is_alone:
            self._near.is_alone = False
            self.is_asked.set()
            self._lines.came_up(place, is_tracking=is_tracking)

    def went_down(self, place: str, served_s: float) -> None:
        """The connection is gone, and its tracking with it."""
        self._near.happened(EntryEvent.WENT_DOWN)
        if not self._near.is_alone:
            self._be_alone()
            self._lines.went_down(place, served_s)

    def invalidated(self, keys: list[bytes] | None) -> None:
        """Redis says that these keys have changed; None: all of them."""
        if keys is None:
            self._near.happened(EntryEvent.INVALIDATED)
        for key in keys or ():
            self._near.happened(EntryEvent.INVALIDATED, owning_key(key.decode("latin-1")))

    def _be_alone(self) -> None:
        self._near.is_alone = True
        self.is_asked.clear()


AT_LEAST_S: Final = 2.0
"""After a failover the name leads to the new master by then."""
SHARE: Final = 0.25
"""A spell that has lasted for a while is not looked into every two seconds: each look puts what is
known in doubt. But what has lasted is no more than so much longer for it."""
AT_MOST_S: Final = 60.0
FORGOTTEN_S: Final = 90.0
"""A server that has not refused a write for so long takes them: the next refusal begins another
spell.
"""


class ReadOnlySpell:
    """The time in which servers refuse writes, over all connections. Seconds of the loop's
    clock.
    """

    def __init__(self) -> None:
        self._began_s = self._last_s = -FORGOTTEN_S
        self._kept_until_s: float | None = None

    def refused(self, now_s: float) -> None:
        """A write was refused."""
        if now_s - self._last_s >= FORGOTTEN_S:
            self._began_s = now_s
        self._last_s = now_s
        if self._kept_until_s is None:
            self._kept_until_s = now_s + min(
                max(AT_LEAST_S, (now_s - self._began_s) * SHARE), AT_MOST_S
            )

    def is_over(self, now_s: float) -> bool:
        """Whether the server that refuses has been kept for long enough."""
        return self._kept_until_s is not None and now_s > self._kept_until_s

    def reconnected(self) -> None:
        """Another server may be at the other end."""
        self._kept_until_s = None
