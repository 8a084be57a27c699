"""Prices and latencies from outside, read again and again beside calls, none of which waits for it.

How bytes are fetched is passed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sidecar.config.schema_routing import MetricsSource
from sidecar.domain.decision import Price
from sidecar.domain.errors import LoggableError
from sidecar.domain.log_fields import event_fields
from sidecar.http1.cause import network_cause
from sidecar.routing.catalogs import (
    SourceUnreadable,
    read_digitalocean,
    read_models_dev,
    read_price_file,
    read_prometheus,
)
from sidecar.runtime.memory_budget import MemoryShare, unlimited
from sidecar.runtime.timers import Timeout

Fetch = Callable[[str], Awaitable[bytes]]
"""GET a URL and return the body of its 2xx answer, within a timeout and a size of its own; raises
on anything else.
"""

RETRY_S: Final = 60.0
"""How long after a failure a source is read again, where its own interval is not shorter. A source
without an interval is retried as well, until it was read once.
"""

_FILE_BYTES: Final = 32 * 1024 * 1024
"""The same bound as a fetched document has."""
_DIGITALOCEAN_URL: Final = "https://api.digitalocean.com/v2/gen-ai/models/catalog?limit=200"
_MODELS_DEV_URL: Final = "https://models.dev/api.json"

_log: Final = logging.getLogger("sidecar.sources")


class SourceStatus(msgspec.Struct, frozen=True):
    """How one source is doing."""

    type: str
    """``cost`` or ``latency``."""
    provider: str
    age_s: float
    """Since its numbers were last read, or since the start if they never were."""
    is_loaded: bool
    """Whether it was ever read."""
    failures: int
    """In a row, since it was last read."""


class _State:
    """The last good numbers of one source."""

    def __init__(self, source: MetricsSource, now_s: float) -> None:
        self.source = source
        self.prices: Mapping[str, Price] = {}
        self.latencies_s: Mapping[str, float] = {}
        self.read_s = now_s
        self.is_loaded = False
        self.failures = 0
        self.first_read = asyncio.Event()
        """Set once the source was read, or could not be."""

    def take_over(self, former: _State) -> None:
        """Begin with what another state knows of the same source."""
        self.prices, self.latencies_s = former.prices, former.latencies_s
        self.read_s, self.is_loaded = former.read_s, former.is_loaded
        self.failures = former.failures


class MetricsSources:
    """The last good numbers of every configured source. A failed refresh changes nothing but an
    age.
    """

    def __init__(
        self,
        sources: Sequence[MetricsSource],
        fetch: Fetch,
        monotonic_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        former: MetricsSources | None = None,
        memory: MemoryShare | None = None,
    ) -> None:
        """Args: ``former`` are the sources of the config before: what they know of a source that
        this one names too is taken over. ``memory`` is what documents may take while they are
        decoded; None: as they like.
        """
        self._memory = memory or unlimited()
        self._fetch = fetch
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self.states = [_State(source, monotonic_s()) for source in sources]
        self.prices: Mapping[str, Price] = {}
        """By model name, as `rank.RankInputs` takes them; replaced as a whole, never changed."""
        self.latencies_s: Mapping[str, float] = {}
        """By model name; may hold nothing for a model that was not called lately."""
        for state in self.states:
            for known in () if former is None else former.states:
                if known.source == state.source:
                    state.take_over(known)
        self._put_together()

    def __len__(self) -> int:
        return len(self.states)

    def statuses(self, now_s: float) -> list[SourceStatus]:
        """Return the status of every source, in the config's order."""
        return [
            SourceStatus(
                type=state.source.type,
                provider=state.source.provider,
                age_s=now_s - state.read_s,
                is_loaded=state.is_loaded,
                failures=state.failures,
            )
            for state in self.states
        ]

    async def refresh(self, index: int) -> bool:
        """Read one source now. On failure its last good numbers stay, and it is logged once.

        Returns: whether it was read. Raises: nothing but cancellation.
        """
        state = self.states[index]
        source, failures = state.source, state.failures
        cause = await self.read_once(index)
        if cause is not None:
            if not failures:
                values = source.type, source.provider, cause
                extra = event_fields("source_fails", source=source.provider, cause=cause)
                _log.warning("the %s source %s cannot be read: %s", *values, extra=extra)
            return False
        if failures:
            extra = event_fields("source_serves_again", source=source.provider)
            _log.info("the %s source %s is read again", source.type, source.provider, extra=extra)
        return True

    async def read_once(self, index: int) -> str | None:
        """Read one source now, without a word in the log. On failure its last good numbers stay.

        Returns: why it could not be read, as a phrase; None where it was. Raises: nothing but
        cancellation.
        """
        state = self.states[index]
        try:
            await self._keep_numbers(state, await self._read(state.source))
        except Exception as error:  # noqa: BLE001 - numbers are optional: whatever fails, calls go on
            state.failures += 1
            # Never the error's own words, which may hold a URL with a password.
            return _cause_of(error)
        state.read_s = self._monotonic_s()
        state.is_loaded = True
        state.failures = 0
        self._put_together()
        return None

    async def wait_for_first_reads(self, at_most_s: float = 10.0) -> None:
        """Wait until each source was read once, or could not be: while `keep_fresh` runs. Calls do
        not wait; a person who asks once may.
        """
        with contextlib.suppress(TimeoutError):
            async with Timeout(at_most_s):
                for state in self.states:
                    await state.first_read.wait()

    async def keep_fresh(self, index: int) -> None:
        """Read one source now and then every ``refresh_interval``; without an interval, until it
        was read once. What a former one had read is read again when that would have; a file without
        an interval at once, since a config is also reloaded for its sake.

        Runs in a task of its own until it is cancelled.
        """
        state = self.states[index]
        interval_s = state.source.refresh_interval_s
        if state.is_loaded and interval_s is not None:
            state.first_read.set()
            await self._sleep(max(0.0, state.read_s + interval_s - self._monotonic_s()))
        elif state.is_loaded and state.source.provider != "file":
            state.first_read.set()
            return
        while True:
            is_read = await self.refresh(index)
            state.first_read.set()
            if is_read and interval_s is None:
                return
            wait_s = float(interval_s or RETRY_S)
            await self._sleep(wait_s if is_read else min(wait_s, RETRY_S))

    async def _keep_numbers(self, state: _State, data: bytes) -> None:
        """Decode a document, which takes about its length once more. Raises: SourceUnreadable."""
        size = 2 * len(data)
        if not self._memory.take_nowait(size):
            raise SourceUnreadable("limits.memory_bytes has no room for it")
        try:
            await _keep_numbers(state, data)
        finally:
            self._memory.give_back(size)

    def _put_together(self) -> None:
        self.prices = {model: price for each in self.states for model, price in each.prices.items()}
        self.latencies_s = {
            model: seconds for each in self.states for model, seconds in each.latencies_s.items()
        }

    async def _read(self, source: MetricsSource) -> bytes:
        if source.provider == "file":
            assert source.path is not None  # the config was checked for that
            at_most = min(_FILE_BYTES, self._memory.at_most_bytes // 2)
            return await asyncio.to_thread(_read_file, Path(source.path), at_most)
        return await self._fetch(source_url(source))


def source_url(source: MetricsSource) -> str:
    """Return the URL of a source other than ``file``: the provider's own where the config names
    none.
    """
    if source.provider == "prometheus":
        base = (source.url or "").rstrip("/")
        return f"{base}/api/v1/query?{urllib.parse.urlencode({'query': source.query or ''})}"
    return source.url or (
        _DIGITALOCEAN_URL if source.provider == "digitalocean" else _MODELS_DEV_URL
    )


def _cause_of(error: Exception) -> str:
    """Return why a source cannot be read; never an error's own words where they may hold a URL with
    a password.
    """
    if isinstance(error, LoggableError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no reply in time"
    return network_cause(error) or "the connection failed"


def _read_file(path: Path, at_most: int) -> bytes:
    """Return a file's bytes. Raises: SourceUnreadable, OSError."""
    if not path.is_file():  # a pipe would never end
        raise SourceUnreadable("there is no such file")
    with path.open("rb") as file:
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise SourceUnreadable(f"it is longer than {at_most} bytes")
    return data


async def _keep_numbers(state: _State, data: bytes) -> None:
    """Decode a source's document in a thread and keep its numbers. Models.dev's 2 MB take 20 ms, in
    which calls would wait.

    Raises: SourceUnreadable.
    """
    source = state.source
    if source.provider == "prometheus":
        state.latencies_s = await asyncio.to_thread(read_prometheus, data, source.model_aliases)
        return
    read = {
        "digitalocean": read_digitalocean,
        "models.dev": read_models_dev,
        "file": read_price_file,
    }[source.provider]
    prices = await asyncio.to_thread(read, data, source.model_aliases)
    if not prices:
        raise SourceUnreadable("there is no price in it")
    state.prices = prices
