"""Runs the demo: a provider, a router model and two sidecars on loopback, the calls of the
scenario, and a table of what each came to.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, TextIO

import aiohttp
import msgspec

from sidecar.demo.provider import DemoProvider
from sidecar.demo.request import Json
from sidecar.demo.router_model import DemoRouterModel
from sidecar.demo.scenario import CHAT_PATH, MESSAGES_PATH, STEPS, DemoCall, sidecar_yaml
from sidecar.demo.shared_store import running_redis

TOKEN_GAP_S: Final = 0.02
"""Fifty tokens a second: the pace of a mid-size hosted model."""

_STORE_UP: Final = b"plano_sidecar_affinity_store_up 1.0"
_PINS_IN_MEMORY: Final = (
    "in each sidecar's memory: no redis-server on PATH starts (or the redis extra is missing)"
)
_CALL_LIMIT_S: Final = 30.0
_COLUMNS: Final = (
    *("#", "via", "call", "requested", "served by", "source", "route", "tries"),
    *("status", "first byte", "total", "what came"),
)
_RIGHT_ALIGNED: Final = frozenset({"#", "tries", "status", "first byte", "total"})


class SidecarHandle(msgspec.Struct, frozen=True):
    """Where a started sidecar listens: base URLs without a slash at the end."""

    data_url: str
    admin_url: str
    operators_url: str


StartSidecar = Callable[[Path], AbstractAsyncContextManager[SidecarHandle]]
"""Starts a sidecar from a config file; leaving the context stops it."""


class CallResult(msgspec.Struct, frozen=True):
    """What one call of the scenario came to."""

    first_byte_s: float
    total_s: float
    summary: str
    status: int = 0
    """0: the call could not be made."""
    headers: Mapping[str, str] = {}

    def sidecar_says(self, name: str) -> str:
        """Return the value of a header field that the sidecar adds; a dash without it."""
        return self.headers.get(f"x-plano-{name}", "-")


async def run_demo(
    *,
    once: bool,
    start_sidecar: StartSidecar,
    out: TextIO,
    stop: asyncio.Event,
    redis_program: str | None = None,
) -> int:
    """Make the calls and print the table; unless ``once``, stay up for curl until ``stop`` is set.

    Args: ``redis_program`` keeps the pins; None: each sidecar keeps its own in memory.
    Returns: 0 if every call ended as expected, 1 otherwise.
    """
    async with contextlib.AsyncExitStack() as stack:
        # What is entered first is left last: sidecars close their connections before servers do.
        provider = await stack.enter_async_context(DemoProvider(token_gap_s=TOKEN_GAP_S))
        router = await stack.enter_async_context(DemoRouterModel())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plano-sidecar-demo-")))
        redis_url = redis_program and await stack.enter_async_context(
            running_redis(redis_program, work)
        )
        config = work / "sidecar.yaml"
        yaml = sidecar_yaml(provider_url=provider.url, router_url=router.url, redis_url=redis_url)
        config.write_text(yaml, encoding="utf-8")
        sidecars = {
            via: await stack.enter_async_context(start_sidecar(config)) for via in ("A", "B")
        }
        pins = f"{redis_url}, shared by both sidecars" if redis_url else _PINS_IN_MEMORY
        servers = {"provider": provider.url, "router model": router.url, "pins": pins}
        _introduce(out, servers, sidecars)
        if redis_url is not None:
            await _until_shared(sidecars)
        as_expected = await _play(STEPS, sidecars, out)
        if not once:
            _invite(out, sidecars, config)
            await stop.wait()
    return 0 if as_expected else 1


async def _play(steps: Sequence[DemoCall], sidecars: dict[str, SidecarHandle], out: TextIO) -> bool:
    """Make the calls in order and print the table. Returns: whether all ended as expected."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    surprises: list[str] = []
    timeout = aiohttp.ClientTimeout(total=_CALL_LIMIT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for number, step in enumerate(steps, 1):
            result = await _make_call(session, sidecars[step.via].data_url, step)
            rows.append(_row(number, step, result))
            if result.status != step.expected_status:
                wrong = f"expected {step.expected_status}, got {result.status}"
                surprises.append(f"call {number} ({step.label}): {wrong}")
    _print_table(rows, out)
    out.writelines(f"{surprise}\n" for surprise in surprises)
    if not surprises:
        out.write(f"\nAll {len(steps)} calls ended as expected, the two failures among them.\n")
    out.flush()
    return not surprises


async def _make_call(session: aiohttp.ClientSession, base_url: str, step: DemoCall) -> CallResult:
    """Make one call and read its reply to the end."""
    headers = {"authorization": "Bearer sk-app"}
    if step.path.startswith(MESSAGES_PATH):
        headers["anthropic-version"] = "2023-06-01"
    if step.session is not None:
        headers["x-model-affinity"] = step.session
    method = "GET" if step.body is None else "POST"
    url = base_url + step.path
    began_s = time.monotonic()
    first_byte_s, body = 0.0, b""
    try:
        async with session.request(method, url, json=step.body, headers=headers) as response:
            async for part in response.content.iter_any():
                first_byte_s = first_byte_s or time.monotonic() - began_s
                body += part
    except (aiohttp.ClientError, TimeoutError) as error:
        total_s = time.monotonic() - began_s
        return CallResult(first_byte_s, total_s, f"{type(error).__name__}: {error}")
    total_s = time.monotonic() - began_s
    if "event-stream" in response.content_type:
        summary = f"{body.count(b'data: ')} events" + _tokens(_streamed_usage(body))
    else:
        summary = _summary(response.headers.get("x-plano-error"), body)
    translated = response.headers.get("x-plano-translated")
    summary += "" if translated is None else f", {translated}"
    return CallResult(first_byte_s, total_s, summary, response.status, response.headers)


def _summary(error_code: str | None, body: bytes) -> str:
    """Say in a few words what a response contains: its tokens, an error, or how many of what."""
    try:
        decoded = msgspec.json.decode(body, type=Json)
    except msgspec.DecodeError:
        return f"{len(body)} bytes"
    error, data, models = decoded.get("error"), decoded.get("data"), decoded.get("models")
    usage = decoded.get("usage")
    if error_code:
        summary = f"{error_code} (sidecar)"
    elif isinstance(error, dict):
        summary = f"{error.get('code') or error.get('type')} (provider)"
    elif isinstance(models, list):
        summary = "would go to " + ", then ".join(map(str, models))
    elif isinstance(data, list):
        summary = f"{len(data)} {'models' if usage is None else 'vectors'}"
    elif "input_tokens" in decoded:
        summary = f"{decoded['input_tokens']} tokens counted"
    else:
        summary = "1 response" + _tokens(usage if isinstance(usage, dict) else {})
    return summary


def _streamed_usage(body: bytes) -> Json:
    """Return the last usage that a stream reports; empty if it reports none."""
    usage: Json = {}
    for line in body.split(b"\n"):
        if line.startswith(b"data: {"):
            event = msgspec.json.decode(line[6:])
            inner = event.get("response") or event.get("message") or {}
            usage = event.get("usage") or inner.get("usage") or usage
    return usage


def _tokens(usage: Json) -> str:
    tokens_in = usage.get("input_tokens", usage.get("prompt_tokens"))
    tokens_out = usage.get("output_tokens", usage.get("completion_tokens"))
    return "" if tokens_in is None else f", {tokens_in} tokens in, {tokens_out} out"


def _row(number: int, step: DemoCall, result: CallResult) -> tuple[str, ...]:
    times = f"{result.first_byte_s * 1000:.1f} ms", f"{result.total_s * 1000:.1f} ms"
    decided = [result.sidecar_says(name) for name in ("model", "source", "route", "attempts")]
    call = (str(number), step.via, step.label, step.requested_model)
    return (*call, *decided, str(result.status), *times, result.summary)


def _print_table(rows: Sequence[tuple[str, ...]], out: TextIO) -> None:
    """Print rows under their heads, each column as wide as its widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    for row in (rows[0], rule, *rows[1:]):
        cells = (
            cell.rjust(width) if head in _RIGHT_ALIGNED else cell.ljust(width)
            for head, cell, width in zip(_COLUMNS, row, widths, strict=True)
        )
        out.write("  ".join(cells).rstrip() + "\n")


async def _until_shared(sidecars: dict[str, SidecarHandle]) -> None:
    """Wait until every sidecar is connected to Redis: a sidecar is ready before that."""
    async with asyncio.timeout(_CALL_LIMIT_S), aiohttp.ClientSession() as session:
        for sidecar in sidecars.values():
            while True:
                async with session.get(sidecar.admin_url + "/metrics") as response:
                    if _STORE_UP in await response.read():
                        break
                await asyncio.sleep(0.02)


def _introduce(out: TextIO, servers: dict[str, str], sidecars: dict[str, SidecarHandle]) -> None:
    """Print what runs where."""
    out.write(
        "One provider and one router model that need no key, and two sidecars in front of them:\n\n"
    )
    out.writelines(f"  {name:13} {place}\n" for name, place in servers.items())
    out.writelines(
        f"  sidecar {via}     {at.data_url}   admin {at.admin_url}   operators {at.operators_url}\n"
        for via, at in sidecars.items()
    )
    out.write("\n")
    out.flush()


def _invite(out: TextIO, sidecars: dict[str, SidecarHandle], config: Path) -> None:
    """Print calls to make by hand."""
    a, b = sidecars["A"], sidecars["B"]
    json_type = "-H 'content-type: application/json'"
    said = '"messages": [{"role": "user", "content": "Hello there"}]'
    out.write(
        f"\nBoth sidecars run on the config in {config}.\nTry them; Ctrl-C ends the demo.\n\n"
        f"""  curl -s {a.data_url}{CHAT_PATH} {json_type} -d '{{"model": "fast", {said}}}'\n\n"""
        f"  curl -sN {b.data_url}{MESSAGES_PATH} {json_type} "
        f"""-d '{{"model": "claude-sonnet-5", "max_tokens": 99, "stream": true, {said}}}'\n\n"""
        f"""  curl -si {a.data_url}{CHAT_PATH} {json_type} -d '{{"model": "gpt-99", {said}}}'\n\n"""
        f"  curl -s {a.admin_url}/metrics\n\n"
        f"  curl -s '{a.operators_url}/clusters?format=text'\n\n"
        f"  curl -s {a.operators_url}/affinity/\n\n"
    )
    out.flush()
