"""How ``limits.memory_bytes`` is divided, and what it is where the config does not say it."""

from __future__ import annotations

import msgspec

from sidecar.config.schema import Limits
from sidecar.listener.body_memory import BodyMemory
from sidecar.runtime.cgroup import memory_limit_bytes
from sidecar.runtime.memory_budget import MemoryBudget, MemoryShare, default_limit_bytes


class Memory(msgspec.Struct, frozen=True):
    """The budget of memory and who divides it."""

    budget: MemoryBudget
    bodies: BodyMemory
    """Bodies of requests."""
    pins: MemoryShare
    """The near cache, or the memory store: a quarter, whatever else there is."""
    heads: MemoryShare
    """Heads of requests of which a part has come, and long ones until their requests are served."""
    replies: MemoryShare
    """Beginnings of responses that are held until they show whether the provider serves, errors
    that are kept while another candidate is tried, and what is kept of a response while it is
    translated.
    """
    response_heads: MemoryShare
    """Long heads of responses, until these are read to their ends."""
    unread: MemoryShare
    """What apps do not read of responses."""
    price_lists: MemoryShare
    """Documents of metrics sources, while they are read and decoded."""


def build_memory(limits: Limits) -> Memory:
    """Divide the memory that the config allows, or what is left by the container's limit."""
    budget = MemoryBudget(budget_bytes(limits))
    return Memory(
        budget,
        bodies=BodyMemory(budget, limits.buffered_bytes),
        pins=budget.share("pins", keeps=1 / 4, at_most=1 / 4, is_cache=True),
        heads=budget.share("heads", keeps=1 / 32, at_most=1 / 4),
        replies=budget.share("replies", keeps=1 / 32, at_most=1 / 4),
        response_heads=budget.share("response_heads", keeps=1 / 64, at_most=1 / 8),
        unread=budget.share("unread", keeps=1 / 32, at_most=1 / 2),
        price_lists=budget.share("price_lists", keeps=0.0, at_most=1 / 4),
    )


def use_memory(memory: Memory, limits: Limits) -> None:
    """Divide the memory that another config allows. What is used already stays."""
    memory.budget.resize(budget_bytes(limits))
    memory.bodies.use(limits.buffered_bytes)


def budget_bytes(limits: Limits) -> int:
    """Return how many bytes are divided."""
    return limits.memory_bytes or default_limit_bytes(memory_limit_bytes())
