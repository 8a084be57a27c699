"""Tools that the provider's API does not have as the caller named or made them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.bounds import KEPT_BYTES, Untranslatable
from sidecar.translate.chat_event_writer import ChatEventWriter
from sidecar.translate.completion import (
    ArgumentsDelta,
    Completion,
    Finish,
    PartEnded,
    Started,
    ToolCallStarted,
)
from sidecar.translate.conversation import ToolCall
from sidecar.translate.open_items import OpenCall, OpenCustomCall
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.tool_calls import (
    CUSTOM_END,
    CUSTOM_START,
    InputPieces,
    arguments_of,
    custom_arguments,
    custom_input,
    custom_piece,
    input_object,
    name_of,
)
from sidecar.translate.tool_names import qualified, sent_name
from tests.translate import provider_wire
from tests.translate.at_once import ResponseTranslator
from tests.translate.caller_view import events_of, view_of_stream, view_of_whole

SCRIPT = 'ls "a"\n\\ü\U0001f326'
CONTEXT = ReplyContext(
    1, "req-1", custom_tools=frozenset({"run"}), tool_names={"short": "a.very.long.name"}
)
ARGUMENTS = json.dumps({"input": SCRIPT})
CUSTOM = Completion(
    "r", "m", (ToolCall("c", "run", ARGUMENTS), ToolCall("d", "now", "{}")), Finish.TOOL_CALLS
)


def streamed(source, target, completion):
    stream = ResponseTranslator(source, target, CONTEXT).stream()
    return stream.feed(provider_wire.stream(target, completion)) + stream.end()


def whole(source, target, completion):
    body = provider_wire.whole(target, completion)
    return json.loads(ResponseTranslator(source, target, CONTEXT).whole(body))


@pytest.mark.parametrize("target", [MESSAGES, RESPONSES])
def test_a_caller_of_chat_gets_the_text_of_a_tool_without_a_schema(target):
    """Not the function's arguments that stood for it."""
    calls = whole(CHAT, target, CUSTOM)["choices"][0]["message"]["tool_calls"]
    chunks = [data for _, data in events_of(streamed(CHAT, target, CUSTOM)) if data != "[DONE]"]
    deltas = [
        call
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    custom = [delta for delta in deltas if "custom" in delta]

    assert {"id": "c", "type": "custom", "custom": {"name": "run", "input": SCRIPT}} == calls[0]
    assert "function" == calls[1]["type"]
    assert ("c", "custom", 0) == (custom[0]["id"], custom[0]["type"], custom[0]["index"])
    assert SCRIPT == "".join(delta["custom"]["input"] for delta in custom)
    assert {"name": "now", "arguments": ""} == next(
        d["function"] for d in deltas if d.get("id") == "d"
    )


@pytest.mark.parametrize("target", [MESSAGES, CHAT])
def test_a_caller_of_the_responses_api_gets_the_text_of_a_tool_without_a_schema(target):
    """As an item of its own kind."""
    item = whole(RESPONSES, target, CUSTOM)["output"][0]
    datas = [data for _, data in events_of(streamed(RESPONSES, target, CUSTOM))]
    done = [data["item"] for data in datas if data["type"] == "response.output_item.done"]
    inputs = [data for data in datas if data["type"].startswith("response.custom_tool_call_input")]

    assert ("custom_tool_call", "c", "run", SCRIPT) == tuple(
        item[name] for name in ("type", "call_id", "name", "input")
    )
    assert item == done[0] == datas[-1]["response"]["output"][0]
    assert [
        ("response.custom_tool_call_input.delta", SCRIPT),
        ("response.custom_tool_call_input.done", SCRIPT),
    ] == [(data["type"], data.get("delta") or data.get("input")) for data in inputs]
    assert item["id"].startswith("ctc_")


@pytest.mark.parametrize("target", [MESSAGES, CHAT])
@pytest.mark.parametrize("name", ["run", "look"])
def test_a_tool_in_a_namespace_is_called_by_both_its_names(target, name):
    """Written apart, as the responses API does; what the provider was sent is one name."""
    tool = qualified("mcp__maps", name)
    context = ReplyContext(
        1,
        "req-1",
        custom_tools=frozenset({qualified("mcp__maps", "run")}),
        tool_names={sent_name(tool): tool},
    )
    completion = Completion(
        "r", "m", (ToolCall("c", sent_name(tool), ARGUMENTS),), Finish.TOOL_CALLS
    )
    translator = ResponseTranslator(RESPONSES, target, context)
    stream = translator.stream()
    events = stream.feed(provider_wire.stream(target, completion)) + stream.end()
    items = [data["item"] for _, data in events_of(events) if "item" in data]

    items += json.loads(translator.whole(provider_wire.whole(target, completion)))["output"]

    assert 3 == len(items)
    assert {(name, "mcp__maps")} == {(item["name"], item["namespace"]) for item in items}
    kind = "custom_tool_call" if name == "run" else "function_call"
    assert {kind} == {item["type"] for item in items}


@pytest.mark.parametrize(
    ("source", "target"),
    [(MESSAGES, CHAT), (MESSAGES, RESPONSES), (CHAT, RESPONSES), (RESPONSES, CHAT)],
)
def test_a_call_of_such_a_tool_by_a_provider_is_a_functions_elsewhere(source, target):
    """Whole and streamed alike."""
    custom = {"id": "c", "type": "custom", "custom": {"name": "go", "input": SCRIPT}}
    begun = {"index": 0, **custom, "custom": {"name": "go", "input": SCRIPT[:4]}}
    rest = {"index": 0, "custom": {"input": SCRIPT[4:]}}
    body: dict[str, Any]
    if target == CHAT:
        body = {"choices": [{"message": {"tool_calls": [custom]}, "finish_reason": "tool_calls"}]}
        deltas: list[Any] = [begun, rest]
        chunks = [{"choices": [{"delta": {"tool_calls": [each]}}]} for each in deltas]
        events = b"".join(map(provider_wire.data_event, chunks)) + b"data: [DONE]\n\n"
    else:
        item: dict[str, Any] = {
            "type": "custom_tool_call",
            "call_id": "c",
            "name": "go",
            "input": SCRIPT,
        }
        body = {"output": [item], "status": "completed"}
        created = provider_wire.data_event({"type": "response.created", "response": {}})
        events = created + provider_wire.data_event(
            {"type": "response.completed", "response": body}
        )
    translator = ResponseTranslator(source, target, CONTEXT)
    stream = translator.stream()

    said = view_of_whole(source, translator.whole(json.dumps(body).encode()))
    assert [("c", "go", {"input": SCRIPT})] == said["calls"]
    assert said == view_of_stream(source, stream.feed(events) + stream.end())


@pytest.mark.parametrize(
    ("source", "target"), [(CHAT, MESSAGES), (MESSAGES, CHAT), (RESPONSES, CHAT)]
)
def test_a_tool_is_called_by_the_callers_name(source, target):
    """Where the provider was sent another."""
    completion = Completion("r", "m", (ToolCall("c", "short", "{}"),), Finish.TOOL_CALLS)
    translator = ResponseTranslator(source, target, CONTEXT)
    said = view_of_whole(source, translator.whole(provider_wire.whole(target, completion)))

    assert "a.very.long.name" == said["calls"][0][1]
    assert said["calls"] == view_of_stream(source, streamed(source, target, completion))["calls"]


LEGACY = ReplyContext(1, "req-1", has_legacy_functions=True)


@pytest.mark.parametrize("target", [MESSAGES, RESPONSES])
def test_a_caller_with_functions_of_the_older_kind_gets_their_call(target):
    """It reads no tool calls."""
    completion = Completion("r", "m", (ToolCall("c", "now", '{"n": 1}'),), Finish.TOOL_CALLS)
    translator = ResponseTranslator(CHAT, target, LEGACY)
    [choice] = json.loads(translator.whole(provider_wire.whole(target, completion)))["choices"]
    stream = translator.stream()
    sent = stream.feed(provider_wire.stream(target, completion)) + stream.end()
    chunks = [data for _, data in events_of(sent) if data != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [
        each["delta"]["function_call"] for each in choices if "function_call" in each["delta"]
    ]

    assert ("now", {"n": 1}) == (
        choice["message"]["function_call"]["name"],
        json.loads(choice["message"]["function_call"]["arguments"]),
    )
    assert "tool_calls" not in choice["message"]
    assert "function_call" == choice["finish_reason"] == choices[-1]["finish_reason"]
    assert "now" == deltas[0]["name"]
    assert {"n": 1} == json.loads("".join(delta["arguments"] for delta in deltas))


@pytest.mark.parametrize("target", [MESSAGES, RESPONSES])
def test_several_calls_are_refused_where_the_caller_reads_one(target):
    """None is dropped in silence."""
    calls = (ToolCall("c", "now", "{}"), ToolCall("d", "now", "{}"))
    completion = Completion("r", "m", calls, Finish.TOOL_CALLS)
    translator = ResponseTranslator(CHAT, target, LEGACY)
    body, sent = provider_wire.whole(target, completion), provider_wire.stream(target, completion)

    with pytest.raises(Untranslatable):
        translator.whole(body)
    with pytest.raises(Untranslatable):
        translator.stream().feed(sent)


def test_the_text_of_a_tool_is_bounded():
    """It is known at its end only, and kept till then."""
    writer = ChatEventWriter(CONTEXT)
    writer.write(Started("r", "m"))
    writer.write(ToolCallStarted(0, "c", "run"))

    piece = ArgumentsDelta(0, "x" * (KEPT_BYTES // 4))
    with pytest.raises(Untranslatable):
        list(map(writer.write, [piece] * 5))


def test_an_item_tells_its_text_at_its_end():
    """A function's item tells each piece."""
    started = ToolCallStarted(0, "c", "run")
    custom, function = OpenCustomCall("ctc_1", started), OpenCall("fc_1", started)

    assert b"" == custom.add(b'"{"')
    assert function.add(b'"{"').endswith(b'"delta":')


@pytest.mark.parametrize("text", ["", SCRIPT, "\x00", '{"input":"a"}'])
def test_the_pieces_of_a_text_are_its_arguments(text):
    """And the text is read from them."""
    pieces = "".join(map(custom_piece, text))

    assert custom_arguments(text) == CUSTOM_START + pieces + CUSTOM_END
    assert text == custom_input(custom_arguments(text))


def test_a_text_of_a_wrong_type_is_empty():
    """Whatever the server meant."""
    assert ('{"input":""}', "") == (custom_arguments(4), custom_piece(None))


@pytest.mark.parametrize("arguments", ["ls", '{"input":4}', "[]", '{"other":"a"}', "[" * 100_000])
def test_arguments_that_miss_the_schema_are_the_text_themselves(arguments):
    """The model wrote them; nothing of it is lost."""
    assert arguments == custom_input(arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        (" null ", {}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ("4", {"INVALID_JSON": "4"}),
        ("[" * 100_000, {"INVALID_JSON": "[" * 100_000}),
    ],
)
def test_input_is_an_object_whatever_the_model_wrote(arguments, expected):
    """The type of messages requires one."""
    assert expected == json.loads(bytes(input_object(arguments)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", "{}"), ("ls", "ls"), ({"a": 1}, '{"a":1}'), (None, "{}"), ([1], "{}")],
)
def test_arguments_are_a_text_of_json(given, expected):
    """Some servers send the object itself, or nothing."""
    assert expected == arguments_of(given)


@pytest.mark.parametrize(
    "arguments",
    ["{}", ' \n{"a": 1}', "null", "[1]", "ls -l", "4", '"a"', "nul", " ", "[" * 2000],
)
def test_input_is_the_same_object_streamed_and_whole(arguments):
    """Piece by piece where it begins as one."""
    completion = Completion("r", "m", (ToolCall("c", "now", arguments),), Finish.TOOL_CALLS)
    body = ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(provider_wire.whole(CHAT, completion))
    stream = streamed(MESSAGES, CHAT, completion)

    assert view_of_whole(MESSAGES, body)["calls"] == view_of_stream(MESSAGES, stream)["calls"]


def test_arguments_that_are_no_object_are_bounded():
    """They are kept for the end."""
    pieces = InputPieces()

    with pytest.raises(Untranslatable):
        list(map(pieces.add, ["[" * 10_000] * 7))


@pytest.mark.parametrize("name", ["", None, 4])
def test_a_call_has_a_name(name):
    """Else nobody could run it."""
    with pytest.raises(Untranslatable):
        name_of(name)


def test_a_call_of_neither_kind_is_refused():
    """It says nothing that could be run."""
    body = {"choices": [{"message": {"tool_calls": [{"id": "c"}]}}]}

    with pytest.raises(Untranslatable):
        ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(json.dumps(body).encode())


def test_the_end_of_a_call_without_a_text_writes_nothing():
    """Chat has no event for it."""
    writer = ChatEventWriter(CONTEXT)
    writer.write(Started("r", "m"))
    writer.write(ToolCallStarted(0, "c", "now"))

    assert b"" == writer.write(PartEnded(0))
