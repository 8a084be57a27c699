"""Agents at models that do not speak their API: what the page tells of them, and the providers by
which they are tried.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from tests.clients.across.provider import ScriptedModel, prompt_of
from tests.clients.across.results import read_results, row_of
from tests.clients.across.table import RARE, TURNS, client_of, read_crossings
from tests.support.net import exchange, json_request
from tests.support.strict_requests import problems_of
from tests.support.tool_provider import Round, SaidCall, SaidText, SaidThought

CROSSINGS = read_crossings()
RESULTS = read_results()
LEAST_CACHED = 0.8
HEADERS = {"anthropic-version": "2023-06-01"}
TOOL = {"name": "look", "input_schema": {"type": "object"}}
TURNS_SAID = [
    [
        Round((SaidThought("Hm."), SaidText("First:"), SaidCall("toolu_1", "look", '{"at": 1}'))),
        Round((SaidText("Done."),)),
    ]
]


def test_each_crossing_was_tried_with_the_versions_of_the_table():
    """Whoever raises one runs ``make clients``."""
    versions = {
        each.name: client_of(CROSSINGS.agent_of(each)).version for each in CROSSINGS.crossing
    }

    assert versions == {name: came.version for name, came in RESULTS.items()}


@pytest.mark.parametrize("crossing", CROSSINGS.crossing, ids=lambda each: each.name)
def test_a_session_goes_on_at_another_model_and_loses_nothing_that_was_said(crossing):
    """Ten turns, half of them at each model; no call was refused, and all but the first had a pin."""
    came = RESULTS[crossing.name]
    tools = sum(len(calls) for calls in CROSSINGS.agent_of(crossing).calls) * TURNS
    tools += len(CROSSINGS.agent_of(crossing).rarely) * len(RARE)
    first, second = crossing.models

    assert (TURNS, tools, 0, []) == (came.turns, came.tools, came.refused, came.problems)
    assert [first.model] * 5 + [second.model] * 5 == came.served
    assert came.failovers > 0
    assert min(came.cached) > LEAST_CACHED
    assert came.pinned >= came.calls - 2
    assert CROSSINGS.agent_of(crossing).speaks not in {way.partition(">")[2] for way in came.lost}


def test_a_row_tells_which_model_served_which_turns():
    """In runs."""
    name, came = next(iter(RESULTS.items()))
    row = row_of(name, came)

    assert f"1-5 {came.served[0]}, 6-10 {came.served[-1]}" in row


def _turn(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user" if len(blocks) != 2 else "assistant", "content": list(blocks)}


ASKED = _turn({"type": "text", "text": prompt_of(1)})
CALLED = _turn(
    {"type": "text", "text": "First:"},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
)
ANSWERED = _turn({"type": "tool_result", "tool_use_id": "toolu_1", "content": "seen"})


async def _ask(model: ScriptedModel, *turns: dict[str, Any], **more: Any) -> Any:
    body = {"model": "m", "max_tokens": 9, "messages": list(turns), "tools": [TOOL], **more}
    port = int(model.url.rpartition(":")[2])
    return await exchange(port, json_request("/v1/messages", body, HEADERS))


async def test_a_model_says_the_next_round_of_the_turn_that_is_asked_for():
    """Thoughts only where they are asked for; what was said before must be there again."""
    async with ScriptedModel(TURNS_SAID, "messages") as model:
        first = (await _ask(model, ASKED)).json()["content"]
        thought = (await _ask(model, ASKED, thinking={"type": "adaptive"})).json()["content"]
        last = (await _ask(model, ASKED, CALLED, ANSWERED)).json()["content"]

    assert ["text", "tool_use"] == [each["type"] for each in first]
    assert ["thinking", "text", "tool_use"] == [each["type"] for each in thought]
    assert "Done." == last[0]["text"]
    assert ([], 1, 3) == (model.problems, model.results, model.whole_histories)
    assert model.read.fresh > model.read.cached == 0  # too short to be kept


async def test_a_model_reads_from_its_cache_what_was_marked_before():
    """As its maker's rules are."""
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": "kind " * 1000, "cache_control": mark}]
    async with ScriptedModel(TURNS_SAID, "messages") as model:
        await _ask(model, ASKED, system=system)
        await _ask(model, ASKED, CALLED, ANSWERED, system=system)

    assert model.read.cached == model.read.written > 1000


async def test_a_model_notes_what_a_request_lacks_of_what_was_said():
    """Another argument, or a text that is gone."""
    changed = json.loads(json.dumps(CALLED).replace('"at": 1', '"at": 2').replace("First", "1st"))
    async with ScriptedModel(TURNS_SAID, "messages") as model:
        await _ask(model, ASKED, changed, ANSWERED)

    assert (2, 0) == (len(model.problems), model.whole_histories)


async def test_a_model_refuses_all_once_it_is_told_to_and_bad_requests_always():
    """The first as a provider that is overloaded, the second as one that reads strictly."""
    async with ScriptedModel(TURNS_SAID, "messages") as model:
        bad = await _ask(model, ASKED, CALLED, ASKED)
        model.refuses_with = 529
        refused = await _ask(model, ASKED)

    assert (400, 529) == (bad.status, refused.status)
    assert 1 == len(model.problems)


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "x"}
HI = {"role": "user", "content": "Hi"}
ITEM = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}


def _chat(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [HI, *turns], **more}


def _messages(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [HI, *turns], **more}


def _responses(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": [HI, *items], **more}


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (CHAT, _chat({"role": "assistant", "tool_calls": [CALL]}, RESULT)),
        (CHAT, _chat(tools=[{"type": "function", "function": {"name": "f"}}])),
        (RESPONSES, _responses(ITEM, OUTPUT)),
        (RESPONSES, {"model": "m", "input": "Hi"}),
        (MESSAGES, _messages(CALLED, ANSWERED, tools=[TOOL])),
        (MESSAGES, _messages({"role": "system", "content": "now"})),
    ],
)
def test_a_proper_request_has_no_problem(api, body):
    """In the order and with the members that its API wants."""
    assert [] == problems_of(api, body)


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (CHAT, _chat(colour="red")),
        (CHAT, _chat(n="two")),
        (CHAT, _chat({"role": "owner", "content": "x"})),
        (CHAT, _chat(RESULT)),
        (CHAT, _chat({"role": "assistant", "tool_calls": [CALL]}, HI)),
        (CHAT, _chat({"role": "assistant", "tool_calls": [CALL]})),
        (CHAT, _chat({"role": "assistant", "tool_calls": [CALL | {"id": "c" * 41}]})),
        (CHAT, _chat({"role": "assistant", "content": None})),
        (CHAT, _chat(tools=[{"type": "function", "function": {"name": "a.b"}}])),
        (RESPONSES, _responses(ITEM)),
        (RESPONSES, _responses(OUTPUT)),
        (RESPONSES, _responses(ITEM, OUTPUT, OUTPUT)),
        (MESSAGES, _messages(HI)),
        (MESSAGES, _messages(CALLED)),
        (MESSAGES, _messages(ANSWERED)),
        (MESSAGES, _messages({"role": "assistant", "content": []})),
        (MESSAGES, _messages({"role": "assistant", "content": " "})),
        (MESSAGES, _messages({"role": "assistant", "content": [MARKED] * 5})),
        (MESSAGES, _messages(tools=[TOOL | {"name": "a.b"}])),
        (
            MESSAGES,
            _messages(
                _turn(MARKED, {"type": "tool_use", "id": "a.b", "name": "f", "input": {}}),
                _turn({"type": "tool_result", "tool_use_id": "a.b"}),
            ),
        ),
    ],
)
def test_what_a_provider_would_refuse_is_a_problem(api, body):
    """Types that the SDKs do not have, and rules beyond types."""
    assert problems_of(api, body)


def test_the_files_of_the_crossings_lie_beside_their_table():
    """Where ``make clients`` writes them."""
    assert (Path(__file__).parent / "across" / "results.json").is_file()
