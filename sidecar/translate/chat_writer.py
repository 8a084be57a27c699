"""Writes a conversation as a request of chat.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from sidecar.translate.abilities import Abilities
from sidecar.translate.chat_turn_writer import ChatTurnWriter
from sidecar.translate.conversation import Conversation
from sidecar.translate.fitting import Fitted, can_be_strict, fit
from sidecar.translate.openai_writing import (
    Breakpoints,
    all_tools,
    allowed_tools,
    choice_word,
    named_tool,
    schema_format,
    write_common,
)
from sidecar.translate.targets import Target, abilities_of
from sidecar.translate.writing import BodyWriter, Object, offered, without_none


def write_chat(conversation: Conversation, target: Target) -> Generator[None, None, bytes]:
    """Write a request of chat. Others go on wherever this yields."""
    abilities = abilities_of(target)
    fitted = fit(conversation, abilities)
    writer = BodyWriter(target.model_id)
    allowed = allowed_tools(conversation, abilities)
    tools = all_tools(conversation) if allowed else offered(conversation)
    if tools and abilities.has_tools:
        may_be_strict = can_be_strict(conversation, abilities)
        writer.member("tools", [_tool(tool, may_be_strict=may_be_strict) for tool in tools])
    writer.begin_list("messages")
    marks = yield from Breakpoints.of(conversation, abilities)
    yield from ChatTurnWriter(writer, target.family, abilities, marks).write(conversation.turns)
    writer.end_list()
    if tools and abilities.has_tools:
        writer.member("tool_choice", _tool_choice(conversation, fitted, allowed))
    _write_options(writer, conversation, abilities, fitted)
    return writer.body()


def _tool(tool: Object, *, may_be_strict: bool) -> Object:
    function = {
        "name": tool["name"],
        "description": tool["description"],
        "parameters": tool["schema"],
        "strict": True if tool["is_strict"] and may_be_strict else None,
    }
    return {"type": "function", "function": without_none(function)}


def _tool_choice(
    conversation: Conversation, fitted: Fitted, allowed: tuple[str, ...]
) -> str | Object | None:
    name = named_tool(conversation, fitted)
    if name is not None:
        return _named(name)
    word = choice_word(conversation, fitted)
    if not allowed or word == "none":
        return word
    wanted: Object = {"mode": word or "auto", "tools": list(map(_named, allowed))}
    return {"type": "allowed_tools", "allowed_tools": wanted}


def _named(name: str) -> Object:
    return {"type": "function", "function": {"name": name}}


def _write_options(
    writer: BodyWriter, conversation: Conversation, abilities: Abilities, fitted: Fitted
) -> None:
    writer.member(abilities.max_tokens_name, fitted.max_tokens)
    writer.member("response_format", _response_format(fitted))
    writer.member("reasoning_effort", fitted.effort or fitted.off)
    writer.member("stop", fitted.sampling.stop or None)
    writer.member("top_k", fitted.sampling.top_k)
    if abilities.has_verbosity:
        writer.member("verbosity", conversation.verbosity)
    write_common(writer, conversation, abilities, fitted)
    if conversation.wants_stream and abilities.has_stream_usage:
        writer.member("stream_options", {"include_usage": True})


def _response_format(fitted: Fitted) -> dict[str, Any] | None:
    output = fitted.output
    if output is None:
        return None
    if output.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": schema_format(output)}
