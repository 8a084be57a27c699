"""What an installation is made of."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from sidecar.runtime import installation


@pytest.mark.parametrize(("origin", "compiled"), [("x/proxy.py", False), ("x/proxy.so", True)])
def test_a_compiled_package_has_extension_modules(monkeypatch, origin, compiled):
    """Of the same names as the sources."""
    spec = SimpleNamespace(origin=origin)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)

    assert compiled == installation.is_compiled()
