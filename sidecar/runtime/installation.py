"""What this installation of the package is made of."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any, Final

NEEDS_REDIS: Final = "needs the extra: pip install 'plano-sidecar[redis]'"
NEEDS_OTEL: Final = "needs the extra: pip install 'plano-sidecar[otel]'"
_FOR_REDIS: Final = ("redis",)
_FOR_SPANS: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def is_compiled() -> bool:
    """Return whether this installation's hot path is made of extension modules."""
    spec = importlib.util.find_spec("sidecar.proxy")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def can_export_spans() -> bool:
    """Return whether OpenTelemetry's SDK and its exporter are installed; imports neither."""
    return _are_installed(_FOR_SPANS)


def can_reach_redis() -> bool:
    """Return whether the Redis client is installed; does not import it."""
    return _are_installed(_FOR_REDIS)


def _are_installed(modules: tuple[str, ...]) -> bool:
    try:
        return all(importlib.util.find_spec(name) is not None for name in modules)
    except ModuleNotFoundError:  # not even what they are part of
        return False


@contextlib.contextmanager
def as_if_missing(module: str) -> Iterator[None]:
    """Let what is imported meanwhile take a module for one that is not installed, unless it has
    been imported already. For packages that import optional parts wherever they find them.
    """
    if module in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules[module] = None  # the import system's own word for a module that cannot be imported
    try:
        yield
    finally:
        del modules[module]
