"""Tools and schemas of a request, whatever its API: what they ask of a target."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from sidecar.translate.conversation import OutputFormat, ToolChoice, ToolOffer
from sidecar.translate.losses import Feature, Weight
from sidecar.translate.raw_json import Members, as_any, is_null, json_text, leniently
from sidecar.translate.reading import Reading

_BOUND: Final = re.compile(
    r'"(?:exclusiveM(?:in|ax)imum|m(?:in|ax)imum|multipleOf|m(?:in|ax)Length'
    r'|maxItems|uniqueItems)"\s*+:\s*+[-0-9t]|"minItems"\s*+:\s*+(?:[2-9]|1[0-9])'
)
"""A property of such a name has an object as its value."""
_BOUNDED_CHARS: Final = 512 * 1024
"""Schemas that are longer, taken together, are not searched: they count as bounded."""
_SCHEMA_CHARS: Final = 64 * 1024
"""Those that are longer are not decoded: they count as closed."""
_BY_NAME: Final = ("properties", "$defs", "definitions")
"""Members of a schema that hold others by names of their own."""
_VALUES: Final = ("enum", "const", "default", "examples", "required")
"""Members that hold no schemas."""


def schema_of(members: Members, name: str) -> str | None:
    """Return a JSON Schema as it was written; None where there is none."""
    raw = members.get(name)
    return None if raw is None or is_null(raw) else json_text(raw)


def has_bounds(schema: str | None) -> bool:
    """Return whether a schema bounds numbers, lengths or counts, which Anthropic refuses where a
    model is held to it.

    Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs, on schemas.
    """
    if schema is None:
        return False
    return len(schema) > _BOUNDED_CHARS or _BOUND.search(schema) is not None


def is_open(schema: str | None) -> bool:
    """Return whether a schema lets members of an object be missing, or others be there, which
    OpenAI refuses where a model is held to it. Of one that is long it is not known.

    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
    """
    if schema is None or len(schema) > _SCHEMA_CHARS:
        return False
    waiting: list[object] = [leniently(as_any, msgspec.Raw(schema.encode()))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if _is_open_object(node):
                return True
            for name, value in node.items():
                if name in _BY_NAME and isinstance(value, dict):
                    waiting += value.values()
                elif name not in _VALUES:
                    waiting.append(value)
    return False


def _is_open_object(node: dict[str, object]) -> bool:
    properties, required = node.get("properties"), node.get("required")
    if not isinstance(properties, dict):
        properties = {}
        if node.get("type") != "object":
            return False
    named = (
        [each for each in required if isinstance(each, str)] if isinstance(required, list) else []
    )
    return node.get("additionalProperties") is not False or not properties.keys() <= set(named)


def checked_choice(
    reading: Reading, choice: ToolChoice | None, tools: Sequence[ToolOffer], offered: int
) -> ToolChoice | None:
    """Return the tool choice where it can be followed; a tool that must be called and is not
    carried is a decisive loss.

    Args: ``offered`` counts the tools of the request, those that are not carried included.
    """
    if choice is None or (not tools and not offered):
        return None
    known = {tool.name for tool in tools}
    lacks_one = choice.kind == "named" and not known.issuperset(choice.names)
    if lacks_one or (choice.kind == "any" and not tools):
        reading.lose("tool_choice", Weight.DECISIVE)
    return choice if tools and not lacks_one else None


def features_of(tools: Sequence[ToolOffer], choice: ToolChoice | None) -> Iterator[Feature]:
    """Yield what the tools ask of a target."""
    chars = 0
    for tool in tools:
        yield Feature.TOOLS
        if tool.is_strict:
            yield Feature.STRICT_TOOLS
            chars += len(tool.schema or "")
            if chars > _BOUNDED_CHARS or has_bounds(tool.schema):
                yield Feature.STRICT_BOUNDS
            if chars <= _SCHEMA_CHARS and is_open(tool.schema):
                yield Feature.STRICT_OPEN
        if tool.cache is not None:
            yield Feature.CACHE
    if choice is not None and choice.kind in ("any", "named"):
        yield Feature.FORCED_TOOLS


def features_of_output(output: OutputFormat | None) -> Iterator[Feature]:
    """Yield what the form of the response asks of a target."""
    if output is not None and has_bounds(output.schema):
        yield Feature.OUTPUT_BOUNDS
    if output is not None and output.is_strict and is_open(output.schema):
        yield Feature.OUTPUT_OPEN
