"""What the walk over a plan's candidates came to."""

from __future__ import annotations

import msgspec

from sidecar.domain.call import Reply
from sidecar.domain.decision import Candidate
from sidecar.upstream.classify import Failure


class Failed(msgspec.Struct, frozen=True):
    """An attempt that did not serve the call."""

    candidate: Candidate
    failure: Failure


class Dispatched(msgspec.Struct, frozen=True):
    """A reply whose head has arrived, and who gave it. Whoever holds it closes the reply."""

    reply: Reply
    candidate: Candidate
    attempts: int
    sent_s: float
    """Monotonic clock: when the attempt that answered was begun."""
    head_s: float
    """Monotonic clock: when its head had arrived."""
    failed: tuple[Failed, ...] = ()
    """The attempts that did not serve the call, in order; this one too where its answer is an error."""
    is_reported: bool = False
    """Whether observers know of this attempt already."""
