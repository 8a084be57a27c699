"""A listener with the live page alone, whose numbers a test makes up."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from sidecar.listener.live_page import LivePage
from sidecar.listener.server import bind, port_of
from sidecar.telemetry.call_record import CallRecord, CandidateRecord, DecisionRecord
from sidecar.telemetry.event_metrics import (
    FIRST_BYTE_BOUNDS_S,
    OVERHEAD_BOUNDS_S,
    ROUTING_BOUNDS_S,
)
from sidecar.telemetry.metrics import LAG_BOUNDS_S
from sidecar.telemetry.status import (
    Buckets,
    BucketsBySource,
    BuildStatus,
    CandidateStatus,
    ConfigStatus,
    MemoryStatus,
    ReloadStatus,
    RouteCandidate,
    RouterStatus,
    RouteStatus,
    Status,
    StoreStatus,
)

NOON_S = 1_750_075_200.0
"""2025-06-16 12:00:00 UTC."""
SERVING, COOLING = "openai/gpt-4o", "anthropic/claude-sonnet-5"


def counts(bounds_s: tuple[float, ...], **by_bucket: int) -> list[int]:
    """Counts of a histogram; ``b3=7`` are seven values in its fourth bucket."""
    return [by_bucket.get(f"b{at}", 0) for at in range(len(bounds_s) + 1)]


def a_candidate(model: str = SERVING, **changes: Any) -> CandidateStatus:
    """A candidate that serves; any field can be given."""
    fields: dict[str, Any] = {
        "provider": model.partition("/")[0],
        "account": model,
        "model": model,
        "state": "serving",
        "reason": None,
        "left_s": None,
        "cause": None,
        "place": None,
        "to_do": None,
        "attempts": {"ok": 100},
        "first_byte": counts(FIRST_BYTE_BOUNDS_S, b3=100),
    }
    return CandidateStatus(**{**fields, **changes})


def a_call_record(number: int = 1, **changes: Any) -> CallRecord:
    """A call as its record tells it."""
    fields: dict[str, Any] = {
        "time": f"2025-06-16T11:59:{59 - number % 60:02}.123Z",
        "request_id": f"req-{number}",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "chat",
        "status": 200,
        "outcome": "ok",
        "model": SERVING,
        "requested_model": "gpt-4o",
        "routed_model": SERVING,
        "route": "code generation",
        "source": "routed",
        "attempts": 1,
        "total_ms": 812.25,
        "error": None,
        "decision": DecisionRecord(
            "0123456789ab",
            1200,
            router_outcome="matched",
            candidates=(CandidateRecord(SERVING, SERVING, 2.5),),
        ),
    }
    return CallRecord(**fields | changes)


RELOADED = ReloadStatus(NOON_S - 600, True, NOON_S - 600)
"""How the start counts, as long as there was no reload."""


def a_status(**changes: Any) -> Status:
    """A sidecar that is well and has served 100 calls; any field can be given."""
    fields: dict[str, Any] = {
        "at_unix_s": NOON_S,
        "uptime_s": 600.0,
        "host": "app-7d4f9c-x2x7q",
        "state": "ready",
        "in_flight": 3,
        "in_flight_limit": 512,
        "memory": MemoryStatus(100_663_296, {"bodies": 0, "pins": 4096}),
        "build": BuildStatus("0.3.0", "3.11.7", "uvloop", True, "fast"),
        "config": ConfigStatus(
            "/etc/plano/sidecar.yaml", "0123456789ab", 1, NOON_S - 600, [], 0, RELOADED
        ),
        "requests": {"ok": 100},
        "decisions": {"pinned": 80, "routed": 20},
        "failovers": 0,
        "routing": BucketsBySource(
            ROUTING_BOUNDS_S,
            {
                "pinned": counts(ROUTING_BOUNDS_S, b1=80),
                "routed": counts(ROUTING_BOUNDS_S, b11=20),
            },
        ),
        "first_byte": Buckets(FIRST_BYTE_BOUNDS_S, counts(FIRST_BYTE_BOUNDS_S, b3=100)),
        "overhead": Buckets(OVERHEAD_BOUNDS_S, counts(OVERHEAD_BOUNDS_S, b3=100)),
        "loop_lag": Buckets(LAG_BOUNDS_S, counts(LAG_BOUNDS_S, b0=600)),
        "candidates": [a_candidate(), a_candidate(COOLING)],
        "routes": [
            RouteStatus(
                "code generation",
                [RouteCandidate(each, each) for each in (COOLING, SERVING)],
            )
        ],
        "router": RouterStatus("vllm/qwen3-4b", False, {"matched": 18, "other": 2}),
        "store": StoreStatus("redis at redis:6379", True, True, True, 41, 0),
        "sources": [],
        "calls": [a_call_record(number) for number in range(1, 4)],
    }
    return Status(**{**fields, **changes})


class MadeUpSidecar:
    """Serves the live page with the status that a test has set."""

    def __init__(self) -> None:
        self.status = a_status()
        self.polls = 0
        self.port = 0
        self.code = 200
        """With which `/status` replies."""
        self._page = LivePage(self._render)
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def pass_time(self, seconds: float, **changes: Any) -> None:
        """Let time pass; the changes happen in it."""
        now = self.status
        times = {"at_unix_s": now.at_unix_s + seconds, "uptime_s": now.uptime_s + seconds}
        self.status = msgspec.structs.replace(now, **times, **changes)

    async def start(self) -> None:
        """Serve, on the port that it had before, if any."""
        server = web.Server(self._serve)
        self._stack.push_async_callback(server.shutdown, 0.1)
        (socket,) = await bind(server, ["127.0.0.1"], self.port, "the page")
        self._stack.callback(socket.close)
        await socket.start_serving()
        self.port = port_of(socket)

    async def stop(self) -> None:
        """Close the port and all connections."""
        await self._stack.aclose()

    def _render(self) -> bytes:
        self.polls += 1
        return msgspec.json.encode(self.status)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/":
            return await self._page.serve_page(request)
        if request.path != "/status":
            return web.Response(status=404)
        response = await self._page.serve_status(request)
        response.set_status(self.code)
        return response


@contextlib.asynccontextmanager
async def made_up_sidecar() -> AsyncIterator[MadeUpSidecar]:
    """Serve the page until the block ends."""
    sidecar = MadeUpSidecar()
    await sidecar.start()
    try:
        yield sidecar
    finally:
        await sidecar.stop()
