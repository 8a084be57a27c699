"""Seconds that one call may wait for the shared store, over all its operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sidecar.domain.vocabulary import PinOutcome
from sidecar.runtime.timers import more_s, rest_s


class BudgetSpent(Exception):
    """No reply came within the budget. ``is_own_fault`` is whether this process was too busy to
    read one, which says nothing about the store.
    """

    def __init__(self, *, is_own_fault: bool) -> None:
        super().__init__()
        self.is_own_fault = is_own_fault


class CallBudget:
    """Seconds one call may spend waiting for the store, over all operations. The first timeout or
    error sets it to spent; later operations of this call use the local shadow without asking.
    """

    __slots__ = (
        *("_budget_s", "_monotonic_s", "is_spent", "left_s"),
        *("trace_id", "trouble", "waited_s"),
    )

    def __init__(self, budget_s: float, monotonic_s: Callable[[], float]) -> None:
        self.left_s = self._budget_s = budget_s
        self.waited_s = 0.0
        """Seconds that the call has waited so far."""
        self.is_spent = False
        self.trouble: PinOutcome | None = None
        """Why the store did not say something that this call asked, where it did not."""
        self.trace_id = ""
        """Of the call, where it is sampled."""
        self._monotonic_s = monotonic_s

    def skipped(self) -> PinOutcome:
        """Note that the store was not asked, and return how that is counted."""
        self.trouble = self.trouble or PinOutcome.SKIPPED
        return PinOutcome.SKIPPED

    async def wait(self, reply: asyncio.Future[Any]) -> Any:  # noqa: ANN401 - as the reply has it
        """Wait for a reply. Cancelling this leaves the reply alone.

        Raises: BudgetSpent; what the reply raises.
        """
        began_s = self._monotonic_s()
        try:
            if not reply.done():
                await asyncio.wait((reply,), timeout=self.left_s)
            if not reply.done():
                await self._last_chance(reply, self._monotonic_s() - began_s - self.left_s)
            return reply.result()
        except BaseException:
            self.is_spent = True
            raise
        finally:
            spent_s = self._monotonic_s() - began_s
            self.waited_s += spent_s
            self.left_s = rest_s(self.left_s, spent_s)

    async def _last_chance(self, reply: asyncio.Future[Any], late_s: float) -> None:
        """Wait on where this process stood still. Raises: BudgetSpent."""
        more = more_s(late_s, self.left_s)
        if more:
            await asyncio.wait((reply,), timeout=more)
        if not reply.done():
            raise BudgetSpent(is_own_fault=bool(more))


class PerOperationBudget(CallBudget):
    """A budget for operations that no call waits for: each may take all of it."""

    __slots__ = ()

    async def wait(self, reply: asyncio.Future[Any]) -> Any:  # noqa: ANN401
        """Wait for a reply within the whole budget. Raises: as `CallBudget.wait`."""
        self.left_s = self._budget_s
        return await super().wait(reply)
