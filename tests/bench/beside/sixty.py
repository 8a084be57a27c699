"""Sixty requests that cross from one API to another, and what of each should arrive.

A row: name, the caller's API, the provider's API, the request, and a test of what the provider was
sent. The tests ask for the meaning, not for one spelling of it. What no API can carry is in the
table too: there the question is whether the caller is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

Body = dict[str, Any]
Row = tuple[str, str, str, Body, Callable[[Body], bool]]

SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
USER: Final = [{"role": "user", "content": "What is the weather in Paris?"}]
CHAT_FUNCTION: Final = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": SCHEMA,
}
CHAT_TOOL: Final = {"type": "function", "function": CHAT_FUNCTION}
MESSAGES_TOOL: Final = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": SCHEMA,
}
RESPONSES_TOOL: Final = {"type": "function", "strict": False, **CHAT_FUNCTION}
CACHE: Final = {"cache_control": {"type": "ephemeral"}}


def _text(body: Body) -> str:
    return json.dumps(body, ensure_ascii=False)


def has(*parts: str) -> Callable[[Body], bool]:
    """All of these stand somewhere in the request."""
    return lambda body: all(part in _text(body) for part in parts)


def member(path: str, *expected: Any) -> Callable[[Body], bool]:
    """A member, by its dotted path, is one of the expected values; with none given: it is there."""

    def test(body: Body) -> bool:
        value: Any = body
        for name in path.split("."):
            if isinstance(value, list) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            elif isinstance(value, dict) and name in value:
                value = value[name]
            else:
                return False
        return value in expected if expected else True

    return test


def either(*tests: Callable[[Body], bool]) -> Callable[[Body], bool]:
    """One of these holds."""
    return lambda body: any(test(body) for test in tests)


def both(*tests: Callable[[Body], bool]) -> Callable[[Body], bool]:
    """Each of these holds."""
    return lambda body: all(test(body) for test in tests)


def roles(*expected: str) -> Callable[[Body], bool]:
    """The turns alternate like this."""
    return lambda body: [each["role"] for each in body.get("messages", [])] == list(expected)


def blocks(kind: str, count: int) -> Callable[[Body], bool]:
    """So many content blocks of a type."""

    def test(body: Body) -> bool:
        contents = [turn.get("content") for turn in body.get("messages", [])]
        found = [block for each in contents if isinstance(each, list) for block in each]
        return sum(block.get("type") == kind for block in found) == count

    return test


def is_marked(body: Body) -> bool:
    """There is a cache mark."""
    return '"cache_control"' in _text(body)


def never(_body: Body) -> bool:
    """The provider's API has no place for it."""
    return False


def _chat(**more: Any) -> Body:
    return {"messages": USER, **more}


def _messages(**more: Any) -> Body:
    return {"max_tokens": 100, "messages": USER, **more}


def _responses(**more: Any) -> Body:
    return {"input": "What is the weather in Paris?", "store": False, **more}


def _call(number: int, arguments: str = '{"city": "Paris"}') -> Body:
    function = {"name": "weather", "arguments": arguments}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _called(*calls: Body) -> Body:
    return {"role": "assistant", "content": None, "tool_calls": [*calls]}


def _result(number: int) -> Body:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": "22 degrees"}


def _saying(*parts: Body) -> list[Body]:
    return [{"role": "user", "content": [{"type": "text", "text": "Look:"}, *parts]}]


def _used(result: Body, *more: Body) -> list[Body]:
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
    found = {"type": "tool_result", "tool_use_id": "toolu_1", **result}
    return [
        *USER,
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [found, *more]},
    ]


def _called_item(output: Any) -> list[Body]:
    call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    return [*USER, call, {"type": "function_call_output", "call_id": "call_1", "output": output}]


WARM: Final = {"role": "assistant", "content": "Warm."}
BRIEF: Final = {"role": "system", "content": "Be brief."}
LONG: Final = "Rules. " * 2000
CHAT_FORMAT: Final = {
    "type": "json_schema",
    "json_schema": {"name": "place", "strict": True, "schema": SCHEMA},
}
RESPONSES_FORMAT: Final = {
    "format": {"type": "json_schema", "name": "place", "strict": True, "schema": SCHEMA}
}
DATA_URL: Final = f"data:image/png;base64,{PNG}"
FILE: Final = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
PICTURE: Final = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
}
PDF: Final = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
}
THOUGHT: Final = [
    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
    {"type": "text", "text": "Warm."},
]
INPUT_IMAGE: Final = {"type": "input_image", "image_url": DATA_URL, "detail": "auto"}

_IS_SCHEMA: Final = either(
    member("output_config.format.type", "json_schema"), member("output_format.type", "json_schema")
)
_IS_LOW: Final = either(member("output_config.effort", "low"), member("thinking"))
_ONE_AT_A_TIME: Final = member("tool_choice.disable_parallel_tool_use", True)
_LOOP: Final = both(blocks("tool_use", 1), blocks("tool_result", 1))


def _strict(tool: Body) -> Body:
    return {**tool, "strict": True}


CHAT_TO_MESSAGES: Final[tuple[tuple[str, Body, Callable[[Body], bool]], ...]] = (
    ("system text", _chat(messages=[BRIEF, *USER]), both(member("system"), has("Be brief."))),
    (
        "developer text",
        _chat(messages=[{**BRIEF, "role": "developer"}, *USER]),
        both(member("system"), has("Be brief.")),
    ),
    ("system in mid-conversation", _chat(messages=[*USER, WARM, BRIEF, *USER]), has("Be brief.")),
    ("strict schema of the output", _chat(response_format=CHAT_FORMAT), _IS_SCHEMA),
    ("any JSON object", _chat(response_format={"type": "json_object"}), never),
    (
        "strict tool",
        _chat(tools=[{"type": "function", "function": _strict(CHAT_FUNCTION)}]),
        member("tools.0.strict", True),
    ),
    (
        "tool that must be called",
        _chat(tools=[CHAT_TOOL], tool_choice="required"),
        member("tool_choice.type", "any"),
    ),
    (
        "named tool",
        _chat(tools=[CHAT_TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}),
        member("tool_choice.name", "weather"),
    ),
    (
        "no tool may be called",
        _chat(tools=[CHAT_TOOL], tool_choice="none"),
        either(member("tool_choice.type", "none"), lambda body: not body.get("tools")),
    ),
    (
        "one call at a time",
        _chat(tools=[CHAT_TOOL], parallel_tool_calls=False),
        _ONE_AT_A_TIME,
    ),
    (
        "tool loop",
        _chat(messages=[*USER, _called(_call(1)), _result(1)], tools=[CHAT_TOOL]),
        _LOOP,
    ),
    (
        "parallel results",
        _chat(
            messages=[*USER, _called(_call(1), _call(2)), _result(1), _result(2)],
            tools=[CHAT_TOOL],
        ),
        both(roles("user", "assistant", "user"), blocks("tool_result", 2)),
    ),
    (
        "image by address",
        _chat(
            messages=_saying(
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
            )
        ),
        both(blocks("image", 1), has("https://example.com/a.png")),
    ),
    (
        "image as data",
        _chat(messages=_saying({"type": "image_url", "image_url": {"url": DATA_URL}})),
        has(PNG, "image/png"),
    ),
    (
        "document",
        _chat(messages=_saying({"type": "file", "file": FILE})),
        blocks("document", 1),
    ),
    ("stop sequences", _chat(stop=["A1", "B2"]), member("stop_sequences", ["A1", "B2"])),
    ("one stop sequence", _chat(stop="A1"), member("stop_sequences", ["A1"])),
    ("token limit", _chat(max_completion_tokens=77), member("max_tokens", 77)),
    ("effort", _chat(reasoning_effort="low"), _IS_LOW),
    ("end user", _chat(user="u-123"), member("metadata.user_id", "u-123")),
    ("cache for a long prompt", _chat(messages=[{**BRIEF, "content": LONG}, *USER]), is_marked),
    (
        "cache mark",
        _chat(
            messages=[{**BRIEF, "content": [{"type": "text", "text": "Rules.", **CACHE}]}, *USER]
        ),
        is_marked,
    ),
    ("seed", _chat(seed=7), never),
    ("two choices", _chat(n=2), never),
    ("log probabilities", _chat(logprobs=True, top_logprobs=2), never),
    ("temperature above 1", _chat(temperature=1.5), never),
    (
        "empty assistant text",
        _chat(messages=[*USER, {**WARM, "content": ""}, {"role": "user", "content": "Go on."}]),
        both(has("Go on."), lambda body: '"text": ""' not in json.dumps(body)),
    ),
    (
        "arguments that are no JSON",
        _chat(messages=[*USER, _called(_call(1, "{broken")), _result(1)], tools=[CHAT_TOOL]),
        has("broken"),
    ),
    ("service tier", _chat(service_tier="default"), member("service_tier", "standard_only")),
    ("a field of tomorrow", _chat(tomorrow={"a": 1}), never),
)
MESSAGES_TO_CHAT: Final[tuple[tuple[str, Body, Callable[[Body], bool]], ...]] = (
    (
        "system blocks",
        _messages(system=[{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]),
        has("Be", "brief."),
    ),
    (
        "tool loop",
        _messages(messages=_used({"content": "22 degrees"}), tools=[MESSAGES_TOOL]),
        both(has("22 degrees"), member("messages.2.role", "tool")),
    ),
    (
        "failed tool",
        _messages(
            messages=_used({"content": "unknown city", "is_error": True}), tools=[MESSAGES_TOOL]
        ),
        either(has("rror"), has("ailed")),
    ),
    (
        "image in a tool's result",
        _messages(messages=_used({"content": [PICTURE]}), tools=[MESSAGES_TOOL]),
        has(PNG),
    ),
    (
        "text beside a tool's result",
        _messages(
            messages=_used({"content": "22"}, {"type": "text", "text": "And Rome?"}),
            tools=[MESSAGES_TOOL],
        ),
        has("And Rome?"),
    ),
    ("image as data", _messages(messages=_saying(PICTURE)), has(DATA_URL)),
    ("document", _messages(messages=_saying(PDF)), has("JVBERi0=")),
    (
        "schema of the output",
        _messages(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        member("response_format.type", "json_schema"),
    ),
    ("effort", _messages(output_config={"effort": "low"}), member("reasoning_effort", "low")),
    (
        "tool that must be called",
        _messages(tools=[MESSAGES_TOOL], tool_choice={"type": "any"}),
        member("tool_choice", "required"),
    ),
    (
        "one call at a time",
        _messages(
            tools=[MESSAGES_TOOL],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        ),
        member("parallel_tool_calls", False),
    ),
    (
        "strict tool",
        _messages(tools=[_strict(MESSAGES_TOOL)]),
        member("tools.0.function.strict", True),
    ),
    ("stop sequences", _messages(stop_sequences=["A1"]), member("stop", ["A1"], "A1")),
    ("end user", _messages(metadata={"user_id": "u-123"}), has("u-123")),
    ("top_k", _messages(top_k=5), never),
    (
        "thinking in the history",
        _messages(messages=[*USER, {"role": "assistant", "content": THOUGHT}, *USER]),
        both(has("Warm."), lambda body: "c2ln" not in _text(body)),
    ),
    (
        "server tool",
        _messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        never,
    ),
    ("system in mid-conversation", _messages(messages=[*USER, WARM, BRIEF, *USER]), has("brief.")),
)
RESPONSES_TO_MESSAGES: Final[tuple[tuple[str, Body, Callable[[Body], bool]], ...]] = (
    (
        "instructions",
        _responses(instructions="Be brief."),
        both(member("system"), has("Be brief.")),
    ),
    ("strict schema of the output", _responses(text=RESPONSES_FORMAT), _IS_SCHEMA),
    ("tool loop", _responses(input=_called_item("22 degrees"), tools=[RESPONSES_TOOL]), _LOOP),
    ("effort", _responses(reasoning={"effort": "low"}), _IS_LOW),
    ("image", _responses(input=[{"role": "user", "content": [INPUT_IMAGE]}]), has(PNG)),
    ("token limit", _responses(max_output_tokens=77), member("max_tokens", 77)),
    ("stored response", _responses(previous_response_id="resp_1"), never),
    ("cache for a long prompt", _responses(instructions=LONG), is_marked),
    (
        "one call at a time",
        _responses(tools=[RESPONSES_TOOL], parallel_tool_calls=False),
        _ONE_AT_A_TIME,
    ),
)
RESPONSES_TO_CHAT: Final[tuple[tuple[str, Body, Callable[[Body], bool]], ...]] = (
    (
        "strict schema of the output",
        _responses(text=RESPONSES_FORMAT),
        member("response_format.json_schema.strict", True),
    ),
    ("effort", _responses(reasoning={"effort": "low"}), member("reasoning_effort", "low")),
    (
        "image in a tool's result",
        _responses(input=_called_item([INPUT_IMAGE]), tools=[RESPONSES_TOOL]),
        has(PNG),
    ),
)
ROWS: Final[tuple[Row, ...]] = tuple(
    (name, source, target, body, test)
    for source, target, rows in (
        ("chat", "messages", CHAT_TO_MESSAGES),
        ("messages", "chat", MESSAGES_TO_CHAT),
        ("responses", "messages", RESPONSES_TO_MESSAGES),
        ("responses", "chat", RESPONSES_TO_CHAT),
    )
    for name, body, test in rows
)
