"""A sidecar process and its collector: what it imports, and that a collector in trouble delays
neither calls nor the exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator

import pytest

from tests.support.net import exchange, free_port, json_request, raw_request
from tests.support.otlp_receiver import otlp_receiver
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CHAT = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
OTEL = re.compile(r"\| +(opentelemetry|requests|google\.protobuf)\b")


async def _calls(sidecar: SidecarProcess, count: int = 5) -> list[int]:
    return [
        (await exchange(sidecar.data_port, json_request(CHAT, BODY))).status for _ in range(count)
    ]


async def test_without_tracing_no_module_of_opentelemetry_is_imported(
    monkeypatch, scripted_provider, start_sidecar
):
    """It would cost every pod 20 MiB; the interpreter itself says what it imports."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    plain = await start_sidecar(sidecar_config(scripted_provider.url))
    await _calls(plain)
    await plain.terminate()
    async with otlp_receiver() as receiver:
        tracing = {"otlp_endpoint": receiver.url, "random_sampling": 100}
        traced = await start_sidecar(sidecar_config(scripted_provider.url, tracing=tracing))
        await _calls(traced)
        await traced.terminate()

    assert re.search(r"\| +sidecar\.proxy\b", plain.log())
    assert [] == OTEL.findall(plain.log())
    assert {"opentelemetry", "requests", "google.protobuf"} == set(OTEL.findall(traced.log()))


async def test_the_last_calls_spans_are_sent_before_the_exit(scripted_provider, start_sidecar):
    """However long they would have waited for others."""
    async with otlp_receiver() as receiver:
        tracing = {"otlp_endpoint": receiver.url, "random_sampling": 100}
        sidecar = await start_sidecar(sidecar_config(scripted_provider.url, tracing=tracing))
        await _calls(sidecar, 7)
        code = await sidecar.terminate()

    assert (0, 7) == (code, len([span for span in receiver.spans if span.kind == "server"]))


async def test_the_environment_alone_turns_tracing_on(
    monkeypatch, scripted_provider, start_sidecar
):
    """With the standard variables, in a process that reads them."""
    async with otlp_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "chat-app-sidecar")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a")
        sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
        await _calls(sidecar, 1)
        await sidecar.terminate()

    assert {"chat-app-sidecar"} == {resource["service.name"] for resource in receiver.resources}
    assert {"a"} == {headers["x-team"] for headers in receiver.headers}


async def test_nonsense_in_the_environment_costs_a_warning_and_no_span(
    monkeypatch, scripted_provider, start_sidecar
):
    """Also where the exporter's library would fail at it as soon as it is imported."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0")
    async with otlp_receiver() as receiver:
        tracing = {"otlp_endpoint": receiver.url, "random_sampling": 100}
        sidecar = await start_sidecar(sidecar_config(scripted_provider.url, tracing=tracing))
        statuses = await _calls(sidecar, 1)
        code = await sidecar.terminate()
        spans = list(receiver.spans)

    assert ([200], 0, True) == (statuses, code, bool(spans))
    warned = [line for line in sidecar.log().splitlines() if "it is not heeded" in line]
    assert 3 == len(warned)


@contextlib.asynccontextmanager
async def _collector(kind: str) -> AsyncIterator[str]:
    """A collector in trouble."""
    if kind == "down":
        yield f"http://127.0.0.1:{free_port()}"
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            if kind == "garbage":
                writer.write(b"\x00\xff" * 5000)
            elif kind == "slow":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                while not writer.is_closing():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)  # sleep: so slow it is
            else:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


CAUSES = {
    "down": "connection refused",
    "garbage": "no reply that is HTTP",
    "hangs": "no reply in time (OTEL_EXPORTER_OTLP_TIMEOUT)",
    "slow": "no reply",
}


@pytest.mark.parametrize("kind", CAUSES)
async def test_a_collector_in_trouble_costs_spans_and_nothing_else(
    monkeypatch, scripted_provider, start_sidecar, kind
):
    """Calls are served, the process ends, one line says why; no line is a library's."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    async with _collector(kind) as url:
        tracing = {"otlp_endpoint": url, "random_sampling": 100}
        config = sidecar_config(scripted_provider.url, tracing=tracing, logging={"format": "json"})
        sidecar = await start_sidecar(config)
        statuses = await _calls(sidecar, 20)
        if kind != "slow":  # which holds the exporter for as long as it likes
            await _until_dropped(sidecar)
        code = await sidecar.terminate()
    lines = [json.loads(line) for line in sidecar.log().splitlines()]
    fails = [line for line in lines if line.get("event") == "exporter_fails"]

    assert ([200] * 20, 0) == (statuses, code)
    assert [CAUSES[kind]] == [line["cause"] for line in fails] or kind == "slow"
    assert {"sidecar", "sidecar.tracing"} >= {line["logger"] for line in lines}


async def _until_dropped(sidecar: SidecarProcess) -> None:
    """Wait until a span that was not exported is counted."""
    wanted = re.compile(
        rb'^plano_sidecar_spans_dropped_total\{reason="not_exported"\} [1-9]', re.MULTILINE
    )
    async with asyncio.timeout(30):
        while not wanted.search(await _scraped(sidecar)):
            await asyncio.sleep(0.02)  # sleep: a thread of another process counts


async def _scraped(sidecar: SidecarProcess) -> bytes:
    return (await exchange(sidecar.admin_port, raw_request("GET", "/metrics"))).body


async def test_more_spans_than_the_collector_takes_are_dropped_and_counted(
    monkeypatch, scripted_provider, start_sidecar
):
    """The queue is bounded, and the line says so."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    async with _collector("hangs") as url:
        tracing = {"otlp_endpoint": url, "random_sampling": 100}
        sidecar = await start_sidecar(sidecar_config(scripted_provider.url, tracing=tracing))
        statuses = await _calls(sidecar, 40)
        page = await _scraped(sidecar)
        code = await sidecar.terminate()
    (dropped,) = re.findall(rb'spans_dropped_total\{reason="queue_full"\} (\d+)', page)

    assert ([200] * 40, 0) == (statuses, code)
    assert int(dropped) >= 60
    assert 1 == sidecar.log().count('"cause":"spans come faster than it takes them"')
