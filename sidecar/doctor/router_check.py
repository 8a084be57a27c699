"""Asks the router model a question, in the way in which calls ask it, and sees whether its answer
can be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from sidecar.dialects.base import Dialect
from sidecar.doctor.findings import Finding, Kind, Verdict
from sidecar.domain.call import Call
from sidecar.domain.decision import Route
from sidecar.domain.ids import mint_request_id, mint_trace_context
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import RouterVerdict

Classify = Callable[[Call, tuple[Route, ...]], Awaitable[RouterVerdict]]
"""Asks the router model which of the routes a call belongs to, within its deadline. Raises:
nothing.
"""

_TEXT: Final = "Write a function that sorts a list of numbers."
_NEAR: Final = 0.8
"""Of the deadline: an answer that takes more is late on a bad day."""
_SERVED_MEANWHILE: Final = "Calls are served by the model that they ask for, and none is routed."


class RouterCheck(msgspec.Struct, frozen=True):
    """What it takes to ask the router model."""

    name: str
    """Of its provider entry."""
    classify: Classify
    routes: tuple[Route, ...]
    dialect: Dialect
    """That of chat completions: in it the question looks like a call."""
    monotonic_s: Callable[[], float]
    deadline_s: float
    """How long calls wait for an answer."""

    async def run(self, *, may_spend: bool) -> Finding:
        """Return whether the router model answers so that calls can be routed. Raises: nothing."""
        finding = Finding(Kind.ROUTER, self.name, Verdict.SKIPPED)
        if not self.routes:
            cause = "never asked: there are no routing_preferences"
            return msgspec.structs.replace(finding, cause=cause)
        if not may_spend:
            return msgspec.structs.replace(finding, cause="not asked (--no-spend)")
        began_s = self.monotonic_s()
        verdict = await self.classify(self._question(), self.routes)
        took_s = self.monotonic_s() - began_s
        finding = msgspec.structs.replace(finding, took_ms=round(took_s * 1e3, 1))
        return finding_of_verdict(finding, verdict, took_s, self.deadline_s)

    def _question(self) -> Call:
        body = msgspec.json.encode({"messages": [{"role": "user", "content": _TEXT}]})
        return Call(
            endpoint=self.dialect.endpoints[0],
            method="POST",
            query="",
            headers={},
            body=body,
            facts=self.dialect.peek(body),
            request_id=mint_request_id(),
            trace=mint_trace_context(),
            admitted_s=self.monotonic_s(),
        )


def finding_of_verdict(
    finding: Finding, verdict: RouterVerdict, took_s: float, deadline_s: float
) -> Finding:
    """Return what the answer of a router model means. None makes a call fail."""
    outcome = verdict.outcome
    facts = {"outcome": str(outcome), "route": verdict.route_name}
    cause, to_do, result = "", "", Verdict.OK
    if outcome is RouterOutcome.UNREADABLE:
        result, cause = Verdict.WARNING, "what it says names no route: it chats"
        to_do = (
            f"{_SERVED_MEANWHILE} Take a model that follows instructions, or adapt "
            "routing.prompt_template."
        )
    elif outcome is RouterOutcome.UNKNOWN_ROUTE:
        result, cause = Verdict.WARNING, "it names a route that is not configured"
        to_do = f"{_SERVED_MEANWHILE} Take a model that follows instructions."
    elif verdict.is_fallback:
        result = Verdict.WARNING
        cause = verdict.cause or f"it was not asked ({outcome})"
        to_do = f"{_SERVED_MEANWHILE} Look at its provider entry, and at its server's log."
    elif took_s > deadline_s * _NEAR:
        result = Verdict.WARNING
        cause = f"it answers in {took_s * 1e3:.0f} ms; calls wait {deadline_s * 1e3:.0f} ms"
        to_do = "Raise routing.router_timeout_ms, or take a faster model."
    else:
        cause = f"says {verdict.route_name!r}" if verdict.route_name else "says that no route fits"
    return msgspec.structs.replace(finding, verdict=result, cause=cause, to_do=to_do, facts=facts)
