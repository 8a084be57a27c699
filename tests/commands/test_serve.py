"""`run` and `demo` up to where a sidecar takes over; the flows drive them whole."""

from __future__ import annotations

from argparse import Namespace

import pytest

from sidecar import process
from sidecar.commands import serve, shell


@pytest.fixture
def served(monkeypatch):
    """What `run` wants to serve, instead of serving it."""
    calls = []

    async def fake(loaded, environ):
        calls.append(loaded)

    monkeypatch.setattr(process, "serve", fake)
    return calls


def test_run_serves_the_config(served, tmp_path):
    """With the warnings that the log begins with: of keys that are accepted and not served."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "model_providers:\n  - {model: openai/gpt-4o, access_key: sk-x}\n"
        "tracing: {span_attributes: {}}\n"
    )
    assert 0 == serve.run(Namespace(config=file))

    assert ["openai/gpt-4o"] == [provider.model for provider in served[0].providers]
    assert ["tracing.span_attributes"] == [warning.split(": ")[1] for warning in served[0].warnings]


def test_demo_returns_what_the_demo_returns(monkeypatch):
    """It fails where a call did not end as expected."""

    async def fake(*, once):
        return shell.FAILED if once else shell.OK

    monkeypatch.setattr(serve, "_show", fake)
    monkeypatch.setattr(serve, "log_warnings_to_stderr", lambda: None)

    assert [1, 0] == [serve.demo(Namespace(once=once)) for once in (True, False)]
