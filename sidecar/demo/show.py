"""The demo: a provider, a router model and two sidecars on loopback, a scripted conversation, a
table of what came.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, TextIO

import aiohttp
import msgspec

from sidecar.demo.ask import Json
from sidecar.demo.provider import DemoProvider
from sidecar.demo.router_model import DemoRouterModel
from sidecar.demo.scenario import CHAT_PATH, MESSAGES_PATH, STEPS, Step, sidecar_yaml
from sidecar.demo.shared_store import running_redis

TOKEN_GAP_S: Final = 0.02
"""Fifty tokens a second: the pace of a mid-size hosted model."""

_STORE_UP: Final = b"plano_sidecar_affinity_store_up 1.0"
_KEPT_REQUESTS: Final = 16
_CALL_LIMIT_S: Final = 30.0
_COLUMNS: Final = (
    "#",
    "via",
    "call",
    "requested",
    "answered by",
    "source",
    "route",
    "tries",
    "status",
    "first byte",
    "total",
    "what came",
)
_RIGHT_ALIGNED: Final = frozenset({"#", "tries", "status", "first byte", "total"})


class SidecarHandle(msgspec.Struct, frozen=True):
    """Where a started sidecar listens: base URLs without a slash at the end."""

    data_url: str
    admin_url: str


StartSidecar = Callable[[Path], AbstractAsyncContextManager[SidecarHandle]]
"""Starts a sidecar from a config file; leaving the context stops it."""


class Seen(msgspec.Struct, frozen=True):
    """What one call of the script came to. Durations in seconds."""

    status: int
    answered_by: str
    source: str
    route: str
    tries: str
    first_byte_s: float
    total_s: float
    summary: str


async def run_demo(
    *,
    once: bool,
    start_sidecar: StartSidecar,
    out: TextIO,
    stop: asyncio.Event,
    redis_program: str | None = None,
) -> int:
    """Run the script and print it; then, unless ``once``, stay up for curl until ``stop`` is set.

    Args: ``redis_program`` is run to hold the pins; None: each sidecar's memory does.
    Returns: 0 if every call ended as expected, 1 otherwise.
    """
    async with contextlib.AsyncExitStack() as stack:
        # First in, last out: the sidecars close their connections before the servers that they hold
        # them to.
        provider = await stack.enter_async_context(
            DemoProvider(token_gap_s=TOKEN_GAP_S, record=_KEPT_REQUESTS)
        )
        router = await stack.enter_async_context(DemoRouterModel(record=_KEPT_REQUESTS))
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
        _introduce(
            out,
            [("provider", provider.url), ("router model", router.url), _told_of(redis_url)],
            sidecars,
        )
        if redis_url is not None:
            await _until_shared(sidecars)
        expected = await _play(STEPS, sidecars, out)
        if not once:
            _invite(out, sidecars, config)
            await stop.wait()
    return 0 if expected else 1


async def _play(steps: Sequence[Step], sidecars: dict[str, SidecarHandle], out: TextIO) -> bool:
    """Make the calls in order and print the table. Returns: whether all ended as expected."""
    rows: list[tuple[str, ...]] = [_COLUMNS]
    surprises: list[str] = []
    timeout = aiohttp.ClientTimeout(total=_CALL_LIMIT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for number, step in enumerate(steps, 1):
            seen = await _make_call(session, sidecars[step.via].data_url, step)
            rows.append(_row(number, step, seen))
            if seen.status != step.expected_status:
                surprises.append(
                    f"call {number} ({step.label}): expected {step.expected_status}, got "
                    f"{seen.status}"
                )
    _print_table(rows, out)
    out.writelines(f"{surprise}\n" for surprise in surprises)
    if not surprises:
        out.write(f"\nAll {len(steps)} calls ended as expected, the two failures among them.\n")
    out.flush()
    return not surprises


async def _make_call(session: aiohttp.ClientSession, base_url: str, step: Step) -> Seen:
    """Make one call and read it to its end. A call that cannot be made counts as status 0."""
    headers = {"authorization": "Bearer sk-app"}
    if step.path.startswith(MESSAGES_PATH):
        headers["anthropic-version"] = "2023-06-01"
    if step.session_id is not None:
        headers["x-model-affinity"] = step.session_id
    began_s = time.monotonic()
    first_byte_s, body = 0.0, b""
    try:
        method = "GET" if step.body is None else "POST"
        async with session.request(
            method, base_url + step.path, json=step.body, headers=headers
        ) as reply:
            async for part in reply.content.iter_any():
                first_byte_s = first_byte_s or time.monotonic() - began_s
                body += part
    except (aiohttp.ClientError, TimeoutError) as error:
        return Seen(
            0,
            "-",
            "-",
            "-",
            "-",
            first_byte_s,
            time.monotonic() - began_s,
            f"{type(error).__name__}: {error}",
        )
    return Seen(
        status=reply.status,
        answered_by=reply.headers.get("x-plano-model", "-"),
        source=reply.headers.get("x-plano-source", "-"),
        route=reply.headers.get("x-plano-route", "-"),
        tries=reply.headers.get("x-plano-attempts", "-"),
        first_byte_s=first_byte_s,
        total_s=time.monotonic() - began_s,
        summary=_summary(
            reply.headers.get("x-plano-error"), body, is_stream="event-stream" in reply.content_type
        ),
    )


def _summary(error_code: str | None, body: bytes, *, is_stream: bool) -> str:
    """A few words on an answer: its tokens, or what else it holds."""
    if is_stream:
        return f"{body.count(b'data: ')} events" + _tokens(_streamed_usage(body))
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        return f"{len(body)} bytes"
    error, data, usage = answer.get("error"), answer.get("data"), answer.get("usage")
    if isinstance(error, dict):
        return (
            f"{error_code} (sidecar)"
            if error_code
            else f"{error.get('code') or error.get('type')} (provider)"
        )
    models = answer.get("models")
    if isinstance(models, list):
        summary = "would go to " + ", then ".join(map(str, models))
    elif isinstance(data, list):
        summary = f"{len(data)} {'models' if usage is None else 'vectors'}"
    elif "input_tokens" in answer:
        summary = f"{answer['input_tokens']} tokens counted"
    else:
        summary = "1 answer" + _tokens(usage if isinstance(usage, dict) else {})
    return summary


def _streamed_usage(body: bytes) -> Json:
    """The last usage that a stream told; empty if it told none."""
    usage: Json = {}
    for line in body.split(b"\n"):
        if line.startswith(b"data: {"):
            event = msgspec.json.decode(line[6:])
            found = event.get("usage") or (event.get("response") or event.get("message") or {}).get(
                "usage"
            )
            usage = found or usage
    return usage


def _tokens(usage: Json) -> str:
    tokens_in = usage.get("input_tokens", usage.get("prompt_tokens"))
    tokens_out = usage.get("output_tokens", usage.get("completion_tokens"))
    return "" if tokens_in is None else f", {tokens_in} tokens in, {tokens_out} out"


def _row(number: int, step: Step, seen: Seen) -> tuple[str, ...]:
    times = f"{seen.first_byte_s * 1000:.1f} ms", f"{seen.total_s * 1000:.1f} ms"
    known = (step.via, step.label, step.requested_model, seen.answered_by, seen.source)
    why = (seen.route, seen.tries, str(seen.status))
    return (str(number), *known, *why, *times, seen.summary)


def _print_table(rows: Sequence[tuple[str, ...]], out: TextIO) -> None:
    """Print rows under their heads, in columns as wide as their widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    for row in (rows[0], rule, *rows[1:]):
        cells = (
            cell.rjust(width) if head in _RIGHT_ALIGNED else cell.ljust(width)
            for head, cell, width in zip(_COLUMNS, row, widths, strict=True)
        )
        out.write("  ".join(cells).rstrip() + "\n")


def _told_of(redis_url: str | None) -> tuple[str, str]:
    """What holds the pins, for the introduction."""
    if redis_url is None:
        return (
            "pins",
            (
                "in each sidecar's memory: no redis-server on PATH starts (or the redis "
                "extra is missing)"
            ),
        )
    return "pins", f"{redis_url}, shared by both sidecars"


async def _until_shared(sidecars: dict[str, SidecarHandle]) -> None:
    """Wait until every sidecar talks to Redis; a sidecar that starts waits for nobody."""
    async with asyncio.timeout(_CALL_LIMIT_S), aiohttp.ClientSession() as session:
        for sidecar in sidecars.values():
            while True:
                async with session.get(sidecar.admin_url + "/metrics") as answer:
                    if _STORE_UP in await answer.read():
                        break
                await asyncio.sleep(0.02)


def _introduce(
    out: TextIO, stage: Sequence[tuple[str, str]], sidecars: dict[str, SidecarHandle]
) -> None:
    out.write(
        "One provider and one router model that need no key, and two sidecars in front of them:\n\n"
    )
    out.writelines(f"  {name:13} {place}\n" for name, place in stage)
    lines = [
        f"  sidecar {via}     {at.data_url}   admin {at.admin_url}\n"
        for via, at in sidecars.items()
    ]
    out.writelines(lines)
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
        f"  curl -s {a.admin_url}/affinity/\n\n"
    )
    out.flush()
