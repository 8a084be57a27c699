"""A sidecar loads what it serves with: memory and start are paid in every pod."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def _run(program: str, tmp_path: Path, more: dict[str, Any], *arguments: str) -> str:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(CONFIG | more))
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(config), *arguments],
        env={"PATHS": json.dumps(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def _loaded(tmp_path, more) -> set[str]:
    return set(json.loads(_run(LISTED, tmp_path, more)))


def _packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("more", "absent", "at_most", "with_pythons_own"),
    [
        ({}, {"csv", "hiredis", "redis", "zipfile"} | OF_TRACING, 429, 653),
        (REDIS, OF_TRACING, 506, 747),
        (REDIS | TRACING, set(), 756, 1009),
    ],
    ids=["memory", "redis", "redis and tracing"],
)
def test_a_serving_process_loads_no_more_than_it_serves_with(
    more, absent, at_most, with_pythons_own, tmp_path
):
    """Each pod pays for it. What redis-py would load of OpenTelemetry is not loaded either. Of how
    many modules Python's own are made is each version's business: they are counted on one.
    """
    # What is compiled together is one module more.
    loaded = {name for name in _loaded(tmp_path, more) if not name.endswith("__mypyc")}
    ours = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}

    assert set() == absent & _packages(loaded)
    assert set() == NEVER & loaded
    assert len(ours) <= at_most, sorted(ours)
    if sys.version_info[:2] == (3, 11):
        assert len(loaded) <= with_pythons_own, sorted(loaded)


OF_TWO_APIS = {
    "model_providers": [
        {"model": "openai/gpt-4o", "access_key": "k", "base_url": "http://127.0.0.1:1"},
        {
            "model": "anthropic/claude-sonnet-4-5",
            "access_key": "k",
            "base_url": "http://127.0.0.1:1",
        },
    ]
}
OF_ONE = {"model_providers": OF_TWO_APIS["model_providers"][:1]}
WHO_LOADS = """
import asyncio, json, os, sys, threading
sys.path[:] = json.loads(os.environ["PATHS"])
from pathlib import Path
from sidecar import cli, process
from sidecar.app import App
from sidecar.commands.shell import load_to_trace

ROOM = "sidecar.translate"
found = {"loop": 0, "others": 0, "threads": 0, "when ready": False}

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sidecar" and name.startswith(ROOM):
            is_loop = threading.current_thread() is threading.main_thread()
            found["loop" if is_loop else "others"] += 1

sys.meta_path.insert(0, Watch())

async def ask(port, api):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = "/v1/messages" if api == "messages" else "/v1/chat/completions"
    body = b'{"model":"openai/gpt-4o","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    writer.write(b"POST %b HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n"
        b"Content-Length: %d\\r\\n\\r\\n%b" % (path.encode(), len(body), body))
    await reader.read()

async def main():
    start = threading.Thread.start
    def started(thread):
        found["threads"] += thread.name == "load translate"
        start(thread)
    threading.Thread.start = started
    async with App(load_to_trace(Path(sys.argv[1])), {}) as app:
        found["when ready"] = ROOM in sys.modules
        for api in sys.argv[2:]:
            await asyncio.gather(*(ask(app.ports.data, api) for _ in range(8)))
        print(json.dumps(found))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("more", "calls", "threads"),
    [(OF_TWO_APIS, ["chat"], 0), (OF_ONE, ["chat"], 0), (OF_ONE, ["messages"], 1)],
    ids=["two APIs", "one API", "one API and a call of another"],
)
def test_what_translates_is_loaded_beside_the_loop_and_where_it_is_needed(
    more, calls, threads, tmp_path
):
    """With the first calls that need it; by one thread, however many they are."""
    found = json.loads(_run(WHO_LOADS, tmp_path, more, *calls))

    assert (0, threads, False) == (found["loop"], found["threads"], found["when ready"])
    assert (threads > 0) == (found["others"] > 0)
