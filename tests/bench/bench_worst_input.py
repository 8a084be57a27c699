"""Searches for the input below the limits that holds the event loop longest, and prints the worst
ones. Asserts nothing.

    python -m tests.bench.bench_worst_input [--part requests] [--endpoint /v1/messages] [--only deep]
        [--mib 31] [--worst 15] [--again 3] [--memory]

A sidecar runs in this process, its provider, router model and app in threads. What is printed is
the CPU time of the loop's thread in one turn of the loop: other threads and processes do not count.
First each shape is tried at the largest size that is read at once; the worst of them then at the
limit, at every endpoint. Part `compressed` sends them compressed, `patched` to a model of another
family than the one asked for, `forms` as uploads. The worst ones are tried again, since a busy
machine makes any input look bad: what is printed is the least of their times. The image has
MALLOC_TRIM_THRESHOLD_=131072, without which glibc copies what grows beyond some MiB. With ``--memory`` the worst are tried once more under
tracemalloc, and the peak is printed beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import logging
import socket
import socketserver
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.wire.body import AT_ONCE_BYTES
from tests.support import worst_inputs
from tests.support.in_process import running_app
from tests.support.sidecar_process import sidecar_config
from tests.support.translated import MODELS, PATHS, body_of

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
ENDPOINTS = {
    CHAT: b"messages",
    RESPONSES: b"input",
    MESSAGES: b"messages",
    "/v1/embeddings": b"input",
    "/v1/messages/count_tokens": b"messages",
    "/routing/v1/chat/completions": b"messages",
    "/routing/v1/responses": b"input",
    "/v1/files": b"messages",
}
COMPRESSED = ("zeros", "half emoji", "deep", "small turns", "escaped names", "one text, plain")
GOOD = b'{"id":"c","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1}}'
VERDICT = b'{"choices":[{"message":{"content":"{\\"route\\": \\"other\\"}"}}]}'
SMALL = b'{"messages":[{"role":"user","content":"hi"}],"model":"gpt-4o-mini"%b}'
KIB = 1024
TRANSLATED_BYTES = 3 * KIB * KIB - 4 * KIB
OTHER_MODELS: dict[str, dict[str, Any]] = {
    "openai/gpt-5": {"cache_hint": "body"},
    "deepseek/deepseek-chat": {"dialects": ["chat"]},
    "moonshotai/kimi-k2": {"dialects": ["messages"]},
}
"""Each refuses something of what others take."""
MIDDLE = AT_ONCE_BYTES - KIB
"""The largest size that is read at once, with what a shape puts around its filling."""
WAIT_S = 120
SHOWN_AT_ONCE_MS = 15
"""A busy machine may be what it is due to, so that the worst are tried again at the end."""


class Case(NamedTuple):
    """One call: what the app sends, and what comes back."""

    name: str
    size: int
    request: bytes
    reply: bytes
    verdict: bytes


class Found(NamedTuple):
    """How long a case held the loop at worst, in milliseconds."""

    held_ms: float
    case: Case
    took_ms: float
    answered: str


class Fake(socketserver.ThreadingTCPServer):
    """Reads requests and answers each with the same bytes."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.reply = b""
        super().__init__(("127.0.0.1", 0), _Conversation)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Conversation(socketserver.BaseRequestHandler):
    server: Fake

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            data = b""
            while b"\r\n\r\n" not in data:
                data += self.request.recv(1 << 16) or _gone()
            head, _, body = data.partition(b"\r\n\r\n")
            lengths = [
                line for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"
            ]
            left = (int(lengths[0][15:]) if lengths else 0) - len(body)
            while left > 0:
                left -= len(self.request.recv(1 << 20) or _gone())
            self.request.sendall(self.server.reply)


def _gone() -> bytes:
    raise ValueError


class LoopMeter:
    """The most CPU time that the loop's thread took between two ticks of the loop."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._last_s = time.thread_time()
        self._loop = asyncio.get_running_loop()
        self._tick()

    def reset(self) -> None:
        self._last_s, self.worst_s = time.thread_time(), 0.0

    def _tick(self) -> None:
        now_s = time.thread_time()
        self.worst_s = max(self.worst_s, now_s - self._last_s)
        self._last_s = now_s
        self._loop.call_soon(self._tick)


def whole(body: bytes, status: int = 200, kind: bytes = b"application/json") -> bytes:
    return (
        b"HTTP/1.1 %d OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (
            status,
            kind,
            len(body),
            body,
        )
    )


def stream(body: bytes, chunk_bytes: int = 0) -> bytes:
    """An event stream that ends with the connection, or in chunks of that many bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
    if not chunk_bytes:
        return head + b"\r\n" + body
    pieces = (body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def post(path: str, body: bytes, more: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return head.encode() + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def call(port: int, request: bytes) -> str:
    """Send a request and read all that comes; return the status line."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as app:
        first = b""
        with contextlib.suppress(ConnectionError):
            app.sendall(request)
        with contextlib.suppress(ConnectionError):
            while data := app.recv(1 << 18):
                first = first or data[:60]
        return first.partition(b"\r\n")[0].decode("latin-1")


class Search:
    """Tries cases against one sidecar, and keeps what it found."""

    def __init__(
        self, port: int, provider: Fake, router: Fake, arguments: argparse.Namespace
    ) -> None:
        self._port, self._provider, self._router = port, provider, router
        self._limit = int(arguments.mib * 2**20)
        self._arguments = arguments
        self._meter = LoopMeter()
        self.found: list[Found] = []

    async def measure(self, case: Case) -> Found:
        """Try a case once."""
        self._provider.reply, self._router.reply = case.reply, case.verdict
        gc.collect()
        await asyncio.sleep(0)
        self._meter.reset()
        began_s = time.perf_counter()
        try:
            answered = await asyncio.to_thread(call, self._port, case.request)
        except TimeoutError:
            answered = f"nothing in {WAIT_S} s"
        took_ms = (time.perf_counter() - began_s) * 1e3
        return Found(self._meter.worst_s * 1e3, case, took_ms, answered)

    async def run(self, case: Case) -> Found:
        """Try a case, unless `--only` leaves it out."""
        if self._arguments.only not in case.name:
            return Found(0.0, case, 0.0, "")
        found = await self.measure(case)
        self.found.append(found)
        if found.held_ms > SHOWN_AT_ONCE_MS:
            print(f"... {found.held_ms:.1f} ms: {case.name} ({case.size} bytes)", flush=True)
        return found

    async def worst(self, since: int) -> list[Found]:
        """Return the worst cases found, each with the least that it came to in several runs."""
        found = sorted(self.found[since:], key=lambda each: -each.held_ms)
        worst = []
        for each in found[: self._arguments.worst]:
            least = each
            for _ in range(self._arguments.again):
                least = min(least, await self.measure(each.case), key=lambda each: each.held_ms)
            worst.append(least)
        return sorted(worst, key=lambda each: -each.held_ms)

    async def ladder(self, cases: Iterator[tuple[str, Any]], make: Any) -> None:
        """Try each shape at a middle size, and the worst third of them at the limit."""
        first = [(await self.run(make(name, shape, MIDDLE)), name, shape) for name, shape in cases]
        first.sort(key=lambda each: -each[0].held_ms)
        for _, name, shape in first[: max(6, len(first) // 3)]:
            await self.run(make(name, shape, self._limit))

    async def requests(self) -> None:
        for path, key in ENDPOINTS.items():
            if self._arguments.endpoint not in ("", path):
                continue
            shapes = worst_inputs.bodies(key)

            def make(name: str, shape: worst_inputs.Shape, size: int, path: str = path) -> Case:
                body = shape(size)
                return Case(
                    f"{path} {name}", len(body), post(path, body), whole(GOOD), whole(VERDICT)
                )

            await self.ladder(iter(shapes.items()), make)

    async def compressed(self) -> None:
        """Whole bodies, and what makes decoders work hard; the limit is that of what is decoded."""
        for path in (CHAT, RESPONSES):
            key = ENDPOINTS[path]
            for coding, compress in worst_inputs.compressions().items():
                line = b"Content-Encoding: %b\r\n" % coding.encode()
                for name in COMPRESSED:
                    body = compress(worst_inputs.bodies(key)[name](self._limit))
                    request = post(path, body, line)
                    label = f"{path} {coding}: {name}"
                    await self.run(Case(label, len(body), request, whole(GOOD), whole(VERDICT)))
        for name, (coding, body) in worst_inputs.compressed(self._limit).items():
            request = post(CHAT, body, b"Content-Encoding: %b\r\n" % coding.encode())
            label = f"{coding}: {name}"
            await self.run(Case(label, len(body), request, whole(GOOD), whole(VERDICT)))

    async def patched(self) -> None:
        """Bodies that are sent to another model than their own, which refuses some of what they
        say.
        """
        for path in (CHAT, RESPONSES, MESSAGES):
            for number, model in enumerate(OTHER_MODELS):
                verdict = whole(VERDICT.replace(b"other", b"work %d" % number))
                for name, shape in worst_inputs.patched(ENDPOINTS[path]).items():
                    for size in (MIDDLE, self._limit):
                        request = post(path, shape(size))
                        label = f"{path} to {model}: {name}"
                        await self.run(Case(label, size, request, whole(GOOD), verdict))

    async def forms(self) -> None:
        """Uploads, in forms and as they are."""
        for path in ("/v1/audio/transcriptions", "/v1/files"):
            for name, (line, shape) in worst_inputs.forms().items():
                for size in (60 * KIB, self._limit):
                    body = shape(size)
                    request = post(path, body, line).replace(
                        b"Content-Type: application/json\r\n", b"", 1
                    )
                    label = f"{path} {name}"
                    await self.run(Case(label, size, request, whole(GOOD), whole(VERDICT)))

    async def targets(self) -> None:
        """Paths and queries of 60 KiB."""
        for name, target in worst_inputs.targets().items():
            for start in (b"", b"/v1/files/", b"/v1/chat/completions", b"/v1/models/"):
                request = post((start + target).decode(), SMALL % b"")
                label = f"target {start.decode()}: {name}"
                await self.run(Case(label, len(request), request, whole(GOOD), whole(VERDICT)))

    async def heads(self) -> None:
        for name, lines in worst_inputs.heads().items():
            request = post(CHAT, SMALL % b"", lines)
            await self.run(
                Case(f"head: {name}", len(request), request, whole(GOOD), whole(VERDICT))
            )
        for count, value in ((250, b"y" * 200), (250, b"timeout=1,"), (60, b"max-age=1," * 90)):
            lines = b"".join(
                b"x-%d: %b\r\nkeep-alive: %b\r\n" % (n, value, value) for n in range(count // 2)
            )
            reply = whole(GOOD).replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n", 1)
            await self.run(
                Case(
                    f"reply head of {count}",
                    len(reply),
                    post(CHAT, SMALL % b""),
                    reply,
                    whole(VERDICT),
                )
            )

    async def streams(self) -> None:
        for path in (CHAT, RESPONSES, MESSAGES):
            key = b"input" if path == RESPONSES else b"messages"
            request = post(path, b'{"%b":[],"model":"gpt-4o-mini","stream":true}' % key)
            for chunk_bytes in (0, 1, 4096):
                size = 256 * KIB if chunk_bytes == 1 else MIDDLE
                for name, shape in worst_inputs.streams().items():
                    reply = stream(shape(size), chunk_bytes)
                    label = f"{path} stream in chunks of {chunk_bytes}: {name}"
                    await self.run(Case(label, size, request, reply, whole(VERDICT)))

    async def replies(self) -> None:
        for path in (CHAT, RESPONSES, MESSAGES):
            key = b"input" if path == RESPONSES else b"messages"
            request = post(path, b'{"%b":[],"model":"gpt-4o-mini"}' % key)
            for size in (60 * KIB, 250 * KIB, 4 * MIDDLE):
                for name, shape in worst_inputs.replies().items():
                    reply = whole(shape(size))
                    await self.run(
                        Case(f"{path} reply: {name}", size, request, reply, whole(VERDICT))
                    )

    async def translated(self) -> None:
        """What providers of another API than the app's send, as long as may be translated."""
        for source, target in itertools.permutations(MODELS, 2):
            for shapes, is_stream in (
                (worst_inputs.translated_replies(target), False),
                (worst_inputs.translated_events(target), True),
            ):
                body = body_of(source) | {"model": MODELS[target], "stream": is_stream}
                request = post(PATHS[source], json.dumps(body).encode())
                for name, shape in shapes.items():
                    reply = shape(TRANSLATED_BYTES)
                    label = f"{source}>{target} {'stream' if is_stream else 'reply'}: {name}"
                    sent = stream(reply, 4096) if is_stream else whole(reply)
                    await self.run(Case(label, len(reply), request, sent, whole(VERDICT)))

    async def errors(self) -> None:
        for status in (200, 400, 403, 429, 500):
            for size in (60 * KIB, MIDDLE):
                for name, shape in worst_inputs.replies().items():
                    reply = whole(shape(size), status)
                    request = post(CHAT, SMALL % b"")
                    await self.run(
                        Case(f"error {status}: {name}", size, request, reply, whole(VERDICT))
                    )

    async def router(self) -> None:
        shapes = {**worst_inputs.verdicts(), **worst_inputs.replies()}
        for size in (15 * KIB, 60 * KIB, 250 * KIB):
            for number, (name, shape) in enumerate(shapes.items()):
                body = SMALL.replace(b"hi", b"%d of %d" % (number, size)) % b""
                verdict = whole(shape(size))
                await self.run(
                    Case(f"verdict: {name}", size, post(CHAT, body), whole(GOOD), verdict)
                )


def config_of(provider: Fake, router: Fake) -> dict[str, Any]:
    config = sidecar_config(provider.url)
    config["model_providers"].append({"model": "plano/Arch-Router", "base_url": router.url})
    config["passthrough"] = [{"path": "/v1/files", "provider": "openai"}]
    config["model_providers"] += [
        {"model": model, "base_url": provider.url, "access_key": "sk-demo", **more}
        for model, more in OTHER_MODELS.items()
    ]
    config["model_providers"] += [
        {"model": model, "dialects": [api], "access_key": "k", "base_url": provider.url}
        for api, model in MODELS.items()
    ]
    return config | {
        "routing_preferences": [
            {"name": f"work {n}", "description": f"work of kind {n}", "models": [model]}
            for n, model in enumerate((*OTHER_MODELS, *["openai/gpt-4o"] * 5))
        ],
        "overrides": {"llm_routing_model": "plano/Arch-Router"},
        "routing": {
            "signed_state": "strip",
            "router_timeout_ms": 5000,
            "session_body_keys": ["known_clients", "metadata.conversation"],
        },
        "logging": {"level": "error"},
    }


def show(found: list[Found], peaks: dict[Case, int], worst: int) -> None:
    print(f"{'held ms':>8} {'took ms':>8} {'bytes':>9} {'peak MiB':>8}  input -> answer")
    for each in sorted(found, key=lambda each: -each.held_ms)[:worst]:
        peak = f"{peaks[each.case] / 2**20:.1f}" if each.case in peaks else ""
        print(
            f"{each.held_ms:8.1f} {each.took_ms:8.0f} {each.case.size:9} {peak:>8}  {each.case.name} -> {each.answered}"
        )


async def search(arguments: argparse.Namespace, work: Path) -> None:
    provider, router = Fake(), Fake()
    provider.reply, router.reply = whole(GOOD), whole(VERDICT)
    async with running_app(config_of(provider, router), work) as app:
        searcher = Search(app.ports.data, provider, router, arguments)
        for part in arguments.part:
            before = len(searcher.found)
            await getattr(searcher, part)()
            count = len(searcher.found) - before
            found = await searcher.worst(before)
            peaks: dict[Case, int] = {}
            if arguments.memory:
                for each in found[: arguments.worst]:
                    tracemalloc.start()
                    await searcher.measure(each.case)
                    peaks[each.case] = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
            print(f"\n{part}: {count} inputs", flush=True)
            show(found, peaks, arguments.worst)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ["requests", "compressed", "patched", "forms", "targets", "heads", "streams"]
    parts.append("translated")
    parts += ["replies", "errors", "router"]
    parser.add_argument("--part", action="append", choices=parts)
    parser.add_argument("--mib", type=float, default=31)
    parser.add_argument("--worst", type=int, default=15)
    parser.add_argument("--again", type=int, default=3)
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--only", default="", help="a part of the names of inputs")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    arguments.part = arguments.part or parts
    logging.disable(logging.ERROR)
    import sidecar.wire.body

    print(
        "measured on", "compiled" if str(sidecar.wire.body.__file__).endswith(".so") else "sources"
    )
    with tempfile.TemporaryDirectory() as work:
        asyncio.run(search(arguments, Path(work)))


if __name__ == "__main__":
    main()
