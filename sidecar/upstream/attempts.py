"""What a call's attempts at providers come to: values, and the record of one call's failures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.decision import Candidate
from sidecar.domain.errors import UpstreamError
from sidecar.domain.ports import Reply
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.failure import Failure, for_swapped, is_curable


@final
@dataclass(init=False, unsafe_hash=True)
class FailedAttempt:
    """An attempt that did not serve the call."""

    candidate: Final[Candidate]
    failure: Final[Failure]

    def __init__(
        self,
        candidate: Candidate,
        failure: Failure,
    ) -> None:
        self.candidate = candidate
        self.failure = failure


@final
@dataclass(init=False, unsafe_hash=True)
class Dispatched:
    """A reply whose head has arrived, and the candidate that gave it. The holder closes it."""

    reply: Final[Reply]
    candidate: Final[Candidate]
    attempts: Final[int]
    """How often the call was sent, this attempt included."""
    sent_s: Final[float]
    """Monotonic clock: when the attempt that brought the reply began."""
    head_s: Final[float]
    """Monotonic clock: when the reply's head had arrived."""
    failed: Final[tuple[FailedAttempt, ...]]
    """The attempts that did not serve the call, in order. Where the reply is an error, its own
    attempt is one of them.
    """
    is_reported: Final[bool]
    """Whether observers have been told of the end of this attempt."""

    def __init__(
        self,
        reply: Reply,
        candidate: Candidate,
        attempts: int,
        sent_s: float,
        head_s: float,
        failed: tuple[FailedAttempt, ...] = (),
        is_reported: bool = False,
    ) -> None:
        self.reply = reply
        self.candidate = candidate
        self.attempts = attempts
        self.sent_s = sent_s
        self.head_s = head_s
        self.failed = failed
        self.is_reported = is_reported


class FailureRecord:
    """One call's failed attempts so far, and which of them the app will see if no candidate serves.

    That is the first failure which the app could cure by trying again later, or else the last one.
    """

    def __init__(self, requested: tuple[Candidate, ...] = ()) -> None:
        """Args: ``requested`` are the candidates of the model that the app asked for."""
        self.failed: list[FailedAttempt] = []
        self.sends = 0
        """How often the call was sent for them."""
        self._requested = requested
        self._shown: Dispatched | UpstreamError | None = None
        self._is_curable = False
        """Whether a retry may cure `_shown`: then no later failure takes its place."""

    def add_reply(self, dispatched: Dispatched, failure: Failure) -> None:
        """Record an attempt whose reply is an error. What another model than the requested one
        refuses as wrong is no fault of the app's yet.
        """
        self.sends += dispatched.reply.sends
        candidate = dispatched.candidate
        if failure.failure_class is FailureClass.CALLERS_FAULT and candidate not in self._requested:
            failure = for_swapped(failure)
        self.failed.append(FailedAttempt(candidate, failure))
        if self._is_curable:
            dispatched.reply.abort()
            return
        if self._shown is not None:
            self.abort_shown()
        self._shown = dispatched
        self._is_curable = is_curable(dispatched.reply.status)

    def add_error(self, candidate: Candidate, failure: Failure, error: UpstreamError) -> None:
        """Record an attempt that brought no reply, which a retry may always cure."""
        self.failed.append(FailedAttempt(candidate, failure))
        self.sends += error.sends
        if not self._is_curable:
            self.abort_shown()
            self._shown = error
            self._is_curable = True

    def abort_shown(self) -> None:
        """Close the error reply that was kept for the app: a better one has come, or none is needed
        any more.
        """
        if isinstance(self._shown, Dispatched):
            self._shown.reply.abort()
        self._shown = None

    def result(self) -> Dispatched:
        """Return the error reply that the app gets.

        Raises: UpstreamError where no attempt brought a reply that is worth showing.
        """
        shown = self._shown
        assert shown is not None  # each attempt that failed was recorded
        if isinstance(shown, UpstreamError):
            shown.attempts = self.sends
            shown.candidates = len(self.failed)
            raise shown
        return dataclasses.replace(shown, attempts=self.sends, failed=tuple(self.failed))
