"""A sidecar loads what it serves with: memory and start are paid in every pod."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

REDIS = {"routing": {"session_cache": {"type": "redis", "url": "redis://127.0.0.1:1/0"}}}
TRACING = {"tracing": {"otlp_endpoint": "http://127.0.0.1:1", "random_sampling": 1}}
CONFIG = {
    "version": "v0.4.0",
    "listeners": [{"type": "model", "name": "llm", "address": "127.0.0.1", "port": 0}],
    "admin": {"address": "127.0.0.1", "port": 0},
    "model_providers": [{"model": "openai/gpt-4o", "access_key": "k", "default": True}],
}
NEVER = {
    "concurrent.futures.process", "ctypes.util", "difflib", "distutils", "doctest", "multiprocessing",
    "mypy", "mypyc", "pdb", "pip", "pydoc", "setuptools", "sidecar.commands.author", "sidecar.commands.inspect",
    "sidecar.config.changes", "sidecar.config.hints", "sidecar.demo", "sidecar.doctor.report", "sidecar.translate", "sqlite3",
    "tkinter",
    "unittest", "xml", "backports.zstd", "compression.zstd",
}  # fmt: skip
"""Of commands, of developers, of bodies that no app has sent yet, or of nothing here."""
OF_TRACING = {"google", "opentelemetry", "requests", "stringprep"}
"""Packages that only an exporter of spans needs."""
LISTED = """
import asyncio, json, os, sys
sys.path[:] = json.loads(os.environ["PATHS"])
from pathlib import Path
from sidecar import cli, process
from sidecar.app import App
from sidecar.commands.shell import load_to_trace

async def main():
    async with App(load_to_trace(Path(sys.argv[1])), {}):
        print(json.dumps(sorted(sys.modules)))

asyncio.run(main())
"""
"""Without the `site` module, whose hooks load tools of the environment, such as coverage."""


def _loaded(tmp_path, more) -> set[str]:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(CONFIG | more))
    done = subprocess.run(
        [sys.executable, "-S", "-c", LISTED, str(config)],
        env={"PATHS": json.dumps(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return set(json.loads(done.stdout))


def _packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("more", "absent", "at_most"),
    [
        ({}, {"csv", "hiredis", "redis", "zipfile"} | OF_TRACING, 651),
        (REDIS, OF_TRACING, 745),
        (REDIS | TRACING, set(), 1007),
    ],
    ids=["memory", "redis", "redis and tracing"],
)
def test_a_serving_process_loads_no_more_than_it_serves_with(more, absent, at_most, tmp_path):
    """Each pod pays for it. What redis-py would load of OpenTelemetry is not loaded either."""
    loaded = _loaded(tmp_path, more)

    assert set() == absent & _packages(loaded)
    assert set() == NEVER & loaded
    assert len(loaded) <= at_most, sorted(loaded)
