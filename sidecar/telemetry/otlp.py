"""Spans over OTLP/HTTP: the only module that imports opentelemetry, hence only imported while
tracing is on.

Spans wait in a queue of bounded length for a thread that sends them. What the collector does to it,
down, slow or answering garbage, costs spans, which are counted, and never a call or the exit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import requests
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from sidecar import __version__
from sidecar.config.tracing import TracingSettings
from sidecar.domain.clock import Clock
from sidecar.domain.ids import TraceContext, child_span_id
from sidecar.http1.cause import network_cause
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.telemetry.exporter_edges import ExporterEdges
from sidecar.telemetry.span_facts import Span, SpanKind
from sidecar.telemetry.span_metrics import SpanMetrics
from sidecar.telemetry.span_names import SCHEMA_URL

EXIT_S: Final = 1.0
"""How long the exit waits for the last spans to be sent."""
_REPLY_BYTES: Final = 64 * 1024
"""Of a collector's reply, at most; a usual one is empty."""
_TLS_FILES: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE, ..._CLIENT_CERTIFICATE or ..._CLIENT_KEY"
_SERVICE: Final = "plano-sidecar"
_LIBRARIES: Final = ("opentelemetry", "urllib3", "requests")
"""Loggers of what is used here. What they say is said by `ExporterEdges`, in its own words."""

_KINDS: Final = {
    SpanKind.SERVER: api.SpanKind.SERVER,
    SpanKind.CLIENT: api.SpanKind.CLIENT,
    SpanKind.INTERNAL: api.SpanKind.INTERNAL,
}
_ERROR: Final = api.Status(api.StatusCode.ERROR)


class _Ids(IdGenerator):
    """Gives out the ids that were set before."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Session(requests.Session):
    """Notes why a request failed, and reads of a reply no more than it must."""

    cause: str | None = None
    """Why the newest request failed; None if it did not."""
    spans = 0
    """How many are being sent."""

    def request(self, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401 - the library's
        """As of the library, which hands its errors on to the exporter."""
        self.cause = None
        options["stream"] = True
        if isinstance(self.verify, str):  # else REQUESTS_CA_BUNDLE would go before it
            options["verify"] = self.verify
        try:
            response = super().request(*args, **options)
        except requests.exceptions.Timeout:
            self.cause = "no reply in time (OTEL_EXPORTER_OTLP_TIMEOUT)"
            raise
        except Exception as error:
            self.cause = _cause_of(error)
            raise
        try:
            is_small = len(response.raw.read(_REPLY_BYTES + 1)) <= _REPLY_BYTES
        except Exception as error:  # noqa: BLE001 - the status has come: the reply's rest is not needed
            self.cause, is_small = network_cause(error) or "a reply that breaks off", False
        if not is_small:
            response.close()
        if not 200 <= response.status_code < 300:
            self.cause = f"status {response.status_code}"
        elif "html" in response.headers.get("content-type", ""):
            self.cause = "a page for a browser: no collector is there"
        return response


def _cause_of(error: Exception) -> str:
    """Return why a request had no reply, as a phrase."""
    if type(error) is OSError:  # the library's own, without a number: it found no such file
        return f"{_TLS_FILES} names no file that can be read"
    cause = network_cause(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy (HTTPS_PROXY, HTTP_PROXY)" + (f": {cause}" if cause else " refuses")
    return cause or "no reply that is HTTP"


class _Exporter(SpanExporter):
    """Sends batches, counts what became of them, and tells of failures as edges.

    All but `may_queue` is called by the queue's thread alone.
    """

    def __init__(
        self, settings: TracingSettings, counts: SpanMetrics, edges: ExporterEdges
    ) -> None:
        self._session = _Session()
        self._inner = OTLPSpanExporter(settings.endpoint.reveal(), session=self._session)
        self._counts = counts
        self._edges = edges
        self._queued_at_most = settings.queued_spans
        self._given = self._taken = 0
        """Spans that have entered the queue, and that have left it."""

    @property
    def unsent(self) -> int:
        """Return how many spans are queued or being sent."""
        return self._given - self._taken + self._session.spans

    @property
    def cause(self) -> str | None:
        """Return why the newest request failed; None where it did not, or has no reply yet."""
        return self._session.cause

    def may_queue(self, spans: int) -> bool:
        """Return whether so many spans fit into the queue, and count them as given if they do.

        For the event loop's thread.
        """
        if self._given - self._taken + spans > self._queued_at_most:
            return False
        self._given += spans
        return True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; what cannot be sent is dropped."""
        self._taken += len(spans)
        self._session.spans = len(spans)
        result = self._inner.export(spans)
        self._session.spans = 0
        cause = self._session.cause
        if result is SpanExportResult.SUCCESS and cause is None:
            self._counts.exported.value += len(spans)
            self._edges.worked()
        else:
            self._counts.not_exported.value += len(spans)
            self._edges.failed(cause or "the spans cannot be encoded", len(spans))
        return result

    def shutdown(self) -> None:
        """Give up the batch that is being sent."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]


class _OneTry(_Session):
    """Ends the exporter's own retries once a request has failed."""

    give_up: Callable[[], None] | None = None

    def request(self, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401 - the library's
        """As of the library."""
        try:
            return super().request(*args, **options)
        finally:
            if self.cause is not None and self.give_up is not None:
                self.give_up()


def export_nothing(settings: TracingSettings, timeout_s: float) -> str | None:
    """Send an export without any span, as spans are sent, and wait for the reply.

    Returns: why it failed, as a phrase; None where the collector took it. Raises: nothing.
    """
    _silence_libraries()
    session = _OneTry()
    exporter = OTLPSpanExporter(settings.endpoint.reveal(), timeout=timeout_s, session=session)
    session.give_up = exporter.shutdown
    is_taken = exporter.export(()) is SpanExportResult.SUCCESS and session.cause is None
    session.close()
    return None if is_taken else session.cause or "the export cannot be made"


def _silence_libraries() -> None:
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class OtlpExporter:
    """Takes spans, and sends them in the background.

    Args: ``counts`` are the metrics in which spans are counted.
    """

    def __init__(self, settings: TracingSettings, counts: SpanMetrics, clock: Clock) -> None:
        _silence_libraries()
        self._counts = counts
        self._edges = ExporterEdges(settings.place, clock.monotonic_s)
        self._exporter = _Exporter(settings, counts, self._edges)
        self._ids = _Ids()
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=settings.queued_spans,
            schedule_delay_millis=settings.delay_ms,
            max_export_batch_size=settings.batch_spans,
        )
        # At the exit the library would wait for 30 s.
        provider = TracerProvider(
            ALWAYS_ON, _resource(), shutdown_on_exit=False, id_generator=self._ids
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer(_SERVICE, __version__, schema_url=SCHEMA_URL)

    def take(self, trace: TraceContext, spans: list[Span]) -> None:
        """Put the spans of a call into the queue: all of them, or none where they do not fit."""
        if not self._exporter.may_queue(len(spans)):
            self._counts.queue_full.value += len(spans)
            self._edges.failed("spans come faster than it takes them", len(spans))
            return
        self._ids.trace_id = int(trace.trace_id, 16)
        parent = _context(trace, trace.parent_id, is_remote=True) if trace.received else Context()
        for span in spans:
            number = span.number
            span_id = child_span_id(trace.span_id, number) if number else trace.span_id
            self._ids.span_id = int(span_id, 16)
            began_s, ended_s = span.times
            made = self._tracer.start_span(
                span.name, parent, _KINDS[span.kind], span.attributes, start_time=int(began_s * 1e9)
            )
            if span.is_error:
                made.set_status(_ERROR)
            made.end(int(ended_s * 1e9))
            if not number:
                parent = _context(trace, trace.span_id, is_remote=False)

    async def aclose(self) -> None:
        """Send what waits, within `EXIT_S`; the rest is given up."""
        try:
            async with asyncio.timeout(EXIT_S):
                await run_in_daemon_thread(self._processor.shutdown, name="last spans")
        except (TimeoutError, OSError):
            lost = self._exporter.unsent
            self._counts.not_exported.value += lost
            self._edges.failed(self._exporter.cause or "no reply before the exit", lost)
        self._edges.end()


def _context(trace: TraceContext, span_id: str, *, is_remote: bool) -> Context:
    """Return what makes a span a child of that one."""
    state = api.TraceState.from_header([trace.tracestate]) if trace.tracestate else None
    context = api.SpanContext(
        int(trace.trace_id, 16), int(span_id, 16), is_remote, api.TraceFlags(trace.flags), state
    )
    return api.set_span_in_context(api.NonRecordingSpan(context), Context())


def _resource() -> Resource:
    """Return what is said of this process, of which OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    have the last word.
    """
    named = OTELResourceDetector().detect()
    return Resource.create({"service.name": _SERVICE, "service.version": __version__}).merge(named)
