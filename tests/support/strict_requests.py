"""What providers refuse of a request's form, said as they would: members and types that their APIs
do not have, and the rules that no type can say.

Source: the parameter types of the SDKs, the reference pages of the three APIs, and the texts of
refusals that users report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from tests.translate.sdk_params import ROOTS, fits, hints_of

Json = dict[str, Any]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MESSAGES_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_MESSAGES_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_ID_CHARACTERS: Final = {CHAT: 40, RESPONSES: 64}
_MARKS_AT_MOST: Final = 4


def problems_of(api: DialectName, body: Json, *, is_typed: bool = True) -> list[str]:
    """Return why a request would be refused; nothing where it would be served.

    Args: ``is_typed`` false leaves members and types alone, as for an app's own request, which may
        be newer than the installed types.
    """
    typed = list(_misfits(api, body)) if is_typed else []
    return typed or list(_RULES[api](body))


def _misfits(api: DialectName, body: Json) -> Iterator[str]:
    """Yield the places that are of no type of the API, without its beta."""
    root = ROOTS[api][1 if body.get("stream") else 0]
    if fits(body, root):
        return
    hints = hints_of(root)
    for name, value in body.items():
        if name not in hints:
            yield f"{name}: Extra inputs are not permitted"
        elif isinstance(value, list):
            yield from (
                f"{name}.{at}: Input does not match the expected shape"
                for at, each in enumerate(value)
                if not fits([each], hints[name])
            )
        elif not fits(value, hints[name]):
            yield f"{name}: Input does not match the expected shape"


def _chat_problems(body: Json) -> Iterator[str]:
    yield from _tool_name_problems(each["function"]["name"] for each in body.get("tools") or ())
    waiting: set[str] = set()
    for at, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"messages.{at}: 'tool' must be a response to a preceding 'tool_calls'"
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            yield f"messages.{at}: 'tool_calls' must be followed by tool messages for {waiting}"
        calls = message.get("tool_calls") or ()
        waiting = {each["id"] for each in calls}
        yield from _id_problems(CHAT, waiting)
        if message["role"] == "assistant" and not calls and not message.get("content"):
            yield f"messages.{at}: 'content' is required unless 'tool_calls' is specified"
    if waiting:
        yield f"'tool_calls' must be followed by tool messages for {waiting}"


def _responses_problems(body: Json) -> Iterator[str]:
    if isinstance(body["input"], str):
        return
    tools = body.get("tools") or ()
    yield from _tool_name_problems(each["name"] for each in tools if each["type"] == "function")
    calls = {each["call_id"] for each in body["input"] if each.get("type") in _CALLS}
    results = [each["call_id"] for each in body["input"] if each.get("type") in _RESULTS]
    yield from _id_problems(RESPONSES, calls)
    yield from (f"No tool output found for function call {each}." for each in calls - {*results})
    for each in results:
        if each not in calls or results.count(each) > 1:
            yield f"No tool call found for function call output with call_id {each}."


_CALLS: Final = ("function_call", "custom_tool_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")


def _messages_problems(body: Json) -> Iterator[str]:
    for tool in body.get("tools") or ():
        if not _MESSAGES_NAME.fullmatch(tool["name"]):
            yield f"tools: {tool['name']!r} should match '^[a-zA-Z0-9_-]{{1,128}}$'"
    waiting: list[str] = []
    role = "assistant"
    for at, message in enumerate(body["messages"]):
        blocks = _blocks(message["content"])
        yield from _block_problems(at, blocks)
        if message["role"] == "system":
            continue
        if message["role"] == role:
            yield f"messages.{at}: roles must alternate"
        role = message["role"]
        results = [each["tool_use_id"] for each in blocks if each["type"] == "tool_result"]
        leading = [each["tool_use_id"] for each in blocks[: len(results)] if "tool_use_id" in each]
        if sorted(results) != sorted(waiting) or leading != results:
            yield f"messages.{at}: `tool_use` ids without `tool_result` blocks right after: {waiting} {results}"  # fmt: skip
        waiting = [each["id"] for each in blocks if each["type"] == "tool_use"]
    if waiting:
        yield f"`tool_use` ids without `tool_result` blocks: {waiting}"
    marks = str(body).count("'cache_control': {")
    if marks > _MARKS_AT_MOST:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."


def _block_problems(at: int, blocks: list[Json]) -> Iterator[str]:
    if not blocks:
        yield f"messages.{at}: all messages must have non-empty content"
    for block in blocks:
        if block["type"] == "text" and not block["text"].strip():
            yield f"messages.{at}: text content blocks must contain non-whitespace text"
        if block["type"] == "tool_use" and not _MESSAGES_ID.fullmatch(block["id"]):
            yield f"messages.{at}: tool_use.id should match '^[a-zA-Z0-9_-]+$'"


def _blocks(content: Any) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _tool_name_problems(names: Iterator[str]) -> Iterator[str]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"Invalid tool name {name!r}: expected '^[a-zA-Z0-9_-]+$', 64 at most"


def _id_problems(api: DialectName, ids: set[str]) -> Iterator[str]:
    for each in ids:
        if not 0 < len(each) <= _ID_CHARACTERS[api]:
            yield f"string too long: {each}, maximum length {_ID_CHARACTERS[api]}"


_RULES: Final[dict[DialectName, Callable[[Json], Iterator[str]]]] = {
    CHAT: _chat_problems,
    RESPONSES: _responses_problems,
    MESSAGES: _messages_problems,
}
