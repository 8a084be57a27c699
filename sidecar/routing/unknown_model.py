"""What an app is told that asks for a model which is not configured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.domain.errors import ModelNotFound
from sidecar.routing.resolved import shorten

_LISTED_AT_MOST: Final = 20
"""Known names that a 404 lists: enough to see a typo, short enough for a log line."""


def unknown_model(
    requested_model: str | None, names: Sequence[str], prefixes: Sequence[str]
) -> ModelNotFound:
    """Return the error that leads on: to a known name, or to how a wildcard's model is written.

    Args: ``requested_model`` is None where the app names none; ``names`` are those of models and
        aliases; ``prefixes`` those of wildcards that could serve the call.
    """
    ways = []
    if names:
        more = ", ..." if len(names) > _LISTED_AT_MOST else ""
        ways.append(f"known: {', '.join(names[:_LISTED_AT_MOST])}{more}")
    if prefixes:
        wildcards = ", ".join(f"{prefix}/*" for prefix in prefixes[:_LISTED_AT_MOST])
        example = _example_of(requested_model or "", prefixes)
        ways.append(f"any model of {wildcards} by its full name, as in {example}")
    return ModelNotFound(
        f"{_fault_of(requested_model)}; {'; '.join(ways) or 'no model is configured'}",
        param="model",
    )


def _fault_of(requested_model: str | None) -> str:
    if requested_model is None:
        return "the request names no model, and no entry is the default"
    if requested_model.endswith("/*") or requested_model == "*":
        return f"{shorten(requested_model)!r} is a wildcard, which is no model"
    return f"model {shorten(requested_model)!r} is not configured"


def _example_of(requested_model: str, prefixes: Sequence[str]) -> str:
    """Return the full name of the bare id that was asked for, or one that shows its form."""
    prefix, slash, _ = requested_model.partition("/")
    if slash or not prefix or prefix == "*" or not prefix.isprintable():
        return f"{prefix if prefix in prefixes else prefixes[0]}/MODEL"
    return f"{prefixes[0]}/{shorten(requested_model)}"
