"""What a call's attempts at providers come to: values, and the record of one call's failures."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.call import Call
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import (
    ConnectFailed,
    DownstreamError,
    LoopDetected,
    UpstreamError,
    UpstreamMalformed,
    UpstreamReset,
    UpstreamTimeout,
)
from sidecar.domain.ports import Reply
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass
from sidecar.upstream.failure import Failure, for_swapped, is_curable

Strip = Callable[[Call, bytes], Awaitable[Call | None]]
"""Makes a call without the signed state that a provider could not read, as its refusal says; None
where none can be left out.
"""

_OUTCOME_OF_ERROR: Final[tuple[tuple[type[BaseException], AttemptOutcome], ...]] = (
    (ConnectFailed, AttemptOutcome.CONNECT_FAILED),
    (UpstreamReset, AttemptOutcome.CONNECT_FAILED),
    (UpstreamTimeout, AttemptOutcome.TIMEOUT),
    (UpstreamMalformed, AttemptOutcome.MALFORMED),
    (LoopDetected, AttemptOutcome.SERVER_ERROR),
    (asyncio.CancelledError, AttemptOutcome.CANCELLED),
    (DownstreamError, AttemptOutcome.CANCELLED),
)

OUTCOME_OF_RESULT: Final = {
    CallOutcome.OK: AttemptOutcome.OK,
    CallOutcome.INCOMPLETE: AttemptOutcome.CUT,
    CallOutcome.CANCELLED: AttemptOutcome.CANCELLED,
    CallOutcome.DOWNSTREAM_IDLE: AttemptOutcome.CANCELLED,
}
"""The outcome of an attempt whose reply, no error, was relayed: by how the relay ended."""

_REFUSAL: Final = 0
"""An error that a retry meets again; the last one is shown."""
_PASSING: Final = 1
"""An error of status 200 that a retry may not meet, though no SDK knows that it should try."""
_CURABLE: Final = 2
"""An error that a retry may cure."""
_PASSING_CLASSES: Final = (FailureClass.BUSY, FailureClass.FAILING)


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
    is_error: Final[bool]
    """Whether the reply is an error, also one of status 200. Observers have been told of the end
    of its attempt.
    """
    lost: Final[str]
    """What the request was sent otherwise than the app made it, or without, as ``x-plano-lost``
    says it; empty for one that was sent as the app made it.
    """
    asked_usage: Final[bool]
    """Whether the request asked for the usage of a stream, as the app's own did not."""

    def __init__(
        self,
        reply: Reply,
        candidate: Candidate,
        attempts: int,
        sent_s: float,
        head_s: float,
        failed: tuple[FailedAttempt, ...] = (),
        is_error: bool = False,
        lost: str = "",
        asked_usage: bool = False,
    ) -> None:
        self.reply = reply
        self.candidate = candidate
        self.attempts = attempts
        self.sent_s = sent_s
        self.head_s = head_s
        self.failed = failed
        self.is_error = is_error
        self.lost = lost
        self.asked_usage = asked_usage


class FailureRecord:
    """One call's failed attempts so far, and which of them the app will see if no candidate serves.

    That is the first failure which the app could cure by trying again later, or else the last one.
    An error of status 200 that a later call might not meet is better than a refusal, and worse than
    an error that an SDK takes for one.
    """

    def __init__(self, requested: tuple[Candidate, ...] = ()) -> None:
        """Args: ``requested`` are the candidates of the model that the app asked for."""
        self.failed: list[FailedAttempt] = []
        self.sends = 0
        """How often the call was sent for them."""
        self._requested = requested
        self._shown: Dispatched | UpstreamError | None = None
        self._worth = _REFUSAL
        """What `_shown` tells the app."""
        self.lost = ""
        """What the newest request was sent without, as `Dispatched.lost`."""
        self._unreadable: tuple[Candidate, bytes] | None = None
        """The first candidate that could not read the conversation's signed state, and its refusal.
        """

    def add_reply(
        self,
        dispatched: Dispatched,
        failure: Failure,
        beginning: bytes = b"",
        *,
        is_translated: bool = False,
    ) -> None:
        """Record an attempt whose reply is an error. What another model than the requested one
        refuses as wrong is no fault of the app's yet, and what the sidecar wrote itself neither.

        Args: ``beginning`` is that of the reply's body; ``is_translated`` is whether the request
            was.
        """
        self.sends += dispatched.reply.sends
        candidate, failure_class = dispatched.candidate, failure.failure_class
        if failure_class is FailureClass.SIGNED_STATE and self._unreadable is None:
            self._unreadable = None if is_translated else (candidate, beginning)
        is_apps = candidate in self._requested and not is_translated
        if failure_class is FailureClass.CALLERS_FAULT and not is_apps:
            failure = for_swapped(failure)
        self.failed.append(FailedAttempt(candidate, failure))
        worth = _worth_of(dispatched.reply.status, failure)
        if self._worth and worth <= self._worth:
            dispatched.reply.abort()
            return
        if self._shown is not None:
            self.abort_shown()
        self._shown = dispatched
        self._worth = worth

    def add_error(self, candidate: Candidate, failure: Failure, error: UpstreamError) -> None:
        """Record an attempt that brought no reply, which a retry may always cure."""
        self.failed.append(FailedAttempt(candidate, failure))
        self.sends += error.sends
        if self._worth < _CURABLE:
            self.abort_shown()
            self._shown = error
            self._worth = _CURABLE

    def may_repeat(self, provider: str) -> bool:
        """Return whether no attempt at an entry was repeated yet for another key of its."""
        for each in self.failed:
            if each.failure.tries_again and each.candidate.provider == provider:
                return False
        return True

    async def next_try(
        self, call: Call, candidate: Candidate | None, strip: Strip | None
    ) -> tuple[Call, Candidate] | None:
        """Return what is sent next, and to whom: the call to ``candidate``. Where no candidate is
        left, once the call without the signed state that one could not read, to the first such
        candidate; None where there is nothing more to try.
        """
        if candidate is not None:
            return call, candidate
        is_over = self.lost or not self.failed[-1].failure.may_try_next
        if strip is None or self._unreadable is None or is_over:
            return None
        candidate, refusal = self._unreadable
        stripped = await strip(call, refusal)
        if stripped is None:
            return None
        self.lost = "thinking"
        return stripped, candidate

    def served(
        self, reply: Reply, candidate: Candidate, sent_s: float, head_s: float, lost: str
    ) -> Dispatched:
        """Return the reply of the candidate that serves after all; the error reply that was kept
        for the app is closed.

        Args: ``lost`` are the facts' of the call as it was sent.
        """
        if isinstance(self._shown, Dispatched):
            self._shown.reply.abort()
        self._shown = None
        attempts, failed = self.sends + reply.sends, tuple(self.failed)
        if self.lost:
            lost = f"{self.lost}, {lost}" if lost else self.lost
        return Dispatched(reply, candidate, attempts, sent_s, head_s, failed, lost=lost)

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


def _worth_of(status: int, failure: Failure) -> int:
    if is_curable(status):
        return _CURABLE
    return _PASSING if status < 400 and failure.failure_class in _PASSING_CLASSES else _REFUSAL


def outcome_of_reply(status: int, failure_class: FailureClass) -> AttemptOutcome:
    """Return the outcome of an attempt whose reply is an error, also one of a status below 400."""
    if failure_class is FailureClass.OUR_CREDENTIAL:
        return AttemptOutcome.CREDENTIAL_REFUSED
    if status < 400:
        return AttemptOutcome.ERROR_BODY
    if status == 429:
        return AttemptOutcome.RATE_LIMITED
    return AttemptOutcome.SERVER_ERROR if status >= 500 else AttemptOutcome.CLIENT_ERROR


def outcome_of_error(error: BaseException) -> AttemptOutcome:
    """Return the outcome of an attempt that brought no reply."""
    for kind, outcome in _OUTCOME_OF_ERROR:
        if isinstance(error, kind):
            return outcome
    return AttemptOutcome.CUT
