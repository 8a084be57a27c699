"""Spans on their way to a collector: what it gets, and what its trouble costs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from sidecar.config.schema import Tracing
from sidecar.config.tracing import tracing_settings
from sidecar.domain.clock import SystemClock
from sidecar.domain.ids import TraceContext, child_span_id
from sidecar.telemetry.otlp import EXIT_S, OtlpExporter, export_nothing
from sidecar.telemetry.span_facts import Span, SpanKind
from sidecar.telemetry.span_metrics import SpanMetrics
from tests.support.certificates import CertificateAuthority
from tests.support.net import free_port
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver

TRACE = TraceContext("a" * 32, "b" * 16, 1, "vendor=1", received=True, span_id="c" * 16)
NEW = TraceContext("d" * 32, "e" * 16, 1, span_id="e" * 16)
TREE = [
    Span("POST /v1/x", SpanKind.SERVER, 0, (1000.0, 1002.5), {"url.path": "/v1/x"}),
    Span("chat m", SpanKind.CLIENT, 1, (1000.5, 1001.0), {"plano.attempt": 1, "b": True}, True),
]


class _Room(OtlpExporter):
    """An exporter that is in a hurry, and its counts."""

    def __init__(self, url: str, **environ: str) -> None:
        self.counts = SpanMetrics(CollectorRegistry())
        fast = {"OTEL_BSP_SCHEDULE_DELAY": "10", **environ}
        settings = tracing_settings(Tracing(otlp_endpoint=url), fast, lambda *_: None)
        assert settings is not None
        super().__init__(settings, self.counts, SystemClock())

    async def until_counted(self, name: str, value: float) -> None:
        """Wait for the exporter's thread."""
        async with asyncio.timeout(20):
            while getattr(self.counts, name).value < value:
                await asyncio.sleep(0.005)  # sleep: a thread counts


@contextlib.asynccontextmanager
async def exporting(url: str, **environ: str) -> AsyncIterator[_Room]:
    room = _Room(url, **environ)
    try:
        yield room
    finally:
        await room.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as running:
        yield running


@pytest.fixture
def lines(caplog):
    """The lines about the exporter: event and cause."""
    caplog.set_level(logging.INFO)

    def read() -> list[tuple[str, Any]]:
        mine = [each for each in caplog.records if each.name != "aiohttp.access"]
        assert {"sidecar.tracing"} >= {each.name for each in mine}  # no library's own
        return [(each.event, each.fields.get("cause")) for each in mine]

    return read


async def test_a_tree_arrives_with_its_ids_times_and_attributes(receiver):
    """Below the app's span, with the app's tracestate."""
    async with exporting(receiver.url) as room:
        room.take(TRACE, TREE)
        server, attempt = sorted(await receiver.until(2), key=lambda span: span.began_ns)

    assert ("a" * 32, "c" * 16, "b" * 16, "vendor=1") == (
        server.trace_id,
        server.span_id,
        server.parent_id,
        server.tracestate,
    )
    assert ("a" * 32, child_span_id("c" * 16, 1), "c" * 16, "vendor=1") == (
        attempt.trace_id,
        attempt.span_id,
        attempt.parent_id,
        attempt.tracestate,
    )
    assert (1_000_000_000_000, 1_002_500_000_000) == (server.began_ns, server.ended_ns)
    assert ({"url.path": "/v1/x"}, False) == (server.attributes, server.is_error)
    assert ({"plano.attempt": 1, "b": True}, True) == (attempt.attributes, attempt.is_error)
    assert ("server", "client") == (server.kind, attempt.kind)


async def test_a_trace_that_begins_here_has_no_parent(receiver):
    """Its first span is the sidecar's."""
    async with exporting(receiver.url) as room:
        room.take(NEW, TREE)
        spans = await receiver.until(2)

    assert {("e" * 16, ""), (child_span_id("e" * 16, 1), "e" * 16)} == {
        (span.span_id, span.parent_id) for span in spans
    }
    assert {"d" * 32} == {span.trace_id for span in spans}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "plano-sidecar"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=other,team=a"}, "other"),
    ],
)
async def test_the_environment_names_the_service(receiver, monkeypatch, environ, expected):
    """And says more about it."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with exporting(receiver.url) as room:
        room.take(NEW, TREE)
        await receiver.until(2)
    (resource,) = receiver.resources

    assert expected == resource["service.name"]
    assert {"service.version", "telemetry.sdk.name"} <= resource.keys()
    assert ("team" in resource) == ("OTEL_RESOURCE_ATTRIBUTES" in environ)


async def test_the_environments_headers_and_compression_are_the_exporters(receiver, monkeypatch):
    """The library reads them itself."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    async with exporting(receiver.url) as room:
        room.take(NEW, TREE)
        await receiver.until(2)
    (headers,) = receiver.headers

    assert ("a b", "gzip") == (headers["x-team"], headers["content-encoding"])


async def test_all_that_waits_is_sent_at_the_end(receiver):
    """In batches of the length that was asked for."""
    environ = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16"}
    async with exporting(receiver.url, **environ) as room:
        for _ in range(20):
            room.take(NEW, TREE)

    assert (40, 40.0) == (len(receiver.spans), room.counts.exported.value)
    assert 3 == len(receiver.bodies)


STATUSES = {400: "status 400", 404: "status 404", 301: "status 301", 500: "status 500"}


@pytest.mark.parametrize("status", STATUSES)
async def test_spans_that_a_collector_refuses_are_counted_and_told_of(receiver, lines, status):
    """Once, and once more when it takes them."""
    accepts, receiver.answer = receiver.answer, lambda: web.Response(status=status)
    async with exporting(receiver.url) as room:
        for count in (2.0, 4.0):
            room.take(NEW, TREE)
            await room.until_counted("not_exported", count)
        receiver.answer = accepts
        room.take(NEW, TREE)
        await room.until_counted("exported", 2.0)

    assert [("exporter_fails", STATUSES[status]), ("exporter_works_again", None)] == lines()


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (
            lambda: web.Response(text="<html>", content_type="text/html"),
            "a page for a browser: no collector is there",
        ),
        (lambda: web.Response(body=b"x" * 1_000_000), None),
        (lambda: web.Response(body=b"\xff" * 100, content_type="application/x-protobuf"), None),
    ],
)
async def test_a_reply_that_is_garbage_does_no_harm(receiver, lines, answer, cause):
    """It is read to a point; a page for a browser is no collector's."""
    receiver.answer = answer
    async with exporting(receiver.url) as room:
        for count in (2.0, 4.0):
            room.take(NEW, TREE)
            await room.until_counted("exported" if cause is None else "not_exported", count)

    assert ([] if cause is None else [("exporter_fails", cause)]) == lines()


@contextlib.asynccontextmanager
async def _speaking(what: bytes) -> AsyncIterator[str]:
    """A server that says the same to everyone, and closes; or says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(10)
            writer.write(what)
            await writer.drain()
            if not what:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_spans_follow_no_redirect(receiver, lines, monkeypatch):
    """The library would send them, and headers that hold a key, wherever a reply points."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=secret")
    async with otlp_receiver() as elsewhere:
        location = {"Location": f"{elsewhere.url}/v1/traces"}
        receiver.answer = lambda: web.Response(status=307, headers=location)
        async with exporting(receiver.url) as room:
            room.take(NEW, TREE)
            await room.until_counted("not_exported", 2.0)

        assert [] == elsewhere.headers
    assert [("exporter_fails", "status 307")] == lines()


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no reply that is HTTP"),
        (b"", "no reply in time (OTEL_EXPORTER_OTLP_TIMEOUT)"),
    ],
)
async def test_what_is_no_collector_is_told_with_its_cause(lines, monkeypatch, what, cause):
    """In a phrase."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    async with _speaking(what) as url, exporting(url) as room:
        room.take(NEW, TREE)
        await room.until_counted("not_exported", 2.0)

    assert [("exporter_fails", cause)] == lines()


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:{port}", "connection refused"),
        ("http://no-such-host.invalid:{port}", "name"),
    ],
)
async def test_a_collector_that_is_not_there_is_told_with_its_cause(lines, monkeypatch, url, cause):
    """The libraries' own lines are not written."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    async with exporting(url.format(port=free_port())) as room:
        room.take(NEW, TREE)
        await room.until_counted("not_exported", 2.0)
    ((event, cause_told),) = lines()

    assert "exporter_fails" == event
    assert cause_told.startswith(cause)


async def test_more_spans_than_the_queue_holds_are_dropped_by_trees(receiver, lines):
    """And counted; a tree is never half there."""
    receiver.hold = asyncio.Event()
    environ = {"OTEL_BSP_MAX_QUEUE_SIZE": "5", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}
    async with exporting(receiver.url, **environ) as room:
        room.take(NEW, TREE)
        await receiver.until_asked()
        for _ in range(10):
            room.take(NEW, TREE)
        dropped = room.counts.queue_full.value
        receiver.hold.set()
        await room.until_counted("exported", 6.0)

    assert (16.0, 6) == (dropped, len(receiver.spans))
    assert ("exporter_fails", "spans come faster than it takes them") == lines()[0]


async def test_the_end_waits_for_a_collector_that_hangs_no_longer_than_a_second(receiver):
    """And writes no line afterwards."""
    receiver.hold = asyncio.Event()
    room = _Room(receiver.url)
    room.take(NEW, TREE)
    await receiver.until_asked()
    async with asyncio.timeout(EXIT_S + 15):  # the library itself would take 30 s
        await room.aclose()

    assert not any(each.name == "last spans" and not each.daemon for each in threading.enumerate())


async def test_what_the_exit_gives_up_is_told_of(lines):
    """With the cause: the process may have ended before the library gave up trying."""
    async with exporting(f"http://127.0.0.1:{free_port()}") as room:
        room.take(NEW, TREE)

    assert [("exporter_fails", "connection refused")] == lines()
    assert 2.0 == room.counts.not_exported.value


def test_no_test_here_speaks_by_a_proxy():
    """The library would take one from the environment."""
    assert not {"HTTP_PROXY", "http_proxy", "ALL_PROXY"} & os.environ.keys()


def _cause(url: str) -> str | None:
    settings = tracing_settings(Tracing(otlp_endpoint=url), {}, lambda *_: None)
    assert settings is not None
    return export_nothing(settings, 5.0)


async def test_an_export_of_nothing_tells_whether_spans_would_be_taken():
    """In one request, whatever the library would do again: an operator waits for it."""
    async with otlp_receiver() as receiver:
        taken = await asyncio.to_thread(_cause, receiver.url)
        spans, asked = list(receiver.spans), len(receiver.bodies)
        receiver.answer = lambda: web.Response(status=503)
        refused = await asyncio.to_thread(_cause, receiver.url)
        asked_again = len(receiver.bodies)
    dead = await asyncio.to_thread(_cause, f"http://127.0.0.1:{free_port()}")

    assert (None, [], 1) == (taken, spans, asked)
    assert ("status 503", 2) == (refused, asked_again)
    assert "connection refused" == dead


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/no/such.pem", "names no file that can be read"),
        ("http_proxy", "http://127.0.0.1:{port}", "the proxy (HTTPS_PROXY, HTTP_PROXY): connect"),
    ],
)
async def test_a_cause_that_is_not_the_collectors_is_told_as_that(
    monkeypatch, variable, value, cause
):
    """Who looks at the collector would look in vain."""
    monkeypatch.setenv(variable, value.format(port=free_port()))

    found = await asyncio.to_thread(_cause, "http://otel.invalid:4318")

    assert found is not None
    assert cause in found


async def test_a_common_name_proves_no_collector(monkeypatch, tmp_path):
    """A name stands in subjectAltName."""
    authority = CertificateAuthority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.sign("collector", "", common_name="localhost"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.ca))
    async with otlp_receiver(tls=context) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        found = await asyncio.to_thread(_cause, url)

        assert [] == receiver.bodies
    assert "certificate for another name" == found


async def test_the_collectors_own_ca_goes_before_that_of_all_requests(monkeypatch, tmp_path):
    """Images set REQUESTS_CA_BUNDLE, which the library's own library heeds first."""
    authority = CertificateAuthority(tmp_path)
    pem = authority.sign("collector", "IP:127.0.0.1", common_name="collector")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().openssl_cafile)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.ca))
    async with otlp_receiver(tls=context) as receiver:
        found = await asyncio.to_thread(_cause, receiver.url)

    assert found is None
