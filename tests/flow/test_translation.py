"""Apps of one API, models of another: what comes back is what went, by the real SDKs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tool_provider import Round, SaidCall, SaidResult, SaidText
from tests.support.translated import MODELS, WAYS, open_house

CITIES = ('{"city": "Rom \\"eterna\\" \\u20ac", "days": 3}', '{"city": "Zürich 🏔"}')
ROUNDS = (
    Round(
        (
            SaidText("Let me look — twice. 🌦"),
            SaidCall("toolu_01AbC-x_9", "weather", CITIES[0]),
            SaidCall("toolu_01AbC-x_8", "weather", CITIES[1]),
        )
    ),
    Round((SaidCall("call_zZ9", "weather", '{"city": "Oslo", "days": 1}'),)),
    Round((SaidText('Sunny in "Rom",\nwet in Oslo.'),)),
)
REASONS = {
    "chat": ["tool_calls", "tool_calls", "stop"],
    "responses": ["completed", "completed", "completed"],
    "messages": ["tool_use", "tool_use", "end_turn"],
}


def weather(call: SaidCall) -> str:
    """What the tool returns."""
    return f"{json.loads(call.arguments)['city']}: 21 °C"


def plain(arguments: str) -> Any:
    """JSON, however it is spaced."""
    return json.loads(arguments)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("source", "target"), WAYS)
async def test_a_loop_of_tools_crosses_apis(source, target, is_streamed, tmp_path):
    """Texts, ids, arguments, results and reasons, in both directions, over three rounds."""
    async with open_house(tmp_path, ROUNDS) as house:
        loop = house.loop(source, target, is_streamed=is_streamed)
        turned = await loop.run("Where is it warm?", weather)
        heard = [house.provider.heard(number) for number in range(3)]

    texts = [
        "".join(part.text for part in each.parts if isinstance(part, SaidText)) for each in ROUNDS
    ]
    assert texts == [each.text for each in turned]
    assert REASONS[source] == [each.reason for each in turned]
    assert [[plain(call.arguments) for call in each.calls] for each in ROUNDS] == [
        [plain(call.arguments) for call in each.calls] for each in turned
    ]
    assert {("weather", True)} == {
        (call.name, bool(call.id)) for each in turned for call in each.calls
    }
    ids = [call.id for each in turned for call in each.calls]
    assert 3 == len(set(ids))
    # The provider gets its own ids back, and its own words.
    expected: list[Any] = [SaidText("Where is it warm?")]
    for number, said in enumerate(ROUNDS):
        assert [_plainly(part) for part in expected] == [_plainly(part) for part in heard[number]]
        expected += said.parts
        expected += [SaidResult(call.id, weather(call)) for call in said.calls]


def _plainly(part: Any) -> Any:
    return part._replace(arguments=plain(part.arguments)) if isinstance(part, SaidCall) else part


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("source", "target"), WAYS)
async def test_tokens_and_the_model_are_told_as_the_provider_counted_and_named_them(
    source, target, is_streamed, tmp_path
):
    """In the way in which the app's API counts the cache: messages counts it apart."""
    async with open_house(tmp_path, ROUNDS) as house:
        house.provider.rounds = ROUNDS[2:]
        turned = await house.loop(source, target, is_streamed=is_streamed).ask("hi")
        tokens = house.counted("tokens")

    inputs = 36 if source == "messages" else 100
    assert (inputs, 20, 64, MODELS[target].partition("/")[2]) == (
        turned.input_tokens,
        turned.output_tokens,
        turned.cached_tokens,
        turned.model,
    )
    assert (20, 64) == (tokens["output", MODELS[target]], tokens["cached_input", MODELS[target]])
