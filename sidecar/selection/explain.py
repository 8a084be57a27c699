"""What `plano-sidecar route` shows: how one conversation comes to its model, step by step."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Source
from sidecar.domain.ids import mint_request_id, mint_trace_context
from sidecar.selection.selector import Look, ModelSelector
from sidecar.upstream.patches import Patches
from sidecar.wire.changes import Change


class NamedSession(NamedTuple):
    """The session to look at; none where ``session_id`` is None."""

    session_id: str | None = None
    tenant: str | None = None
    agent: str | None = None
    """A sub-agent of the session."""

    def __str__(self) -> str:
        """Return it as it is shown."""
        agent = "" if self.agent is None else f", agent {self.agent}"
        return f"{self.session_id}{agent}"


class TriedCall(NamedTuple):
    """A call that is only looked at."""

    text: str
    """Of its one message, the user's."""
    model: str | None = None
    """The one that it asks for."""
    session: NamedSession = NamedSession()


class Explanation(msgspec.Struct, frozen=True):
    """How a conversation came to its model."""

    look: Look
    session: NamedSession
    total_s: float
    """Seconds for all of it: prompt, router model, ranking, and the pin."""
    changes: tuple[tuple[Change, ...], ...] = ()
    """For each candidate of the decision what it might be sent otherwise."""


async def explain(
    tried: TriedCall,
    *,
    selector: ModelSelector,
    patches: Patches,
    clock: Clock,
    dialect: Dialect,
) -> Explanation:
    """Decide a chat call of one user message, and send it nowhere.

    A pin that the session has is shown; none is made, so that looking at a session in use changes
    nothing for it.

    Args: ``dialect`` is that of chat completions.
    Raises: SidecarError.
    """
    call = _chat_call(tried, clock, dialect)
    look = await selector.look(call)
    total_s = clock.monotonic_s() - call.admitted_s - look.prompt_s
    decision = look.decision
    asked = decision.requested[0].model_name if decision.requested else ""
    changes = tuple(
        patches.changes(each, asked, call.endpoint.dialect) for each in decision.candidates
    )
    return Explanation(look, tried.session, total_s, changes)


def describe(explained: Explanation) -> str:
    """Return the explanation for a person to read."""
    decision = explained.look.decision
    plan = (f"{each.model_name} ({each.provider})" for each in decision.candidates)
    lines = [
        *_routing_lines(explained.look),
        *_session_lines(explained),
        "",
        f"source:   {decision.source}",
        f"plan:     {', then '.join(plan)}",
        *_patch_lines(explained),
        *_time_lines(explained),
    ]
    return "\n".join(lines)


def _routing_lines(look: Look) -> list[str]:
    verdict, ranked = look.verdict, look.ranked
    if verdict is None:
        return [
            "No route is in effect: routing_preferences or overrides.llm_routing_model is missing."
        ]
    lines = ["prompt:", *(f"  {line}" for line in look.prompt.splitlines()), ""]
    lines.append("answer:   none" if verdict.text is None else f"answer:   {verdict.text!r}")
    lines.append(f"outcome:  {verdict.outcome}")
    if verdict.cause:
        lines.append(f"cause:    {': '.join(filter(None, (verdict.cause, verdict.refusal)))}")
    if verdict.confidence is not None:
        lines.append(f"probable: {verdict.confidence:.2f}")
    lines.append(f"route:    {verdict.route_name or '-'}")
    if ranked is not None:
        prefer = next(each.prefer for each in look.routes if each.name == verdict.route_name)
        lines.append(f"ranked by {prefer}:")
        for candidate, number in zip(ranked.candidates, ranked.numbers, strict=True):
            shown = _number(number, prefer)
            lines.append(f"  {candidate.model_name}  ({candidate.provider})  {shown}")
    return lines


def _session_lines(explained: Explanation) -> list[str]:
    if explained.session.session_id is None:
        return []
    decision = explained.look.decision
    binding = decision.binding if decision.source is Source.PINNED else None
    pinned = "no pin"
    if binding is not None:
        pinned = f"pinned to {_place(binding.model_name, binding.provider)}"
        if binding.home is not None:
            pinned += f", away from {_place(binding.home, binding.home_provider)}"
    return ["", f"session:  {explained.session}: {pinned}"]


def _place(model_name: str, provider: str | None) -> str:
    return f"{model_name} ({provider or 'any entry'})"


def _patch_lines(explained: Explanation) -> list[str]:
    shown = {
        candidate.model_name: ", ".join(dict.fromkeys(each.shown for each in changes))
        for candidate, changes in zip(
            explained.look.decision.candidates, explained.changes, strict=False
        )
        if changes
    }
    if not shown:
        return []
    lines = [f"  {model_name}: {names}" for model_name, names in shown.items()]
    return ["not sent as it is, where the app sends it:", *lines]


def _time_lines(explained: Explanation) -> list[str]:
    look = explained.look
    router_s = 0.0 if look.verdict is None else look.verdict.waited_s
    parts = {"prompt": look.prompt_s, "router model": router_s, "ranking": look.rank_s}
    took = ", ".join(f"{name} {_ms(seconds)}" for name, seconds in parts.items())
    return [f"took:     {took}", f"          all of it, with the pin, {_ms(explained.total_s)}"]


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


def _chat_call(tried: TriedCall, clock: Clock, dialect: Dialect) -> Call:
    # A command line can hold what UTF-8 cannot say.
    said = tried.text.encode("utf-8", "replace").decode()
    body: dict[str, object] = {"messages": [{"role": "user", "content": said}]}
    if tried.model is not None:
        body["model"] = tried.model
    return _call_of(msgspec.json.encode(body), tried.session, clock, dialect)


def _call_of(body: bytes, session: NamedSession, clock: Clock, dialect: Dialect) -> Call:
    return Call(
        endpoint=dialect.endpoints[0],
        method="POST",
        query="",
        headers={},
        body=body,
        facts=dialect.peek(body),
        request_id=mint_request_id(),
        trace=mint_trace_context(),
        admitted_s=clock.monotonic_s(),
        session_id=session.session_id,
        tenant=session.tenant,
        agent=session.agent,
    )
