"""A world for agents: kinds of work with their models and accounts at the simulator, a router model,
and the config of the sidecars between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.support.net import free_port
from tests.support.simulator.server import Simulator
from tests.support.simulator.values import ModelRules, Signing

Json = dict[str, Any]


class Place(NamedTuple):
    """A model at an account."""

    model: str
    account: str

    @property
    def entry(self) -> str:
        """The name of its provider entry."""
        return f"{self.model}-{self.account}"


class Kind(NamedTuple):
    """A kind of work: its dialect's history, and where it can be done, best first."""

    name: str
    history: str
    prefix: str
    places: tuple[Place, ...]


MODELS = (
    ModelRules("claude", "claude", Signing.FAMILY, needs_thinking_in_loop=True),
    ModelRules("opus", "claude", Signing.ACCOUNT, needs_thinking_in_loop=True),
    ModelRules("glm", "glm"),
    ModelRules("gpt", "gpt", refused_parameter="max_tokens", least_cached_tokens=128),
    ModelRules("gemini", "gemini", Signing.FAMILY),
    ModelRules("kimi", "kimi"),
    ModelRules("codex", "gpt", Signing.ACCOUNT, least_cached_tokens=128),
    ModelRules("oss", "oss"),
)
KINDS = (
    Kind("claudework", "messages", "anthropic",
         (Place("claude", "east"), Place("claude", "west"), Place("glm", "north"))),
    Kind("opuswork", "messages", "anthropic",
         (Place("opus", "east"), Place("opus", "west"), Place("glm", "north"))),
    Kind("gptwork", "chat", "openai",
         (Place("gpt", "east"), Place("gpt", "west"), Place("kimi", "north"))),
    Kind("geminiwork", "chat", "openai", (Place("gemini", "east"), Place("kimi", "north"))),
    Kind("codexwork", "responses", "openai",
         (Place("codex", "east"), Place("codex", "west"), Place("oss", "north"))),
    Kind("storedwork", "stored", "openai", (Place("codex", "east"), Place("codex", "west"))),
)  # fmt: skip
BY_NAME = {each.name: each for each in KINDS}
ACCOUNTS = ("east", "west", "north")


def simulator(**options: Any) -> Simulator:
    """Return a simulator of all models and accounts."""
    return Simulator(MODELS, {f"sk-{each}": each for each in ACCOUNTS}, **options)


def world_config(
    simulator_url: str, router_url: str, redis_url: str | None = None, **routing: Any
) -> Json:
    """Return the config of one sidecar: each kind of work is a route. Args: ``routing`` are members
    of the section of that name.
    """
    places = {place: kind.prefix for kind in KINDS for place in kind.places}
    providers: list[Json] = [
        {
            "model": f"{prefix}/{place.model}",
            "name": place.entry,
            "access_key": f"sk-{place.account}",
            "base_url": simulator_url,
        }
        for place, prefix in places.items()
    ]
    providers.append({"model": "plano/router", "base_url": router_url})
    routes = [
        {
            "name": kind.name,
            "description": kind.name,
            "models": list(dict.fromkeys(f"{kind.prefix}/{each.model}" for each in kind.places)),
        }
        for kind in KINDS
    ]
    cache: Json = {"type": "redis", "url": redis_url} if redis_url else {"type": "memory"}
    return {
        "version": "v0.4.0",
        "listeners": [{"type": "model", "name": "llm", "address": "127.0.0.1", "port": free_port()}],
        "admin": {"address": "127.0.0.1", "port": free_port(), "operator_address": "off"},
        "model_providers": providers,
        "routing_preferences": routes,
        "overrides": {"llm_routing_model": "plano/router"},
        "routing": {"session_cache": cache | {"call_budget_ms": 500}, "router_timeout_ms": 10_000} | routing,
        "limits": {"attempts": 5},
        "drain": {"quiet_s": 0, "grace_s": 10},
    }  # fmt: skip


def could_serve(
    simulated: Simulator, places: Iterable[Place], path: str, raw: bytes, request_id: str
) -> Place | None:
    """Return a place that would have served a refused call and was not asked; None where there is
    none.
    """
    asked = {(each.model, each.account) for each in simulated.ledger.attempts.get(request_id, ())}
    for place in places:
        if tuple(place) not in asked and simulated.would_serve(
            path, raw, place.account, place.model
        ):
            return place
    return None
