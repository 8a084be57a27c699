"""What the walk over a plan's candidates came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.decision import Candidate
from sidecar.domain.ports import Reply
from sidecar.upstream.failure import Failure


@final
@dataclass(init=False, unsafe_hash=True)
class Failed:
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
    """A reply whose head has arrived, and who gave it. Whoever holds it closes the reply."""

    reply: Final[Reply]
    candidate: Final[Candidate]
    attempts: Final[int]
    sent_s: Final[float]
    """Monotonic clock: when the attempt that answered was begun."""
    head_s: Final[float]
    """Monotonic clock: when its head had arrived."""
    failed: Final[tuple[Failed, ...]]
    """The attempts that did not serve the call, in order; this one too where its answer is an
    error.
    """
    is_reported: Final[bool]
    """Whether observers know of this attempt already."""

    def __init__(
        self,
        reply: Reply,
        candidate: Candidate,
        attempts: int,
        sent_s: float,
        head_s: float,
        failed: tuple[Failed, ...] = (),
        is_reported: bool = False,
    ) -> None:
        self.reply = reply
        self.candidate = candidate
        self.attempts = attempts
        self.sent_s = sent_s
        self.head_s = head_s
        self.failed = failed
        self.is_reported = is_reported
