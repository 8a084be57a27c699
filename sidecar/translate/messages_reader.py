"""Reads a request of the messages API as a conversation.

Source: https://platform.claude.com/docs/en/api/messages/create.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from sidecar.domain.call import MESSAGES
from sidecar.translate.cache_marks import mark_of
from sidecar.translate.conversation import (
    CacheMark,
    Conversation,
    ConversationTurn,
    OutputFormat,
    RefusalPart,
    SamplingOptions,
    Thinking,
)
from sidecar.translate.losses import Weight
from sidecar.translate.messages_block_reader import MessagesBlocks
from sidecar.translate.messages_tools_reader import read_choice, read_tools
from sidecar.translate.raw_json import Members, is_null
from sidecar.translate.reading import Reading
from sidecar.translate.tool_offers import checked_choice, features_of, features_of_output, schema_of


def read_messages(body: bytes) -> Generator[None, None, Conversation]:
    """Read a request of the messages API. Others go on wherever this yields.

    Raises: InvalidBody.
    """
    reading = Reading(MESSAGES)
    members = yield from reading.top(body)
    offered, tools = yield from read_tools(reading, members)
    wanted, may_call_in_parallel = read_choice(reading, members)
    choice = checked_choice(reading, wanted, tools, offered)
    config = _inside(reading, members, "output_config")
    output, effort = _output(reading, members, config), reading.text(config, "effort")
    thinking = _thinking(reading, members, effort)
    user = reading.text(_inside(reading, members, "metadata"), "user_id")
    reading.at = ""
    most, sampling = _max_tokens(reading, members), _sampling(reading, members)
    wants_stream = bool(reading.flag(members, "stream"))
    service_tier = reading.text(members, "service_tier")
    service_tier = "default" if service_tier == "standard_only" else service_tier
    mark = mark_of(reading, members, "")
    turns = yield from MessagesBlocks(reading).turns(members)
    reading.features.update(features_of(tools, choice))
    reading.features.update(features_of_output(output))
    return Conversation(
        turns if mark is None else _marked(turns, mark),
        tools,
        choice,
        may_call_in_parallel,
        output,
        most,
        sampling,
        thinking,
        wants_stream,
        True,
        service_tier,
        user,
        features=frozenset(reading.features),
        spelled=frozenset(reading.spelled),
        unread=reading.losses,
    )


def _max_tokens(reading: Reading, members: Members) -> int | None:
    """Read ``max_tokens``: 0 asks for nothing but a warm cache. Raises: InvalidBody."""
    most = reading.integer(members, "max_tokens")
    if most == 0:
        reading.lose("max_tokens", Weight.DECISIVE)
    return most


def _sampling(reading: Reading, members: Members) -> SamplingOptions:
    return SamplingOptions(
        reading.number(members, "temperature"),
        reading.number(members, "top_p"),
        reading.integer(members, "top_k"),
        tuple(filter(None, reading.texts(members, "stop_sequences"))),
    )


def _marked(turns: tuple[ConversationTurn, ...], mark: CacheMark) -> tuple[ConversationTurn, ...]:
    """Return the turns with a mark at their end, where the request asks for one on the whole."""
    last = turns[-1] if turns else None
    if last is None or not last.parts or isinstance(last.parts[-1], RefusalPart):
        return turns
    parts = (*last.parts[:-1], msgspec.structs.replace(last.parts[-1], cache=mark))
    return (*turns[:-1], ConversationTurn(last.role, parts))


def _inside(reading: Reading, members: Members, name: str) -> Members:
    """Return the members of an object that is a member; none where it is missing."""
    raw = members.get(name)
    if raw is None or is_null(raw):
        return {}
    reading.at = name
    found = reading.members(raw, reading.kind(name))
    reading.spelled.update(f"{name}.{each}" for each in found)
    return found


def _output(reading: Reading, members: Members, config: Members) -> OutputFormat | None:
    """Read ``output_config.format``, or ``output_format`` as it was called once.

    Its schema is one that the model cannot but follow, which elsewhere is called strict.

    Raises: InvalidBody.
    """
    raw = config.get("format")
    raw = members.get("output_format") if raw is None or is_null(raw) else raw
    if raw is None or is_null(raw):
        return None
    found = reading.labelled("output_config.format", raw)
    if found is None:
        reading.lose("output_config.format", Weight.DECISIVE)
        return None
    return OutputFormat(schema_of(found[1], "schema") or "{}", is_strict=True)


def _thinking(reading: Reading, members: Members, effort: str | None) -> Thinking | None:
    """Read how much may be thought. The thinking itself does not come back, which is noted.

    Raises: InvalidBody.
    """
    raw = members.get("thinking")
    reading.at = "thinking"
    found = None if raw is None or is_null(raw) else reading.labelled("thinking", raw)
    if found is None:
        return None if effort is None else Thinking(effort)
    kind, thinking = found
    reading.spelled.update(f"thinking.{each}" for each in thinking)
    if kind == "disabled":
        return Thinking(effort, is_off=True)
    budget = reading.integer(thinking, "budget_tokens")
    return Thinking(effort, budget, is_adaptive=kind == "adaptive")
