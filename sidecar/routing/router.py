"""Asks the router model, so that no call ever fails or waits long because of it.

Source of the rules: routing.md, "What the router model sees" and "Answers".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import msgspec

from sidecar.domain.call import Call
from sidecar.domain.errors import UpstreamError, UpstreamTimeout
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.answer import completion_text, read_completion
from sidecar.routing.prompt import router_request_body
from sidecar.runtime.breaker import Breaker, BreakerPolicy
from sidecar.runtime.lifecycle import Tasks

Ask = Callable[[bytes, Call], Awaitable[tuple[int, bytes]]]
"""POST a chat completion body to the router model, in the name of a call whose ids go along; status
and body of its answer. Raises UpstreamError; bounds nothing but the answer's size."""

CONCURRENT: Final = 64
"""Questions to the router model at a time, identical ones counted once."""
BREAKER: Final = BreakerPolicy(failures_in_a_row=5, probe_s=1.0)
"""No answer is a failure, and so is one that comes too late or cannot be read: calls should not
wait for a model that babbles."""

_log: Final = logging.getLogger("sidecar.router")


class RouterVerdict(msgspec.Struct, frozen=True):
    """What asking the router model came to."""

    outcome: RouterOutcome
    route_name: str | None = None
    text: str | None = None
    """What the router model said; None where it said nothing."""
    waited_s: float = 0.0
    """How long the call waited for the router model, from its own point of view."""

    @property
    def is_fallback(self) -> bool:
        """Whether the router model's opinion is not known."""
        return self.outcome not in (
            RouterOutcome.MATCHED,
            RouterOutcome.OTHER,
            RouterOutcome.UNKNOWN_ROUTE,
        )


class Router:
    """The router model, as calls meet it."""

    def __init__(
        self, ask: Ask, router_model: str, deadline_s: float, monotonic_s: Callable[[], float]
    ) -> None:
        """Args: ``router_model`` is the bare id that its provider knows."""
        self.breaker = Breaker(BREAKER)
        self._ask = ask
        self._model = router_model
        self._deadline_s = deadline_s
        self._monotonic_s = monotonic_s
        self._tasks = Tasks()
        self._flights: dict[str, asyncio.Task[tuple[RouterOutcome | None, bytes]]] = {}

    async def choose(
        self, prompt: str, known: Collection[str], call: Call, waited_s: float = 0.0
    ) -> RouterVerdict:
        """Ask which of the ``known`` routes a prompt belongs to. Waits ``router_timeout_ms`` at
        most, less ``waited_s`` that it has waited for another one's question.

        Identical prompts share one question; a caller that goes away does not end it for the
        others. While the breaker is open nobody waits: what is due as a probe runs in the
        background.
        """
        flight = self._flights.get(prompt)
        began_s = self._monotonic_s()
        if flight is None:
            if self.breaker.is_open and not self.breaker.may_probe(began_s):
                return RouterVerdict(RouterOutcome.BREAKER_OPEN)
            if len(self._flights) >= CONCURRENT:
                return RouterVerdict(RouterOutcome.BUSY)
            flight = self._flights[prompt] = self._tasks.spawn(
                self._fly(prompt, known, call), name="ask router model"
            )
        if self.breaker.is_open:
            return RouterVerdict(RouterOutcome.BREAKER_OPEN)
        outcome, body = await self._landed(flight, self._left_s(call, began_s, waited_s))
        waited_s += self._monotonic_s() - began_s
        if outcome is not None:
            return RouterVerdict(outcome, waited_s=waited_s)
        answer = read_completion(body, known)
        return RouterVerdict(answer.kind, answer.route_name, completion_text(body), waited_s)

    async def aclose(self) -> None:
        """Give questions up."""
        await self._tasks.aclose()

    def _left_s(self, call: Call, now_s: float, waited_s: float) -> float:
        """How long the call may wait: never longer than its app will."""
        left_s = self._deadline_s - waited_s
        if call.client_timeout_s is not None:
            left_s = min(left_s, call.admitted_s + call.client_timeout_s - now_s)
        return max(0.0, left_s)

    async def _landed(
        self, flight: asyncio.Task[tuple[RouterOutcome | None, bytes]], left_s: float
    ) -> tuple[RouterOutcome | None, bytes]:
        """What the flight came to, or a timeout: a flight ends by its own deadline, a call's may be
        nearer.
        """
        if left_s >= self._deadline_s:
            return await asyncio.shield(flight)
        try:
            async with asyncio.timeout(left_s):
                return await asyncio.shield(flight)
        except TimeoutError:
            return RouterOutcome.TIMEOUT, b""

    async def _fly(
        self, prompt: str, known: Collection[str], call: Call
    ) -> tuple[RouterOutcome | None, bytes]:
        """The failure or None, and the answer's body. Never raises: several calls may be
        waiting.
        """
        outcome: RouterOutcome | None = RouterOutcome.HTTP_ERROR
        body = b""
        try:
            async with asyncio.timeout(self._deadline_s):
                status, body = await self._ask(router_request_body(self._model, prompt), call)
            outcome = None if 200 <= status < 300 else RouterOutcome.HTTP_ERROR
        except (TimeoutError, UpstreamTimeout):
            outcome = RouterOutcome.TIMEOUT
        except UpstreamError:
            outcome = RouterOutcome.HTTP_ERROR
        except Exception:  # noqa: BLE001 - optional: whatever fails here, calls go on
            _log.exception("the router model could not be asked")
        finally:
            del self._flights[prompt]
        has_failed = (
            outcome is not None or read_completion(body, known).kind is RouterOutcome.UNREADABLE
        )
        (self.breaker.failed if has_failed else self.breaker.served)(self._monotonic_s())
        return outcome, body
