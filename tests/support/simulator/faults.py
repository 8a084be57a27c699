"""How simulated accounts fail: throttles that somebody sets, failures in a script, and failures at
random that depend on nothing but the seed and the request.
"""

from __future__ import annotations

import collections
import enum
import hashlib
from typing import NamedTuple

from tests.support.simulator.values import Refusal


class Fault(enum.Enum):
    """A way in which a request fails."""

    SERVER_ERROR = "500"
    RATE_LIMITED = "429"
    OVERLOADED = "529"
    RESET_BEFORE = "reset before the first byte"
    RESET_IN_STREAM = "reset in the stream"
    ERROR_EVENT_FIRST = "an error event inside a 200, first of all"
    ERROR_EVENT_LATER = "an error event inside a 200, behind text"
    SLOW_FIRST_BYTE = "slow first byte"


REFUSALS = {
    Fault.SERVER_ERROR: Refusal(500, "Internal server error", "server_error", reason="500"),
    Fault.RATE_LIMITED: Refusal(
        429, "Rate limit reached", "rate_limit_exceeded", reason="429",
        headers=(("retry-after", "1"),),
    ),
    Fault.OVERLOADED: Refusal(529, "Overloaded", "overloaded", reason="529"),
}  # fmt: skip


class Throttle(NamedTuple):
    """An account that refuses for a while."""

    until_s: float
    status: int = 429
    retry_after_s: int | None = None

    def refusal(self) -> Refusal:
        """What each request gets."""
        after = self.retry_after_s
        headers = () if after is None else (("retry-after", str(after)),)
        is_rate = self.status == 429
        message, code = (
            ("Rate limit reached", "rate_limit_exceeded")
            if is_rate
            else ("Overloaded", "overloaded")
        )
        return Refusal(
            self.status, message, code, reason=f"throttled {self.status}", headers=headers
        )


class Faults:
    """What fails, at which account."""

    def __init__(self, seed: int, rates: dict[Fault, float] | None = None) -> None:
        """Args: ``rates`` are probabilities, by fault; their sum is at most 1."""
        self.rates = rates or {}
        self.throttles: dict[str, Throttle] = {}
        """By account."""
        self.script: dict[str, collections.deque[Fault]] = collections.defaultdict(
            collections.deque
        )
        """By account: how its next requests fail, in order, before any dice."""
        self._seed = seed
        self._seen: collections.Counter[bytes] = collections.Counter()

    def throttled(self, account: str, now_s: float) -> Refusal | None:
        """Return the refusal of an account that is throttled now."""
        throttle = self.throttles.get(account)
        return None if throttle is None or now_s >= throttle.until_s else throttle.refusal()

    def next(self, account: str, model: str, body: bytes) -> Fault | None:
        """Return how this request fails, if it does.

        The same request in the same place in a row of equal ones always fares the same.
        """
        if self.script[account]:
            return self.script[account].popleft()
        if not self.rates:
            return None
        key = hashlib.blake2b(f"{account}/{model}/".encode() + body, digest_size=16).digest()
        self._seen[key] += 1
        mark = f"{self._seed}/{self._seen[key]}".encode()
        dice = int.from_bytes(hashlib.blake2b(key + mark, digest_size=8).digest()) / 2**64
        for fault, rate in self.rates.items():
            if dice < rate:
                return fault
            dice -= rate
        return None
