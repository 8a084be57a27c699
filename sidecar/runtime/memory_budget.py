"""One number of bytes that all that is kept in memory divides among itself.

Each share keeps some of it for itself alone. The rest is common: whoever comes first takes it, up
to what the share may have at most. It is counting: no byte is allocated here.
"""

from __future__ import annotations

from typing import Final, final

MIB: Final = 1 << 20
LEAST_BYTES: Final = 16 * MIB
USUAL_BYTES: Final = 128 * MIB
"""Where nothing limits the process."""
BESIDE_BYTES: Final = 96 * MIB
"""Of a limit, for the interpreter, the code, and connections (75 MiB after a day of streams)."""
_PERCENT: Final = 60


def default_limit_bytes(process_limit_bytes: int | None) -> int:
    """Return how much may be kept in memory by a process that may take so much; None: as it likes.

    The rest of the limit is for the process itself, and for what malloc does not give back.
    """
    if process_limit_bytes is None:
        return USUAL_BYTES
    part = process_limit_bytes * _PERCENT // 100
    return max(LEAST_BYTES, min(part, process_limit_bytes - BESIDE_BYTES))


@final
class MemoryBudget:
    """So many bytes, and the shares that divide them."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.common_bytes = limit_bytes
        """What no share keeps for itself."""
        self.common_used_bytes = 0
        self.used_bytes = 0
        """By all shares."""
        self.cache_bytes = 0
        """What shares that are caches may use: they fill it, and give none of it back."""
        self.shares: list[MemoryShare] = []

    def share(
        self, name: str, *, keeps: float, at_most: float = 1.0, is_cache: bool = False
    ) -> MemoryShare:
        """Make a share.

        Args: ``keeps`` is the part of the limit that no other share takes; ``at_most`` is the part
            that this one takes at most. Together, shares keep less than the whole.
        """
        share = MemoryShare(self, name, keeps, at_most, is_cache)
        self.shares.append(share)
        self.resize(self.limit_bytes)
        return share

    def resize(self, limit_bytes: int) -> None:
        """Divide so many bytes from now on. What is used already stays, though it be more."""
        self.limit_bytes = limit_bytes
        kept = common_used = caches = 0
        for each in self.shares:
            each.divide(limit_bytes)
            kept += each.kept_bytes
            common_used += max(0, each.used_bytes - each.kept_bytes)
            caches += each.at_most_bytes if each.is_cache else 0
        self.common_bytes = limit_bytes - kept
        self.common_used_bytes = common_used
        self.cache_bytes = caches

    def booked_bytes(self) -> int:
        """Return what is used, were all caches full."""
        booked = self.used_bytes + self.cache_bytes
        for each in self.shares:
            if each.is_cache:
                booked -= each.used_bytes
        return booked


def unlimited() -> MemoryShare:
    """Return a share that has no limit, of a budget of its own."""
    return MemoryBudget(1 << 60).share("all", keeps=1.0)


@final
class MemoryShare:
    """What one purpose uses of a budget."""

    __slots__ = (
        *("_budget", "_parts", "at_most_bytes", "is_cache"),
        *("kept_bytes", "name", "used_bytes"),
    )

    def __init__(
        self,
        budget: MemoryBudget,
        name: str,
        keeps: float,
        at_most: float,
        is_cache: bool,  # noqa: FBT001 - `MemoryBudget.share` alone calls it
    ) -> None:
        self.name: Final = name
        self.is_cache: Final = is_cache
        self.at_most_bytes = 0
        self.kept_bytes = 0
        self.used_bytes = 0
        self._budget: Final = budget
        self._parts: Final = keeps, at_most

    def divide(self, limit_bytes: int) -> None:
        """Take its parts of another limit."""
        keeps, at_most = self._parts
        self.kept_bytes = int(limit_bytes * keeps)
        self.at_most_bytes = int(limit_bytes * at_most)

    def take_nowait(self, size: int) -> bool:
        """Take ``size`` bytes if they are free; return whether they were taken."""
        before, kept, budget = self.used_bytes, self.kept_bytes, self._budget
        used = before + size
        if used > kept:
            if used > self.at_most_bytes:
                return False
            common = size if before > kept else used - kept
            if budget.common_used_bytes + common > budget.common_bytes:
                return False
            budget.common_used_bytes += common
        self.used_bytes = used
        budget.used_bytes += size
        return True

    def take(self, size: int) -> None:
        """Take ``size`` bytes though they be not free."""
        before, kept, budget = self.used_bytes, self.kept_bytes, self._budget
        used = before + size
        if used > kept:
            budget.common_used_bytes += size if before > kept else used - kept
        self.used_bytes = used
        budget.used_bytes += size

    def give_back(self, size: int) -> None:
        """Give ``size`` bytes back."""
        before, kept, budget = self.used_bytes, self.kept_bytes, self._budget
        used = before - size
        if before > kept:
            budget.common_used_bytes -= size if used > kept else before - kept
        self.used_bytes = used
        budget.used_bytes -= size


@final
class HeldBytes:
    """What one holder has taken of a share, for as long as it holds it, or as there is a holder.
    The first bytes are free: to count them would cost more than they do.
    """

    __slots__ = ("_free_bytes", "_share", "_taken_bytes")

    def __init__(self, share: MemoryShare, free_bytes: int) -> None:
        self._share: Final = share
        self._free_bytes: Final = free_bytes
        self._taken_bytes = 0

    def grow_nowait(self, size: int) -> bool:
        """Hold ``size`` bytes in all, if there is room for what is new; return whether there is."""
        more = size - self._free_bytes - self._taken_bytes
        if more <= 0:
            return True
        if not self._share.take_nowait(more):
            return False
        self._taken_bytes += more
        return True

    def give_back(self) -> None:
        """Hold nothing any more. Idempotent."""
        taken, self._taken_bytes = self._taken_bytes, 0
        if taken:
            self._share.give_back(taken)

    def __del__(self) -> None:
        """Its holder is gone."""
        self.give_back()
