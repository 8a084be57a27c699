"""How long a server that takes no writes is kept for its reads before its name is looked up anew.
Pure.
"""

from __future__ import annotations

from typing import Final

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
