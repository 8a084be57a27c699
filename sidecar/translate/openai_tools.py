"""Tools as OpenAI's two APIs have them: functions, and tools that take one text."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.translate.conversation import ToolChoice, ToolOffer
from sidecar.translate.losses import Weight
from sidecar.translate.raw_json import Json, Members
from sidecar.translate.reading import Reading

INPUT_SCHEMA: Final = (
    '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],'
    '"additionalProperties":false}'
)
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}


def custom_tool(reading: Reading, members: Members, formats: Members) -> ToolOffer:
    """Read a tool that takes one text. The grammar that its text must have goes into its
    description: no other API can hold a model to one.

    Args: ``formats`` are the members of its ``format``: those of ``grammar``, or in the responses
        API its own.
    """
    pieces = [reading.text(members, "description")]
    grammar = reading.text(formats, "definition")
    if grammar is not None:
        syntax = reading.text(formats, "syntax") or "lark"
        pieces.append(f"The input must match this {syntax} grammar:\n{grammar}")
    description = "\n\n".join(each for each in pieces if each) or None
    name = reading.needed_text(members, "name")
    return ToolOffer(name, description, INPUT_SCHEMA, is_custom=True)


def choice_of_word(reading: Reading, raw: Json) -> ToolChoice:
    """Read a tool choice that is a word. Raises: InvalidBody."""
    kind = _CHOICES.get(reading.text_of(raw))
    if kind is None:
        raise reading.wrong("tool_choice", "auto, none, required or an object")
    return ToolChoice(kind)  # type: ignore[arg-type]


def allowed_choice(reading: Reading, members: Members) -> ToolChoice:
    """Read a tool choice that allows some tools only. Raises: InvalidBody."""
    kind = "any" if reading.text(members, "mode") == "required" else "auto"
    names = []
    for raw in reading.list_of(members.get("tools", msgspec.Raw(b"[]"))):
        tool = reading.object(raw)
        inside = tool.get("function") or tool.get("custom")
        name = reading.text(tool if inside is None else reading.object(inside), "name")
        if name is None:  # one of the provider's own tools
            reading.lose("tool_choice", Weight.AVOIDABLE)
        else:
            names.append(name)
    return ToolChoice(kind, tuple(names))  # type: ignore[arg-type]
