"""What `plano-sidecar route` shows: one conversation's way to its model, step by step."""

from __future__ import annotations

import msgspec

from sidecar.domain.call import ENDPOINTS, Call, InboundHeaders
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Decision
from sidecar.domain.ids import mint_request_id, mint_trace_context
from sidecar.proxy import Proxy
from sidecar.routing.chooser import Choice, Chooser
from sidecar.wire.body import peek_body


class Explanation(msgspec.Struct, frozen=True):
    """A decision and what led to it. Durations in seconds."""

    choice: Choice | None
    """None where there is nothing to choose: no preferences, or no router model."""
    decision: Decision
    choose_s: float
    """Prompt, router model and ranking."""
    decide_s: float
    """All that a call waits for, the pin included."""


async def explain(
    text: str, *, proxy: Proxy, chooser: Chooser, clock: Clock, session: tuple[str | None, str | None]
) -> Explanation:
    """Decide for a chat call of one user message, as a call would be decided for, and send it nowhere.

    Args: ``session`` is (session id, tenant); without a session nothing is pinned.
    Raises: SidecarError.
    """
    call = _call(text, clock, session)
    routes = chooser.routes_of(call)
    began_s = clock.monotonic_s()
    choice = await chooser.choose(call, routes, began_s) if routes else None
    chosen_s = clock.monotonic_s()
    decision = await proxy.decide(call)
    return Explanation(choice, decision, chosen_s - began_s, clock.monotonic_s() - chosen_s)


def describe(explained: Explanation) -> str:
    """The explanation for a person to read."""
    choice, decision = explained.choice, explained.decision
    lines: list[str] = []
    if choice is None:
        lines.append("No route is in effect: routing_preferences or overrides.llm_routing_model is missing.")
    else:
        lines += ["prompt:", *(f"  {line}" for line in choice.prompt.splitlines()), ""]
        lines.append(f"answer:   {choice.asked.text!r}" if choice.asked.text is not None else "answer:   none")
        lines.append(f"outcome:  {choice.asked.outcome}")
        lines.append(f"route:    {choice.asked.route_name or '-'}")
        lines.append(f"asked in: {explained.choose_s * 1e3:.1f} ms")
        if choice.ranked is not None and choice.route is not None:
            lines.append(f"ranked by {choice.route.prefer}:")
            for candidate, number in zip(choice.ranked.candidates, choice.ranked.numbers, strict=True):
                lines.append(
                    f"  {candidate.model_name}  ({candidate.provider})  {_number(number, choice.route.prefer)}"
                )
    lines += ["", f"source:   {decision.source}"]
    lines.append("plan:     " + ", then ".join(f"{each.model_name} ({each.provider})" for each in decision.candidates))
    lines.append(f"decided in {explained.decide_s * 1e3:.1f} ms")
    return "\n".join(lines)


def _number(number: float | None, prefer: str) -> str:
    if prefer == "none":
        return "as written"
    if number is None:
        return "unknown"
    return f"{number:g} USD per million tokens" if prefer == "cheapest" else f"{number:.3f} s to first byte"


def _call(text: str, clock: Clock, session: tuple[str | None, str | None]) -> Call:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})
    session_id, tenant = session
    return Call(
        endpoint=ENDPOINTS["/v1/chat/completions"],
        method="POST",
        query="",
        headers=InboundHeaders(),
        body=body,
        facts=peek_body(body),
        request_id=mint_request_id(),
        trace=mint_trace_context(),
        admitted_s=clock.monotonic_s(),
        session_id=session_id,
        tenant=tenant,
    )
