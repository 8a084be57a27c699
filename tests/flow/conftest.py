"""What the tests of whole requests share."""

from __future__ import annotations

import pytest

from sidecar.listener import server


@pytest.fixture(params=["own connections", "aiohttp's own loop"])
def either_listener_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test on our own connections, and again on aiohttp's request loop, which serves where
    this aiohttp lacks a name that our connections need.
    """
    if request.param != "own connections":
        monkeypatch.setattr(server, "missing_names", lambda: ["a name of the future"])
