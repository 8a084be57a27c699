"""Reads the tools of a request of the messages API."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import Final

from sidecar.translate.cache_marks import mark_of
from sidecar.translate.conversation import ToolChoice, ToolOffer
from sidecar.translate.losses import Weight
from sidecar.translate.raw_json import Json, Members, is_null
from sidecar.translate.reading import Reading
from sidecar.translate.request_steps import tools_in_steps
from sidecar.translate.tool_offers import schema_of

_CHOICES: Final = {
    "auto": ToolChoice("auto"),
    "any": ToolChoice("any"),
    "none": ToolChoice("none"),
}


def read_tools(
    reading: Reading, members: Members
) -> Generator[None, None, tuple[int, tuple[ToolOffer, ...]]]:
    """Return how many tools are offered, and those that can be carried. Raises: InvalidBody."""
    return tools_in_steps(reading, members, "tools", partial(_tools, reading))


def _tools(reading: Reading, raw: Json) -> Iterator[ToolOffer]:
    found = reading.labelled("tools", raw, "custom")
    if found is None:
        return
    tool = found[1]
    yield ToolOffer(
        reading.needed_text(tool, "name"),
        reading.text(tool, "description"),
        schema_of(tool, "input_schema"),
        reading.flag(tool, "strict"),
        cache=mark_of(reading, tool, "tools"),
    )


def read_choice(reading: Reading, members: Members) -> tuple[ToolChoice | None, bool | None]:
    """Read ``tool_choice``, and whether tools may be called in parallel. Raises: InvalidBody."""
    raw = members.get("tool_choice")
    reading.at = "tool_choice"
    if raw is None or is_null(raw):
        return None, None
    found = reading.labelled("tool_choice", raw)
    if found is None:
        reading.lose("tool_choice", Weight.DECISIVE)
        return None, None
    kind, choice = found
    is_single = reading.flag(choice, "disable_parallel_tool_use")
    may_call_in_parallel = None if is_single is None else not is_single
    if kind == "tool":
        return ToolChoice("named", (reading.needed_text(choice, "name"),)), may_call_in_parallel
    return _CHOICES[kind], may_call_in_parallel
