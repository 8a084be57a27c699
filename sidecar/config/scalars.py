"""Types plain YAML scalars by the core schema of YAML 1.2: no ``yes``, no ``1:30``, no dates.

Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from typing import Final

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}")
_OCTAL: Final = re.compile(r"0o([0-7]{1,18})")
_HEX: Final = re.compile(r"0x([0-9a-fA-F]{1,15})")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def is_null(text: str) -> bool:
    """Return whether a plain scalar means that there is no value."""
    return text in _NULL


def to_bool(text: str) -> bool | None:
    """Return true or false; None for any other text."""
    return _BOOL.get(text)


def to_int(text: str) -> int | None:
    """Return a whole number of at most 18 digits, decimal, ``0o`` octal or ``0x`` hexadecimal; None
    for any other text.
    """
    if _INT.fullmatch(text):
        return int(text)
    for pattern, base in ((_OCTAL, 8), (_HEX, 16)):
        match = pattern.fullmatch(text)
        if match is not None:
            return int(match[1], base)
    return None


def to_float(text: str) -> float | None:
    """Return a finite number; None for any other text, infinities and NaN included."""
    whole = to_int(text)
    if whole is not None:
        return float(whole)
    if not _FLOAT.fullmatch(text):
        return None
    number = float(text)
    return None if number in {float("inf"), float("-inf")} else number


def is_text(text: str) -> bool:
    """Return whether a plain scalar is text: neither null nor a boolean nor any number."""
    is_number = _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text) or to_int(text) is not None
    return not (is_null(text) or text in _BOOL or is_number)
