"""The values of a check-up: what was looked at, and what was found."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from sidecar.http1.certificate import TlsFacts

RENEW_DAYS: Final = 14
"""A certificate that ends sooner is a warning: so long before, people are asked for a new one."""
_DAY_S: Final = 86_400


class Verdict(enum.StrEnum):
    """What a finding comes to."""

    OK = "ok"
    WARNING = "warning"
    """Calls are served, but not as they should be, or not for much longer."""
    FAILED = "failed"
    """Calls that go there fail."""
    SKIPPED = "skipped"
    """It is not in use, or was not to be asked."""


class Kind(enum.StrEnum):
    """What was looked at."""

    PROVIDER = "provider"
    ROUTER = "router"
    STORE = "store"
    SOURCE = "source"
    TRACING = "tracing"


class StepState(enum.StrEnum):
    """How one step on the way to a reply went."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It cannot be told apart from the step before or behind it."""


class Credential(enum.StrEnum):
    """What became of a credential."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Nothing that was asked depends on it."""
    CALLERS = "caller's"
    """The app brings it, with each call."""
    NONE = "none"
    """None is configured, and none is needed."""


class ModelState(enum.StrEnum):
    """Whether an entry's model is there."""

    KNOWN = "known"
    NOT_KNOWN = "not known"
    UNCHECKED = "unchecked"


class Reach(msgspec.Struct, frozen=True):
    """How far the way to a reply was gone. None: that step is not on it, or was not come to."""

    dns: StepState | None = None
    tcp: StepState | None = None
    tls: StepState | None = None
    http: StepState | None = None
    tls_version: str | None = None
    """Such as ``TLSv1.3``."""
    certificate_days: int | None = None
    """Whole days until the certificate ends."""

    @property
    def is_reached(self) -> bool | None:
        """Whether there was a reply; None where none was asked for."""
        if self.http is not None:
            return self.http is StepState.OK
        steps = (self.dns, self.tcp, self.tls)
        if any(step is StepState.FAILED for step in steps):
            return False
        return True if self.tcp is StepState.OK else None


class Finding(msgspec.Struct, frozen=True):
    """What was learnt of one thing."""

    kind: Kind
    name: str
    """As the config names it."""
    verdict: Verdict
    place: str | None = None
    """``host:port``, or a path; None where there is none."""
    reach: Reach = Reach()
    credential: Credential | None = None
    model: ModelState | None = None
    took_ms: float | None = None
    """Until the first reply, connecting included; of Redis the median of replies."""
    cause: str = ""
    """What is wrong, or worth knowing, as a phrase."""
    to_do: str = ""
    """What a person should do, as a sentence; empty where there is nothing to do."""
    facts: dict[str, str | int | float | bool | None] = {}
    """More that was learnt, for machines."""


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return FAILED if there is one such finding, else WARNING if there is one, else OK."""
    verdicts = {each.verdict for each in findings}
    for verdict in (Verdict.FAILED, Verdict.WARNING):
        if verdict in verdicts:
            return verdict
    return Verdict.OK


def days_left(tls: TlsFacts | None, now_unix_s: float) -> int | None:
    """Return the whole days until a certificate ends; None where that is not known."""
    if tls is None or tls.expires_unix_s is None:
        return None
    return int((tls.expires_unix_s - now_unix_s) // _DAY_S)


def with_renewal(finding: Finding) -> Finding:
    """Return a finding as a warning where its certificate soon ends; one that is bad for another
    reason as it is.
    """
    days = finding.reach.certificate_days
    if days is None or days >= RENEW_DAYS or finding.verdict is not Verdict.OK:
        return finding
    return msgspec.structs.replace(
        finding,
        verdict=Verdict.WARNING,
        cause=f"its certificate ends in {days} day{'' if days == 1 else 's'}",
        to_do=f"Have the certificate of {finding.place} renewed: calls fail once it has ended.",
    )
