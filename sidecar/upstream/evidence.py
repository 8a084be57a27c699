"""When failures are evidence against a candidate, and when one caller alone may have made them.
Pure; time is passed in.

A prompt that crashes a server, or an app that sends the same call again and again, must not take a
candidate from everybody else. Two failures of different calls are evidence, if the candidate served
nobody between them.
"""

from __future__ import annotations

import math
from typing import Final, final

from sidecar.domain.call import Call

_WITHIN_S: Final = 60.0
"""Of each other, at least: failures that lie further apart are two incidents."""
_ALONE_S: Final = 600.0
"""A session is alone when no other caller was active for so long."""
_END_BYTES: Final = 64 * 1024
"""Of a body that are compared, at each end, beside its length."""


@final
class Activity:
    """Which session called last, and when somebody else did. Times are on the monotonic clock.

    The dispatcher writes it on every call, without a function call. Calls without a session count
    as one session.
    """

    __slots__ = ("others_s", "seen_s", "session_id", "tenant")

    def __init__(self) -> None:
        self.tenant: str | None = None
        self.session_id: str | None = None
        self.seen_s: float = -math.inf
        """When the session that called last did so."""
        self.others_s: float = -math.inf
        """When a call of another session was seen for the last time."""

    def is_alone(self, now_s: float) -> bool:
        """Return whether one session alone was active lately."""
        return now_s - self.others_s >= _ALONE_S


@final
class FailedCall:
    """A call whose attempt at a candidate failed: what tells it from other calls."""

    __slots__ = ("body", "duration_s", "failed_s", "forgiven_by_s", "is_alone", "sent_s", "session")

    def __init__(self, call: Call, activity: Activity, sent_s: float, now_s: float) -> None:
        """Args: the attempt lasted from ``sent_s`` until ``now_s``."""
        body, session_id = call.body, call.session_id
        self.session: int | None = None if session_id is None else hash((call.tenant, session_id))
        """Of the tenant's session; sub-agents of one session are one caller."""
        self.body: int = hash((len(body), body[:_END_BYTES], body[-_END_BYTES:]))
        self.is_alone: bool = activity.is_alone(now_s)
        self.sent_s: float = sent_s
        self.failed_s: float = now_s
        self.duration_s: float = now_s - sent_s
        self.forgiven_by_s: float | None = None
        """When the first call was sent whose response began since then."""

    def confirms(self, earlier: FailedCall) -> bool:
        """Return whether this failure and an earlier one of the same candidate are evidence. That
        this very call's response had begun, before an error event, is no success between them.
        """
        if earlier.forgiven_by_s is not None and earlier.forgiven_by_s != self.sent_s:
            return False
        longest_s = max(self.duration_s, earlier.duration_s)
        if self.failed_s - earlier.failed_s > max(_WITHIN_S, 2.0 * longest_s):
            return False
        if self.session is not None and earlier.session is not None:
            if self.session != earlier.session:
                return True
            if not self.is_alone:
                return False
        return self.body != earlier.body
