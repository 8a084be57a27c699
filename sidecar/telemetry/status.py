"""What `/status` tells: how the sidecar is at this moment, as JSON for the live page and scripts.

Its names are an API. Fields are only ever added; `SCHEMA` counts the changes of what is there. It
holds no tenant, session, key or prompt, but the hashes that the access log has. README.md lists
every field by the line below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from sidecar.telemetry.call_record import CallRecord

SCHEMA: Final = 1

Counts = dict[str, int]


class BuildStatus(msgspec.Struct, frozen=True):
    """What runs, and on what."""

    version: str
    """Of the sidecar."""
    python: str
    """Version of the interpreter."""
    loop: str
    """Module of the event loop."""
    compiled: bool
    """Whether the hot path is made of extension modules."""
    listener_path: str
    """``fast`` or ``plain``."""


class ReloadStatus(msgspec.Struct, frozen=True):
    """How the last reload of the config ended; before the first one, the start."""

    at_unix_s: float
    """When it was tried, in seconds since 1970."""
    is_successful: bool
    """Whether the config that it read serves; else the one before serves on."""
    success_unix_s: float
    """When the last one that was good was tried."""
    problems: list[str] = []
    """Why it was refused, one line each, as ``plano-sidecar check`` prints them."""
    changes: list[str] = []
    """What the last good one changed, as ``plano-sidecar check --diff`` prints it."""
    awaits_restart: list[str] = []
    """What the config in effect says and the process does not do, since it began with another
    value; a restart would end that."""


class ConfigStatus(msgspec.Struct, frozen=True):
    """The config that serves new calls."""

    file: str
    """Its path; ``environment`` without one."""
    hash: str
    """First 12 hex digits of the file's SHA-256; empty without one."""
    generation: int
    """1 for the first config of the process, one more for each that replaced it."""
    since_unix_s: float
    """When it began to serve, in seconds since 1970."""
    warnings: list[str]
    """One line each, as ``plano-sidecar check`` prints them."""
    older: int
    """Earlier configs by which calls that began with them are still served."""
    reload: ReloadStatus


class Buckets(msgspec.Struct, frozen=True):
    """A histogram since the start."""

    bounds_s: tuple[float, ...]
    """Upper bounds in seconds, ascending."""
    counts: list[int]
    """Values in each bucket alone, and behind them those beyond all bounds."""


class BucketsBySource(msgspec.Struct, frozen=True):
    """Histograms since the start, one for each source of decisions."""

    bounds_s: tuple[float, ...]
    """Upper bounds in seconds, ascending."""
    counts: dict[str, list[int]]
    """By source: values in each bucket alone, and behind them those beyond all bounds."""


class CandidateStatus(msgspec.Struct, frozen=True):
    """How one configured candidate stands, and what came of attempts at it since the start."""

    provider: str
    """Its family: the prefix of its model."""
    account: str
    """Name of its entry of `model_providers`."""
    model: str
    """As the config names it; ``prefix/*`` for a wildcard entry."""
    state: str
    """``serving``, ``cooling`` or ``ejected``."""
    reason: str | None
    """The failure that it goes last for, as in ``failovers_total``; null while it serves."""
    left_s: float | None
    """Seconds until it has its usual place in plans again; null where it has."""
    cause: str | None
    """What came of the last failed attempt, as the log says it; null while it serves."""
    place: str | None
    """``host:port`` of that attempt."""
    to_do: str | None
    """What a person has to do; null for what passes by itself."""
    attempts: Counts
    """Attempts at it since the start, by outcome."""
    first_byte: list[int]
    """As ``first_byte.counts``, of this candidate alone."""


class RouteCandidate(msgspec.Struct, frozen=True):
    """A candidate by its names."""

    account: str
    """Name of its entry of `model_providers`."""
    model: str
    """As ``candidates[].model``."""


class RouteStatus(msgspec.Struct, frozen=True):
    """A route in effect."""

    name: str
    """As the config has it."""
    candidates: list[RouteCandidate]
    """In the operator's order."""


class RouterStatus(msgspec.Struct, frozen=True):
    """The router model."""

    model: str
    """As the config names it."""
    is_breaker_open: bool
    """Whether it failed too often, and is only probed."""
    questions: Counts
    """Calls that needed it since the start, by what came of it."""


class StoreStatus(msgspec.Struct, frozen=True):
    """Where pins are kept. What is told of Redis is null where they are kept in this process."""

    place: str
    """``memory``, or ``redis at host:port``."""
    is_shared: bool
    """Whether other processes see the same pins."""
    is_up: bool | None = None
    """Whether Redis is asked at all."""
    is_tracking: bool | None = None
    """Whether Redis tells this process when others change pins."""
    near_entries: int | None = None
    """Pins that were read from Redis and are kept in this process."""
    shadow_entries: int | None = None
    """Pins made while Redis was away, to be written back."""


class MemoryStatus(msgspec.Struct, frozen=True):
    """What is kept in memory, as it is counted."""

    limit_bytes: int
    """What all shares may take together: ``limits.memory_bytes``, or what follows from the
    container's limit."""
    used_bytes: Counts
    """What is taken, by share."""


class SourceStatusLine(msgspec.Struct, frozen=True):
    """A source of prices or latencies."""

    source: str
    """The provider of an entry of `model_metrics_sources`."""
    age_s: float
    """Seconds since its numbers were last read."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One sidecar at one moment."""

    schema: int = SCHEMA
    """1; another number where names have changed their meaning."""
    at_unix_s: float
    """Now, in seconds since 1970."""
    uptime_s: float
    """Since the start, on a clock that never goes back: rates are taken over its differences."""
    host: str
    """Name of the machine, in Kubernetes the pod's."""
    state: str
    """``starting``, ``ready`` or ``draining``."""
    in_flight: int
    """Calls admitted whose response has not ended."""
    in_flight_limit: int
    """Of more, each is refused."""
    memory: MemoryStatus
    build: BuildStatus
    config: ConfigStatus
    requests: Counts
    """Requests of the app since the start, by outcome."""
    decisions: Counts
    """Models chosen since the start, by source."""
    failovers: int
    """Steps from one candidate to the next since the start."""
    routing: BucketsBySource
    """From admission to the chosen model."""
    first_byte: Buckets
    """From sending to a provider's first byte."""
    overhead: Buckets
    """What the sidecar itself added to calls."""
    loop_lag: Buckets
    """How much too late the event loop woke a sleeper."""
    candidates: list[CandidateStatus]
    routes: list[RouteStatus]
    router: RouterStatus | None
    """Null where no router model is configured."""
    store: StoreStatus
    sources: list[SourceStatusLine]
    calls: Sequence[CallRecord]
    """The last 50, newest first, each as a line of the access log: all that failed, and at most ten
    a second of those that were served."""
