"""The page `/metrics`, written in slices, between which calls go on, and once for all who ask at
about the same time.

Formats, escaping and numbers are the client library's. It writes a family of 100 histograms in
30 ms, in which no call would move; a thread would be no better, since the interpreter's lock is
handed over every 5 ms only.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from sidecar.runtime.single_flight import SingleFlight

_SAMPLES_A_SLICE: Final = 20
"""Written in half a millisecond."""
_PAUSE_S: Final = 0.002
"""Between two slices. A call takes some ten turns of the loop: with a slice in each turn, a scrape
would cost it five milliseconds.
"""
_EOF: Final = b"# EOF\n"
KEPT_S: Final = 1.0
"""How long a page is kept: no Prometheus scrapes more often."""
_TEXT: Final = "text/plain"
_OPENMETRICS: Final = "application/openmetrics-text"
_OPENMETRICS_VERSIONS: Final = frozenset(("version=1.0.0", 'version="1.0.0"'))
_GZIP_LEVEL: Final = 1
"""A page shrinks to an eighth; higher levels take thrice the time for a tenth."""
_GZIP_SLICE_BYTES: Final = 32_768
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib's word for gzip's framing."""


class Page(msgspec.Struct, frozen=True):
    """A page as it goes over the wire."""

    body: bytes
    headers: dict[str, str]


class _Variant(msgspec.Struct, frozen=True):
    """What a scraper can choose; there are four."""

    accept: str
    is_gzip: bool


class SharedPages:
    """The page for any number of scrapers: it is written once at a time, and kept for ``kept_s``
    seconds, in which all who ask are served from it. Who leaves ends no writing.

    Args: ``families`` are those of `written`, taken anew for each page.
    """

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self.kept_s = KEPT_S
        self._families = families
        self._kept: dict[_Variant, Page] = {}
        self._flights = SingleFlight[_Variant, Page]("write the page of metrics")
        self._turn = asyncio.Lock()

    async def page(self, accept: str, accept_encoding: str) -> Page:
        """Return the page that a request asks for by these headers, whatever they hold."""
        chosen = f"{_OPENMETRICS};version=1.0.0" if _takes_openmetrics(accept) else _TEXT
        return await self._shared(_Variant(chosen, _takes_gzip(accept_encoding)))

    async def aclose(self) -> None:
        """End what is being written."""
        await self._flights.aclose()

    async def _shared(self, variant: _Variant) -> Page:
        kept = self._kept.get(variant)
        if kept is not None:
            return kept
        make = self._compressed if variant.is_gzip else self._plain
        return await self._flights.run(variant, lambda: make(variant))

    async def _plain(self, variant: _Variant) -> Page:
        async with self._turn:
            body, content_type = await written(self._families(), variant.accept)
        return self._keep(variant, Page(body, {"Content-Type": content_type}))

    async def _compressed(self, variant: _Variant) -> Page:
        plain = await self._shared(_Variant(variant.accept, is_gzip=False))
        body = await _gzipped(plain.body)
        return self._keep(variant, Page(body, {**plain.headers, "Content-Encoding": "gzip"}))

    def _keep(self, variant: _Variant, page: Page) -> Page:
        if self.kept_s:
            self._kept[variant] = page
            asyncio.get_running_loop().call_later(self.kept_s, self._kept.pop, variant, None)
        return page


def _takes_openmetrics(accept: str) -> bool:
    """Return whether an Accept header names the version of OpenMetrics that is written here."""
    for kind, parameters in _items(accept):
        versions = {each for each in parameters if each.startswith("version=")}
        if kind == _OPENMETRICS and versions <= _OPENMETRICS_VERSIONS:
            return True
    return False


def _takes_gzip(accept_encoding: str) -> bool:
    return any(kind == "gzip" for kind, _ in _items(accept_encoding))


def _items(header: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the items of a header and their parameters, but those that are refused (``q=0``)."""
    for item in header.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        if not any(each.startswith("q=") and not each[2:].strip("0.") for each in parameters):
            yield kind, parameters


async def _gzipped(body: bytes) -> bytes:
    packer, view = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW), memoryview(body)
    parts: list[bytes] = []
    for at in range(0, len(view), _GZIP_SLICE_BYTES):
        parts.append(packer.compress(view[at : at + _GZIP_SLICE_BYTES]))
        await asyncio.sleep(_PAUSE_S)
    parts.append(packer.flush())
    return b"".join(parts)


class _Slice:
    """A registry with a part of one family, as the library's encoders take it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


async def written(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Return the exposition that an Accept header asks for, and its content type.

    Args: ``families`` are taken one by one; a large one may come in parts, one behind the other
        under the same name.
    """
    encode, content_type = choose_encoder(accept)
    parts: list[bytes] = []
    name = ""
    for family in families:
        for part in _sliced(family):
            parts.append(_encoded(encode, part, is_continued=part.name == name))
            name = part.name
            await asyncio.sleep(_PAUSE_S)
    if content_type.startswith("application/openmetrics-text"):
        parts.append(_EOF)
    return b"".join(parts), content_type


def _sliced(family: Metric) -> Iterator[Metric]:
    samples = family.samples
    if len(samples) <= _SAMPLES_A_SLICE:
        yield family
        return
    for at in range(0, len(samples), _SAMPLES_A_SLICE):
        part = Metric(family.name, family.documentation, family.type, family.unit)
        part.samples = samples[at : at + _SAMPLES_A_SLICE]
        yield part


def _encoded(encode: Callable[..., bytes], part: Metric, *, is_continued: bool) -> bytes:
    text = encode(_Slice(part)).removesuffix(_EOF)
    while is_continued and text.startswith(b"# "):
        text = text[text.index(b"\n") + 1 :]
    return text
