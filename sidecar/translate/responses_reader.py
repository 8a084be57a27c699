"""Reads a request of the responses API as a conversation.

Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from collections.abc import Generator

from sidecar.domain.call import RESPONSES
from sidecar.translate.conversation import (
    Conversation,
    ConversationTurn,
    OutputFormat,
    Role,
    TextPart,
)
from sidecar.translate.losses import Weight
from sidecar.translate.openai_options import OpenAIOptions, read_options
from sidecar.translate.raw_json import Members, is_null, is_text
from sidecar.translate.reading import Reading
from sidecar.translate.reply_context import ECHOED
from sidecar.translate.responses_item_reader import ResponsesItems
from sidecar.translate.responses_tools_reader import read_choice, read_tools, with_additional
from sidecar.translate.tool_offers import checked_choice, features_of, features_of_output, schema_of

_LOGPROBS = b"message.output_text.logprobs"


def read_responses(body: bytes) -> Generator[None, None, Conversation]:
    """Read a request of the responses API. Others go on wherever this yields.

    Raises: InvalidBody.
    """
    reading = Reading(RESPONSES)
    members = yield from reading.top(body)
    _note_what_is_kept(reading, members)
    offered, own_tools = yield from read_tools(reading, members)
    wanted_choice = read_choice(reading, members)
    text = _inside(reading, members, "text")
    output = _output(reading, text)
    verbosity = reading.text(text, "verbosity")
    options = _options(reading, members)
    items = ResponsesItems(reading)
    turns = yield from _turns(reading, members, items)
    tools = with_additional(own_tools, items.tools) if items.tools else own_tools
    choice = checked_choice(reading, wanted_choice, tools, offered + len(items.tools))
    reading.features.update(features_of(tools, choice))
    reading.features.update(features_of_output(output))
    return Conversation(
        turns,
        tools,
        choice,
        options.may_call_in_parallel,
        output,
        options.max_tokens,
        options.sampling,
        options.thinking,
        options.wants_stream,
        True,
        options.service_tier,
        options.user,
        options.cache_key,
        verbosity,
        tuple(reading.shared),
        frozenset(reading.features),
        frozenset(reading.spelled),
        reading.losses,
        {name: bytes(members[name]) for name in ECHOED if name in members},
    )


def _note_what_is_kept(reading: Reading, members: Members) -> None:
    """Note what a response would be kept for, and what it is to bring beside itself.

    An app that does not say ``store`` may still name the response in its next request, which is
    then a decisive loss.
    """
    if is_null(members.get("store")):
        reading.lose("store", Weight.HARMLESS)
    include = members.get("include")
    if include is not None and _LOGPROBS in bytes(include):
        reading.lose("include", Weight.DECISIVE)


def _inside(reading: Reading, members: Members, name: str) -> Members:
    """Return the members of an object that is a member; none where it is missing."""
    raw = members.get(name)
    reading.at = ""
    if raw is None or is_null(raw):
        return {}
    reading.at = name
    return reading.members(raw, reading.kind(name))


def _options(reading: Reading, members: Members) -> OpenAIOptions:
    """Read what the API has in common with chat. Raises: InvalidBody."""
    effort = reading.text(_inside(reading, members, "reasoning"), "effort")
    reading.at = ""
    return read_options(reading, members, reading.integer(members, "max_output_tokens"), effort)


def _output(reading: Reading, text: Members) -> OutputFormat | None:
    """Read ``text.format``. Raises: InvalidBody."""
    raw = text.get("format")
    if raw is None or is_null(raw):
        return None
    reading.at = "text.format"
    found = reading.labelled("text.format", raw)
    reading.at = "text"
    if found is None:
        reading.lose("text.format", Weight.DECISIVE)
        return None
    label, wanted = found
    if label != "json_schema":
        return None if label == "text" else OutputFormat(None)
    return OutputFormat(
        schema_of(wanted, "schema") or "{}",
        reading.text(wanted, "name"),
        reading.text(wanted, "description"),
        reading.flag(wanted, "strict"),
    )


def _turns(
    reading: Reading, members: Members, items: ResponsesItems
) -> Generator[None, None, tuple[ConversationTurn, ...]]:
    """Return the instructions, where there are some, and the turns. Raises: InvalidBody."""
    reading.at = ""
    instructions = reading.text(members, "instructions")
    first = (ConversationTurn(Role.SYSTEM, (TextPart(instructions),)),) if instructions else ()
    said = members.get("input")
    if said is not None and is_text(said):
        return (*first, ConversationTurn(Role.USER, (TextPart(reading.text_of(said)),)))
    return first + (yield from items.turns(members))
