"""One of two models fails: no call does. Both fail: the app gets the answer that tells it most."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from sidecar.upstream import cooling
from tests.support.faults import Fault
from tests.support.routed import PREFERENCES, Routed, decision_of, routed

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTE: dict[str, Any] = {**PREFERENCES[1], "models": [GPT, MINI]}
TEXT = "Make this long text short"

FAILURES = {
    "429": "busy", "429 retry-after=7": "busy", "500": "failing", "503": "busy", "529": "busy",
    "reset": "failing", "cut": "failing", "cut-head": "failing", "garbage": "failing", "401": "our_credential",
    "403": "refused", "402": "quota", "insufficient_quota": "quota", "model_not_found": "model_gone",
    "context_length_exceeded": "too_long",
}  # fmt: skip


@pytest.mark.parametrize("wish", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
async def test_one_model_fails_and_no_call_does(wish, stream):
    """Each is served by the next model; the step is counted with its class."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always(wish, model="gpt-4o")
        replies = [await sidecar.ask(f"{TEXT} {number}", stream=stream) for number in range(6)]
        steps = await sidecar.metrics("failovers_total")

    assert {(200, "routed", "summaries", MINI)} == {decision_of(reply) for reply in replies}
    assert all(reply.is_complete for reply in replies)
    assert {(GPT, FAILURES[wish], MINI)} == set(steps)
    assert ("2", "1") == (
        replies[0].header("x-plano-attempts"),
        replies[-1].header("x-plano-attempts"),
    ) or FAILURES[wish] in ("too_long", "refused")


async def test_a_stream_that_does_not_begin_in_time_goes_on():
    """`first_byte_s` is for streams; a call that is not streamed waits."""
    impatient = {GPT: {"timeouts": {"first_byte_s": 0.2}}}
    async with routed(impatient, routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("hang", model="gpt-4o")
        reply = await sidecar.ask(TEXT, stream=True)
        attempts = await sidecar.metrics("upstream_attempts_total")

    assert (200, "routed", "summaries", MINI) == decision_of(reply)
    assert {(GPT, GPT, "timeout", "openai"): 1, (MINI, MINI, "ok", "openai"): 1} == attempts


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-plano-timeout-ms": "60000"}, (GPT, "1")),
        ({"x-stainless-read-timeout": "60"}, (MINI, "2")),
    ],
)
async def test_an_app_that_says_so_itself_may_wait_longer_for_the_first_byte(headers, expected):
    """What its SDK says for everybody lengthens nothing."""
    impatient = {GPT: {"timeouts": {"first_byte_s": 0.2}}}
    async with routed(impatient, routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("slow delay=0.8", model="gpt-4o")
        reply = await sidecar.ask(TEXT, stream=True, headers=headers)

    assert expected == (reply.header("x-plano-model"), reply.header("x-plano-attempts"))


async def test_an_answer_that_is_late_is_not_asked_for_twice():
    """The work may have been done, and would be billed twice: 504, and the SDK is told not to try
    again.
    """
    async with routed(routing_preferences=[ROUTE], timeouts={"response_s": 0.2}) as sidecar:
        sidecar.provider.script.always("hang", model="gpt-4o")
        reply = await sidecar.ask(TEXT)

    assert (504, "upstream_timeout") == (reply.status, reply.header("x-plano-error"))
    assert 1 == sidecar.provider.seen


STAY = {"400": 400, "content_policy_violation": 400}


@pytest.mark.parametrize("wish", STAY)
async def test_the_callers_fault_is_the_callers(wish):
    """What the model that it asked for says: no other model is asked, nothing cools, the provider's
    answer is the app's.
    """
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.next(wish, model="gpt-4o")
        refused = await sidecar.ask(TEXT, model="gpt-4o")
        served = await sidecar.ask(f"{TEXT} again")
        steps = await sidecar.metrics("failovers_total")

    assert (STAY[wish], None, "1") == (
        refused.status,
        refused.header("x-plano-error"),
        refused.header("x-plano-attempts"),
    )
    assert (200, GPT) == (served.status, served.header("x-plano-model"))
    assert {} == steps


@pytest.mark.parametrize(
    ("first", "second", "status", "model"),
    [
        ("429 retry-after=7", "400", 429, GPT),
        ("429 retry-after=7", "500", 429, GPT),
        ("model_not_found", "529", 529, MINI),
        ("401", "402", 402, MINI),
        ("context_length_exceeded", "context_length_exceeded", 400, GPT),
        ("503 retry-after=3", "reset", 503, GPT),
    ],
)
async def test_both_fail(first, second, status, model):
    """The first answer that a retry could cure, with its Retry-After; else the last that there was
    to give.
    """
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always(first, model="gpt-4o")
        sidecar.provider.script.always(second, model="gpt-4o-mini")
        reply = await sidecar.ask(TEXT)
        sent = {
            json.loads(each.body)["model"]: bytes(each.sent) for each in sidecar.provider.requests
        }

    assert (status, "2", None) == (
        reply.status,
        reply.header("x-plano-attempts"),
        reply.header("x-plano-error"),
    )
    if status in (429, 503):
        assert (first.partition("=")[2], model) == (
            reply.header("retry-after"),
            reply.header("x-plano-model"),
        )
        assert sent["gpt-4o"].endswith(reply.body)


async def test_nobody_answers():
    """Our own error, with the number of tries, and no invitation to multiply them."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("reset")
        reply = await sidecar.ask(TEXT)

    assert (503, "upstream_connect_failed", "2", "false") == (
        reply.status,
        reply.header("x-plano-error"),
        reply.header("x-plano-attempts"),
        reply.header("x-should-retry"),
    )


async def test_an_error_after_several_attempts_invites_no_retry_though_its_provider_did():
    """Anthropic's 529 asks for one: the SDK's retries would multiply the sidecar's attempts."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        overloaded = Fault(status=529, headers=(("x-should-retry", "true"),))
        sidecar.provider.script.always(overloaded)
        reply = await sidecar.ask(TEXT)

    assert (529, "2") == (reply.status, reply.header("x-plano-attempts"))
    assert ["false"] == reply.header_values("x-should-retry")


async def test_the_fallbacks_of_a_wildcard_follow_each_of_its_models():
    """Whatever model the app asks for below its prefix."""

    def wild(url: str) -> dict[str, Any]:
        entry = {"access_key": "k", "base_url": url}
        return {
            "model_providers": [
                {"model": "groq/*", "fallbacks": [MINI], **entry},
                {"model": MINI, **entry},
            ]
        }

    async with routed(adapt=wild, routing_preferences=[]) as sidecar:
        for model in ("llama-a", "llama-b"):
            sidecar.provider.script.always("model_not_found", model=model)
        replies = [await sidecar.ask(TEXT, model=f"groq/{name}") for name in ("llama-a", "llama-b")]

    assert [(200, MINI, "2")] * 2 == [
        (reply.status, reply.header("x-plano-model"), reply.header("x-plano-attempts"))
        for reply in replies
    ]


async def test_attempts_are_limited():
    """`limits.attempts` counts every candidate."""
    async with routed(routing_preferences=[ROUTE], limits={"attempts": 1}) as sidecar:
        sidecar.provider.script.always("500", model="gpt-4o")
        reply = await sidecar.ask(TEXT)

    assert (500, "1", 1) == (reply.status, reply.header("x-plano-attempts"), sidecar.provider.seen)


async def test_one_model_alone_that_sometimes_refuses_serves_the_rest():
    """Cooling reorders plans and refuses nothing: of twenty calls the one that was refused is the
    app's to retry.
    """
    async with routed(routing_preferences=[{**ROUTE, "models": [GPT]}]) as sidecar:
        replies = []
        for number in range(20):
            if number == 7:
                sidecar.provider.script.next("429", model="gpt-4o")
            replies.append(await sidecar.ask(f"{TEXT} {number}"))

    assert [429] + [200] * 19 == sorted((reply.status for reply in replies), reverse=True)


async def test_a_model_that_refuses_fast_does_not_become_fastest():
    """A hundred refusals in a millisecond each are a hundred slow calls."""
    preferences = [{**ROUTE, "models": [MINI, GPT], "selection_policy": {"prefer": "fastest"}}]
    async with routed(routing_preferences=preferences) as sidecar:
        sidecar.app.generation.routes._roll = lambda: 1.0
        sidecar.provider.script.always("429", model="gpt-4o-mini")
        sidecar.provider.script.always("slow delay=0.01", model="gpt-4o")
        replies = [await sidecar.ask(f"{TEXT} {number}", stream=True) for number in range(100)]
        sidecar.app.foundation.cooling.cooldowns.clear()  # that it cools is another test's business
        sidecar.provider.script.clear()
        last = await sidecar.ask(TEXT, stream=True)

    assert {(200, GPT)} == {
        (reply.status, reply.header("x-plano-model")) for reply in [*replies, last]
    }


async def test_a_cooling_model_is_asked_again_after_its_time(monkeypatch):
    """It serves again, and is first again."""
    monkeypatch.setattr(cooling, "_FIRST_S", 0.05)
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.next("429", model="gpt-4o")
        models = [(await sidecar.ask(TEXT)).header("x-plano-model")]
        async with asyncio.timeout(20):
            while models[-1] != GPT:
                await asyncio.sleep(0.02)  # sleep: cooling is over by the clock
                models.append((await sidecar.ask(TEXT)).header("x-plano-model"))

    assert MINI == models[0]


def _passthrough(provider_url: str) -> list[dict[str, Any]]:
    return [
        {"model": GPT, "base_url": provider_url, "passthrough_auth": True},
        {"model": MINI, "access_key": "sk-demo", "base_url": provider_url, "default": True},
        {"model": "openai/gpt-5", "base_url": provider_url, "passthrough_auth": True},
    ]


async def _with_passthrough(sidecar: Routed, credential: str) -> Any:
    return await sidecar.ask(
        TEXT, model="gpt-4o", headers={"authorization": f"Bearer {credential}"}
    )


async def test_one_users_bad_key_changes_nothing_for_the_others():
    """Nobody cools, and no credential reaches another provider."""
    from tests.support.scripted_provider import ScriptedProvider

    async with ScriptedProvider(keys=frozenset({"good", "sk-demo"})) as provider:
        entries = [
            *_passthrough(provider.url),
            {"model": "plano/router", "base_url": "http://127.0.0.1:1"},
        ]
        async with routed(routing_preferences=[], model_providers=entries) as sidecar:
            bad = [await _with_passthrough(sidecar, "bad") for _ in range(10)]
            good = await _with_passthrough(sidecar, "good")
            seen = {request.header("authorization") for request in provider.requests}

    assert {401} == {reply.status for reply in bad}
    assert (200, GPT) == (good.status, good.header("x-plano-model"))
    assert {"Bearer bad", "Bearer good"} == seen


async def test_a_callers_credential_is_not_carried_on():
    """After a failure only candidates with a key of their own are asked."""
    from tests.support.scripted_provider import ScriptedProvider

    async with ScriptedProvider() as provider, routed() as other:
        route = {**ROUTE, "models": [GPT, "openai/gpt-5", MINI]}
        entries = [
            *_passthrough(provider.url),
            {"model": "plano/router", "base_url": other.router.url},
        ]
        async with routed(routing_preferences=[route], model_providers=entries) as sidecar:
            provider.script.always("500", model="gpt-4o")
            reply = await _with_passthrough(sidecar, "mine")
            seen = [
                (json.loads(each.body)["model"], each.header("authorization"))
                for each in provider.requests
            ]

    assert (200, MINI) == (reply.status, reply.header("x-plano-model"))
    assert [("gpt-4o", "Bearer mine"), ("gpt-4o-mini", "Bearer sk-demo")] == seen


async def test_a_callers_credential_stays_where_it_was_meant_for_while_that_cools():
    """Cooling reorders a plan, and still no other provider gets the credential; the one it was
    meant for may be asked in its own turn.
    """
    from tests.support.scripted_provider import ScriptedProvider

    async with ScriptedProvider() as provider, routed() as other:
        route = {**ROUTE, "models": [GPT, "openai/gpt-5", MINI]}
        entries = [
            *_passthrough(provider.url),
            {"model": "plano/router", "base_url": other.router.url},
        ]
        async with routed(routing_preferences=[route], model_providers=entries) as sidecar:
            provider.script.next("503 retry-after=60", model="gpt-4o")
            await _with_passthrough(sidecar, "mine")
            provider.script.next("500", model="gpt-4o-mini")
            reply = await _with_passthrough(sidecar, "mine")
            seen = [
                (json.loads(each.body)["model"], each.header("authorization"))
                for each in provider.requests
            ]

    mine, keyed = ("gpt-4o", "Bearer mine"), ("gpt-4o-mini", "Bearer sk-demo")
    assert [mine, keyed, keyed, mine] == seen
    assert (200, GPT) == (reply.status, reply.header("x-plano-model"))


async def test_state_at_a_provider_does_not_go_on():
    """`previous_response_id` means something at one provider only."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("500", model="gpt-4o")
        reply = await sidecar.ask(
            "x", "/v1/responses", model="gpt-4o", previous_response_id="resp_1"
        )

    assert (500, 1) == (reply.status, sidecar.provider.seen)


async def test_fallbacks_of_a_model_without_a_route():
    """A call that nothing matches goes on to the models that its provider entry names."""
    async with routed(routing_preferences=[]) as plain:
        entries: list[dict[str, Any]] = [
            {
                "model": MINI,
                "access_key": "k",
                "base_url": plain.provider.url,
                "default": True,
                "fallbacks": [GPT],
            },
            {"model": GPT, "access_key": "k", "base_url": plain.provider.url},
            {"model": "plano/router", "base_url": plain.router.url},
        ]
        async with routed(routing_preferences=[], model_providers=entries) as sidecar:
            plain.provider.script.always("500", model="gpt-4o-mini")
            reply = await sidecar.ask("Xyzzy")

    assert (200, "requested", None, GPT) == decision_of(reply)


async def test_a_session_follows_to_where_it_was_served():
    """The next call begins there; the pin remembers where it came from."""
    headers = {"x-model-affinity": "s1"}
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        first = await sidecar.ask(TEXT, headers=headers)
        sidecar.provider.script.next("500", model="gpt-4o")
        second = await sidecar.ask(TEXT, headers=headers)
        third = await sidecar.ask(TEXT, headers=headers)

    assert [GPT, MINI, MINI] == [reply.header("x-plano-model") for reply in (first, second, third)]
    assert ["1", "2", "1"] == [reply.header("x-plano-attempts") for reply in (first, second, third)]


async def test_the_sdk_sees_no_failure():
    """With its own retries off, the OpenAI SDK gets its answer although the first model is down."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("529", model="gpt-4o")
        client = openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{sidecar.app.ports.data}/v1",
            api_key="unused",
            max_retries=0,
        )
        async with client:
            answer = await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": TEXT}]
            )

    assert answer.choices[0].message.content
