"""Sessions whose model fails: where they are served, what the pin says then, and when they come
home.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from sidecar.affinity.redis.store import RedisStore
from sidecar.affinity.session import make_session
from sidecar.domain.clock import SystemClock
from tests.support.faults import Fault
from tests.support.redis_server import RedisServer, redis_server
from tests.support.routed import MESSAGES, RESPONSES, Routed, decision_of, routed

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
CONTENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}\n\n'
SUMMARY = "Make this long text short"
HEADERS = {"x-model-affinity": "s1", "x-org-id": "acme"}
KEY = make_session("s1", "acme").key


class Two(NamedTuple):
    """Two sidecars, one Redis, and a wall clock that can be put forward."""

    one: Routed
    other: Routed
    redis: RedisServer
    ahead_s: list[float]

    async def pin(self) -> dict[str, Any]:
        """What stands in Redis."""
        value = await self.redis.client.get(KEY)
        return json.loads(value) if value else {}

    async def settled_pin(self) -> dict[str, Any]:
        """What stands in Redis once whoever follows a session has done so."""
        while any(task.get_name() == "follow the session" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.001)  # sleep: it is a task of its own
        return await self.pin()

    async def pin_until(self, **wanted: Any) -> dict[str, Any]:
        """What stands there once it has the wanted fields: a session follows in a task of its
        own.
        """
        async with asyncio.timeout(20):
            while True:
                pin = await self.pin()
                if all(pin.get(name) == value for name, value in wanted.items()):
                    return pin
                await asyncio.sleep(0.01)  # sleep: Redis says it in its own time


@contextlib.asynccontextmanager
async def two(
    monkeypatch: pytest.MonkeyPatch, adapt: Callable[[str], dict[str, Any]] | None = None
) -> AsyncIterator[Two]:
    """Ready, and connected; ``adapt`` as `routed` has it."""
    ahead_s = [0.0]
    monkeypatch.setattr(SystemClock, "unix_s", staticmethod(lambda: time.time() + ahead_s[0]))
    async with redis_server() as redis:
        cache = {
            "type": "redis",
            "url": redis.url,
            "tenant_header": "x-org-id",
            "call_budget_ms": 2000,
        }
        routing = {"session_cache": cache}
        async with (
            routed(adapt=adapt, routing=routing) as one,
            routed(adapt=adapt, routing=routing) as other,
        ):
            for sidecar in (one, other):
                while not await sidecar.metrics("affinity_store_up"):
                    await asyncio.sleep(0.01)  # sleep: the connection stands in its own time
            yield Two(one, other, redis, ahead_s)


def warm_up(sidecar: Routed) -> None:
    """As if what cools had cooled long enough."""
    sidecar.app.foundation.cooling.cooldowns.clear()


async def served_by(sidecar: Routed, **more: Any) -> str | None:
    """The model that answers the session's next call."""
    status, _, _, model = decision_of(await sidecar.ask(SUMMARY, headers=HEADERS, **more))
    assert 200 == status
    return model


async def test_a_session_follows_to_where_it_was_served_and_comes_home(monkeypatch):
    """On all pods; home is tried again after some seconds, and is home once it serves."""
    async with two(monkeypatch) as pair:
        assert GPT == await served_by(pair.one)
        pair.one.provider.script.always("529", model="gpt-4o")
        assert MINI == await served_by(pair.one)
        away = await pair.pin_until(model_name=MINI)
        assert ({"model_name": GPT, "provider": GPT}, 2) == (away["home"], away["generation"])
        assert MINI == await served_by(pair.other)
        assert away == await pair.pin()
        pair.one.provider.script.clear()
        pair.ahead_s[0] = 6
        assert GPT == await served_by(pair.other)
        home = await pair.pin_until(model_name=GPT)
        assert ("home" in home, "away_since" in home) == (False, False)
        assert GPT == await served_by(pair.other)


async def test_a_session_whose_home_is_down_for_long_settles(monkeypatch):
    """Returns that fail, each later than the one before; after five minutes nobody tries any more,
    and all are served.
    """
    async with two(monkeypatch) as pair:
        await served_by(pair.one)
        for each in (pair.one, pair.other):
            each.provider.script.always("529", model="gpt-4o")
        assert MINI == await served_by(pair.one)
        await pair.pin_until(model_name=MINI)
        for number, pair.ahead_s[0] in enumerate((6, 17, 38, 79), 1):
            warm_up(pair.other)
            assert MINI == await served_by(pair.other)
            pin = await pair.pin_until(generation=2 + number)
            assert (MINI, number) == (pin["model_name"], pin["failed_returns"])
        for pair.ahead_s[0] in (100, 301):
            warm_up(pair.other)
            seen = pair.other.provider.seen
            assert MINI == await served_by(pair.other)

            assert 1 == pair.other.provider.seen - seen
            assert pin == await pair.pin()


async def test_home_is_not_tried_while_it_cools(monkeypatch):
    """Where that is known: another pod may try."""
    async with two(monkeypatch) as pair:
        await served_by(pair.one)
        pair.one.provider.script.always("429 retry-after=60", model="gpt-4o")
        await served_by(pair.one)
        await pair.pin_until(model_name=MINI)
        pair.ahead_s[0] = 6
        pair.one.provider.script.clear()
        assert MINI == await served_by(pair.one)
        assert GPT == await served_by(pair.other)


async def test_a_model_that_is_gone_is_left_for_good(monkeypatch):
    """There is no home to come back to."""
    async with two(monkeypatch) as pair:
        await served_by(pair.one)
        pair.one.provider.script.always("model_not_found", model="gpt-4o")
        assert MINI == await served_by(pair.one)
        pin = await pair.pin_until(model_name=MINI)

    assert "home" not in pin


@pytest.mark.parametrize("wish", ["400", "422", "content_policy_violation"])
async def test_a_fault_of_the_callers_own_moves_nothing(monkeypatch, wish):
    """Not the pin that stood, nor the one that this very call made."""
    async with two(monkeypatch) as pair:
        pair.one.provider.script.always(wish, model="gpt-4o")
        first = await pair.one.ask(SUMMARY, headers=HEADERS, model="gpt-4o")
        made = await pair.pin()
        second = await pair.one.ask(SUMMARY, headers=HEADERS, model="gpt-4o")

        assert (400, 400) == (min(first.status, 400), min(second.status, 400))
        assert (GPT, 1) == (made["model_name"], made["generation"])
        assert made == await pair.pin()


@pytest.mark.parametrize("wish", ["529", "reset", "429"])
async def test_a_pin_under_which_nobody_served_is_dropped_by_the_call_that_made_it(
    monkeypatch, wish
):
    """The next call chooses anew; a pin that had served before stays."""
    async with two(monkeypatch) as pair:
        pair.one.provider.script.always(wish)
        reply = await pair.one.ask(SUMMARY, headers=HEADERS)
        assert reply.status >= 400
        async with asyncio.timeout(20):
            while await pair.pin():
                await asyncio.sleep(0.01)  # sleep: it is dropped in a task of its own
        pair.one.provider.script.clear()
        await served_by(pair.other)
        made = await pair.pin()
        pair.one.provider.script.always(wish)
        reply = await pair.one.ask(SUMMARY, headers=HEADERS)

        assert reply.status >= 400
        assert made == await pair.pin()


async def test_a_pin_that_took_anothers_place_in_vain_is_dropped_too(monkeypatch):
    """A conversation that begins anew replaces a provisional pin, and nobody serves it: the next
    call chooses anew.
    """
    async with two(monkeypatch) as pair:
        pair.one.router.script.always("503")
        assert (200, "fallback", None, MINI) == decision_of(
            await pair.one.ask(SUMMARY, headers=HEADERS)
        )
        pair.one.router.script.clear()
        pair.one.router.script.always("proper")
        pair.one.provider.script.always("529")
        assert (await pair.one.ask(SUMMARY, headers=HEADERS)).status >= 400
        async with asyncio.timeout(5):
            while await pair.pin():
                await asyncio.sleep(0.01)  # sleep: it is dropped in a task of its own
        pair.one.provider.script.clear()

        assert (200, "routed", "summaries", GPT) == decision_of(
            await pair.other.ask(SUMMARY, headers=HEADERS)
        )


async def test_an_app_that_hangs_up_leaves_the_pin(monkeypatch):
    """Nothing was learned of the model."""
    async with two(monkeypatch) as pair:
        pair.one.provider.script.always("hang", model="gpt-4o")
        asked = asyncio.get_running_loop().create_task(pair.one.ask(SUMMARY, headers=HEADERS))
        await pair.one.provider.wait_for_requests(1)
        asked.cancel()
        await asyncio.wait([asked])
        pair.one.provider.script.clear()
        await pair.pin_until(model_name=GPT)

        assert GPT == await served_by(pair.other)


async def test_a_session_follows_at_the_first_byte(monkeypatch):
    """Not when a long stream has ended: other pods would go on failing until then."""
    async with two(monkeypatch) as pair:
        await served_by(pair.one)
        end = asyncio.Event()
        pair.one.provider.script.always("529", model="gpt-4o")
        pair.one.provider.script.always(Fault(hold=end, hold_after_events=1), model="gpt-4o-mini")
        async with asyncio.TaskGroup() as group:
            stream = group.create_task(pair.one.ask(SUMMARY, headers=HEADERS, stream=True))
            await pair.pin_until(model_name=MINI)
            assert not stream.done()
            end.set()

        assert MINI == stream.result().header("x-plano-model")


@pytest.mark.parametrize(
    ("code", "model", "home"),
    [("server_error", MINI, GPT), ("content_policy_violation", GPT, None)],
)
async def test_a_session_whose_stream_ends_with_an_error_event_goes_where_its_class_says(
    monkeypatch, code, model, home
):
    """One such failure is no evidence against the model, and the session need not meet it again; what
    its own prompt caused moves nothing.
    """
    error = json.dumps({"error": {"message": "boom", "type": code, "code": code}}).encode()
    body = CONTENT + b"data: " + error + b"\n\n"
    headers = (("content-type", "text/event-stream"),)
    async with two(monkeypatch) as pair:
        assert GPT == await served_by(pair.one)
        fault = Fault(status=200, body=body, headers=headers)
        pair.one.provider.script.next(fault, model="gpt-4o")
        broken = await pair.one.ask(SUMMARY, headers=HEADERS, stream=True)
        pin = await pair.settled_pin()
        cooling = pair.one.app.foundation.cooling.cooldowns

        assert ("1", GPT, 0) == (
            broken.header("x-plano-attempts"),
            broken.header("x-plano-model"),
            len(cooling),
        )
        assert (model, home) == (pin["model_name"], pin.get("home", {}).get("model_name"))
        assert model == await served_by(pair.one)


async def test_a_pin_to_an_unknown_model_is_served_around_and_replaced_when_it_is_old(monkeypatch):
    """During a rollout other pods know it; ten minutes later nobody does. Both are counted."""
    async with two(monkeypatch) as pair:
        value = {
            "model_name": "openai/of-tomorrow",
            "requested_model": MINI,
            "bound_at": time.time(),
        }
        await pair.redis.client.set(KEY, json.dumps(value), ex=3600)
        young = await pair.one.ask(SUMMARY, headers=HEADERS)
        assert value == await pair.pin()
        pair.ahead_s[0] = 601
        old = await pair.other.ask(SUMMARY, headers=HEADERS)
        after = await pair.pin()
        operations = await pair.one.metrics("affinity_operations_total")

    assert [(200, "routed", "summaries", GPT)] * 2 == [decision_of(young), decision_of(old)]
    assert (GPT, 1) == (after["model_name"], after["generation"])
    assert 1 == operations["bypass", "unknown_model"]


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
async def test_a_pin_that_the_dialect_cannot_use_is_left_as_it_is(monkeypatch, path):
    """Served without it, and counted: neither adopted nor replaced. It is the asking lane's now."""
    model = "anthropic/claude-demo" if path == RESPONSES else GPT
    async with two(monkeypatch, lambda _url: {"translate": False}) as pair:
        value = {"model_name": model, "route_name": None}
        await pair.redis.client.set(KEY, json.dumps(value), ex=3600)
        reply = await pair.one.ask("Write new functions", path, headers=HEADERS)
        operations = await pair.one.metrics("affinity_operations_total")

        pin = await pair.pin()
        assert (200, value) == (reply.status, {name: pin[name] for name in value})
        assert model != decision_of(reply)[3]
        assert 1 == operations["bypass", "dialect"]


async def test_a_pin_outside_an_inline_list_is_bypassed_for_that_call(monkeypatch):
    """And inside it, it holds; an empty list leaves affinity alone."""
    async with two(monkeypatch) as pair:
        await served_by(pair.one)
        pin = await pair.pin()
        other = [{"name": "r", "description": "making long texts short", "models": [MINI]}]
        same = [{"name": "r", "description": "making long texts short", "models": [MINI, GPT]}]
        replies = [
            decision_of(await pair.one.ask(SUMMARY, headers=HEADERS, routing_preferences=given))
            for given in (other, same, [])
        ]

        assert ["routed", "pinned", "requested"] == [source for _, source, _, _ in replies]
        assert [MINI, GPT, MINI] == [model for _, _, _, model in replies]
        assert pin == await pair.pin()


async def test_a_pin_outside_an_inline_list_that_was_quicker_is_bypassed_too(monkeypatch):
    """Nothing stood when the call looked; another pod's claim came before its own."""

    async def nothing(*_: object) -> None:
        return None

    async with two(monkeypatch) as pair:
        await served_by(pair.one)
        pin = await pair.pin()
        given = [{"name": "r", "description": "making long texts short", "models": [MINI]}]
        with monkeypatch.context() as patch:
            patch.setattr(RedisStore, "get", nothing)
            reply = await pair.other.ask(SUMMARY, headers=HEADERS, routing_preferences=given)

        assert (200, "routed", "r", MINI) == decision_of(reply)
        assert pin == await pair.pin()


async def test_a_model_whose_name_no_value_can_hold_is_refused_before_its_session_is_read():
    """A wildcard takes any name of 256 bytes; a pin that does not tell its lane would be read as
    that of all lanes.
    """

    def wild(url: str) -> dict[str, Any]:
        models = "wild/*", GPT, MINI, "anthropic/claude-demo"
        return {
            "model_providers": [
                {"model": model, "access_key": "k", "base_url": url}
                | ({"provider_interface": "openai"} if model.startswith("wild") else {})
                for model in models
            ]
        }

    async with routed(adapt=wild) as sidecar:
        headers = {"x-model-affinity": "s1"}
        replies = [
            decision_of(await sidecar.ask(SUMMARY, headers=headers, model="wild/" + "m" * length))
            for length in (600, 600, 5000)
        ]
        operations = await sidecar.metrics("affinity_operations_total")

    assert [(400, None, None, None)] * 3 == replies
    assert {} == operations


async def test_off_stands_alone_and_a_missing_tenant_is_counted(monkeypatch):
    """Neither reads nor writes a pin."""
    async with two(monkeypatch) as pair:
        off = await pair.one.ask(SUMMARY, headers=HEADERS | {"x-model-affinity": "off"})
        nobody = await pair.one.ask(SUMMARY, headers={"x-model-affinity": "s1"})
        operations = await pair.one.metrics("affinity_operations_total")

        assert [(200, "routed", "summaries", GPT)] * 2 == [decision_of(off), decision_of(nobody)]
        assert [] == await pair.redis.key_names()
        assert {("bypass", "no_tenant"): 1} == operations


async def test_a_router_that_was_down_is_asked_again_by_a_conversation_that_begins(monkeypatch):
    """A fallback holds for the conversation it was made in, and gives way to a real decision."""
    async with two(monkeypatch) as pair:
        pair.one.router.script.always("503")
        assert (200, "fallback", None, MINI) == decision_of(
            await pair.one.ask(SUMMARY, headers=HEADERS)
        )
        assert (await pair.pin())["provisional"]
        pair.one.router.script.clear()
        pair.one.router.script.always("proper")
        going_on = [
            {"role": "user", "content": SUMMARY},
            {"role": "assistant", "content": "Short."},
            {"role": "user", "content": "Again"},
        ]
        for each in (pair.one, pair.other):
            assert (200, "pinned", None, MINI) == decision_of(
                await each.ask(headers=HEADERS, messages=going_on)
            )
        assert (200, "routed", "summaries", GPT) == decision_of(
            await pair.other.ask(SUMMARY, headers=HEADERS)
        )
        pin = await pair.pin_until(model_name=GPT)
        assert "provisional" not in pin
        assert (200, "pinned", "summaries", GPT) == decision_of(
            await pair.one.ask(headers=HEADERS, messages=going_on)
        )


async def test_while_the_router_is_left_alone_a_provisional_pin_is_as_good_as_any(monkeypatch):
    """Its breaker is open: no call of the session is decided anew, until a probe may ask."""
    async with two(monkeypatch) as pair:
        pair.one.router.script.always("503")
        for number in range(5):
            await pair.one.ask(
                f"{SUMMARY} {number}", headers=HEADERS | {"x-model-affinity": f"other-{number}"}
            )
        await pair.one.ask(SUMMARY, headers=HEADERS)
        asked = pair.one.router.seen
        before = await pair.one.metrics("router_requests_total")
        replies = {decision_of(await pair.one.ask(SUMMARY, headers=HEADERS)) for _ in range(20)}
        after = await pair.one.metrics("router_requests_total")

    assert {(200, "pinned", None, MINI)} >= replies - {(200, "fallback", None, MINI)}
    assert pair.one.router.seen - asked <= 2  # a probe a second
    assert sum(after.values()) - sum(before.values()) <= 2


def two_of_messages(url: str) -> dict[str, Any]:
    """Two models that speak Anthropic's dialect, and OpenAI's responses; one kind of work."""
    names = "anthropic/a", "anthropic/b"
    dialects = ["chat", "messages", "responses"]
    return {
        "model_providers": [
            {
                "model": name,
                "access_key": "k",
                "base_url": url,
                "dialects": dialects,
                "default": name == names[1],
            }
            for name in names
        ],
        "routing_preferences": [
            {"name": "r", "description": "making long texts short", "models": [*names]}
        ],
    }


async def test_counting_tokens_moves_no_pin_and_brings_nobody_home(monkeypatch):
    """Its limits are its own, and some providers do not serve it: it says nothing of where the
    session belongs.
    """
    counting = "/v1/messages/count_tokens"
    async with two(monkeypatch, two_of_messages) as pair:
        more: dict[str, Any] = {"model": "b", "headers": HEADERS}
        assert "anthropic/a" == decision_of(await pair.one.ask(SUMMARY, MESSAGES, **more))[3]
        pin = await pair.pin()
        pair.one.provider.script.always("429", model="a")
        assert "anthropic/b" == decision_of(await pair.one.ask(SUMMARY, counting, **more))[3]
        assert pin == await pair.settled_pin()
        assert "anthropic/b" == decision_of(await pair.one.ask(SUMMARY, MESSAGES, **more))[3]
        away = await pair.pin_until(model_name="anthropic/b")
        pair.ahead_s[0] = 6
        assert "anthropic/b" == decision_of(await pair.other.ask(SUMMARY, counting, **more))[3]
        assert away == await pair.settled_pin()
        assert "anthropic/a" == decision_of(await pair.other.ask(SUMMARY, MESSAGES, **more))[3]


async def test_what_one_provider_holds_is_not_looked_for_at_home(monkeypatch):
    """The answer that a call goes on from was given where the session is now: home has never seen
    it.
    """
    async with two(monkeypatch, two_of_messages) as pair:
        more: dict[str, Any] = {"model": "b", "headers": HEADERS}
        assert "anthropic/a" == decision_of(await pair.one.ask(SUMMARY, RESPONSES, **more))[3]
        pair.one.provider.script.always("529", model="a")
        assert "anthropic/b" == decision_of(await pair.one.ask(SUMMARY, RESPONSES, **more))[3]
        await pair.pin_until(model_name="anthropic/b")
        pair.ahead_s[0] = 6
        going_on = await pair.other.ask(SUMMARY, RESPONSES, previous_response_id="resp_1", **more)

        assert (200, "pinned", "r", "anthropic/b") == decision_of(going_on)
        assert "anthropic/a" == decision_of(await pair.other.ask(SUMMARY, RESPONSES, **more))[3]
