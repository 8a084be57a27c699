"""`run` and `demo` up to where a sidecar takes over; the flows drive them whole."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace

import pytest

from sidecar import process
from sidecar.commands import serve, shell

TRUSTED = """
import gc, ssl, sys
from argparse import Namespace
from pathlib import Path
from sidecar.commands import serve

def look(work):
    work.close()
    contexts = [each for each in gc.get_objects() if isinstance(each, ssl.SSLContext)]
    trusted = sum(each.cert_store_stats()["x509"] for each in contexts)
    print(f"contexts {bool(contexts)}, trusted {trusted}")

serve.run_loop = look
serve.run(Namespace(config=Path(sys.argv[1]), file=None, mode=None, termination_grace=None))
"""
"""`run` up to where it serves: whom all TLS contexts of the process trust."""


@pytest.fixture
def served(monkeypatch):
    """What `run` wants to serve, instead of serving it."""
    calls = []

    async def fake(loaded, environ, pod):
        calls.append((loaded, pod))

    monkeypatch.setattr(process, "serve", fake)
    return calls


def test_run_serves_the_config(served, tmp_path):
    """With the warnings that the log begins with: of keys that are accepted and not served."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "model_providers:\n  - {model: openai/gpt-4o, access_key: sk-x, default: true}\n"
        "tracing: {span_attributes: {}}\n"
    )
    arguments = Namespace(config=file, file=None, mode="native", termination_grace=None)
    assert 0 == serve.run(arguments)

    ((loaded, pod),) = served
    assert ["openai/gpt-4o"] == [provider.model for provider in loaded.providers]
    assert ["tracing.span_attributes"] == [warning.split(": ")[1] for warning in loaded.warnings]
    assert process.PodFacts(process.NATIVE) == pod


def test_run_reads_no_certificates_that_no_provider_needs(tmp_path):
    """The client of aiohttp would: each pod would pay for whom it trusts, and never ask it."""
    file = tmp_path / "c.yaml"
    file.write_text("model_providers: [{model: vllm/m, base_url: http://127.0.0.1:1}]\n")
    command = [sys.executable, "-c", TRUSTED, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ("contexts True, trusted 0\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("termination_grace_s", "drain_grace_s"), [(None, None), (30, 25), (600, 595), (6, 4)]
)
def test_a_drain_leaves_time_before_the_pods_grace_is_spent(termination_grace_s, drain_grace_s):
    """The last error events, pins and spans; of a short grace a third is kept for them."""
    pod = process.PodFacts(process.CONTAINER, termination_grace_s)

    assert drain_grace_s == pod.drain_grace_s()


def test_demo_returns_what_the_demo_returns(monkeypatch):
    """It fails where a call did not end as expected."""

    async def fake(*, once):
        return shell.FAILED if once else shell.OK

    monkeypatch.setattr(serve, "_show", fake)
    monkeypatch.setattr(serve, "log_warnings_to_stderr", lambda: None)

    assert [1, 0] == [serve.demo(Namespace(once=once)) for once in (True, False)]


_END = """
import asyncio, os, signal
from sidecar.process import _disregard_signals
from sidecar.runtime.lifecycle import fast_loop_factory

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

class AtTheVeryEnd:
    def __del__(self, kill=os.kill, pid=os.getpid(), numbers=NUMBERS):
        for number in numbers:
            kill(pid, number)

async def work():
    loop = asyncio.get_running_loop()
    for number in NUMBERS:
        loop.add_signal_handler(number, print)
    _disregard_signals(loop)

with asyncio.Runner(loop_factory=fast_loop_factory()) as runner:
    runner.run(work())
signal.at_the_very_end = AtTheVeryEnd()
"""


def test_a_signal_at_the_very_end_does_not_change_the_exit_code():
    """The loop, and the interpreter's end, would restore what ends a process."""
    ended = subprocess.run([sys.executable, "-c", _END], check=False, capture_output=True)

    assert (0, b"", b"") == (ended.returncode, ended.stdout, ended.stderr)
