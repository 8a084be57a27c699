"""A collector that takes OTLP over HTTP, real protobuf, and keeps what it was sent; or one that is
slow, or answers garbage.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status


class ReceivedSpan(NamedTuple):
    """One span, as the collector reads it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    tracestate: str
    began_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    is_error: bool


class OtlpReceiver:
    """Keeps what it gets. ``answer`` may be replaced: it makes the response to a request."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        """As they came, but decompressed."""
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[ReceivedSpan] = []
        self.answer: Callable[[], web.StreamResponse] = _accepted
        self.hold: asyncio.Event | None = None
        """While it is set to an event, requests wait for it."""
        self._came = asyncio.Condition()
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take one request."""
        body = await request.read()  # decompressed
        async with self._came:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self.paths.append(request.path_qs)
            self._read(body)
            self._came.notify_all()
        if self.hold is not None:
            await self.hold.wait()
        return self.answer()

    def _read(self, body: bytes) -> None:
        message = ExportTraceServiceRequest.FromString(body)
        for of_resource in message.resource_spans:
            self.resources.append(_attributes(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                self.spans += [_read_span(span) for span in of_scope.spans]

    async def until(self, count: int) -> list[ReceivedSpan]:
        """Wait for so many spans."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.spans) >= count)
        return list(self.spans)

    async def until_asked(self, count: int = 1) -> None:
        """Wait for so many requests."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.bodies) >= count)

    def tree(self, trace_id: str) -> dict[str, list[ReceivedSpan]]:
        """Spans of a trace by their parents' ids, each in the order of their beginnings."""
        found: dict[str, list[ReceivedSpan]] = {}
        for span in sorted(self.spans, key=lambda span: span.began_ns):
            if span.trace_id == trace_id:
                found.setdefault(span.parent_id, []).append(span)
        return found


def _accepted() -> web.StreamResponse:
    body = ExportTraceServiceResponse().SerializeToString()
    return web.Response(body=body, content_type="application/x-protobuf")


def _read_span(span: ProtoSpan) -> ReceivedSpan:
    return ReceivedSpan(
        span.name,
        ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        span.status.code == Status.STATUS_CODE_ERROR,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in pairs
    }


@contextlib.asynccontextmanager
async def otlp_receiver(
    port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[OtlpReceiver]:
    """A running receiver."""
    receiver = OtlpReceiver()
    runner = web.ServerRunner(web.Server(receiver.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    sockets = runner.addresses
    receiver.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{sockets[0][1]}"
    try:
        yield receiver
    finally:
        if receiver.hold is not None:
            receiver.hold.set()
        await runner.cleanup()
