"""Writes a conversation as a request of the messages API.

Source: https://platform.claude.com/docs/en/api/messages/create.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

import msgspec

from sidecar.translate.abilities import Abilities
from sidecar.translate.conversation import (
    Conversation,
    ConversationTurn,
    Role,
    TextPart,
    ToolCall,
)
from sidecar.translate.fitting import Fitted, can_be_strict, fit
from sidecar.translate.messages_block_writer import AUTOMATIC, BlockWriter, Marks
from sidecar.translate.messages_turn_writer import TurnWriter
from sidecar.translate.targets import Target, abilities_of
from sidecar.translate.tool_names import sent_name
from sidecar.translate.writing import (
    EMPTY_SCHEMA,
    BodyWriter,
    Object,
    leading_system,
    object_schema,
    offered,
    user_id,
    without_none,
)

_STEP_TURNS: Final = 1024
"""As many turns are looked at before others go on."""
_USER_CHARS: Final = 256
_TIERS: Final = {"auto": "auto", "default": "standard_only"}
_CHOICES: Final = {"auto": "auto", "none": "none", "any": "any", "named": "tool"}


def write_messages(conversation: Conversation, target: Target) -> Generator[None, None, bytes]:
    """Write a request of the messages API. Others go on wherever this yields."""
    abilities = abilities_of(target)
    fitted = fit(conversation, abilities)
    marks = yield from Marks.of(conversation, abilities)
    blocks = BlockWriter(target.family, abilities, marks)
    writer = BodyWriter(target.model_id)
    has_tools = yield from _write_tools(writer, conversation, abilities, marks)
    lead = leading_system(conversation.turns)
    if lead == len(conversation.turns) > 0:  # nothing but a system text was said
        turns: Sequence[ConversationTurn] = [
            ConversationTurn(Role.USER, conversation.turns[-1].parts)
        ]
        lead -= 1
    else:
        turns = conversation.turns[lead:]
    system = [
        block
        for turn in conversation.turns[:lead]
        for part in turn.parts
        if isinstance(part, TextPart) and (block := blocks.text(part)) is not None
    ]
    if system and blocks.is_automatic:
        system[-1]["cache_control"] = AUTOMATIC
    writer.member("system", system or None)
    writer.begin_list("messages")
    yield from TurnWriter(writer, blocks, abilities).write(turns)
    writer.end_list()
    writer.member("max_tokens", fitted.max_tokens)
    writer.member("tool_choice", _tool_choice(conversation, fitted) if has_tools else None)
    if has_tools is None:
        writer.member("tool_choice", {"type": "none"})
    _write_options(writer, conversation, fitted)
    return writer.body()


def _write_tools(
    writer: BodyWriter, conversation: Conversation, abilities: Abilities, marks: Marks
) -> Generator[None, None, bool | None]:
    """Write the tools; return whether there are some, None where they must not be called: Anthropic
    wants tools wherever calls of some stand in the conversation. Others go on wherever this yields.
    """
    may_be_strict = can_be_strict(conversation, abilities)
    written = [
        without_none(
            {
                "name": tool["name"],
                "description": tool["description"],
                "input_schema": object_schema(tool["schema"]),
                "strict": True if tool["is_strict"] and may_be_strict else None,
                "cache_control": marks.next(tool["cache"]),
            }
        )
        for tool in offered(conversation)
    ]
    called = [] if written else (yield from _called(conversation.turns))
    writer.member("tools", written or called or None)
    return None if called else bool(written)


def _called(turns: Sequence[ConversationTurn]) -> Generator[None, None, list[Object]]:
    """Return the tools that were called, by their names alone, each once."""
    names = dict[str, None]()
    for at, turn in enumerate(turns):
        if at % _STEP_TURNS == _STEP_TURNS - 1:
            yield
        if turn.role is Role.ASSISTANT:
            names.update((part.name, None) for part in turn.parts if isinstance(part, ToolCall))
    return [{"name": sent_name(name), "input_schema": EMPTY_SCHEMA} for name in names]


def _tool_choice(conversation: Conversation, fitted: Fitted) -> Object | None:
    """Return the tool choice; None where it says what is true without it."""
    choice = conversation.tool_choice
    kind = "auto" if choice is None or fitted.cannot_force else choice.kind
    wanted: Object = {"type": _CHOICES[kind]}
    if kind == "named" and choice is not None:
        wanted["name"] = sent_name(choice.names[0])
    if fitted.calls_one_at_a_time and kind != "none":
        wanted["disable_parallel_tool_use"] = True
    return None if wanted == {"type": "auto"} else wanted


def _write_options(writer: BodyWriter, conversation: Conversation, fitted: Fitted) -> None:
    output, sampling = fitted.output, fitted.sampling
    config: Object = without_none({"effort": fitted.effort})
    if output is not None and output.schema is not None:
        schema = msgspec.Raw(output.schema.encode())
        config["format"] = {"type": "json_schema", "schema": schema}
    writer.member("output_config", config or None)
    writer.member("thinking", {"type": fitted.off} if fitted.off else None)
    writer.member("temperature", sampling.temperature)
    writer.member("top_p", sampling.top_p)
    writer.member("top_k", sampling.top_k)
    writer.member("stop_sequences", sampling.stop or None)
    writer.member("service_tier", _TIERS.get(fitted.service_tier or ""))
    if conversation.user:
        writer.member("metadata", {"user_id": user_id(conversation.user, _USER_CHARS)})
    writer.member("stream", True if conversation.wants_stream else None)
