"""What runs, and on what."""

from __future__ import annotations

import asyncio
import platform

from sidecar import __version__
from sidecar.telemetry.build_facts import build_facts


def test_the_loop_is_the_running_one_or_nothing():
    """A command that serves nothing has none."""

    async def in_a_loop() -> str:
        return build_facts("native").loop

    assert "" == build_facts("native").loop
    assert "asyncio" == asyncio.run(in_a_loop())


def test_versions_and_the_listener_path_are_told():
    """The three that a report of a defect needs."""
    facts = build_facts("native")

    assert (__version__, platform.python_version(), "native") == (
        facts.version,
        facts.python,
        facts.listener_path,
    )
