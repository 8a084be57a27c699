"""Bodies that arrive, and which of them gets room first.

Of long ones that arrive at the same time, the one that lacks least goes first: another one gets
room only where all that lack less could still be read to their ends. So no two bodies of which a
part has come wait for each other. One that has stalled is not waited for; it goes last when its
bytes go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, final

STALLED_S: Final = 1.0
"""A body whose last `PACE_BYTES` are older is stalled. An app in the pod sends a thousand times as
fast."""
PACE_BYTES: Final = 256 * 1024


@final
class ArrivingBody:
    """What one body has taken of the memory while it arrives."""

    def __init__(self, claim_bytes: int, now_s: float, *, is_long: bool) -> None:
        self.claim_bytes = claim_bytes
        """How long it will be, or may become."""
        self.is_long = is_long
        self.size = 0
        """What it has taken."""
        self.wanted_bytes = 0
        """What it wants beside that."""
        self.turn: asyncio.Future[None] | None = None
        """Done once it has got that; None while it does not wait."""
        self.rank = 0
        """Above 0: it has stalled, and goes behind those of lower ranks."""
        self.pace: Final = _Pace(now_s)

    def take_wanted(self) -> None:
        """Count what it wants as taken."""
        self.size += self.wanted_bytes
        self.wanted_bytes = 0

    def go_on(self) -> None:
        """Let it go on with what it waited for."""
        turn, self.turn = self.turn, None
        if turn is not None and not turn.done():
            turn.set_result(None)

    def is_stalled(self, now_s: float) -> bool:
        """Return whether the app has stopped sending it."""
        return self.turn is None and now_s - self.pace.since_s > STALLED_S


@final
class BodyQueue:
    """The bodies that arrive."""

    def __init__(self) -> None:
        self.long: dict[ArrivingBody, None] = {}
        """All long ones."""
        self.short: deque[ArrivingBody] = deque()
        """Short ones that wait."""
        self.waiting = 0
        """How many wait, short and long."""
        self._last_rank = 0

    def arrived(self, body: ArrivingBody, size: int, now_s: float) -> None:
        """A body has sent so many bytes more."""
        pace = body.pace
        pace.bytes += size
        if body.is_stalled(now_s):
            self._last_rank += 1
            body.rank = self._last_rank
            pace.bytes = PACE_BYTES
        if pace.bytes >= PACE_BYTES:
            pace.since_s, pace.bytes = now_s, 0

    def before(self, body: ArrivingBody, now_s: float) -> tuple[int, int]:
        """Return what all that go before a long body lack together, and the longest of them and of
        itself.
        """
        lacking, longest, place = 0, body.claim_bytes, _place_of(body)
        for each in self.long:
            if each is not body and _place_of(each) < place and not each.is_stalled(now_s):
                lacking += each.claim_bytes - each.size
                longest = max(longest, each.claim_bytes)
        return lacking, longest

    def long_waiting(self) -> list[ArrivingBody]:
        """Return the long ones that wait, the first to go first. Where it cannot, no other can."""
        return sorted([each for each in self.long if each.turn is not None], key=_place_of)

    def wait(self, body: ArrivingBody, turn: asyncio.Future[None]) -> None:
        """Let a body wait until ``turn`` is done."""
        body.turn = turn
        self.waiting += 1
        if not body.is_long:
            self.short.append(body)

    def give_up(self, body: ArrivingBody) -> None:
        """A body waits no longer, without having got its room."""
        body.turn = None
        self.waiting -= 1
        if not body.is_long:
            self.short.remove(body)


@final
class _Pace:
    """When a body's bytes came."""

    __slots__ = ("bytes", "since_s")

    def __init__(self, now_s: float) -> None:
        self.since_s = now_s
        """When the last `PACE_BYTES` were complete."""
        self.bytes = 0
        """What has come since then."""


def _place_of(body: ArrivingBody) -> tuple[int, int]:
    """Return where a long body stands."""
    return body.rank, body.claim_bytes - body.size
