"""What a requested model stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.decision import Decision

_SHOWN_CHARACTERS: Final = 128
"""Of a name that an error repeats."""


@final
@dataclass(init=False, unsafe_hash=True)
class Resolved:
    """What a requested model stands for."""

    model_name: Final[str]
    """After alias: the configured model, as pins and lanes name it."""
    decision: Final[Decision]
    """The model's entries that speak the dialect, in config order, as requested or by default; then
    its fallbacks'.

    There may be none: then only a route can serve."""

    def __init__(
        self,
        model_name: str,
        decision: Decision,
    ) -> None:
        self.model_name = model_name
        self.decision = decision


@final
@dataclass(init=False, unsafe_hash=True)
class Listed:
    """A model or alias as ``GET /v1/models`` shows it."""

    name: Final[str]
    owner: Final[str]

    def __init__(
        self,
        name: str,
        owner: str,
    ) -> None:
        self.name = name
        self.owner = owner


def shorten(name: str) -> str:
    """Return a caller's name as an error repeats it: at most 128 characters."""
    return name if len(name) <= _SHOWN_CHARACTERS else name[: _SHOWN_CHARACTERS - 3] + "..."
