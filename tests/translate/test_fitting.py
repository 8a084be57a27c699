"""How far a conversation's wishes fit a target."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import (
    Conversation,
    OutputFormat,
    SamplingOptions,
    Thinking,
    ToolOffer,
)
from sidecar.translate.fitting import can_be_strict, fit
from sidecar.translate.losses import Feature, Loss, Weight, gravest
from sidecar.translate.targets import Target
from sidecar.translate.tool_offers import features_of, features_of_output, is_open
from sidecar.translate.weighing import weigh
from tests.translate.request_cases import body_of, read

TOOL = ToolOffer("f", None, None)
EFFORTS = ("low", "medium", "high", "xhigh")


def fitted(abilities, **wishes):
    return fit(Conversation((), **wishes), abilities)


@pytest.mark.parametrize(
    ("thinking", "abilities", "effort", "off", "lacking"),
    [
        (None, Abilities(efforts=EFFORTS), None, None, ()),
        (Thinking("high"), Abilities(efforts=EFFORTS), "high", None, ()),
        (Thinking("minimal"), Abilities(efforts=EFFORTS), "low", None, (Feature.EFFORT,)),
        (Thinking("max"), Abilities(efforts=EFFORTS), "xhigh", None, (Feature.EFFORT,)),
        (Thinking("ultra"), Abilities(efforts=EFFORTS), None, None, (Feature.EFFORT,)),
        (Thinking("high"), Abilities(), None, None, (Feature.EFFORT,)),
        (Thinking(budget_tokens=1024), Abilities(efforts=EFFORTS), "low", None, ()),
        (Thinking(budget_tokens=8192), Abilities(efforts=EFFORTS), "medium", None, ()),
        (Thinking(budget_tokens=31999), Abilities(efforts=EFFORTS), "high", None, ()),
        (Thinking("low", 31999), Abilities(efforts=EFFORTS), "low", None, ()),
        (Thinking(is_adaptive=True), Abilities(efforts=EFFORTS), None, None, ()),
        (Thinking(is_off=True), Abilities(off="none", efforts=EFFORTS), None, "none", ()),
        (Thinking(is_off=True), Abilities(), None, None, ()),
        (
            Thinking(is_off=True),
            Abilities(off=None, efforts=EFFORTS),
            "low",
            None,
            (Feature.EFFORT,),
        ),
    ],
)
def test_effort_is_said_in_the_targets_words(thinking, abilities, effort, off, lacking):
    """The nearest one; a budget stands for a word; what is off is turned off where it can be."""
    found = fitted(abilities, thinking=thinking)

    assert (effort, off, set(lacking)) == (found.effort, found.off, found.lacking)


@pytest.mark.parametrize(
    ("thinking", "lacking"),
    [
        (None, {Feature.REASONING}),
        (Thinking("high"), {Feature.REASONING}),
        (Thinking("none", is_off=True), set()),
    ],
)
def test_a_model_that_calls_tools_only_without_reasoning_does_not_reason(thinking, lacking):
    """A candidate that does both goes first."""
    can = Abilities(calls_without_effort=True, off="none", efforts=EFFORTS)

    found = fitted(can, thinking=thinking, tools=(TOOL,))

    assert ("none", lacking) == (found.off, found.lacking)


@pytest.mark.parametrize(
    ("wanted", "abilities", "written", "lacking"),
    [
        (SamplingOptions(0.5, 0.9), Abilities(), SamplingOptions(0.5, 0.9), ()),
        (
            SamplingOptions(1.5),
            Abilities(max_temperature=1),
            SamplingOptions(1),
            (Feature.TEMPERATURE,),
        ),
        (
            SamplingOptions(0.5),
            Abilities(max_temperature=None),
            SamplingOptions(),
            (Feature.TEMPERATURE,),
        ),
        (
            SamplingOptions(1, 1),
            Abilities(max_temperature=None, has_top_p=False),
            SamplingOptions(),
            (),
        ),
        (
            SamplingOptions(0.5, 0.9),
            Abilities(has_top_p_beside_temperature=False),
            SamplingOptions(0.5),
            (Feature.TOP_P,),
        ),
        (
            SamplingOptions(None, 0.9),
            Abilities(has_top_p_beside_temperature=False),
            SamplingOptions(None, 0.9),
            (),
        ),
        (SamplingOptions(top_k=3), Abilities(), SamplingOptions(), (Feature.TOP_K,)),
        (SamplingOptions(top_k=3), Abilities(has_top_k=True), SamplingOptions(top_k=3), ()),
        (
            SamplingOptions(stop=("a",)),
            Abilities(has_stop=False),
            SamplingOptions(),
            (Feature.STOP,),
        ),
        (
            SamplingOptions(stop=("a", "\n", "b")),
            Abilities(has_blank_stops=False, stops_at_most=1),
            SamplingOptions(stop=("a",)),
            (Feature.STOP,),
        ),
    ],
)
def test_sampling_is_written_as_far_as_it_is_taken(wanted, abilities, written, lacking):
    """A value that is usual is no loss."""
    found = fitted(abilities, sampling=wanted)

    assert (written, set(lacking)) == (found.sampling, found.lacking)


@pytest.mark.parametrize(
    ("wanted", "written", "lacking"),
    [(None, 7, ()), (5, 5, ()), (20, 10, (Feature.MAX_TOKENS,)), (1, 2, (Feature.MAX_TOKENS,))],
)
def test_a_limit_of_tokens_stays_within_the_models(wanted, written, lacking):
    """An API that needs one gets one."""
    can = Abilities(max_tokens=10, min_tokens=2, default_tokens=7)

    found = fitted(can, max_tokens=wanted)

    assert (written, set(lacking)) == (found.max_tokens, found.lacking)
    assert fitted(Abilities()).max_tokens is None


def test_a_schema_with_bounds_is_lost_where_they_are_refused():
    """An answer of 400 would serve nobody."""
    output = OutputFormat("{}", description="x")
    can = Abilities(refuses_bounds=True, has_output_descriptions=False)
    bounded = frozenset((Feature.OUTPUT_BOUNDS, Feature.STRICT_BOUNDS))

    assert fitted(can, output=output).output is output
    assert fitted(can, output=output, features=bounded).output is None
    assert not can_be_strict(Conversation((), features=bounded), can)
    assert {Feature.OUTPUT, Feature.STRICT_BOUNDS, Feature.OUTPUT_DESCRIPTION} == fitted(
        can, output=output, features=bounded
    ).lacking


def test_a_schema_with_optional_members_is_lost_where_they_are_refused():
    """OpenAI holds models to schemas of which each member is required."""
    output = OutputFormat("{}", is_strict=True)
    can, features = (
        Abilities(refuses_open=True),
        frozenset((Feature.OUTPUT_OPEN, Feature.STRICT_OPEN)),
    )

    assert fitted(can, output=output).output is output
    assert fitted(can, output=output, features=features).output is None
    assert not can_be_strict(Conversation((), features=features), can)
    assert {Feature.OUTPUT, Feature.STRICT_OPEN} == fitted(
        can, output=output, features=features
    ).lacking


CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, False),
        ("no JSON", False),
        ({}, False),
        ({"type": "object"}, True),
        (CLOSED, False),
        ({**CLOSED, "properties": {"a": {}}}, True),
        ({**CLOSED, "properties": {"a": {}}, "required": "a"}, True),
        ({**CLOSED, "properties": {"a": {"type": "object"}}, "required": ["a"]}, True),
        ({**CLOSED, "properties": {"properties": CLOSED}, "required": ["properties", 1]}, False),
        ({"anyOf": [CLOSED, {"properties": {"a": {}}}]}, True),
        ({**CLOSED, "$defs": {"type": {"enum": [{"type": "object"}]}}}, False),
        ({"$defs": {"a": {"type": "object"}}}, True),
        ({"description": " " * 65536, "type": "object"}, False),
    ],
)
def test_a_schema_is_open_where_a_member_may_be_missing_or_unknown(schema, expected):
    """Of one that is very long it is not looked for."""
    text = schema if schema is None or isinstance(schema, str) else json.dumps(schema)

    assert expected == is_open(text)


def test_any_json_needs_a_target_that_can_be_held_to_it():
    """It is another ability than that of schemas."""
    output = OutputFormat(None)

    assert fitted(Abilities(has_json_object=False), output=output).output is None
    assert fitted(Abilities(has_json_schema=False), output=output).output is output


def test_the_gravest_loss_decides():
    """Nothing lost weighs nothing."""
    losses = [Loss("a", Weight.HARMLESS), Loss("b", Weight.DECISIVE)]

    assert (Weight.DECISIVE, None) == (gravest(losses), gravest(()))


@pytest.mark.parametrize(
    ("schemas", "expected"),
    [
        ([CLOSED], set()),
        ([{"type": "object"}], {Feature.STRICT_OPEN}),
        ([{**CLOSED, "minimum": 1}], {Feature.STRICT_BOUNDS}),
        ([{"description": " " * 300_000}] * 2, {Feature.STRICT_BOUNDS}),
        ([{"description": " " * 65_530}, {"type": "object"}], set()),
    ],
)
def test_strict_tools_are_looked_at_as_far_as_others_can_wait(schemas, expected):
    """Beyond half a MiB they count as bounded, beyond 64 KiB as closed."""
    tools = [ToolOffer("f", None, json.dumps(each), is_strict=True) for each in schemas]

    assert {Feature.TOOLS, Feature.STRICT_TOOLS} | expected == set(features_of(tools, None))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, []),
        (OutputFormat('{"type":"object"}'), []),
        (OutputFormat('{"type":"object"}', is_strict=True), [Feature.OUTPUT_OPEN]),
        (OutputFormat(json.dumps({"description": " " * 600_000})), [Feature.OUTPUT_BOUNDS]),
    ],
)
def test_a_form_is_open_where_the_model_is_held_to_it(output, expected):
    """Elsewhere nobody refuses it."""
    assert expected == list(features_of_output(output))


def test_a_turn_to_be_gone_on_with_is_lost_where_another_begins():
    """Messages go on with what the assistant has begun; the other APIs do not, and say nothing."""
    asked = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]}
    found = {
        source: weigh(
            read(body_of(asked, source), source), source, Target(RESPONSES, "openai", "gpt-4o")
        )
        for source in (CHAT, MESSAGES)
    }

    assert Loss("messages", Weight.AVOIDABLE) in found[MESSAGES]
    assert () == found[CHAT]
