"""Reads the list of models that a provider serves at ``/models``. Pure, and never raises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

_IDS_AT_MOST: Final = 20_000
_ID: Final = re.compile(r"[!-~]{1,256}")
"""What is shown of a list is shown on a terminal: an id of anything else is left out."""
_PLACES: Final = ("data", "models")
"""Where the list stands: at OpenAI, Anthropic and compatible providers; at Ollama's own API."""
_NAMES: Final = ("id", "name", "model")
_GOOGLE: Final = "models/"
"""What stands before each id at Google."""
_DATE: Final = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|\d{4})")

_decode: Final = msgspec.json.Decoder().decode


def read_model_list(body: bytes) -> tuple[str, ...] | None:
    """Return the ids of a list of models, in its order; None for a body that is no such list."""
    try:
        decoded: Any = _decode(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(decoded, dict):
        lists = [each for place in _PLACES if isinstance(each := decoded.get(place), list)]
        decoded = lists[0] if lists else None
    if not isinstance(decoded, list):
        return None
    return tuple(found for each in decoded[:_IDS_AT_MOST] if (found := _id_of(each)) is not None)


def is_listed(model: str, listed: Sequence[str]) -> bool:
    """Return whether a list has a model, under its own id or a dated one that it stands for."""
    if model in listed:
        return True
    return any(
        each.startswith(model) and _DATE.fullmatch(each, len(model)) is not None for each in listed
    )


def _id_of(entry: object) -> str | None:
    if not isinstance(entry, dict):
        return None
    for name in _NAMES:
        found = entry.get(name)
        if isinstance(found, str) and _ID.fullmatch(found):
            return found.removeprefix(_GOOGLE)
    return None
