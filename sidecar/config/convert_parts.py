"""What all conversions of other tools' files need: what they make, how they read, how they write
keys. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from sidecar.config.address import is_header_name, is_header_value, names_credential
from sidecar.config.families import FAMILIES
from sidecar.config.yaml_nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    is_null,
    is_text,
    to_bool,
    to_float,
    to_int,
)

_VARIABLE: Final = re.compile(
    r"os\.environ/(\w+)|^env\.(\w+)$|\{\{\s*(?:env\.)?(\w+)\s*\}\}|\$\{?(\w+)\}?"
)


_READERS: Final = (to_bool, to_int, to_float)


class Converted(msgspec.Struct, frozen=True):
    """What came of a file."""

    config: dict[str, Any]
    """Ours, as YAML would hold it."""
    notes: tuple[str, ...]
    """``line N: what is not carried over, and why or what to do``."""


class KeyWriter:
    """Writes keys as references. One that stands in the file in clear is not repeated."""

    def __init__(self, notes: list[tuple[int, str]]) -> None:
        self._notes = notes
        self._variables: dict[str, str] = {}
        """By the key in clear."""

    def reference(self, written: str, family: str, line: int) -> str:
        """Return a reference to an environment variable, with a note where there was none."""
        if _VARIABLE.fullmatch(written):
            return reference_of(written)
        if written not in self._variables:
            row = FAMILIES.get(family)
            name = (row.key_variable if row else None) or f"{family.upper()}_API_KEY"
            taken = sum(each.startswith(name) for each in self._variables.values())
            self._variables[written] = f"{name}_{taken + 1}" if taken else name
        variable = self._variables[written]
        self._notes.append((line, f"a key in clear is not carried over: put it into ${variable}"))
        return f"${variable}"

    def headers(self, written: Mapping | None) -> dict[str, str]:
        """Return headers with references to variables as ours; with a note for each that is left
        out.
        """
        headers: dict[str, str] = {}
        for each in written.entries if written is not None else ():
            value = each.value.text if isinstance(each.value, Scalar) else ""
            if not is_header_name(each.key) or not value or not is_header_value(value):
                why = "it is no header"
            elif _VARIABLE.fullmatch(value):
                headers[each.key] = reference_of(value)
                continue
            elif names_credential(each.key):
                why = "it is a credential in clear"
            else:
                headers[each.key] = value.replace("$", "$$")
                continue
            what = f"extra_headers.{each.key} is not carried over: {why}"
            self._notes.append((each.line, what))
        return headers


def reference_of(text: str) -> str:
    """Return a text with other tools' references to environment variables written as ours."""
    return _VARIABLE.sub(lambda match: f"${{{next(filter(None, match.groups()))}}}", text)


def lines_of(notes: list[tuple[int, str]]) -> tuple[str, ...]:
    """Return notes as lines, in the file's order."""
    return tuple(f"line {line}: {what}" for line, what in sorted(notes))


def mapping_under(node: Node | None, key: str) -> Mapping | None:
    """Return the mapping under a key; None where there is none."""
    entry = node.get(key) if isinstance(node, Mapping) else None
    return entry.value if entry is not None and isinstance(entry.value, Mapping) else None


def text_under(node: Node | None, key: str) -> str:
    """Return the text under a key; empty where there is none, or null."""
    entry = node.get(key) if isinstance(node, Mapping) else None
    value = entry.value if entry is not None else None
    if not isinstance(value, Scalar) or (value.is_plain and is_null(value.text)):
        return ""
    return value.text


def data_of(node: Node) -> Any:  # noqa: ANN401 - plain data of any form
    """Return a node as plain data."""
    if isinstance(node, Mapping):
        return {each.key: data_of(each.value) for each in node.entries}
    if isinstance(node, Sequence):
        return [data_of(each) for each in node.items]
    if not node.is_plain or is_text(node.text):
        return node.text
    return next((value for read in _READERS if (value := read(node.text)) is not None), None)
