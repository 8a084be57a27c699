"""Calls by which one caller could steer others, and a sidecar before models that each of them
meets.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.replies import HttpRequest
from sidecar.demo.request import DemoRequest
from tests.support.faults import NO_FAULT, Act, Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.routed import CHAT, PREFERENCES
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel
from tests.support.sidecar_process import SidecarProcess, sidecar_config

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTE: Final[dict[str, Any]] = {**PREFERENCES[1], "models": [GPT, MINI]}
TEXT: Final = "Make this long text short"
CHATTER: Final = "chatter"
"""A word that makes the router model talk."""
ROUTERS_DEATH: Final = "death of the router model"
"""Words that make it fail."""
_LEAVES_AFTER_S: Final = 0.02


class Poison(NamedTuple):
    """One kind of call, and what models make of it."""

    status: int
    error: str | None = None
    """Status and ``x-plano-error`` of the reply."""
    fault: Fault = NO_FAULT
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[tuple[str, Any], ...] = ()
    leaves: bool = False
    """Whether the app goes away without waiting."""


def _refusal(status: int, message: str, **error: str) -> Fault:
    return Fault(status=status, body=json.dumps({"error": {"message": message, **error}}).encode())


_SLOW: Final = Fault(act=Act.SLOW, delay_s=5.0)
_HASTE: Final = (("x-plano-timeout-ms", "5"),)
POISONS: Final = {
    "impatient": Poison(504, "upstream_timeout", _SLOW, headers=_HASTE),
    "impatient stream": Poison(
        504, "upstream_timeout", _SLOW, headers=_HASTE, body=(("stream", True),)
    ),
    "gone": Poison(200, None, _SLOW, leaves=True),
    "firewall": Poison(
        403,
        fault=Fault(status=403, body=b"<html><title>403 Forbidden</title>Blocked by policy</html>"),
    ),
    "deadly": Poison(500, fault=Fault(status=500)),
    "reset": Poison(503, "upstream_connect_failed", Fault(act=Act.RESET)),
    CHATTER: Poison(200, headers=(("x-model-affinity", "off"),)),
    ROUTERS_DEATH: Poison(200, headers=(("x-model-affinity", "off"),)),
    "oversized list": Poison(
        400,
        "invalid_routing_preferences",
        body=(("routing_preferences", [{**ROUTE, "description": "long " * 10_000}]),),
    ),
    "unsupported": Poison(
        400, fault=_refusal(400, "Unsupported parameter: 'max_tokens'", param="max_tokens")
    ),
    "signed": Poison(
        400, fault=_refusal(400, "messages.1: Invalid `signature` in `thinking` block")
    ),
    "too long": Poison(400, fault=Fault(status=400, code="context_length_exceeded")),
    "against the policy": Poison(400, fault=Fault(status=400, code="content_policy_violation")),
}
"""Name, which stands in the prompt -> the call."""


class PoisonableProvider(ScriptedProvider):
    """Meets a poison with whichever model it is asked for: a session that moves meets it again."""

    def _wish(self, http: HttpRequest, asked: DemoRequest) -> Fault:
        word = asked.prompt.partition("poison: ")[2].partition(";")[0]
        poison = POISONS.get(word)
        return super()._wish(http, asked) if poison is None else poison.fault


class TalkativeRouterModel(ScriptedRouterModel):
    """Talks, or fails, where a conversation wants it to."""

    def _wish(self, http: HttpRequest, asked: DemoRequest) -> Fault:
        is_poisoned = f"poison: {ROUTERS_DEATH};" in asked.prompt
        return Fault(status=500) if is_poisoned else super()._wish(http, asked)

    def complete(self, request: DemoRequest) -> DemoCompletion:
        if f"poison: {CHATTER};" in request.prompt:
            return DemoCompletion(("What a nice conversation! Tell me more.",))
        return super().complete(request)


class Shared(NamedTuple):
    """A sidecar that tenants share."""

    port: int
    provider: PoisonableProvider
    router: TalkativeRouterModel

    async def ask(self, tenant: str, session_id: str, text: str = TEXT, **more: Any) -> RawReply:
        """Make a chat call for the small model, whose route begins with the large one."""
        headers = {"x-org-id": tenant, "x-model-affinity": session_id, **more.pop("headers", {})}
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}
        return await exchange(self.port, json_request(CHAT, body, headers))

    async def poison(self, name: str, number: int) -> RawReply | None:
        """Make one of the poisonous calls, all of one session and each with another prompt; None
        where the app left.
        """
        poison = POISONS[name]
        call = self.ask(
            "mallory",
            "s1",
            f"poison: {name}; {TEXT} {number}",
            headers=dict(poison.headers),
            **dict(poison.body),
        )
        if not poison.leaves:
            return await call
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVES_AFTER_S):
                return await call
        return None


@contextlib.asynccontextmanager
async def shared_sidecar(work: Path) -> AsyncIterator[Shared]:
    """Start a provider, a router model and a sidecar with tenants, all in this process."""
    async with _models() as (provider, router, config), running_app(config, work) as app:
        yield Shared(app.ports.data, provider, router)


@contextlib.asynccontextmanager
async def shared_sidecar_process(work: Path) -> AsyncIterator[Shared]:
    """The same with the sidecar in a process of its own."""
    async with _models() as (provider, router, config):
        process = SidecarProcess(config, work)
        try:
            await process.wait_ready()
            yield Shared(process.data_port, provider, router)
        finally:
            await process.terminate()


@contextlib.asynccontextmanager
async def _models() -> AsyncIterator[
    tuple[PoisonableProvider, TalkativeRouterModel, dict[str, Any]]
]:
    """Start both, and give the config of a sidecar before them."""
    async with PoisonableProvider(record=1) as provider, TalkativeRouterModel(record=1) as router:
        config = sidecar_config(
            provider.url,
            routing_preferences=[ROUTE],
            overrides={"llm_routing_model": "plano/router"},
            routing={"session_cache": {"tenant_header": "x-org-id"}, "router_timeout_ms": 5000},
        )
        config["model_providers"].append({"model": "plano/router", "base_url": router.url})
        yield provider, router, config


def served(reply: RawReply) -> tuple[int, str | None, str | None, str | None]:
    """Return a reply's status, and what the sidecar says of it: source, model and attempts."""
    names = ("x-plano-source", "x-plano-model", "x-plano-attempts")
    source, model, attempts = (reply.header(name) for name in names)
    return reply.status, source, model, attempts


async def poison_all(
    shared: Shared, names: tuple[str, ...], times: int, at_once: int = 5
) -> list[RawReply]:
    """Make ``times`` calls of each poison, some at once."""
    calls = iter([(name, number) for number, name in itertools.product(range(times), names)])
    replies: list[RawReply] = []

    async def work() -> None:
        for name, number in calls:
            reply = await shared.poison(name, number)
            if reply is not None:
                replies.append(reply)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return replies
