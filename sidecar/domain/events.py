"""The facts that rooms report to observers."""

from __future__ import annotations

import logging
from typing import Protocol

from sidecar.domain.call import Call
from sidecar.domain.decision import Candidate, Decision
from sidecar.domain.outcome import Attempt, Outcome

_log = logging.getLogger("sidecar.events")


class Observer(Protocol):
    """Somebody who listens: metrics, spans, the access log. Methods are called in the loop and must
    be quick.
    """

    def call_admitted(self, call: Call) -> None:
        """A call was read and will be carried."""
        ...

    def call_decided(self, call: Call, decision: Decision, routing_s: float) -> None:
        """A model was chosen, ``routing_s`` seconds after admission."""
        ...

    def attempt_ended(self, call: Call, attempt: Attempt) -> None:
        """One try at a provider is over."""
        ...

    def failed_over(self, call: Call, failed: Candidate, following: Candidate, reason: str) -> None:
        """A call goes on from one candidate to the next; ``reason`` is a failure class."""
        ...

    def call_ended(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        """The call is over. Reported exactly once for every admitted call; ``decision`` is None
        where none was made.
        """
        ...

    def router_asked(self, outcome: str, seconds: float) -> None:
        """A call needed the router model; ``outcome`` is how that ended for it, ``seconds`` what it
        waited.
        """
        ...

    def affinity_operation(self, operation: str, outcome: str, seconds: float) -> None:
        """The store was asked something; names are those of ``affinity_operations_total``."""
        ...

    def request_refused(self, dialect: str, status: int, code: str) -> None:
        """A request was answered with an error before it became a call."""
        ...


class BaseObserver:
    """An observer that hears nothing. Real ones inherit it and override what they want to hear."""

    def call_admitted(self, call: Call) -> None:
        """See `Observer.call_admitted`."""

    def call_decided(self, call: Call, decision: Decision, routing_s: float) -> None:
        """See `Observer.call_decided`."""

    def attempt_ended(self, call: Call, attempt: Attempt) -> None:
        """See `Observer.attempt_ended`."""

    def failed_over(self, call: Call, failed: Candidate, following: Candidate, reason: str) -> None:
        """See `Observer.failed_over`."""

    def router_asked(self, outcome: str, seconds: float) -> None:
        """See `Observer.router_asked`."""

    def affinity_operation(self, operation: str, outcome: str, seconds: float) -> None:
        """See `Observer.affinity_operation`."""

    def call_ended(self, call: Call, decision: Decision | None, outcome: Outcome) -> None:
        """See `Observer.call_ended`."""

    def request_refused(self, dialect: str, status: int, code: str) -> None:
        """See `Observer.request_refused`."""
