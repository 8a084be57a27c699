"""Whether Redis is asked at all, and what the log says where that changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from redis.exceptions import ResponseError

from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.errors import is_forbidden, refuses_writes, words_of
from sidecar.runtime.breaker import Breaker, BreakerPolicy

_log: Final = logging.getLogger("sidecar.affinity")

BREAKER: Final = BreakerPolicy(failures_in_a_row=5, share=0.5, of_last=20, window_s=0.015)
"""A Redis that forks, or runs one slow command, is late for every call of that moment. The window
counts that as one failure: to leave Redis alone for it would cost more than the delay did."""


class StoreHealth:
    """The breaker between the near cache and the connection. ``drop`` gives the connection up."""

    def __init__(self, near: NearCache, monotonic_s: Callable[[], float]) -> None:
        self.is_asked = asyncio.Event()
        """Set while Redis is asked."""
        self.drop: Callable[[], None] = _nothing
        self._near = near
        self._breaker = Breaker(BREAKER)
        self._monotonic_s = monotonic_s
        self._is_refusing = False
        self._is_fenced = False

    def served(self) -> None:
        """Redis has answered, whatever the answer."""
        self._breaker.served(self._monotonic_s())

    def failed(self) -> None:
        """Redis has not answered, or not in time."""
        self._breaker.failed(self._monotonic_s())
        if self._breaker.is_open and not self._near.is_alone:
            self._be_alone()
            _log.warning("redis does not answer: pins are kept here until it does")
            self.drop()

    def is_refusal(self, error: ResponseError) -> bool:
        """Whether Redis is there and will not do this: no failure. Said once."""
        if is_forbidden(error):
            if not self._is_fenced:
                self._is_fenced = True
                _log.warning(
                    "redis does not let this user do all that is asked (%s)", words_of(error)
                )
            return True
        if not refuses_writes(error):
            return False
        if not self._is_refusing:
            self._is_refusing = True
            _log.warning(
                "redis takes no writes (%s): reads go on, new pins are kept here", words_of(error)
            )
        return True

    def wrote(self) -> None:
        """Redis has taken what was kept here."""
        if self._is_refusing:
            self._is_refusing = False
            _log.info("redis takes writes again")

    def came_up(self, *, is_tracking: bool) -> None:
        """There is a connection; what was known before it is in doubt."""
        self._near.epoch += 1
        self._breaker.reset()
        self._is_fenced = False
        if self._near.is_alone:
            self._near.is_alone = False
            self.is_asked.set()
            _log.info(
                "redis is there: pins are shared%s", "" if is_tracking else ", without tracking"
            )

    def went_down(self) -> None:
        """The connection is gone."""
        self._near.epoch += 1
        if not self._near.is_alone:
            self._be_alone()
            _log.warning("redis is gone: pins are kept here until it is back")

    def _be_alone(self) -> None:
        self._near.is_alone = True
        self.is_asked.clear()


def _nothing() -> None:
    """There is no connection yet."""
