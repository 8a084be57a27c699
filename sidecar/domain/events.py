"""The facts that rooms report, and a fan-out to observers that can never fail a call."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from sidecar.domain.call import Call
from sidecar.domain.decision import Decision
from sidecar.domain.outcome import Attempt, Outcome

_log = logging.getLogger("sidecar.events")


class Observer(Protocol):
    """Somebody who listens: metrics, spans, the access log. Methods are called in the loop and must be quick."""

    def call_admitted(self, call: Call) -> None:
        """A call was read and will be carried."""
        ...

    def call_decided(self, call: Call, decision: Decision, routing_s: float) -> None:
        """A model was chosen, ``routing_s`` seconds after admission."""
        ...

    def attempt_ended(self, call: Call, attempt: Attempt) -> None:
        """One try at a provider is over."""
        ...

    def call_ended(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        """The call is over. Reported exactly once for every admitted call; ``decision`` is None where none was made."""
        ...

    def request_refused(self, dialect: str, status: int, code: str) -> None:
        """A request was answered with an error before it became a call."""
        ...


class Observers:
    """Tells several observers the same; one that raises is logged and changes nothing."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def call_admitted(self, call: Call) -> None:
        """See `Observer.call_admitted`."""
        for observer in self._observers:
            try:
                observer.call_admitted(call)
            except Exception:  # noqa: BLE001 - telemetry listens, never steers
                _log.exception("observer failed")

    def call_decided(self, call: Call, decision: Decision, routing_s: float) -> None:
        """See `Observer.call_decided`."""
        for observer in self._observers:
            try:
                observer.call_decided(call, decision, routing_s)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def attempt_ended(self, call: Call, attempt: Attempt) -> None:
        """See `Observer.attempt_ended`."""
        for observer in self._observers:
            try:
                observer.attempt_ended(call, attempt)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def call_ended(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        """See `Observer.call_ended`."""
        for observer in self._observers:
            try:
                observer.call_ended(call, decision, outcome)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")

    def request_refused(self, dialect: str, status: int, code: str) -> None:
        """See `Observer.request_refused`."""
        for observer in self._observers:
            try:
                observer.request_refused(dialect, status, code)
            except Exception:  # noqa: BLE001
                _log.exception("observer failed")
