"""When to leave something alone that keeps failing. Pure; time is passed in."""

from __future__ import annotations

from collections import deque

import msgspec


class BreakerPolicy(msgspec.Struct, frozen=True):
    """When a `Breaker` opens."""

    failures_in_a_row: int = 5
    share: float = 0.5
    """Part of the operations in one window that must fail for the window to count as a failure,
    and part of the last ``of_last`` windows that must fail for the breaker to open.
    """
    of_last: int = 0
    """Windows over which ``share`` is taken; 0: only failures in a row count."""
    window_s: float = 0.0
    """Operations that end within so short a time count as one: a server that forks, or runs one
    slow command, fails all who wait for it at that moment, and for one reason. 0: each counts."""
    probe_s: float = 1.0
    """Time between two probes while the breaker is open."""


class Breaker:
    """Closed while things go well. Open after too many failures, until an operation is served or
    `reset`.
    """

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._failures_in_a_row = 0
        """Windows; the one that has not ended is not among them."""
        self._last: deque[bool] = deque(maxlen=max(0, policy.of_last - 1))
        """Whether each window failed; the one that has not ended is not among them."""
        self._window = _Window(0.0)
        self._probe_from_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether callers should do without the operation."""
        policy = self._policy
        is_failing = self._window.failures > 0 and self._window.has_failed(policy.share)
        if is_failing and self._failures_in_a_row + 1 >= policy.failures_in_a_row:
            return True
        if not policy.of_last or len(self._last) < policy.of_last - 1:
            return False
        return sum(self._last) + is_failing >= policy.of_last * policy.share

    def is_shut(self, now_s: float) -> bool:
        """Whether the breaker is open and no probe is due."""
        return self.is_open and now_s < self._probe_from_s

    def may_probe(self, now_s: float) -> bool:
        """Claim the probe that is due. Whoever gets True must make it: the next one is due in
        ``probe_s``.
        """
        if now_s < self._probe_from_s:
            return False
        self._probe_from_s = now_s + self._policy.probe_s
        return True

    def record(self, now_s: float, *, is_failure: bool) -> None:
        """An operation has ended: well, or badly, which includes one that did not end in time."""
        was_open = is_failure and self.is_open
        window = self._window
        if not window.operations:
            window.began_s = now_s
        elif now_s - window.began_s >= self._policy.window_s:
            has_failed = window.failures > 0 and window.has_failed(self._policy.share)
            self._failures_in_a_row = self._failures_in_a_row + 1 if has_failed else 0
            self._last.append(has_failed)
            window.began_s, window.operations, window.failures = now_s, 0, 0
        window.operations += 1
        window.failures += is_failure
        if is_failure and not was_open and self.is_open:
            self._probe_from_s = now_s + self._policy.probe_s

    def reset(self) -> None:
        """Forget every failure, for a new connection or another server."""
        self._failures_in_a_row = 0
        self._last.clear()
        self._window = _Window(0.0)


class _Window:
    """Operations that ended together."""

    __slots__ = ("began_s", "failures", "operations")

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.operations = 0
        self.failures = 0

    def has_failed(self, share: float) -> bool:
        return self.failures >= self.operations * share
