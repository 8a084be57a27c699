"""Reads the tools of a request of chat."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

from sidecar.translate.cache_marks import mark_of
from sidecar.translate.conversation import ToolChoice, ToolOffer
from sidecar.translate.losses import Weight
from sidecar.translate.openai_tools import allowed_choice, choice_of_word, custom_tool
from sidecar.translate.raw_json import Json, Members, is_null, is_text
from sidecar.translate.reading import Reading
from sidecar.translate.request_steps import tools_in_steps
from sidecar.translate.tool_offers import schema_of


def read_tools(
    reading: Reading, members: Members
) -> Generator[None, None, tuple[int, tuple[ToolOffer, ...]]]:
    """Return how many tools are offered, and those that can be carried. Raises: InvalidBody."""
    return tools_in_steps(reading, members, "tools", partial(_tools, reading))


def _tools(reading: Reading, raw: Json) -> Iterator[ToolOffer]:
    found = reading.labelled("tools", raw, "function")
    if found is None:
        return
    label, outer = found
    inner = reading.inside("tools", label, outer)
    if label == "custom":
        yield custom_tool(reading, inner, _grammar(reading, inner))
        return
    yield ToolOffer(
        reading.needed_text(inner, "name"),
        reading.text(inner, "description"),
        schema_of(inner, "parameters"),
        reading.flag(inner, "strict"),
        cache=mark_of(reading, outer, "tools") or mark_of(reading, inner, "tools.function"),
    )


def _grammar(reading: Reading, custom: Members) -> Members:
    """Return the members of the grammar that a custom tool's text must have."""
    members: Members = custom
    for name in ("format", "grammar"):
        raw = members.get(name)
        if raw is None or is_null(raw):
            return {}
        members = reading.object(raw)
    return members


def read_functions(
    reading: Reading, members: Members
) -> Generator[None, None, tuple[ToolOffer, ...]]:
    """Return the tools that a request offers in the older way. Raises: InvalidBody."""
    _, tools = yield from tools_in_steps(
        reading, members, "functions", partial(_functions, reading)
    )
    return tools


def _functions(reading: Reading, raw: Json) -> Iterator[ToolOffer]:
    function = reading.members(raw, reading.kind("functions"))
    name = reading.needed_text(function, "name")
    description = reading.text(function, "description")
    yield ToolOffer(name, description, schema_of(function, "parameters"))


def read_choice(reading: Reading, members: Members) -> ToolChoice | None:
    """Read ``tool_choice``, or the older ``function_call``. Raises: InvalidBody."""
    raw, older = members.get("tool_choice"), members.get("function_call")
    reading.at = ""
    if raw is None or is_null(raw):
        return None if older is None or is_null(older) else _older_choice(reading, older)
    if is_text(raw):
        return choice_of_word(reading, raw)
    reading.at = "tool_choice"
    found = reading.labelled("tool_choice", raw)
    if found is None:
        reading.lose("tool_choice", Weight.DECISIVE)
        return None
    label, choice = found
    inner = reading.inside("tool_choice", label, choice)
    if label == "allowed_tools":
        return allowed_choice(reading, inner)
    return ToolChoice("named", (reading.needed_text(inner, "name"),))


def _older_choice(reading: Reading, raw: Json) -> ToolChoice:
    if is_text(raw):
        return choice_of_word(reading, raw)
    choice = reading.members(raw, reading.kind("function_call"))
    reading.at = "function_call"
    return ToolChoice("named", (reading.needed_text(choice, "name"),))
