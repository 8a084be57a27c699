"""The walk over a plan: groups before the next model, cooling that refuses nothing, and where it
ends.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.faults import Act, Fault
from tests.support.net import closed_port
from tests.support.routed import PREFERENCES, Routed, routed
from tests.support.scripted_provider import ScriptedProvider

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTE: dict[str, Any] = {**PREFERENCES[1], "models": [GPT, MINI]}
TEXT = "Make this long text short"


def _grouped(url: str) -> dict[str, Any]:
    """One model under three entries, each with its own key, and another model."""
    keys = ("east", "west", "north")
    group = [{"name": key, "model": GPT, "access_key": key, "base_url": url} for key in keys]
    return {
        "model_providers": [
            *group,
            {"model": MINI, "access_key": "mini", "base_url": url, "default": True},
        ]
    }


def _keys(sidecar: Routed) -> list[str]:
    return [
        (request.header("authorization") or "").removeprefix("Bearer ")
        for request in sidecar.provider.requests
    ]


@pytest.mark.parametrize(
    ("attempts", "tried", "status"),
    [
        (4, ["east", "west", "north", "mini"], 200),
        (3, ["east", "west", "north"], 503),
        (2, ["east", "west"], 503),
    ],
)
async def test_a_group_is_tried_before_the_next_model(attempts, tried, status):
    """Entry by entry, in the order of the config; every entry counts as an attempt."""
    async with routed(
        adapt=_grouped, routing_preferences=[ROUTE], limits={"attempts": attempts}
    ) as sidecar:
        sidecar.provider.script.always("503", model="gpt-4o")
        reply = await sidecar.ask(TEXT)
        steps = await sidecar.metrics("failovers_total")

    assert (tried, status, str(len(tried))) == (
        _keys(sidecar),
        reply.status,
        reply.header("x-plano-attempts"),
    )
    assert len(tried) - 1 == sum(steps.values())


async def test_an_entry_that_cools_leaves_its_group_in_place():
    """The rest of the group still stands before the next model; the one that cools comes last."""
    async with routed(
        adapt=_grouped, routing_preferences=[ROUTE], limits={"attempts": 4}
    ) as sidecar:
        sidecar.provider.script.next("503 retry-after=60", model="gpt-4o")
        await sidecar.ask(TEXT)
        sidecar.provider.script.always("503")
        await sidecar.ask(TEXT)

    assert ["east", "west", "west", "north", "mini", "east"] == _keys(sidecar)


async def test_where_all_cool_the_two_due_soonest_are_asked():
    """And the first answer that a retry could cure is the app's, with its Retry-After; no call is
    refused for it.
    """
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("429 retry-after=200", model="gpt-4o")
        sidecar.provider.script.always("429 retry-after=90", model="gpt-4o-mini")
        await sidecar.ask(TEXT)
        seen = sidecar.provider.seen
        refused = await sidecar.ask(TEXT)
        tries = sidecar.provider.seen - seen
        sidecar.provider.script.clear()
        served = await sidecar.ask(TEXT)

    assert (429, "90", MINI, "2", 2) == (
        refused.status,
        refused.header("retry-after"),
        refused.header("x-plano-model"),
        refused.header("x-plano-attempts"),
        tries,
    )
    assert (200, MINI) == (served.status, served.header("x-plano-model"))


async def _beside(url: str, **more: Any) -> tuple[Any, dict[tuple[str, ...], float]]:
    """A call's answer where the first model's address is ``url``, and the failovers."""

    def adapt(good: str) -> dict[str, Any]:
        first = {"model": GPT, "access_key": "k", "base_url": url, **more}
        return {
            "model_providers": [
                first,
                {"model": MINI, "access_key": "k", "base_url": good, "default": True},
            ]
        }

    async with routed(adapt=adapt, routing_preferences=[ROUTE]) as sidecar:
        reply = await sidecar.ask(TEXT, stream=True)
        return reply, await sidecar.metrics("failovers_total")


SERVED: Any = ({(GPT, "busy", MINI): 1.0}, 200, MINI, "2")


async def test_a_provider_that_refuses_connections():
    """Nobody listens there."""
    reply, steps = await _beside(f"http://127.0.0.1:{closed_port()}")

    assert SERVED == (
        steps,
        reply.status,
        reply.header("x-plano-model"),
        reply.header("x-plano-attempts"),
    )


async def test_a_provider_whose_tls_fails():
    """It is a connection that fails; here a plain server under https://."""
    async with ScriptedProvider() as plain:
        reply, steps = await _beside(plain.url.replace("http:", "https:"))

    assert SERVED == (
        steps,
        reply.status,
        reply.header("x-plano-model"),
        reply.header("x-plano-attempts"),
    )


@pytest.mark.parametrize(
    ("wish", "outcome"),
    [
        ("cut-stream after=0", "connect_failed"),
        ("reset-stream after=0", "connect_failed"),
        ("hang-stream after=0", "timeout"),
        ("end-early after=0", "connect_failed"),
    ],
)
async def test_a_head_alone_is_no_answer(wish, outcome):
    """Some servers send it before they think. Until the body begins nothing has gone to the app,
    and the next one serves.
    """
    hangs = wish.startswith("hang")
    impatient = {GPT: {"timeouts": {"first_byte_s": 0.3}}} if hangs else {}
    async with routed(impatient, routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always(wish, model="gpt-4o")
        reply = await sidecar.ask(TEXT, stream=True)
        attempts = await sidecar.metrics("upstream_attempts_total")

    assert (200, MINI, "2", True) == (
        reply.status,
        reply.header("x-plano-model"),
        reply.header("x-plano-attempts"),
        b"[DONE]" in reply.body,
    )
    assert {(GPT, GPT, outcome, "openai"): 1, (MINI, MINI, "ok", "openai"): 1} == attempts


async def test_after_the_first_byte_nobody_else_is_asked():
    """Half an answer cannot be taken back: the stream ends broken, and one provider was asked."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("reset-stream after=2", model="gpt-4o")
        reply = await sidecar.ask(TEXT, stream=True)
        steps = await sidecar.metrics("failovers_total")
        attempts = await sidecar.metrics("upstream_attempts_total")

    assert (200, GPT, "1", False) == (
        reply.status,
        reply.header("x-plano-model"),
        reply.header("x-plano-attempts"),
        b"[DONE]" in reply.body,
    )
    assert ({}, {(GPT, GPT, "cut", "openai"): 1}, 1) == (steps, attempts, sidecar.provider.seen)


async def test_no_other_model_is_asked_once_the_apps_timeout_is_over():
    """When its time is over nobody else is asked."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always("hang")
        reply = await sidecar.ask(TEXT, stream=True, headers={"x-plano-timeout-ms": "1000"})
        seen = sidecar.provider.seen

    assert (504, "upstream_timeout", 1) == (reply.status, reply.header("x-plano-error"), seen)


async def test_the_last_ones_refusal_is_understood_though_it_comes_late():
    """Its body comes byte by byte behind its head, and reaches the app whole; the model is known to
    be gone.
    """
    refusal = Fault(act=Act.DRIBBLE, status=404, code="model_not_found")
    async with routed(routing_preferences=[{**ROUTE, "models": [GPT]}]) as sidecar:
        sidecar.provider.script.always(refusal, model="gpt-4o")
        reply = await sidecar.ask(TEXT, model="gpt-4o")
        ejected = await sidecar.ejected()

    assert (404, "model_not_found", {(GPT, GPT): "model_gone"}) == (
        reply.status,
        json.loads(reply.body)["error"]["code"],
        ejected,
    )
