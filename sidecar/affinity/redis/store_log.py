"""What the log says of Redis: when it goes, why, and when it is back."""

from __future__ import annotations

import collections
import logging
from collections.abc import Callable
from typing import Final

from sidecar.domain.log_fields import event_fields

_log: Final = logging.getLogger("sidecar.affinity")

EACH: Final = 3
"""Losses within `WINDOW_S` of which each has a line; of more, the next line has their number."""
WINDOW_S: Final = 60.0
LONG_S: Final = 5.0
"""An absence of this length has a line at its end in any case."""


class StoreLog:
    """Writes the lines. A connection that comes and goes all the time has few of them."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._place = ""
        self._told_s: collections.deque[float] = collections.deque(maxlen=EACH)
        """When the newest losses were told of."""
        self._untold = 0
        self._gone: tuple[float, bool] | None = None
        """When Redis went, and whether a line says so; None while it is there."""
        self._said: set[str] = set()
        """What Redis refuses, as it was said once."""

    def is_silent(self) -> None:
        """Redis has not replied several times."""
        self._gone = self._monotonic_s(), True
        extra = event_fields("redis_fails", place=self._place, cause="no reply in time")
        _log.warning(
            "redis at %s does not answer: pins are kept here until it does",
            self._place,
            extra=extra,
        )

    def went_down(self, place: str, served_s: float) -> None:
        """The connection is gone after so many seconds."""
        now_s = self._monotonic_s()
        is_flood = len(self._told_s) == EACH and now_s - self._told_s[0] < WINDOW_S
        self._gone = now_s, not is_flood
        if is_flood:
            self._untold += 1
            return
        self._told_s.append(now_s)
        often = f", {self._untold} times more since the last line" if self._untold else ""
        fields = {"place": place, "up_seconds": round(served_s, 1), "untold": self._untold}
        self._untold = 0
        _log.warning(
            "redis at %s is gone%s: pins are kept here until it is back",
            place,
            often,
            extra=event_fields("redis_gone", **fields),
        )

    def came_up(self, place: str, *, is_tracking: bool) -> None:
        """A connection was made."""
        gone, self._gone, self._place = self._gone, None, place
        self._said.discard("rights")
        away_s = 0.0 if gone is None else self._monotonic_s() - gone[0]
        if gone is not None and not gone[1] and away_s < LONG_S:
            return
        _log.info(
            "redis at %s serves: pins are shared%s",
            place,
            "" if is_tracking else ", without tracking",
            extra=event_fields("redis_serves", place=place, away_seconds=round(away_s, 1)),
        )

    def lacks_rights(self, words: str) -> None:
        """Redis does not let this user do something. Said once for each connection."""
        if "rights" not in self._said:
            self._said.add("rights")
            _log.warning("redis does not let this user do all that is asked (%s)", words)

    def takes_no_writes(self, words: str) -> None:
        """Redis refuses a write. Said once, until it takes one."""
        if "writes" not in self._said:
            self._said.add("writes")
            _log.warning("redis takes no writes (%s): reads go on, new pins are kept here", words)

    def takes_writes(self) -> None:
        """Redis has taken a write."""
        if "writes" in self._said:
            self._said.discard("writes")
            _log.info("redis takes writes again")
