"""What the commands share."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.commands import shell


def test_work_runs_in_a_loop_that_is_closed_behind_it():
    """And gives its result."""

    async def work():
        return asyncio.get_running_loop()

    assert shell.run_loop(work()).is_closed()


@pytest.mark.parametrize(
    ("log", "level"),
    [(shell.log_to_stderr, logging.INFO), (shell.log_warnings_to_stderr, logging.WARNING)],
)
def test_logs_go_to_stderr_from_a_level_on(log, level, monkeypatch, capsys):
    """The root logger is set up once, by the command."""
    root = logging.RootLogger(logging.NOTSET)
    monkeypatch.setattr(logging, "root", root)
    log()
    root.warning("careful")

    assert level == root.level
    assert capsys.readouterr().err.rstrip().endswith("WARNING root: careful")
