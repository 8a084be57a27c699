"""What this installation of the package is made of."""

from __future__ import annotations

import importlib.util
from typing import Final

_FOR_SPANS: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def is_compiled() -> bool:
    """Return whether this installation's hot path is made of extension modules."""
    spec = importlib.util.find_spec("sidecar.proxy")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def can_export_spans() -> bool:
    """Return whether OpenTelemetry's SDK and its exporter are installed; imports neither."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in _FOR_SPANS)
    except ModuleNotFoundError:  # not even what they are part of
        return False
