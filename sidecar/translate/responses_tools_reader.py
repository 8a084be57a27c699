"""Reads the tools of a request of the responses API."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

import msgspec

from sidecar.translate.conversation import ToolChoice, ToolOffer
from sidecar.translate.losses import Weight
from sidecar.translate.openai_tools import allowed_choice, choice_of_word, custom_tool
from sidecar.translate.pacing import check_count
from sidecar.translate.raw_json import Members, is_null, is_text
from sidecar.translate.reading import Reading
from sidecar.translate.request_steps import tools_in_steps
from sidecar.translate.tool_names import qualified
from sidecar.translate.tool_offers import schema_of

_ADDITIONAL: Final = "input[additional_tools].tools"
_NONE: Final = msgspec.Raw(b"[]")


def read_tools(
    reading: Reading, members: Members
) -> Generator[None, None, tuple[int, tuple[ToolOffer, ...]]]:
    """Return how many tools are offered, and those that can be carried. Raises: InvalidBody."""
    return tools_in_steps(
        reading, members, "tools", lambda raw: _tools(reading, reading.object(raw), "tools")
    )


def additional_tools(reading: Reading, item: Members) -> list[ToolOffer]:
    """Return the tools that an item of the conversation offers. Raises: InvalidBody."""
    raws = reading.objects_of(item.get("tools", _NONE))
    return [tool for each in raws for tool in _tools(reading, each, _ADDITIONAL)]


def with_additional(
    tools: Iterable[ToolOffer], additional: Iterable[ToolOffer]
) -> tuple[ToolOffer, ...]:
    """Return all tools, each once: one that is offered anew is as it was offered last.

    Raises: InvalidBody where there are more than may be read at once.
    """
    found = {tool.name: tool for tool in tools}
    found |= {tool.name: tool for tool in additional}
    check_count(len(found))
    return tuple(found.values())


def _tools(reading: Reading, members: dict[str, msgspec.Raw], path: str) -> list[ToolOffer]:
    """Read a tool, or the tools of a namespace. Raises: InvalidBody."""
    found = reading.known(path, members, "function")
    if found is None:
        return []
    label, tool = found
    if label != "namespace":
        return [_tool(reading, label, tool)]
    namespace = reading.needed_text(tool, "name")
    inside = [
        reading.known(f"{path}[namespace].tools", each, "function")
        for each in reading.objects_of(tool.get("tools", _NONE))
    ]
    offers = [_tool(reading, *each) for each in inside if each is not None]
    return [
        msgspec.structs.replace(offer, name=qualified(namespace, offer.name)) for offer in offers
    ]


def _tool(reading: Reading, label: str, tool: Members) -> ToolOffer:
    if label == "custom":
        wanted = tool.get("format")
        formats = {} if wanted is None or is_null(wanted) else reading.object(wanted)
        return custom_tool(reading, tool, formats)
    return ToolOffer(
        reading.needed_text(tool, "name"),
        reading.text(tool, "description"),
        schema_of(tool, "parameters"),
        reading.flag(tool, "strict"),
    )


def read_choice(reading: Reading, members: Members) -> ToolChoice | None:
    """Read ``tool_choice``. Raises: InvalidBody."""
    raw = members.get("tool_choice")
    reading.at = ""
    if raw is None or is_null(raw):
        return None
    if is_text(raw):
        return choice_of_word(reading, raw)
    reading.at = "tool_choice"
    found = reading.labelled("tool_choice", raw)
    if found is None:
        reading.lose("tool_choice", Weight.DECISIVE)
        return None
    label, choice = found
    if label == "allowed_tools":
        return allowed_choice(reading, choice)
    return ToolChoice("named", (reading.needed_text(choice, "name"),))
