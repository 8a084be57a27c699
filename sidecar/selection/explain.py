"""What `plano-sidecar route` shows: one conversation's way to its model, step by step."""

from __future__ import annotations

import msgspec

from sidecar.domain.call import Call, Endpoint
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Decision, Source
from sidecar.domain.ids import mint_request_id, mint_trace_context
from sidecar.routing.classifier import Choice, RouteClassifier
from sidecar.selection.selector import ModelSelector
from sidecar.wire.body import peek_body


class Explanation(msgspec.Struct, frozen=True):
    """A decision and what led to it. Durations in seconds."""

    choice: Choice | None
    """None where there is nothing to choose: no preferences, or no router model."""
    decision: Decision
    session_id: str | None
    prompt_s: float
    """Selecting turns and writing the prompt."""
    rank_s: float
    total_s: float
    """All of it: prompt, router model, ranking, and the pin."""


async def explain(
    text: str,
    *,
    decider: ModelSelector,
    chooser: RouteClassifier,
    clock: Clock,
    endpoint: Endpoint,
    session: tuple[str | None, str | None],
) -> Explanation:
    """Decide for a chat call of one user message, as a call would be decided for, and send it
    nowhere.

    A pin that the session has is shown; none is made, so that looking at a session in use changes
    nothing for it.

    Args: ``endpoint`` is that of chat completions; ``session`` is (session id, tenant).
    Raises: SidecarError.
    """
    call = _call(text, clock, endpoint, session)
    routes = chooser.routes_of(call)
    began_s = clock.monotonic_s()
    if routes:
        chooser.prompt_of(call, routes)
    prompted_s = clock.monotonic_s()
    choice, decision = await decider.look(call)
    looked_s = clock.monotonic_s()
    if choice is not None and choice.route is not None:
        chooser.ranked(choice.route, call.dialect, looked_s)
    ranked_s = clock.monotonic_s()
    return Explanation(
        choice,
        decision,
        session[0],
        prompted_s - began_s,
        ranked_s - looked_s,
        looked_s - prompted_s,
    )


def describe(explained: Explanation) -> str:
    """The explanation for a person to read."""
    choice, decision = explained.choice, explained.decision
    lines: list[str] = []
    if choice is None:
        lines.append(
            "No route is in effect: routing_preferences or overrides.llm_routing_model is missing."
        )
    else:
        lines += ["prompt:", *(f"  {line}" for line in choice.prompt.splitlines()), ""]
        lines.append(
            f"answer:   {choice.asked.text!r}"
            if choice.asked.text is not None
            else "answer:   none"
        )
        lines.append(f"outcome:  {choice.asked.outcome}")
        lines.append(f"route:    {choice.asked.route_name or '-'}")
        if choice.ranked is not None and choice.route is not None:
            lines.append(f"ranked by {choice.route.prefer}:")
            for candidate, number in zip(
                choice.ranked.candidates, choice.ranked.numbers, strict=True
            ):
                lines.append(
                    f"  {candidate.model_name}  ({candidate.provider})  "
                    f"{_number(number, choice.route.prefer)}"
                )
    if explained.session_id is not None:
        pinned = (
            f"pinned to {decision.pinned_model}" if decision.source is Source.PINNED else "no pin"
        )
        lines += ["", f"session:  {explained.session_id}: {pinned}"]
    lines += ["", f"source:   {decision.source}"]
    lines.append(
        "plan:     "
        + ", then ".join(f"{each.model_name} ({each.provider})" for each in decision.candidates)
    )
    router_s = 0.0 if choice is None else choice.asked.waited_s
    steps = {"prompt": explained.prompt_s, "router model": router_s, "ranking": explained.rank_s}
    lines.append(
        "took:     " + ", ".join(f"{name} {_ms(seconds)}" for name, seconds in steps.items())
    )
    lines.append(f"          all of it, with the pin, {_ms(explained.total_s)}")
    return "\n".join(lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _number(number: float | None, prefer: str) -> str:
    if prefer == "none":
        return "as written"
    if number is None:
        return "unknown"
    return (
        f"{number:g} USD per million tokens"
        if prefer == "cheapest"
        else f"{number:.3f} s to first byte"
    )


def _call(
    text: str, clock: Clock, endpoint: Endpoint, session: tuple[str | None, str | None]
) -> Call:
    said = text.encode("utf-8", "replace").decode()  # a command line can hold what UTF-8 cannot say
    body = msgspec.json.encode({"messages": [{"role": "user", "content": said}]})
    session_id, tenant = session
    return Call(
        endpoint=endpoint,
        method="POST",
        query="",
        headers={},
        body=body,
        facts=peek_body(body),
        request_id=mint_request_id(),
        trace=mint_trace_context(),
        admitted_s=clock.monotonic_s(),
        session_id=session_id,
        tenant=tenant,
    )
