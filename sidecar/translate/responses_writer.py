"""Writes a conversation as a request of the responses API.

Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import Conversation, Role
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
from sidecar.translate.responses_item_writer import ItemWriter
from sidecar.translate.targets import Target, abilities_of
from sidecar.translate.writing import BodyWriter, Object, offered, texts_of, without_none


def write_responses(conversation: Conversation, target: Target) -> Generator[None, None, bytes]:
    """Write a request of the responses API. Others go on wherever this yields."""
    abilities = abilities_of(target)
    fitted = fit(conversation, abilities)
    writer = BodyWriter(target.model_id)
    allowed = allowed_tools(conversation, abilities)
    tools = all_tools(conversation) if allowed else offered(conversation)
    if tools:
        may_be_strict = can_be_strict(conversation, abilities)
        writer.member("tools", [_tool(tool, may_be_strict=may_be_strict) for tool in tools])
    turns = conversation.turns
    lead = 0
    while lead < len(turns) - 1 and turns[lead].role is Role.SYSTEM:
        lead += 1
    texts = [text for turn in turns[:lead] for text in texts_of(turn.parts)]
    writer.member("instructions", "\n\n".join(texts) or None)
    writer.begin_list("input")
    marks = yield from Breakpoints.of(conversation, abilities)
    yield from ItemWriter(writer, target.family, abilities, marks).write(turns[lead:])
    writer.end_list()
    if tools:
        writer.member("tool_choice", _tool_choice(conversation, fitted, allowed))
    _write_options(writer, conversation, abilities, fitted)
    return writer.body()


def _tool(tool: Object, *, may_be_strict: bool) -> Object:
    """Return a function. What is not strict has to say so: in this API strict is the default."""
    return {
        "type": "function",
        **without_none(
            {
                "name": tool["name"],
                "description": tool["description"],
                "parameters": tool["schema"],
                "strict": tool["is_strict"] and may_be_strict,
            }
        ),
    }


def _tool_choice(
    conversation: Conversation, fitted: Fitted, allowed: tuple[str, ...]
) -> str | Object | None:
    name = named_tool(conversation, fitted)
    if name is not None:
        return _named(name)
    word = choice_word(conversation, fitted)
    if not allowed or word == "none":
        return word
    tools = list(map(_named, allowed))
    return {"type": "allowed_tools", "mode": word or "auto", "tools": tools}


def _named(name: str) -> Object:
    return {"type": "function", "name": name}


def _write_options(
    writer: BodyWriter, conversation: Conversation, abilities: Abilities, fitted: Fitted
) -> None:
    """Write the rest. Nothing is stored: nobody could ask for it in the caller's API."""
    writer.member(abilities.max_tokens_name, fitted.max_tokens)
    effort = fitted.effort or fitted.off
    writer.member("reasoning", {"effort": effort} if effort else None)
    verbosity = conversation.verbosity if abilities.has_verbosity else None
    text = without_none({"format": _format(fitted), "verbosity": verbosity})
    writer.member("text", text or None)
    write_common(writer, conversation, abilities, fitted)
    writer.member("store", False)


def _format(fitted: Fitted) -> dict[str, Any] | None:
    output = fitted.output
    if output is None:
        return None
    if output.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", **schema_format(output)}
