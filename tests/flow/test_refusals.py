"""What servers refuse, through the whole sidecar: who serves the call, and what is held against the
one that refused.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.faults import Fault
from tests.support.refusals import refusals
from tests.support.routed import PREFERENCES, decision_of, routed

GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTE: dict[str, Any] = {**PREFERENCES[1], "models": [GPT, MINI]}
TEXT = "Make this long text short"


@pytest.mark.parametrize("meaning", ["too_long", "signed_state", "refused"])
async def test_what_concerns_one_call_moves_that_call_alone(meaning):
    """The next model serves it; the next call asks the first one again."""
    status, body = refusals(meaning)[0].values
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always(Fault(status=status, body=body), model="gpt-4o")
        replies = [await sidecar.ask(f"{TEXT} {number}", stream=True) for number in range(2)]
        steps = await sidecar.metrics("failovers_total")
        held = await sidecar.ejected()

    assert [(200, "routed", "summaries", MINI)] * 2 == [decision_of(reply) for reply in replies]
    assert ["2", "2"] == [reply.header("x-plano-attempts") for reply in replies]
    assert ({(GPT, meaning, MINI): 2.0}, {}) == (steps, held)


async def test_a_model_that_one_caller_invented_beside_its_own_takes_none_from_the_others():
    """OpenRouter's ``models``: the call goes on, the next one asks the first candidate again."""
    refusal = b'{"error":{"message":"nope/x is not a valid model ID","code":400}}'
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.next(Fault(status=400, body=refusal), model="gpt-4o")
        poisoned = await sidecar.ask(TEXT, models=["nope/x"])
        other = await sidecar.ask(f"{TEXT}!")
        held = await sidecar.ejected()

    assert (200, "2", MINI) == (
        poisoned.status,
        poisoned.header("x-plano-attempts"),
        poisoned.header("x-plano-model"),
    )
    assert ("1", GPT, {}) == (other.header("x-plano-attempts"), other.header("x-plano-model"), held)


async def test_a_filter_of_one_callers_request_moves_that_call_alone():
    """OpenRouter has no endpoint for this caller's tools; the next call asks it again."""
    status, body = refusals("filtered")[0].values
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.next(Fault(status=status, body=body), model="gpt-4o")
        filtered, other = await sidecar.ask(TEXT), await sidecar.ask(f"{TEXT}!")
        held = await sidecar.ejected()

    assert [("2", MINI), ("1", GPT)] == [
        (each.header("x-plano-attempts"), each.header("x-plano-model"))
        for each in (filtered, other)
    ]
    assert {} == held


@pytest.mark.parametrize("meaning", ["model_gone", "our_credential", "quota"])
async def test_what_concerns_the_account_is_held_against_it(meaning):
    """The next model serves the call that found out, and later ones at once."""
    status, body = refusals(meaning)[0].values
    body = body.replace(b"gpt-9", b"gpt-4o")  # the model that was asked for
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.always(Fault(status=status, body=body), model="gpt-4o")
        replies = [await sidecar.ask(f"{TEXT} {number}") for number in range(2)]
        steps = await sidecar.metrics("failovers_total")
        held = await sidecar.ejected()

    assert [(200, "routed", "summaries", MINI)] * 2 == [decision_of(reply) for reply in replies]
    assert ["2", "1"] == [reply.header("x-plano-attempts") for reply in replies]
    assert ({(GPT, meaning, MINI): 1.0}, {(GPT, GPT): meaning}) == (steps, held)


KNOWN = ("too_long", "model_gone", "our_credential", "signed_state", "refused")


@pytest.mark.parametrize(
    ("status", "body"), [each for meaning in KNOWN for each in refusals(meaning)[:15]]
)
async def test_a_call_that_another_model_can_serve_is_served(status, body):
    """Whoever refuses it, and in which words."""
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        sidecar.provider.script.next(Fault(status=status, body=body), model="gpt-4o")
        reply = await sidecar.ask(TEXT)

    assert (200, "routed", "summaries", MINI) == decision_of(reply)


async def test_echoes_of_hostile_prompts_move_nobody():
    """One caller gets every phrase echoed that would eject a model; another's call stays there."""
    echoes = [each.values for each in refusals("echoes")]
    async with routed(routing_preferences=[ROUTE]) as sidecar:
        for status, body in echoes:
            sidecar.provider.script.next(Fault(status=status, body=body), model="gpt-4o")
            await sidecar.ask(f"{TEXT}: API key not valid. Insufficient balance. model not found")
        other = await sidecar.ask(f"{TEXT}, of another caller")
        held = await sidecar.ejected()

    assert (200, "routed", "summaries", GPT) == decision_of(other)
    assert ("1", {}) == (other.header("x-plano-attempts"), held)
