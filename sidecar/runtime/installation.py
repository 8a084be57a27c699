"""What this installation of the package is made of."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any, Final

ZSTD: Final = ("backports.zstd", "compression.zstd")
"""1 MiB. aiohttp and urllib3 load it wherever they find it; only `wire.content_coding` needs it."""
_FOR_SPANS: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def is_compiled() -> bool:
    """Return whether this installation's hot path is made of extension modules."""
    spec = importlib.util.find_spec("sidecar.proxy")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def can_export_spans() -> bool:
    """Return whether OpenTelemetry's SDK and its exporter are installed; imports neither."""
    return is_installed(*_FOR_SPANS)


def needs_extra(name: str) -> str:
    """Return what to do where a part of the package that this extra brings is not installed."""
    return f"needs the extra: pip install 'plano-sidecar[{name}]'"


def is_installed(*modules: str) -> bool:
    """Return whether all of these modules can be imported; imports none of them."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in modules)
    except ModuleNotFoundError:  # not even what they are part of
        return False


@contextlib.contextmanager
def without_default_certificates() -> Iterator[None]:
    """Let TLS contexts that are made meanwhile trust nobody, unless they are told whom: the
    system's certificates are not read, which takes 10 ms and 1 MiB for each context. For packages
    that make some when they are imported, whether they are used or not.
    """
    import ssl  # of no use to the commands that only print

    load = ssl.SSLContext.set_default_verify_paths
    ssl.SSLContext.set_default_verify_paths = _load_nothing  # type: ignore[assignment]
    try:
        yield
    finally:
        ssl.SSLContext.set_default_verify_paths = load  # type: ignore[method-assign]


def _load_nothing(*_: object) -> None:
    pass


@contextlib.contextmanager
def as_if_missing(*names: str) -> Iterator[None]:
    """Let what is imported meanwhile take some modules for ones that are not installed, unless they
    have been imported already. For packages that import optional parts wherever they find them.
    """
    hidden = [name for name in names if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    for name in hidden:
        modules[name] = None  # the import system's own word for a module that cannot be imported
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]
