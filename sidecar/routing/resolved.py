"""What a requested model stands for."""

from __future__ import annotations

import msgspec

from sidecar.domain.decision import Decision


class Resolved(msgspec.Struct, frozen=True):
    """What a requested model stands for."""

    model_name: str
    """After alias: the configured model, as pins and lanes name it."""
    decision: Decision
    """The model's entries that speak the dialect, in config order, as requested or by default."""


class Listed(msgspec.Struct, frozen=True):
    """A model or alias as ``GET /v1/models`` shows it."""

    name: str
    owner: str
