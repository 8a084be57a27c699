"""What the commands share."""

from __future__ import annotations

import asyncio
import io
import logging
import os

import pytest

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


def test_what_the_tracing_library_would_fail_at_is_taken_out_of_the_environment(
    tmp_path, monkeypatch
):
    """It reads the environment itself, in part while it is imported."""
    config = tmp_path / "c.yaml"
    config.write_text(
        "model_providers: [{model: openai/gpt-4o, access_key: a}]\n"
        "tracing: {random_sampling: 100}\n"
    )
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "7")
    loaded = shell.load_to_trace(config)

    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" not in os.environ
    assert "7" == os.environ["OTEL_SPAN_EVENT_COUNT_LIMIT"]
    assert 1 == len([each for each in loaded.warnings if "COUNT_LIMIT" in each])


@pytest.mark.parametrize(
    ("is_terminal", "environment", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(is_terminal, environment, expected, monkeypatch):
    """As https://no-color.org asks."""
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: is_terminal)

    assert expected is shell.is_coloured(out, environment)
