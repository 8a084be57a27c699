"""One model at two accounts: a session stays at one, moves to the other, and comes home."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from sidecar.affinity.session import make_session
from sidecar.domain.clock import SystemClock
from tests.support.faults import Fault
from tests.support.redis_server import RedisServer, redis_server
from tests.support.routed import CHAT, MESSAGES, PREFERENCES, Routed, routed
from tests.support.scripted_provider import ScriptedProvider

CLAUDE, MINI = "anthropic/claude-demo", "openai/gpt-4o-mini"
ROUTE = {**PREFERENCES[1], "models": [CLAUDE, MINI]}
SUMMARY = "Make this long text short"
KEY = make_session("s1").key
DIALECTS = ["chat", "messages", "responses"]


class Accounts(NamedTuple):
    """Two sidecars that share a Redis; the model's accounts are two providers."""

    one: Routed
    other: Routed
    us: ScriptedProvider
    redis: RedisServer
    ahead_s: list[float]

    @property
    def eu(self) -> ScriptedProvider:
        """The account that goes first in the first sidecar's config."""
        return self.one.provider

    async def pin(self) -> dict[str, Any]:
        """What stands in Redis."""
        value = await self.redis.client.get(KEY)
        return json.loads(value) if value else {}

    async def pin_until(self, **wanted: Any) -> dict[str, Any]:
        """What stands there once it has the wanted fields: it is written in a task of its own."""
        async with asyncio.timeout(20):
            while True:
                pin = await self.pin()
                if all(pin.get(name) == value for name, value in wanted.items()):
                    return pin
                await asyncio.sleep(0.01)  # sleep: Redis says it in its own time

    async def settled_pin(self) -> dict[str, Any]:
        """What stands in Redis once every task that may write it has ended."""
        names = "follow the session", "space the returns", "release the pin"
        while any(task.get_name() in names for task in asyncio.all_tasks()):
            await asyncio.sleep(0.001)  # sleep: they are tasks of their own
        return await self.pin()


@contextlib.asynccontextmanager
async def accounts(
    monkeypatch: pytest.MonkeyPatch,
    adapt: Callable[[list[dict[str, Any]]], dict[str, Any]] | None = None,
) -> AsyncIterator[Accounts]:
    """Start both; ``adapt`` makes more of the config from the entries (``eu``, ``us``, MINI)."""
    ahead_s = [0.0]
    monkeypatch.setattr(SystemClock, "unix_s", staticmethod(lambda: time.time() + ahead_s[0]))
    async with redis_server() as redis, ScriptedProvider() as us, ScriptedProvider() as eu:
        cache = {"type": "redis", "url": redis.url, "call_budget_ms": 2000}

        def config(_url: str) -> dict[str, Any]:
            entry = {"access_key": "k", "dialects": DIALECTS}
            entries: list[dict[str, Any]] = [
                {"model": CLAUDE, "name": "eu", "base_url": eu.url, **entry},
                {"model": CLAUDE, "name": "us", "base_url": us.url, **entry},
                {"model": MINI, "default": True, "base_url": us.url, **entry},
            ]
            base = {"model_providers": entries, "routing_preferences": [ROUTE]}
            return base | ({} if adapt is None else adapt(entries))

        routing = {"session_cache": cache}
        async with (
            routed(adapt=config, routing=routing) as one,
            routed(adapt=config, routing=routing) as other,
        ):
            for sidecar in (one, other):
                while not await sidecar.metrics("affinity_store_up"):
                    await asyncio.sleep(0.01)  # sleep: the connection stands in its own time
            yield Accounts(one._replace(provider=eu), other, us, redis, ahead_s)


def unrouted(_entries: list[dict[str, Any]]) -> dict[str, Any]:
    """No routes: the app asks for a model by its name."""
    return {"routing_preferences": []}


async def ask(sidecar: Routed, path: str = CHAT, **more: Any) -> tuple[int, str | None, str | None]:
    """One call of the session. Returns: status, source, and the entry that served it."""
    headers = {"x-model-affinity": "s1"}
    reply = await sidecar.ask(SUMMARY, path, **{"headers": headers, "model": "claude-demo", **more})
    return reply.status, reply.header("x-plano-source"), reply.header("x-plano-provider")


async def test_every_answer_tells_the_entry_that_gave_it(monkeypatch):
    """A provider's error as well, since it says which account refused."""
    async with accounts(monkeypatch) as pair:
        served = await ask(pair.one)
        for provider in (pair.eu, pair.us):
            provider.script.always("429")
        refused = await ask(pair.one)

    assert [(200, "routed", "eu"), (429, "pinned", "eu")] == [served, refused]


@pytest.mark.parametrize("adapt", [None, unrouted], ids=["routed", "without routes"])
@pytest.mark.parametrize("wish", ["429", "529", "reset"])
async def test_a_session_moves_to_the_other_account_and_comes_home(monkeypatch, adapt, wish):
    """On all pods: its prompts are cached at an account, and not at a model."""
    async with accounts(monkeypatch, adapt) as pair:
        first = "routed" if adapt is None else "requested"
        assert (200, first, "eu") == await ask(pair.one)
        at_home = await pair.pin()
        assert (CLAUDE, "eu") == (at_home["model_name"], at_home["provider"])
        pair.eu.script.always(wish)
        assert (200, "pinned", "us") == await ask(pair.one)
        away = await pair.pin_until(provider="us")
        assert (CLAUDE, {"model_name": CLAUDE, "provider": "eu"}) == (
            away["model_name"],
            away["home"],
        )
        assert (200, "pinned", "us") == await ask(pair.other)
        pair.eu.script.clear()
        pair.ahead_s[0] = 6
        assert (200, "pinned", "eu") == await ask(pair.other)
        back = await pair.pin_until(provider="eu")
        assert (CLAUDE, False, False) == (back["model_name"], "home" in back, "away_since" in back)
        assert (200, "pinned", "eu") == await ask(pair.other)


async def test_without_routes_no_router_model_is_asked_and_one_entry_has_no_pin(monkeypatch):
    """Affinity holds the account where there is one to choose, and nothing else."""
    async with accounts(monkeypatch, unrouted) as pair:
        alone = [await ask(pair.one, model=name) for name in ("gpt-4o-mini", "us")]
        assert [] == await pair.redis.key_names()
        await ask(pair.one)
        pin = await pair.pin()
        asked = pair.one.router.seen

    assert [(200, "requested", MINI), (200, "requested", "us")] == alone
    assert (CLAUDE, "eu", None) == (pin["model_name"], pin["provider"], pin["route_name"])
    assert 0 == asked


async def test_first_calls_of_two_pods_agree_on_an_account(monkeypatch):
    """Without routes, too: a burst of a session is one conversation."""

    def reversed_for_half(entries: list[dict[str, Any]]) -> dict[str, Any]:
        turns.append(1)
        order = entries if len(turns) % 2 else [entries[1], entries[0], entries[2]]
        return {"model_providers": order, "routing_preferences": []}

    turns: list[int] = []
    async with accounts(monkeypatch, reversed_for_half) as pair:
        replies = await asyncio.gather(
            *(ask(sidecar) for sidecar in (pair.one, pair.other) for _ in range(8))
        )

    assert 1 == len({provider for _, _, provider in replies})


@pytest.mark.parametrize("adapt", [None, unrouted], ids=["routed", "without routes"])
async def test_a_pin_to_an_entry_that_is_unknown_here_is_served_by_the_models_others(
    monkeypatch, adapt
):
    """During a rollout other pods know it: it stays, also where one of the others fails."""
    async with accounts(monkeypatch, adapt) as pair:
        value = {
            "model_name": CLAUDE,
            "route_name": None,
            "requested_model": CLAUDE,
            "provider": "asia",
            "bound_at": time.time(),
        }
        await pair.redis.client.set(KEY, json.dumps(value), ex=3600)
        first = await ask(pair.one)
        pair.eu.script.always("429")
        second = await ask(pair.one)

        assert [(200, "pinned", "eu"), (200, "pinned", "us")] == [first, second]
        assert value == await pair.settled_pin()


async def test_a_pin_without_an_entry_is_at_the_first_and_the_first_move_names_it(monkeypatch):
    """Plano's two fields."""
    async with accounts(monkeypatch) as pair:
        await pair.redis.client.set(
            KEY, json.dumps({"model_name": CLAUDE, "route_name": "summaries"}), ex=3600
        )
        assert (200, "pinned", "eu") == await ask(pair.one)
        assert "provider" not in await pair.settled_pin()
        pair.eu.script.always("429")
        assert (200, "pinned", "us") == await ask(pair.one)
        pin = await pair.pin_until(provider="us")

    assert {"model_name": CLAUDE, "provider": "eu"} == pin["home"]


SIGNED: list[dict[str, Any]] = [
    {"role": "user", "content": SUMMARY},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Eo8B"},
            {"type": "text", "text": "Short."},
        ],
    },
    {"role": "user", "content": "Shorter"},
]
QUOTED: list[dict[str, Any]] = [
    {"role": "user", "content": SUMMARY},
    {
        "role": "assistant",
        "content": [
            {
                "type": "tool_use",
                "id": "t",
                "name": "write",
                "input": {"text": '{"type": "thinking", "signature": "Eo8B"}'},
            }
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
]


async def test_a_turn_that_is_signed_where_it_is_stays_there(monkeypatch):
    """Home cannot read it; once a turn is plain, the session comes home. The words in a tool's
    input sign nothing.
    """
    async with accounts(monkeypatch) as pair:
        await ask(pair.one, MESSAGES)
        pair.eu.script.always("529")
        await ask(pair.one, MESSAGES)
        away = await pair.pin_until(provider="us")
        pair.eu.script.clear()
        pair.ahead_s[0] = 6
        assert (200, "pinned", "us") == await ask(pair.other, MESSAGES, messages=SIGNED)
        assert away == await pair.settled_pin()
        assert (200, "pinned", "eu") == await ask(pair.other, MESSAGES, messages=QUOTED)


REFUSED = Fault(
    status=400,
    body=json.dumps(
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
            },
        }
    ).encode(),
)


async def test_a_return_whose_history_home_refuses_goes_on_and_counts_as_failed(monkeypatch):
    """In the same call: the app sees no error; the next return is due later."""
    async with accounts(monkeypatch) as pair:
        await ask(pair.one, MESSAGES)
        pair.eu.script.always("529")
        await ask(pair.one, MESSAGES)
        await pair.pin_until(provider="us")
        pair.eu.script.clear()
        pair.eu.script.always(REFUSED)
        pair.ahead_s[0] = 6
        seen = pair.eu.seen
        replies = [await ask(pair.other, MESSAGES) for _ in range(1)]
        pin = await pair.pin_until(failed_returns=1)
        replies += [await ask(pair.other, MESSAGES) for _ in range(5)]

        assert {(200, "pinned", "us")} == set(replies)
        assert 1 == pair.eu.seen - seen
        assert ("us", {"model_name": CLAUDE, "provider": "eu"}) == (pin["provider"], pin["home"])


async def test_a_pin_that_refuses_the_history_gives_way_to_whoever_reads_it(monkeypatch):
    """For good: what it cannot read does not go away."""
    async with accounts(monkeypatch) as pair:
        await ask(pair.one, MESSAGES)
        pair.eu.script.always(REFUSED)
        assert (200, "pinned", "us") == await ask(pair.one, MESSAGES)
        pin = await pair.pin_until(provider="us")
        pair.eu.script.clear()
        pair.ahead_s[0] = 60

        assert "home" not in pin
        assert (200, "pinned", "us") == await ask(pair.other, MESSAGES)


async def test_a_stored_response_stays_at_the_pinned_account(monkeypatch):
    """Only that one knows it: the other is not tried, and nothing moves."""
    async with accounts(monkeypatch) as pair:
        await ask(pair.one, "/v1/responses")
        pin = await pair.pin()
        pair.eu.script.always("529")
        reply = await ask(pair.one, "/v1/responses", previous_response_id="resp_1")

        assert (529, "pinned", "eu") == reply
        assert 0 == pair.us.seen
        assert pin == await pair.settled_pin()


async def test_a_firewalls_refusal_of_one_call_moves_nothing(monkeypatch):
    """It goes on to the other account, and says nothing of the first."""
    async with accounts(monkeypatch) as pair:
        await ask(pair.one)
        pin = await pair.pin()
        page = b"<html><title>403 Forbidden</title>Blocked by policy</html>"
        pair.eu.script.next(Fault(status=403, body=page))
        refused, after = await ask(pair.one), await ask(pair.one)

        assert [(200, "pinned", "us"), (200, "pinned", "eu")] == [refused, after]
        assert pin == await pair.settled_pin()
