"""Puts the status together, whenever it is asked for.

All numbers are those that metrics count anyway, and what the rooms say of themselves; nothing is
kept for it, so that it costs nothing while nothing asks.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence

import msgspec

from sidecar.config.load import LoadedConfig
from sidecar.config.providers import find_router
from sidecar.domain.clock import Clock
from sidecar.domain.ports import CandidateSnapshot
from sidecar.telemetry.build_facts import build_facts
from sidecar.telemetry.call_record import CallRecord
from sidecar.telemetry.families import HistogramFamily
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.last_failures import LastFailure
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.status import (
    Buckets,
    BucketsBySource,
    CandidateStatus,
    ConfigStatus,
    Counts,
    MemoryStatus,
    ReloadStatus,
    RouteCandidate,
    RouterStatus,
    RouteStatus,
    SourceStatusLine,
    Status,
    StoreStatus,
)


class RunningSnapshot(msgspec.Struct, frozen=True):
    """What the rooms say of themselves at this moment."""

    scrape: ScrapeSnapshot
    state: str
    in_flight_limit: int
    loaded: LoadedConfig
    generation: int
    since_unix_s: float
    reload: ReloadStatus
    store_place: str
    """As `telemetry.start_line.store_place`, of the config that the process began with."""
    routes: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """Name, and (account, model as metrics name it) of each candidate."""
    is_breaker_open: bool


class StatusReader:
    """Reads a `Status` whenever it is asked.

    Args: ``snapshot`` reads the rooms; ``recent`` returns the last calls, newest first;
        ``failure_of`` is `LastFailures.of_entry`;
        ``listener_path`` is `listener.server.listener_path`.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        snapshot: Callable[[], RunningSnapshot],
        recent: Callable[[], Sequence[CallRecord]],
        failure_of: Callable[[str], LastFailure | None],
        listener_path: str,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._snapshot = snapshot
        self._recent = recent
        self._failure_of = failure_of
        self._listener_path = listener_path
        self._started_s = clock.monotonic_s()

    def render(self) -> bytes:
        """Return the status as JSON."""
        return msgspec.json.encode(self.read())

    def read(self) -> Status:
        """Return the status. Called in the event loop that serves."""
        metrics, now = self._metrics, self._snapshot()
        scrape = now.scrape
        return Status(
            at_unix_s=self._clock.unix_s(),
            uptime_s=self._clock.monotonic_s() - self._started_s,
            host=platform.node(),
            state=now.state,
            in_flight=scrape.in_flight,
            in_flight_limit=now.in_flight_limit,
            memory=MemoryStatus(scrape.memory_limit_bytes, dict(scrape.memory_used)),
            build=build_facts(self._listener_path),
            config=_config(now),
            requests=_counts(metrics, "requests", "outcome"),
            decisions=_counts(metrics, "routing_decisions", "source"),
            failovers=sum(_counts(metrics, "failovers", "reason").values()),
            routing=_routing(metrics.histogram("routing_duration_seconds")),
            first_byte=_buckets(metrics.histogram("upstream_first_byte_seconds")),
            overhead=_buckets(metrics.histogram("overhead_seconds")),
            loop_lag=_buckets(metrics.histogram("event_loop_lag_seconds")),
            candidates=self._candidates(scrape.candidates),
            routes=[
                RouteStatus(name, [RouteCandidate(*each) for each in its])
                for name, its in now.routes
            ],
            router=_router(metrics, now),
            store=_store(now),
            sources=[SourceStatusLine(*each) for each in scrape.price_ages_s],
            calls=self._recent(),
        )

    def _candidates(self, snapshots: Sequence[CandidateSnapshot]) -> list[CandidateStatus]:
        first_byte = self._metrics.histogram("upstream_first_byte_seconds")
        first_bytes = first_byte.sums("account", "model")
        attempts = _attempts(self._metrics)
        empty = [0] * (len(first_byte.bounds) + 1)
        return [
            CandidateStatus(
                each.model.partition("/")[0],
                each.account,
                each.model,
                each.condition,
                each.reason,
                each.left_s,
                *self._failure(each),
                attempts.get((each.account, each.model), {}),
                first_bytes.get((each.account, each.model), empty),
            )
            for each in snapshots
        ]

    def _failure(self, candidate: CandidateSnapshot) -> tuple[str | None, str | None, str | None]:
        """Return cause, place and what to do; nothing of a candidate that serves."""
        failure = None if candidate.left_s is None else self._failure_of(candidate.account)
        if failure is None or failure.model != candidate.model:
            return None, None, None
        return failure.report.cause, failure.report.place, failure.report.to_do


def _counts(metrics: Metrics, name: str, label: str) -> Counts:
    return {str(key[0]): int(count) for key, count in metrics.counter(name).sums(label).items()}


def _buckets(family: HistogramFamily) -> Buckets:
    empty = [0] * (len(family.bounds) + 1)
    return Buckets(family.bounds, family.sums().get((), empty))


def _routing(family: HistogramFamily) -> BucketsBySource:
    counts = {str(key[0]): counts for key, counts in family.sums("source").items()}
    return BucketsBySource(family.bounds, counts)


def _config(now: RunningSnapshot) -> ConfigStatus:
    files = now.loaded.files
    return ConfigStatus(
        str(files[0]) if files else "environment",
        now.scrape.config_hash,
        now.generation,
        now.since_unix_s,
        now.loaded.warnings,
        now.scrape.generations - 1,
        now.reload,
    )


def _attempts(metrics: Metrics) -> dict[tuple[str, ...], Counts]:
    """Return the attempts at each candidate, by account and model."""
    attempts: dict[tuple[str, ...], Counts] = {}
    counted = metrics.counter("upstream_attempts").sums("account", "model", "outcome")
    for key, count in counted.items():
        attempts.setdefault(key[:2], {})[str(key[2])] = int(count)
    return attempts


def _router(metrics: Metrics, now: RunningSnapshot) -> RouterStatus | None:
    router = find_router(now.loaded.config, now.loaded.providers)
    if router is None:
        return None
    questions = _counts(metrics, "router_requests", "outcome")
    return RouterStatus(router.model, now.is_breaker_open, questions)


def _store(now: RunningSnapshot) -> StoreStatus:
    store = now.scrape.store
    if store is None:
        return StoreStatus(place=now.store_place, is_shared=False)
    return StoreStatus(
        place=now.store_place,
        is_shared=True,
        is_up=store.is_up,
        is_tracking=store.is_tracking,
        near_entries=store.near_entries,
        shadow_entries=store.shadow_entries,
    )
