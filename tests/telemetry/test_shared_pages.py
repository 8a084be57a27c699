"""The page of metrics for many scrapers at once: written once, in the form that each asks for."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from sidecar.runtime.lifecycle import Tasks
from sidecar.telemetry.exposition import SharedPages
from tests.support.metrics_reference import full_metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


class Source:
    """Families of one gauge that says how often they were taken; how many are being written."""

    def __init__(self) -> None:
        self.taken = 0
        self.at_once = 0

    def __call__(self) -> Iterator[Metric]:
        self.taken += 1
        self.at_once += 1
        for part in "ab":
            assert self.at_once == 1, "two pages are written at a time"
            yield GaugeMetricFamily(part, "help", self.taken)
        self.at_once -= 1


async def test_two_hundred_scrapers_cost_one_page():
    """Those who come while it is written, and those of the second after it."""
    source = Source()
    pages = SharedPages(source)
    together = await asyncio.gather(*(pages.page("", "") for _ in range(200)))
    later = await pages.page("", "")

    assert (1, {id(later)}) == (source.taken, {id(each) for each in together})


async def test_every_form_is_written_once_and_one_after_the_other():
    """Text and OpenMetrics, each in gzip too, which is made of the same page."""
    source = Source()
    pages = SharedPages(source)
    asked = [(accept, code) for accept in ("", OPENMETRICS) for code in ("", "gzip")] * 20
    got = await asyncio.gather(*(pages.page(*each) for each in asked))
    plain, packed = got[0], got[1]

    assert (2, 4) == (source.taken, len({id(each) for each in got}))
    assert plain.body == gzip.decompress(packed.body)
    assert {**plain.headers, "Content-Encoding": "gzip"} == packed.headers


async def test_a_page_is_kept_for_a_while_and_then_written_anew():
    """And holds no memory afterwards."""
    source = Source()
    pages = SharedPages(source)
    pages.kept_s = 0.01
    first = await pages.page("", "gzip")
    async with asyncio.timeout(10):
        while (again := await pages.page("", "gzip")) is first:
            await asyncio.sleep(0.005)  # sleep: its time is over by the clock alone
        while pages._kept:
            await asyncio.sleep(0.005)  # sleep: its time is over by the clock alone

    assert (2, True) == (source.taken, b"a 2.0" in gzip.decompress(again.body))


async def test_pages_that_are_not_kept_are_written_for_each_turn():
    """Who asks meanwhile shares one all the same."""
    source = Source()
    pages = SharedPages(source)
    pages.kept_s = 0
    for _ in "ab":
        await asyncio.gather(*(pages.page("", "") for _ in range(20)))

    assert 2 == source.taken


async def test_a_scraper_that_leaves_ends_no_page():
    """The others get theirs, and nothing is begun twice."""
    source = Source()
    pages, tasks = SharedPages(source), Tasks()
    first = tasks.spawn(pages.page("", ""), name="first")
    other = tasks.spawn(pages.page("", ""), name="other")
    while not source.taken:
        await asyncio.sleep(0)
    first.cancel()
    page = await other

    assert (1, True) == (source.taken, b"a 1.0" in page.body)


async def test_the_end_ends_what_is_being_written():
    """The process waits for no page."""
    pages, tasks = SharedPages(Source()), Tasks()
    asked = tasks.spawn(pages.page("", ""), name="asked")
    await asyncio.sleep(0)
    await pages.aclose()
    await asyncio.wait((asked,))

    assert asked.cancelled()


async def test_a_large_page_is_packed_whole():
    """In slices, whose pieces make up one stream."""
    pages = full_metrics().pages
    plain, packed = [await pages.page(OPENMETRICS, code) for code in ("", "gzip")]

    assert len(plain.body) > 32_768
    assert plain.body == gzip.decompress(packed.body)
    assert len(packed.body) < len(plain.body) / 5


ACCEPTED = [
    ("", "text/plain; version=0.0.4"),
    ("*/*", "text/plain; version=0.0.4"),
    ("text/plain;version=0.0.4", "text/plain; version=0.0.4"),
    ("text/plain;version=abc", "text/plain; version=0.0.4"),
    ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
    (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
    ("text/html, " + OPENMETRICS.upper(), "application/openmetrics-text; version=1.0.0"),
    (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0"),
    (OPENMETRICS + ";q=0", "text/plain; version=0.0.4"),
    (OPENMETRICS + ";q=0.000, text/plain", "text/plain; version=0.0.4"),
    ("application/openmetrics-text;version=0.0.1", "text/plain; version=0.0.4"),
    ("application/openmetrics-text;version=abc", "text/plain; version=0.0.4"),
    ("application/openmetrics-text;version=9.0.0\x00é" * 99, "text/plain; version=0.0.4"),
    (";;,,==;q=;version=" * 500, "text/plain; version=0.0.4"),
]


@pytest.mark.parametrize(("accept", "expected"), ACCEPTED)
async def test_whatever_a_scraper_accepts_it_gets_one_of_two_forms(accept, expected):
    """Any peer may send any header: none of it comes back, and none is an error."""
    page = await SharedPages(Source()).page(accept, accept)

    assert page.headers["Content-Type"].startswith(expected)


@pytest.mark.parametrize(
    ("accept_encoding", "is_gzip"),
    [
        ("gzip", True), ("br, GZIP;q=0.5", True), ("", False), ("identity", False),
        ("gzip;q=0", False), ("gzip; q=0.0, br", False), ("*", False), ("gzipped", False),
    ],
)  # fmt: skip
async def test_gzip_is_for_those_who_take_it(accept_encoding, is_gzip):
    """Prometheus does; a person with curl does not."""
    page = await SharedPages(Source()).page("", accept_encoding)

    assert is_gzip == ("Content-Encoding" in page.headers)
