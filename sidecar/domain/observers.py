"""A fan-out of facts to observers that can never fail a call."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from sidecar.domain.call import Call
from sidecar.domain.decision import Candidate, Decision
from sidecar.domain.events import BaseObserver, Observer
from sidecar.domain.outcome import Attempt, Outcome

_log: Final = logging.getLogger("sidecar.domain.events")


class Observers:
    """Tells several observers the same; one that raises is logged and changes nothing.

    What an observer left to `BaseObserver` it is not told, so that facts nobody hears cost nothing.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        given = tuple(observers)
        self._on_admitted = [each.call_admitted for each in given if _hears(each, "call_admitted")]
        self._on_decided = [each.call_decided for each in given if _hears(each, "call_decided")]
        self._on_attempt = [each.attempt_ended for each in given if _hears(each, "attempt_ended")]
        self._on_failed_over = [each.failed_over for each in given if _hears(each, "failed_over")]
        self._on_router = [each.router_asked for each in given if _hears(each, "router_asked")]
        self._on_affinity = [
            each.affinity_operation for each in given if _hears(each, "affinity_operation")
        ]
        self._on_ended = [each.call_ended for each in given if _hears(each, "call_ended")]
        self._on_refused = [
            each.request_refused for each in given if _hears(each, "request_refused")
        ]

    @property
    def hear_attempts(self) -> bool:
        """Whether anybody listens to `attempt_ended`."""
        return bool(self._on_attempt)

    def call_admitted(self, call: Call) -> None:
        """See `Observer.call_admitted`."""
        for tell in self._on_admitted:
            try:
                tell(call)
            except Exception:  # noqa: BLE001 - telemetry listens, never steers
                _log.exception("observer failed")

    def call_decided(self, call: Call, decision: Decision, routing_s: float) -> None:
        """See `Observer.call_decided`."""
        for tell in self._on_decided:
            try:
                tell(call, decision, routing_s)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def attempt_ended(self, call: Call, attempt: Attempt) -> None:
        """See `Observer.attempt_ended`."""
        for tell in self._on_attempt:
            try:
                tell(call, attempt)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def failed_over(self, call: Call, failed: Candidate, following: Candidate, reason: str) -> None:
        """See `Observer.failed_over`."""
        for tell in self._on_failed_over:
            try:
                tell(call, failed, following, reason)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def router_asked(self, outcome: str, seconds: float) -> None:
        """See `Observer.router_asked`."""
        for tell in self._on_router:
            try:
                tell(outcome, seconds)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def affinity_operation(self, operation: str, outcome: str, seconds: float) -> None:
        """See `Observer.affinity_operation`."""
        for tell in self._on_affinity:
            try:
                tell(operation, outcome, seconds)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def call_ended(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        """See `Observer.call_ended`."""
        for tell in self._on_ended:
            try:
                tell(call, decision, outcome)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def request_refused(self, dialect: str, status: int, code: str) -> None:
        """See `Observer.request_refused`."""
        for tell in self._on_refused:
            try:
                tell(dialect, status, code)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")


def _hears(observer: Observer, event: str) -> bool:
    return getattr(type(observer), event, None) is not getattr(BaseObserver, event)
