"""How long a call waits for the store: its budget, and no longer for what this process held up
itself.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from sidecar.affinity.call_budget import BudgetSpent, CallBudget

BUDGET_S = 0.02


class MovedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


async def test_what_was_waited_is_spent():
    """One budget for all that a call asks."""
    clock = MovedClock()
    budget = CallBudget(BUDGET_S, clock.monotonic_s)
    reply = asyncio.get_running_loop().create_future()

    def answer() -> None:
        clock.now_s += 0.015
        reply.set_result("pin")

    asyncio.get_running_loop().call_soon(answer)

    assert "pin" == await budget.wait(reply)
    assert (15, 5, False) == (
        round(budget.waited_s * 1e3),
        round(budget.left_s * 1e3),
        budget.is_spent,
    )


async def test_what_this_process_held_up_does_not_use_up_the_budget():
    """The loop stood still for longer than the budget, and the reply was there: the claim that
    follows can still wait.
    """
    clock = MovedClock()
    budget = CallBudget(BUDGET_S, clock.monotonic_s)
    reply = asyncio.get_running_loop().create_future()

    def answer() -> None:
        clock.now_s += 0.3
        reply.set_result("pin")

    asyncio.get_running_loop().call_soon(answer)

    assert "pin" == await budget.wait(reply)
    assert (BUDGET_S / 2, False) == (budget.left_s, budget.is_spent)


async def test_what_comes_too_late_ends_it():
    """The shadow serves the rest of the call."""
    loop = asyncio.get_running_loop()
    budget = CallBudget(0.001, loop.time)
    with pytest.raises(BudgetSpent):
        await budget.wait(loop.create_future())

    assert budget.is_spent


@pytest.mark.parametrize("comes", [True, False])
async def test_a_reply_is_waited_for_a_little_longer_where_this_process_stood_still(comes):
    """It may be in the socket; where it is not, the store is not to blame."""
    loop = asyncio.get_running_loop()
    budget = CallBudget(BUDGET_S, loop.time)
    reply = loop.create_future()

    def stand_still() -> None:
        time.sleep(2 * BUDGET_S)  # sleep: this is what stands still
        if comes:
            loop.call_later(BUDGET_S / 10, reply.set_result, "pin")

    loop.call_soon(stand_still)
    if comes:
        assert "pin" == await budget.wait(reply)
    else:
        with pytest.raises(BudgetSpent) as spent:
            await budget.wait(reply)
        assert spent.value.is_own_fault
