"""Follows calls through the sidecar and counts the functions entered, by room. Prints; what must
not grow is asserted by tests/flow/test_functions_entered.py.

Run on the sources: ``python -m tests.bench.trace_calls [redis://...]``; compiled functions are not
seen.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import json
import math
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import sidecar
from sidecar.app import App
from sidecar.config.load import load_config
from sidecar.demo.provider import DemoProvider
from sidecar.demo.router_model import DemoRouterModel
from sidecar.demo.scenario import sidecar_yaml

ROOT = f"{Path(sidecar.__file__).parent}/"
RESUMABLE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
CALLS: dict[str, tuple[str, str]] = {
    "pinned": ("Write a function", "s1"),
    "routed": ("Write a function that sorts things", "s2"),
    "failed over": ("Translate this mail into French", "s3"),
}
"""Name -> what is said, and in which session. The demo's translation provider is down."""


class Entered(NamedTuple):
    """One function that a call has entered."""

    module: str
    """Its path inside the package."""
    name: str


class Tracer:
    """Notes every function of the package that is entered, but those of the demo."""

    def __init__(self) -> None:
        self.entered: list[Entered] = []

    def __enter__(self) -> list[Entered]:
        sys.setprofile(self._note)
        return self.entered

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(ROOT):
            return
        module = code.co_filename.removeprefix(ROOT)
        is_resumed = code.co_flags & RESUMABLE and frame.f_lasti > 4
        if not module.startswith("demo/") and not is_resumed:
            self.entered.append(Entered(module, code.co_qualname))


class Connection(NamedTuple):
    """An app's connection to the sidecar."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, text: str, session_id: str) -> None:
        """Make a chat call and read the response."""
        body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
        data = json.dumps(body).encode()
        self.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer x\r\n"
            b"User-Agent: OpenAI/Python\r\nAccept: application/json\r\nx-stainless-lang: python\r\n"
            b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
            b"x-model-affinity: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (session_id.encode(), len(data), data)
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        await self.reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))


@contextlib.asynccontextmanager
async def running(redis_url: str | None) -> AsyncIterator[tuple[App, Connection]]:
    """Start the demo's sidecar, and connect to it."""
    async with DemoProvider() as provider, DemoRouterModel() as router:
        config = sidecar_yaml(provider_url=provider.url, router_url=router.url, redis_url=redis_url)
        with tempfile.TemporaryDirectory() as work:
            file = Path(work) / "sidecar.yaml"
            file.write_text(config)
            async with App(load_config(file, {})) as app:
                await app.foundation.store.wait_until_up()
                # Of a busy sidecar's calls ten a second are kept for pages: these are the others.
                app.foundation.telemetry.calls.feed.due_s = math.inf
                reader, writer = await asyncio.open_connection("127.0.0.1", app.ports.data)
                yield app, Connection(reader, writer)
                writer.close()


async def trace_calls(redis_url: str | None) -> dict[str, list[Entered]]:
    """Return what each of `CALLS` enters, until nothing more happens for it."""
    traces: dict[str, list[Entered]] = {}
    async with running(redis_url) as (_, connection):
        for _ in range(2):  # connections are made, series and plans kept
            await connection.ask(*CALLS["pinned"])
            await asyncio.sleep(0.05)  # sleep: as below
        for name, (text, session_id) in CALLS.items():
            with Tracer() as entered:
                await connection.ask(text, session_id)
                await asyncio.sleep(0.05)  # sleep: what is done behind the response
            traces[name] = list(entered)
    return traces


def main() -> None:
    """Print how many functions each call enters, by room."""
    redis_url = sys.argv[1] if len(sys.argv) > 1 else None
    for name, entered in asyncio.run(trace_calls(redis_url)).items():
        modules = {each.module for each in entered}
        rooms = collections.Counter(each.module.partition("/")[0] for each in entered)
        print(f"{name}: {len(entered)} functions entered, {len(modules)} modules")
        print("  " + ", ".join(f"{room} {count}" for room, count in rooms.most_common()))


if __name__ == "__main__":
    main()
