"""The numbers that sources told last, and how they are kept fresh."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
import threading
from typing import Any

import pytest

from sidecar.config.schema_routing import MetricsSource
from sidecar.domain.decision import Price
from sidecar.routing import sources as sources_module
from sidecar.routing.catalogs import SourceUnreadable
from sidecar.routing.sources import MetricsSources, SourceStatus, source_url
from sidecar.runtime.memory_budget import MemoryBudget
from tests.support.values import FakeClock

MODELS_DEV = MetricsSource(type="cost", provider="models.dev", refresh_interval_s=3600)
PROMETHEUS = MetricsSource(
    type="latency",
    provider="prometheus",
    url="http://p:9090/",
    query='a{b="c"} + d',
    refresh_interval_s=15,
)
GOOD_PRICES = b'{"openai":{"models":{"gpt-4o":{"cost":{"input":2.5,"output":10}}}}}'
BETTER_PRICES = GOOD_PRICES.replace(b"2.5", b"2")
LATENCIES = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"model_name":"a"},"value":[1,"0.5"]}]}}'
NO_LATENCIES = b'{"status":"success","data":{"resultType":"vector","result":[]}}'


class Wire:
    """Answers fetches in turn; errors are raised. Remembers what was asked, and how long was
    slept.
    """

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = [*answers]
        self.urls: list[str] = []
        self.slept_s: list[float] = []

    async def fetch(self, url: str) -> bytes:
        self.urls.append(url)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        """Sleeps no time at all; ends the loop once nothing is left to answer."""
        self.slept_s.append(seconds)
        if not self.answers:
            raise asyncio.CancelledError


def book(wire: Wire, *sources: MetricsSource, clock: FakeClock | None = None) -> MetricsSources:
    return MetricsSources(sources, wire.fetch, (clock or FakeClock()).monotonic_s, wire.sleep)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ({"type": "cost", "provider": "digitalocean"}, "https://api.digitalocean.com/v2/gen-ai/models/catalog?limit=200"),
        ({"type": "cost", "provider": "digitalocean", "url": "http://mirror/do"}, "http://mirror/do"),
        ({"type": "cost", "provider": "models.dev"}, "https://models.dev/api.json"),
        ({"type": "cost", "provider": "models.dev", "url": "http://mirror/md"}, "http://mirror/md"),
        ({"type": "latency", "provider": "prometheus", "url": "http://p:9090", "query": "up"}, "http://p:9090/api/v1/query?query=up"),
        ({"type": "latency", "provider": "prometheus", "url": "http://p/x/", "query": 'a{b="c"} + d'}, "http://p/x/api/v1/query?query=a%7Bb%3D%22c%22%7D+%2B+d"),
        ({"type": "latency", "provider": "prometheus"}, "/api/v1/query?query="),
    ],
)  # fmt: skip
def test_each_source_has_its_address(source, url):
    """Its own, unless the config names another."""
    assert url == source_url(MetricsSource(**source))


async def test_numbers_come_from_every_source():
    """Prices and latencies stand beside each other."""
    wire = Wire(GOOD_PRICES, LATENCIES)
    sources = book(wire, MODELS_DEV, PROMETHEUS)

    assert (2, {}, {}) == (len(sources), sources.prices, sources.latencies_s)
    assert [True, True] == [await sources.refresh(0), await sources.refresh(1)]
    assert {"openai/gpt-4o": Price(2.5, 10.0, None)} == sources.prices
    assert {"a": 0.5} == sources.latencies_s
    assert ["https://models.dev/api.json", source_url(PROMETHEUS)] == wire.urls


@pytest.mark.parametrize(
    "failure", [OSError("x"), TimeoutError(), b"<html>", b"{}", ValueError("any")]
)
async def test_a_failed_refresh_keeps_the_last_good_numbers(failure):
    """It raises their age and is counted; the next good one ends that."""
    clock = FakeClock(100.0)
    sources = book(Wire(GOOD_PRICES, failure, failure, BETTER_PRICES), MODELS_DEV, clock=clock)

    await sources.refresh(0)
    clock.advance(50.0)
    assert [False, False] == [await sources.refresh(0), await sources.refresh(0)]
    assert {"openai/gpt-4o": Price(2.5, 10.0, None)} == sources.prices
    assert [
        SourceStatus("cost", "models.dev", 50.0, is_loaded=True, failures=2)
    ] == sources.statuses(clock.monotonic_s())

    await sources.refresh(0)
    assert {"openai/gpt-4o": Price(2.0, 10.0, None)} == sources.prices
    assert [
        SourceStatus("cost", "models.dev", 0.0, is_loaded=True, failures=0)
    ] == sources.statuses(clock.monotonic_s())


async def test_a_source_that_was_never_read_ages_from_the_start():
    """So that its alert fires too."""
    clock = FakeClock(100.0)
    sources = book(Wire(OSError("x")), MODELS_DEV, clock=clock)
    clock.advance(70.0)
    await sources.refresh(0)

    assert [
        SourceStatus("cost", "models.dev", 70.0, is_loaded=False, failures=1)
    ] == sources.statuses(clock.monotonic_s())


async def test_an_empty_vector_replaces_old_latencies():
    """It is an answer: nobody was called lately, so old numbers tell nothing."""
    sources = book(Wire(LATENCIES, NO_LATENCIES), PROMETHEUS)
    await sources.refresh(0)
    await sources.refresh(0)

    assert {} == sources.latencies_s


async def test_a_failure_is_logged_once_and_without_secrets(caplog: pytest.LogCaptureFixture):
    """An error's own words may hold a URL with a password; what the parsers say holds nothing of an
    answer.
    """
    secret = OSError("http://user:hunter2@p:9090")
    wire = Wire(secret, secret, GOOD_PRICES, b"{}", secret)
    sources = book(wire, MODELS_DEV)

    with caplog.at_level(logging.WARNING, "sidecar.sources"):
        for _ in range(5):
            await sources.refresh(0)

    expected = [
        "the cost source models.dev cannot be read: the connection failed",
        "the cost source models.dev cannot be read: there is no price in it",
    ]
    assert expected == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (TimeoutError(), "no reply in time"),
        (SourceUnreadable("status 500"), "status 500"),
    ],
)
async def test_a_source_that_is_read_again_is_logged_too(error: Any, cause: str, caplog: Any):
    """With the cause before it, as a phrase."""
    sources = book(Wire(error, GOOD_PRICES), MODELS_DEV)
    with caplog.at_level(logging.INFO, "sidecar.sources"):
        for _ in range(2):
            await sources.refresh(0)

    assert [
        f"the cost source models.dev cannot be read: {cause}",
        "the cost source models.dev is read again",
    ] == [record.getMessage() for record in caplog.records]


async def test_a_price_file_is_read_from_disk(tmp_path: Any):
    """Again at each refresh; nothing is fetched for it."""
    path = tmp_path / "prices.json"
    wire = Wire()
    sources = book(wire, MetricsSource(type="cost", provider="file", path=str(path)))

    assert not await sources.refresh(0)
    path.write_bytes(b'{"a": {"input": 1, "output": 2}}')
    assert await sources.refresh(0)
    assert ({"a": Price(1.0, 2.0, None)}, []) == (sources.prices, wire.urls)


async def test_what_is_no_file_or_too_long_changes_nothing(
    tmp_path: Any, monkeypatch: Any, caplog: Any
):
    """A pipe would never end, and a file of any length would fill the pod."""
    monkeypatch.setattr(sources_module, "_FILE_BYTES", 10)
    path = tmp_path / "prices.json"
    for make, reason in (
        (lambda: os.mkfifo(path), "there is no such file"),
        (lambda: path.write_bytes(b" " * 11), "it is longer than 10 bytes"),
    ):
        make()
        sources = book(Wire(), MetricsSource(type="cost", provider="file", path=str(path)))
        assert not await sources.refresh(0)
        assert caplog.records[-1].getMessage() == f"the cost source file cannot be read: {reason}"
        path.unlink()


@pytest.mark.parametrize(("source", "answer"), [(MODELS_DEV, GOOD_PRICES), (PROMETHEUS, LATENCIES)])
async def test_calls_go_on_while_a_catalog_is_read(
    monkeypatch: Any, source: MetricsSource, answer: bytes
):
    """Megabytes of JSON are taken apart beside the loop."""
    threads: list[int] = []

    def watched(read: Any, *given: Any) -> Any:
        threads.append(threading.get_ident())
        return read(*given)

    for name in ("read_models_dev", "read_prometheus"):
        monkeypatch.setattr(
            sources_module, name, functools.partial(watched, getattr(sources_module, name))
        )

    assert await book(Wire(answer), source).refresh(0)
    assert 1 == len(threads)
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    ("interval_s", "answers", "slept_s"),
    [
        (3600, [GOOD_PRICES, GOOD_PRICES], [3600.0, 3600.0]),
        (3600, [OSError("x"), GOOD_PRICES], [60.0, 3600.0]),
        (15, [OSError("x"), GOOD_PRICES], [15.0, 15.0]),
    ],
)
async def test_a_source_is_read_at_its_interval(interval_s, answers, slept_s):
    """And sooner after a failure; until the task is cancelled."""
    wire = Wire(*answers)
    source = MetricsSource(type="cost", provider="models.dev", refresh_interval_s=interval_s)

    with pytest.raises(asyncio.CancelledError):
        await book(wire, source).keep_fresh(0)
    assert slept_s == wire.slept_s


async def test_without_an_interval_a_source_is_read_once():
    """Tried until it was: the start of a pod is a bad time to give up."""
    wire = Wire(OSError("x"), OSError("x"), GOOD_PRICES)

    await book(wire, MetricsSource(type="cost", provider="models.dev")).keep_fresh(0)

    assert ([60.0, 60.0], []) == (wire.slept_s, wire.answers)


async def test_a_cancelled_refresh_is_cancelled():
    """The one thing that is not swallowed."""

    async def fetch(url: str) -> bytes:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await MetricsSources([MODELS_DEV], fetch, FakeClock().monotonic_s).refresh(0)


async def test_what_a_former_config_had_read_is_not_lost():
    """A reload changes no price: numbers, age and failures of a source that both configs name go
    on. Of one that only the former names, nothing does.
    """
    clock, wire = FakeClock(), Wire(GOOD_PRICES, LATENCIES, OSError())
    former = book(wire, MODELS_DEV, PROMETHEUS, clock=clock)
    await former.refresh(0)
    await former.refresh(1)
    clock.advance(7.0)
    await former.refresh(0)
    later = MetricsSources([MODELS_DEV], wire.fetch, clock.monotonic_s, wire.sleep, former=former)

    assert (former.prices, {}) == (later.prices, later.latencies_s)
    assert [SourceStatus("cost", "models.dev", 7.0, True, 1)] == later.statuses(clock.monotonic_s())


@pytest.mark.parametrize(
    ("source", "slept_s", "reads"),
    [
        (MODELS_DEV, [3593.0, 3600.0], 1),
        (MetricsSource(type="cost", provider="models.dev"), [], 0),
    ],
)
async def test_a_source_is_read_again_when_it_would_have_been(source, slept_s, reads):
    """A reload does not read it sooner: a thousand pods may reload in the same minute."""
    clock, wire = FakeClock(), Wire(GOOD_PRICES, BETTER_PRICES)
    former = book(wire, source, clock=clock)
    await former.refresh(0)
    clock.advance(7.0)
    later = MetricsSources([source], wire.fetch, clock.monotonic_s, wire.sleep, former=former)
    with contextlib.suppress(asyncio.CancelledError):
        await later.keep_fresh(0)

    assert (slept_s, 1 + reads) == (wire.slept_s, len(wire.urls))


async def test_a_price_file_without_an_interval_is_read_by_a_reload(tmp_path):
    """Somebody has edited it, and reloads for its sake."""
    file, wire = tmp_path / "prices", Wire()
    source = MetricsSource(type="cost", provider="file", path=str(file))
    file.write_text('{"a": {"input": 1, "output": 1}}')
    former = book(wire, source)
    await former.refresh(0)
    file.write_text('{"a": {"input": 2, "output": 1}}')
    later = MetricsSources([source], wire.fetch, FakeClock().monotonic_s, wire.sleep, former=former)
    await later.keep_fresh(0)

    assert [1.0, 2.0] == [each.prices["a"].usd_per_mtok_in for each in (former, later)]


async def test_a_document_takes_room_while_it_is_decoded(tmp_path):
    """A file that is too long for it is not read, and a document that it has no room for now
    changes nothing; what it had taken is given back.
    """
    share = MemoryBudget(1000).share("price_lists", keeps=0.0)
    file = tmp_path / "prices.json"
    file.write_text("{}" + " " * 600)
    from_file = MetricsSource(type="cost", provider="file", path=str(file))
    wire = Wire(b"[" + b"0" * 100)
    sources = MetricsSources(
        [from_file, MODELS_DEV], wire.fetch, FakeClock().monotonic_s, wire.sleep, memory=share
    )
    assert "it is longer than 500 bytes" == await sources.read_once(0)
    share.take(900)

    assert "limits.memory_bytes has no room for it" == await sources.read_once(1)
    assert 900 == share.used_bytes


@pytest.mark.parametrize("answers", [[GOOD_PRICES], [OSError("x"), GOOD_PRICES]])
async def test_a_person_who_asks_may_wait_until_each_source_was_read_once(answers):
    """Or could not be: nobody waits longer than for one try."""
    sources = book(Wire(*answers), MetricsSource(type="cost", provider="models.dev"))
    waiting = asyncio.get_running_loop().create_task(
        sources.wait_for_first_reads(60.0), name="a person"
    )
    await asyncio.sleep(0)  # sleep: it has begun, and nothing was read
    assert not waiting.done()

    await sources.keep_fresh(0)
    await waiting


async def test_a_person_who_asks_does_not_wait_for_ever():
    """A source that hangs is named by `doctor`."""
    sources = book(Wire(), MetricsSource(type="cost", provider="models.dev"))
    await sources.wait_for_first_reads(0.01)
