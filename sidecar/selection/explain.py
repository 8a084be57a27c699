"""What `plano-sidecar route` shows: how one conversation comes to its model, step by step."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sidecar.config.conventions import ROUTER_DIALECT
from sidecar.dialects.base import Dialect
from sidecar.domain.call import Call, DialectName
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Source
from sidecar.domain.ids import mint_request_id, mint_trace_context
from sidecar.domain.translation import Fit
from sidecar.selection.fitting import in_order, names_of
from sidecar.selection.look import Look
from sidecar.selection.selector import ModelSelector
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

    body: bytes
    model: str | None = None
    """The one that it asks for, in the place of the body's own."""
    session: NamedSession = NamedSession()
    dialect: DialectName = ROUTER_DIALECT
    """Of the body."""


class Explanation(msgspec.Struct, frozen=True):
    """How a conversation came to its model."""

    look: Look
    session: NamedSession
    total_s: float
    """Seconds for all of it: prompt, router model, ranking, and the pin."""
    changes: tuple[tuple[Change, ...], ...] = ()
    """For each candidate of the decision what it might be sent otherwise."""
    dialect: DialectName = ROUTER_DIALECT
    """Of the call."""
    fits: tuple[Fit | None, ...] = ()
    """Beside each candidate of the decision how well it can serve the call by translation; None for
    one that speaks its dialect.
    """


async def explain(
    tried: TriedCall,
    *,
    selector: ModelSelector,
    patches: Patches,
    clock: Clock,
    dialect: Dialect,
) -> Explanation:
    """Decide a call, and send it nowhere.

    A pin that the session has is shown; none is made, so that looking at a session in use changes
    nothing for it.

    Args: ``dialect`` is that of the body.
    Raises: SidecarError.
    """
    call = _call_of(tried, clock, dialect)
    look = await selector.look(call)
    total_s = clock.monotonic_s() - call.admitted_s - look.prompt_s
    decision = look.decision
    fits = await selector.others.fitting.fits(call, decision.candidates)
    asked = decision.requested[0].model_name if decision.requested else ""
    changes = tuple(patches.changes(each, asked, dialect.name) for each in decision.candidates)
    return Explanation(look, tried.session, total_s, changes, dialect.name, fits)


def body_of_text(text: str) -> bytes:
    """Return the body of a chat completion with one message of the user's."""
    said = text.encode("utf-8", "replace").decode()  # a command line can hold what UTF-8 cannot say
    return msgspec.json.encode({"messages": [{"role": "user", "content": said}]})


def describe(explained: Explanation) -> str:
    """Return the explanation for a person to read."""
    decision = explained.look.decision
    usable = decision.candidates
    if any(explained.fits):
        usable = in_order(usable, explained.fits)
    plan = [f"{each.model_name} ({each.provider})" for each in usable]
    lines = [
        *_routing_lines(explained.look),
        *_session_lines(explained),
        *_translation_lines(explained),
        "",
        f"source:   {decision.source}",
        f"plan:     {', then '.join(plan) or 'none can serve this request'}",
        *_patch_lines(explained),
        *_time_lines(explained),
    ]
    return "\n".join(lines)


def _translation_lines(explained: Explanation) -> list[str]:
    """Return what each candidate would lose; nothing where all speak the call's dialect."""
    if not any(explained.fits):
        return []
    lines = ["", "translated:"]
    for each, fit in zip(explained.look.decision.candidates, explained.fits, strict=True):
        said = "no, it speaks " + explained.dialect
        if fit is not None:
            said = f"{explained.dialect}>{fit.dialect}, {_loses(fit)}"
        lines.append(f"  {each.model_name}  ({each.provider})  {said}")
    return lines


def _loses(fit: Fit) -> str:
    said = "would lose " + ", ".join(names_of(fit.lost)) if fit.lost else "would lose nothing"
    if fit.decisive:
        said += "; left out for " + ", ".join(names_of(fit.decisive))
    elif fit.goes_behind:
        said += "; goes behind those that would not"
    return said


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


def _call_of(tried: TriedCall, clock: Clock, dialect: Dialect) -> Call:
    body, session = tried.body, tried.session
    if tried.model is not None:
        body = b"".join(dialect.patch(body, dialect.peek(body), tried.model))
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
