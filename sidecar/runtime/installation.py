"""What this installation of the package is made of."""

from __future__ import annotations

import importlib.util


def is_compiled() -> bool:
    """Return whether this installation's hot path is made of extension modules."""
    spec = importlib.util.find_spec("sidecar.proxy")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")
