"""Asks the router model which route a call belongs to, so that no call ever fails or waits long
because of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Final

import msgspec

from sidecar.dialects.base import TurnsOf
from sidecar.domain.call import Call
from sidecar.domain.decision import Route
from sidecar.domain.errors import UpstreamError, UpstreamTimeout
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.http1.cause import cause_of
from sidecar.routing.answer import RouterVerdict, read_completion, read_decision
from sidecar.routing.prompt import (
    LEAST_USER_BYTES,
    PromptForm,
    build_prompt,
    conversation_text,
    prompt_form,
)
from sidecar.routing.prompt_format import PromptFormat
from sidecar.routing.question import (
    DECISION,
    REFUSES_PARAMETERS,
    chat_question,
    decision_question,
    next_form,
    refusal_text,
)
from sidecar.routing.router_breaker import (
    Blame,
    RouterBreaker,
    blame_of_error,
    blame_of_status,
)
from sidecar.runtime.single_flight import SingleFlight
from sidecar.runtime.steps import in_steps
from sidecar.runtime.timers import Timeout, TimeoutAt

Ask = Callable[[bytes, Call], Awaitable[tuple[int, bytes]]]
"""POSTs a chat completion body to the router model in the name of a call, whose ids go along;
returns status and body of the response. Raises: UpstreamError. Limits the response's size, not its
time.
"""

CONCURRENT: Final = 64
"""Questions to the router model at a time; identical ones count once."""

_BREAKER_OPEN: Final = RouterVerdict(RouterOutcome.BREAKER_OPEN)
_BUSY: Final = RouterVerdict(RouterOutcome.BUSY)
_TIMEOUT: Final = RouterVerdict(RouterOutcome.TIMEOUT)
_HTTP_ERROR: Final = RouterVerdict(RouterOutcome.HTTP_ERROR)

_NAME_OF: Final = attrgetter("name")

_log: Final = logging.getLogger("sidecar.router")


class RouterPolicy(msgspec.Struct, frozen=True):
    """How the router model is asked."""

    model: str
    """The bare id that its provider knows."""
    deadline_s: float
    context_tokens: int
    """Budget of a prompt; one token is 4 bytes."""
    template: str | None = None
    """Wording of the prompt; None: the built-in one."""
    written: PromptFormat = PromptFormat.JSON_LINES
    """How routes and turns stand in the prompt."""
    is_decision: bool = False
    """Whether the model is asked for a decision, and not for a chat completion."""
    min_confidence: float = 0.5
    """A decision that is less probable matches no route."""


class RouteClassifier:
    """Finds a call's route with the router model's help. Identical questions share one request."""

    def __init__(
        self,
        ask: Ask,
        configured: tuple[Route, ...],
        policy: RouterPolicy,
        monotonic_s: Callable[[], float],
        turns_of: TurnsOf,
        breaker: RouterBreaker,
    ) -> None:
        """Args: ``breaker`` may have known the router model before: it is one server's."""
        self._ask = ask
        self._turns_of = turns_of
        self._policy = policy
        self._monotonic_s = monotonic_s
        self._configured = configured
        self._form = self._form_of(configured)
        """Made once for the configured routes, which nearly all calls use."""
        self._chat_form = 0
        """The form of the question that the model's server took last."""
        self.breaker: Final = breaker
        self._flights: SingleFlight[tuple[str, ...], RouterVerdict] = SingleFlight(
            "ask router model"
        )

    @property
    def is_breaker_open(self) -> bool:
        """Whether the router model failed too often; then it is only probed."""
        return self.breaker.is_open

    def may_ask(self, now_s: float) -> bool:
        """Return whether the router model would be asked now: its breaker is closed, or a probe is
        due.
        """
        return not self.breaker.is_shut(now_s)

    async def classify(
        self, call: Call, routes: tuple[Route, ...], waited_s: float = 0.0
    ) -> RouterVerdict:
        """Ask which of the routes a call belongs to.

        Waits for ``policy.deadline_s`` at most, less ``waited_s`` that the call has waited before,
        and no longer than its app will. While the breaker is open no call waits: a probe that is
        due runs in the background. A caller that goes away does not end the question for others.

        Raises: nothing; what went wrong is the verdict's outcome.
        """
        began_s = self._monotonic_s()
        is_open = self.breaker.is_open
        if is_open and self.breaker.is_shut(began_s):
            return _BREAKER_OPEN  # the prompt need not be written
        prompt, known = await self.prompt_of(call, routes), tuple(map(_NAME_OF, routes))
        question = (prompt, *known)
        flight = self._flights.get(question)
        if flight is None:
            if is_open and not self.breaker.may_probe(began_s):
                return _BREAKER_OPEN
            if len(self._flights) >= CONCURRENT:
                return _BUSY
            flight = self._flights.start(question, self._question(prompt, known, call))
        if is_open:
            return _BREAKER_OPEN
        verdict = await self._landed(flight, call, began_s, waited_s)
        waited_s += self._monotonic_s() - began_s
        return msgspec.structs.replace(verdict, waited_s=waited_s)

    async def prompt_of(self, call: Call, routes: tuple[Route, ...]) -> str:
        """Return what the router model is shown of a call; for a decision the whole question."""
        form = self._form if routes is self._configured else self._form_of(routes)
        turns = await in_steps(self._turns_of(call, max(form.room_bytes, LEAST_USER_BYTES)))
        if not self._policy.is_decision:
            return build_prompt(form, turns)
        conversation = conversation_text(form, turns).decode()
        return decision_question(self._policy.model, conversation, routes).decode()

    async def aclose(self) -> None:
        """Give up the questions that are under way."""
        await self._flights.aclose()

    async def _landed(
        self, flight: asyncio.Future[RouterVerdict], call: Call, now_s: float, waited_s: float
    ) -> RouterVerdict:
        """Wait for a question that ends by its own deadline, or for the call's own one if that is
        nearer. The call has waited for ``waited_s`` before.
        """
        left_s = self._policy.deadline_s - waited_s
        if call.client_timeout_s is not None:
            left_s = min(left_s, call.admitted_s + call.client_timeout_s - now_s)
        if left_s >= self._policy.deadline_s:
            return await asyncio.shield(flight)
        try:
            async with Timeout(max(0.0, left_s)):
                return await asyncio.shield(flight)
        except TimeoutError:
            return _TIMEOUT

    async def _question(self, prompt: str, known: tuple[str, ...], call: Call) -> RouterVerdict:
        """Ask, read the response and tell the breaker. Never raises: several calls may be
        waiting.
        """
        verdict, blame, policy = _HTTP_ERROR, Blame.PROMPT, self._policy
        asked_s = self._monotonic_s()
        try:
            deadline_s = asyncio.get_running_loop().time() + self._policy.deadline_s
            async with TimeoutAt(deadline_s):
                body = prompt.encode()
                if not policy.is_decision:
                    body = chat_question(policy.model, prompt, self._chat_form)
                status, response = await self._ask(body, call)
                if status in REFUSES_PARAMETERS and not policy.is_decision:
                    status, response = await self._asked_again(prompt, call, status, response)
            blame = blame_of_status(status)
            if not 200 <= status < 300:
                cause, refusal = f"status {status}", refusal_text(response)
                verdict = RouterVerdict(RouterOutcome.HTTP_ERROR, cause=cause, refusal=refusal)
            elif policy.is_decision:
                verdict = read_decision(response, DECISION, known, policy.min_confidence)
            else:
                verdict = read_completion(response, known)
        except (TimeoutError, UpstreamTimeout):
            cause = f"no response within {self._policy.deadline_s:g} s (routing.router_timeout_ms)"
            verdict = RouterVerdict(RouterOutcome.TIMEOUT, cause=cause)
        except UpstreamError as error:
            blame = blame_of_error(error)
            verdict = RouterVerdict(RouterOutcome.HTTP_ERROR, cause=cause_of(error))
        except Exception:  # noqa: BLE001 - optional: whatever fails here, calls go on
            _log.exception("the router model could not be asked")
        self.breaker.ended(call, asked_s, self._monotonic_s(), blame)
        return verdict

    async def _asked_again(
        self, prompt: str, call: Call, status: int, refusal: bytes
    ) -> tuple[int, bytes]:
        """Ask in the next forms, each without the parameter that the last one was refused for, as
        long as one is named. Return status and body of the last reply. Raises: UpstreamError.

        A form that is not refused is remembered, also where its reply does not come in time.
        """
        former = form = self._chat_form
        model = self._policy.model
        while status in REFUSES_PARAMETERS:
            later = next_form(form, refusal)
            if later is None:
                break
            self._chat_form = form = later
            status, refusal = await self._ask(chat_question(model, prompt, form), call)
        if not 200 <= status < 300:
            self._chat_form = former
        return status, refusal

    def _form_of(self, routes: tuple[Route, ...]) -> PromptForm:
        policy = self._policy
        return prompt_form(routes, policy.context_tokens, policy.template, policy.written)
