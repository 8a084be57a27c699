"""When failures are evidence against a candidate, and when one caller alone may have made them.
Pure; time is passed in.

A prompt that crashes a server, or an app that sends the same call again and again, must not take a
candidate from everybody else. Two failures of different callers are evidence, if the candidate
served nobody between them. Callers are told apart by what the calls of the last minutes differ in:
tenants, else sessions, else bodies.
"""

from __future__ import annotations

import enum
import math
from typing import Final, final

from sidecar.domain.call import Call

_WITHIN_S: Final = 60.0
"""Of each other, at least: failures that lie further apart are two incidents."""
_ALONE_S: Final = 600.0
"""A tenant, or a session, is alone when no other one was active for so long."""


class Caller(enum.Enum):
    """What a caller is known by."""

    TENANT = "tenant"
    """Several tenants are active: all sessions of one are one caller."""
    SESSION = "session"
    """One tenant alone is active, or there are no tenants."""
    BODY = "body"
    """One session alone is active."""


@final
class Activity:
    """Which session called last, and when somebody else did. Times are on the monotonic clock.

    The dispatcher writes it on every call, without a function call. Calls without a tenant count as
    one tenant, calls without a session as one session.
    """

    __slots__ = ("others_s", "seen_s", "session_id", "tenant", "tenants_s")

    def __init__(self) -> None:
        self.tenant: str | None = None
        self.session_id: str | None = None
        self.seen_s: float = -math.inf
        """When the session that called last did so."""
        self.others_s: float = -math.inf
        """When a call of another session of the same tenant was seen for the last time."""
        self.tenants_s: float = -math.inf
        """When a call of another tenant was seen for the last time."""

    def caller(self, call: Call, now_s: float) -> Caller:
        """Return what tells the callers apart that were active lately, that of ``call`` among them:
        one that failed before it was sent to a provider is not noted yet.
        """
        tenants_s, others_s = self.tenants_s, self.others_s
        if call.tenant != self.tenant:
            tenants_s = max(tenants_s, self.seen_s)
        elif call.session_id != self.session_id:
            others_s = max(others_s, self.seen_s)
        if now_s - tenants_s < _ALONE_S:
            return Caller.TENANT
        return Caller.SESSION if now_s - others_s < _ALONE_S else Caller.BODY


@final
class FailedCall:
    """A call whose attempt at a candidate failed: what tells it from other calls."""

    __slots__ = (
        *("body", "caller", "duration_s", "failed_s"),
        *("forgiven_by_s", "sent_s", "session", "tenant"),
    )

    def __init__(self, call: Call, activity: Activity, sent_s: float, now_s: float) -> None:
        """Args: the attempt lasted from ``sent_s`` until ``now_s``."""
        session_id = call.session_id
        self.tenant: int = hash(call.tenant)
        self.session: int | None = None if session_id is None else hash(session_id)
        """Sub-agents of one session are one caller."""
        self.body: int = call.body_mark()
        self.caller: Caller = activity.caller(call, now_s)
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
        if self.tenant != earlier.tenant or self.caller is Caller.TENANT:
            return self.tenant != earlier.tenant
        if self.session is not None and earlier.session is not None:
            if self.session != earlier.session:
                return True
            if self.caller is Caller.SESSION:
                return False
        return self.body != earlier.body


class Suspicion:
    """The failures of one thing that every caller uses, as the router model's: which of them are
    evidence against it.
    """

    def __init__(self, activity: Activity) -> None:
        self._activity: Final = activity
        self._last: FailedCall | None = None
        self._is_last_counted = False

    def failed(self, call: Call, sent_s: float, now_s: float) -> int:
        """A call met a failure. Return how many count now that did not before: none that one caller
        alone may have made, and with the first that another one met both.
        """
        failed, earlier = FailedCall(call, self._activity, sent_s, now_s), self._last
        was_counted, self._last = self._is_last_counted, failed
        self._is_last_counted = earlier is not None and failed.confirms(earlier)
        if not self._is_last_counted:
            return 0
        return 1 if was_counted else 2

    def served(self) -> None:
        """It served a call: what failed before is no evidence any more."""
        self._last = None
        self._is_last_counted = False
