"""What `/status` tells: how the sidecar is at this moment, as JSON for the live page and scripts.

Its names are an API. Fields are only ever added; `SCHEMA` counts the changes of what is there. It
holds no tenant, session, key or prompt, but the hashes that the access log has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

SCHEMA: Final = 1

Counts = dict[str, int]


class BuildStatus(msgspec.Struct, frozen=True):
    """What runs, and on what."""

    version: str
    python: str
    loop: str
    compiled: bool
    listener_path: str


class ConfigStatus(msgspec.Struct, frozen=True):
    """The config that serves new calls."""

    file: str
    """``environment`` without one."""
    hash: str
    generation: int
    """1 for the first config of the process, one more for each that replaced it."""
    since_unix_s: float
    warnings: list[str]


class Buckets(msgspec.Struct, frozen=True):
    """A histogram since the start."""

    bounds_s: tuple[float, ...]
    """Upper bounds, ascending."""
    counts: list[int]
    """Values in each bucket alone, and behind them those beyond all bounds."""


class BucketsBySource(msgspec.Struct, frozen=True):
    """Histograms since the start, one for each source of decisions."""

    bounds_s: tuple[float, ...]
    counts: dict[str, list[int]]


class CandidateStatus(msgspec.Struct, frozen=True):
    """How one configured candidate stands, and what came of attempts at it since the start."""

    provider: str
    account: str
    model: str
    state: str
    reason: str | None
    left_s: float | None
    """Seconds until it has its usual place in plans again; None where it has."""
    attempts: Counts
    """By outcome."""
    first_byte: list[int]
    """As `Buckets.counts`, of the bounds of ``first_byte`` beside it."""


class RouteStatus(msgspec.Struct, frozen=True):
    """A configured route: which candidates it has, in the operator's order."""

    name: str
    candidates: list[dict[str, str]]
    """Account and model of each."""


class RouterStatus(msgspec.Struct, frozen=True):
    """The router model, and what came of questions to it since the start."""

    model: str
    is_breaker_open: bool
    questions: Counts
    """By outcome."""


class StoreStatus(msgspec.Struct, frozen=True):
    """Where pins are kept. What is told of Redis is null where pins are kept in this process."""

    place: str
    """``memory``, or ``redis at host:port``."""
    is_shared: bool
    is_up: bool | None = None
    is_tracking: bool | None = None
    near_entries: int | None = None
    shadow_entries: int | None = None


class SourceStatusLine(msgspec.Struct, frozen=True):
    """A source of prices or latencies."""

    source: str
    age_s: float


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One sidecar at one moment."""

    schema: int = SCHEMA
    at_unix_s: float
    uptime_s: float
    """On a clock that never goes back: differences of it are what rates are taken over."""
    host: str
    state: str
    """``starting``, ``ready`` or ``draining``."""
    in_flight: int
    in_flight_limit: int
    build: BuildStatus
    config: ConfigStatus
    requests: Counts
    """Since the start, by outcome."""
    decisions: Counts
    """Since the start, by source."""
    failovers: int
    routing: BucketsBySource
    first_byte: Buckets
    overhead: Buckets
    loop_lag: Buckets
    candidates: list[CandidateStatus]
    routes: list[RouteStatus]
    router: RouterStatus | None
    """None where no router model is configured."""
    store: StoreStatus
    sources: list[SourceStatusLine]
    calls: Sequence[object]
    """The last ones, newest first, as the access log tells them."""
