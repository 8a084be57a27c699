"""Reads a request of chat as a conversation.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from sidecar.domain.call import CHAT
from sidecar.translate.chat_message_reader import ChatMessages
from sidecar.translate.chat_tools_reader import read_choice, read_functions, read_tools
from sidecar.translate.conversation import Conversation, OutputFormat
from sidecar.translate.losses import Weight
from sidecar.translate.openai_options import OpenAIOptions, read_options
from sidecar.translate.raw_json import Members, is_null
from sidecar.translate.reading import Reading
from sidecar.translate.tool_offers import checked_choice, features_of, features_of_output, schema_of


def read_chat(body: bytes) -> Generator[None, None, Conversation]:
    """Read a request of chat. Others go on wherever this yields. Raises: InvalidBody."""
    reading = Reading(CHAT)
    members = yield from reading.top(body)
    offered, tools = yield from read_tools(reading, members)
    functions = yield from read_functions(reading, members)
    choice = checked_choice(
        reading, read_choice(reading, members), tools + functions, offered + len(functions)
    )
    options, output = _options(reading, members), _output(reading, members)
    turns = yield from ChatMessages(reading).turns(members)
    reading.features.update(features_of(tools + functions, choice))
    reading.features.update(features_of_output(output))
    return Conversation(
        turns,
        tools + functions,
        choice,
        options.may_call_in_parallel,
        output,
        options.max_tokens,
        options.sampling,
        options.thinking,
        options.wants_stream,
        _wants_usage(reading, members),
        options.service_tier,
        options.user,
        options.cache_key,
        reading.text(members, "verbosity"),
        tuple(reading.shared),
        frozenset(reading.features),
        frozenset(reading.spelled),
        reading.losses,
        has_legacy_functions=bool(functions),
    )


def _options(reading: Reading, members: Members) -> OpenAIOptions:
    """Read what chat has in common with the responses API. Raises: InvalidBody."""
    reading.at = ""
    most = reading.integer(members, "max_completion_tokens")
    options = read_options(
        reading,
        members,
        reading.integer(members, "max_tokens") if most is None else most,
        reading.text(members, "reasoning_effort"),
    )
    sampling = msgspec.structs.replace(
        options.sampling,
        top_k=reading.integer(members, "top_k"),
        stop=tuple(filter(None, reading.texts(members, "stop"))),  # nothing ends by nothing
    )
    return msgspec.structs.replace(options, sampling=sampling)


def _wants_usage(reading: Reading, members: Members) -> bool:
    """Return whether a stream is to tell its usage. Raises: InvalidBody."""
    raw = members.get("stream_options")
    if raw is None or is_null(raw):
        return False
    options = reading.members(raw, reading.kind("stream_options"))
    return bool(reading.flag(options, "include_usage"))


def _output(reading: Reading, members: Members) -> OutputFormat | None:
    """Read ``response_format``. Raises: InvalidBody."""
    reading.at = ""
    raw = members.get("response_format")
    if raw is None or is_null(raw):
        return None
    reading.at = "response_format"
    found = reading.labelled("response_format", raw)
    if found is None:
        reading.lose("response_format", Weight.DECISIVE)
        return None
    label, outer = found
    if label != "json_schema":
        return None if label == "text" else OutputFormat(None)
    inside = outer.get("json_schema")
    if inside is None:
        raise reading.wrong("json_schema", "an object")
    reading.at = "response_format.json_schema"
    schema = reading.members(inside, reading.kind("response_format[json_schema].json_schema"))
    return OutputFormat(
        schema_of(schema, "schema") or "{}",
        reading.text(schema, "name"),
        reading.text(schema, "description"),
        reading.flag(schema, "strict"),
    )
