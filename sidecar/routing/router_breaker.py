"""Whether the router model is left alone for a while, since it keeps failing. Pure; time is passed
in.

One caller's prompts must not take the router model from all others: what a prompt can cause counts
only where different callers meet it.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

from sidecar.domain.call import Call
from sidecar.domain.errors import ConnectFailed
from sidecar.runtime.breaker import Breaker, BreakerPolicy

POLICY: Final = BreakerPolicy(failures_in_a_row=5, probe_s=1.0)
_TOO_MANY: Final = 429


class Evidence(Protocol):
    """Tells which failures one caller alone may have caused."""

    def failed(self, call: Call, sent_s: float, now_s: float) -> int:
        """A question of a call's, asked at ``sent_s``, has failed now. Return how many failures
        count since then that did not before: 0 as long as one caller alone has met them.
        """
        ...

    def served(self) -> None:
        """A question was answered: what failed before it counts no more."""
        ...


class Blame(enum.Enum):
    """Whose fault the end of a question may be."""

    NOBODY = "nobody"
    """It was answered with something: text that cannot be read, a 400 or a 413 are a prompt's."""
    PROMPT = "prompt"
    """The server failed, which a prompt may have caused: 408, 5xx, a timeout, a reset."""
    SERVER = "server"
    """No prompt causes it: no connection, an unknown name, TLS, 429."""


def blame_of_status(status: int) -> Blame:
    """Return whose fault a reply may be."""
    if status == _TOO_MANY:
        return Blame.SERVER
    return Blame.PROMPT if status == 408 or status >= 500 else Blame.NOBODY


def blame_of_error(error: Exception) -> Blame:
    """Return whose fault it may be that no reply came."""
    return Blame.SERVER if isinstance(error, ConnectFailed) else Blame.PROMPT


class RouterBreaker(Breaker):
    """Open after five failures in a row, until a question is answered."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(POLICY)
        self._evidence: Final = evidence
        self._is_suspected = False
        """Whether a prompt may have caused a failure since the last answer."""

    def ended(self, call: Call, sent_s: float, now_s: float, blame: Blame) -> None:
        """A question of a call's, asked at ``sent_s``, has ended now."""
        if blame is Blame.NOBODY:
            if self._is_suspected:
                self._is_suspected = False
                self._evidence.served()
            self.record(now_s, is_failure=False)
            return
        count = 1
        if blame is Blame.PROMPT:
            self._is_suspected = True
            count = self._evidence.failed(call, sent_s, now_s)
        for _ in range(count):
            self.record(now_s, is_failure=True)
