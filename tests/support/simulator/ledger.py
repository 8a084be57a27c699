"""What the simulator was asked and what it did, counted."""

from __future__ import annotations

import collections
from typing import NamedTuple

from tests.support.simulator.values import Price, Usage

_NOTHING = Usage(0, 0, 0, 0)
_KEPT = 200_000
"""Requests of which it is remembered who was asked."""


class Attempt(NamedTuple):
    """One request that reached the simulator."""

    account: str
    model: str
    result: str
    """``served``, or why not."""
    at_s: float


class Ledger:
    """Counts by (account, model), and what became of each request id."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(
            collections.Counter
        )
        self.tokens: dict[tuple[str, str], Usage] = {}
        self.usd = 0.0
        self.attempts: collections.OrderedDict[str, list[Attempt]] = collections.OrderedDict()
        """By ``x-request-id``."""

    @property
    def requests(self) -> int:
        """How many requests came."""
        return sum(counter.total() for counter in self.results.values())

    def total(self, result: str) -> int:
        """How many requests came to ``result``, over all accounts and models."""
        return sum(counter[result] for counter in self.results.values())

    def record(self, request_id: str, attempt: Attempt) -> None:
        """Count a request."""
        self.results[attempt.account, attempt.model][attempt.result] += 1
        if request_id:
            self.attempts.setdefault(request_id, []).append(attempt)
            if len(self.attempts) > _KEPT:
                self.attempts.popitem(last=False)

    def bill(self, account: str, model: str, usage: Usage, price: Price) -> None:
        """Add up tokens, and what they cost."""
        before = self.tokens.get((account, model), _NOTHING)
        self.tokens[account, model] = Usage(*map(sum, zip(before, usage, strict=True)))
        costs = zip(usage, (price.fresh, price.cached, price.written, price.output), strict=True)
        self.usd += sum(tokens * each / 1e6 for tokens, each in costs)

    def all_tokens(self) -> Usage:
        """Tokens of all accounts and models."""
        return Usage(*(sum(column) for column in zip(_NOTHING, *self.tokens.values(), strict=True)))


def cached_share(now: Usage, before: Usage = _NOTHING) -> float:
    """Return which share of the input tokens since ``before`` was read from a cache."""
    used = Usage(*(late - early for late, early in zip(now, before, strict=True)))
    whole = used.fresh + used.cached + used.written
    return used.cached / whole if whole else 0.0
