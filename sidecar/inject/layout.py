"""Writes plain data as YAML: as a block, one key or item a line, or in one line as JSON."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

_PLAIN: Final = re.compile(
    r"(?:--)?[A-Za-z/][A-Za-z0-9_./-]*(?:[:$(),][A-Za-z0-9_./$(),-]+)*|[0-9]+(?:m|Ki|Mi|Gi)"
)
"""Texts that need no quotes anywhere in a block."""
_NOT_TEXT: Final = frozenset(["y", "yes", "n", "no", "on", "off", "true", "false", "null"])
"""What looks like a text and is something else to a reader of YAML 1.1, in any case."""
_LINE_BREAKS: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that JSON takes as they are, and YAML reads as a break, or not at all."""


class Layout(msgspec.Struct, frozen=True):
    """How a block is indented, in spaces."""

    step: int = 2
    """What a mapping's keys stand behind the key that holds the mapping."""
    dash: int = 2
    """What a list's dashes stand behind the key that holds the list."""


def block_lines(value: Any, layout: Layout) -> list[str]:  # noqa: ANN401 - plain data of any form
    """Return a value as lines without their first indentation. A list's begin with dashes."""
    if isinstance(value, dict) and value:
        return [line for key, each in value.items() for line in _entry(key, each, layout)]
    if isinstance(value, list) and value:
        return [line for each in value for line in _item(each, layout)]
    return [scalar_text(value)]


def scalar_text(value: Any) -> str:  # noqa: ANN401
    """Return a single value, or an empty collection, as it stands in a block."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return flow_text(value)


def flow_text(value: Any) -> str:  # noqa: ANN401
    """Return a value as JSON in one line, which is YAML as well."""
    text = json.dumps(value, ensure_ascii=False)
    return _LINE_BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _entry(key: str, value: Any, layout: Layout) -> list[str]:  # noqa: ANN401
    head = f"{scalar_text(key)}:"
    if isinstance(value, dict | list) and value:
        indent = " " * (layout.step if isinstance(value, dict) else layout.dash)
        return [head, *(indent + line for line in block_lines(value, layout))]
    return [f"{head} {scalar_text(value)}"]


def _item(value: Any, layout: Layout) -> list[str]:  # noqa: ANN401
    first, *rest = block_lines(value, layout)
    return [f"- {first}", *(f"  {line}" for line in rest)]
