"""What the commands share."""

from __future__ import annotations

import asyncio
import logging

from sidecar.commands import shell


def test_work_runs_in_a_loop_that_is_closed_behind_it():
    """And gives its result."""

    async def work():
        return asyncio.get_running_loop()

    assert shell.run_loop(work()).is_closed()


def test_warnings_of_commands_go_to_stderr(monkeypatch, capsys):
    """The root logger is set up once, by the command."""
    root = logging.RootLogger(logging.NOTSET)
    monkeypatch.setattr(logging, "root", root)
    shell.log_warnings_to_stderr()
    root.warning("careful")

    assert logging.WARNING == root.level
    assert capsys.readouterr().err.rstrip().endswith("WARNING root: careful")
