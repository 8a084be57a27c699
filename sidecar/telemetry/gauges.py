"""The gauges of `/metrics`, which are read at each scrape."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from sidecar.domain.ports import CandidateSnapshot, StoreSnapshot
from sidecar.domain.vocabulary import CandidateCondition, ConnectionState


class ScrapeSnapshot(msgspec.Struct, frozen=True):
    """What the gauges show, as it is at the moment of a scrape."""

    in_flight: int = 0
    connections: Sequence[tuple[str, int, int]] = ()
    """(provider family, connections in use, connections kept for the next call), for each pool."""
    candidates: Sequence[CandidateSnapshot] = ()
    """All that are configured, each once."""
    price_ages_s: Sequence[tuple[str, float]] = ()
    """(source, seconds since its numbers were last read)."""
    store: StoreSnapshot | None = None
    """None where pins are kept in this process alone."""
    config_hash: str = ""
    generations: int = 1
    """Configs by which calls are served: the one in effect, and older ones whose calls go on."""
    is_reload_successful: bool = True
    """Whether the last reload was good, or the start if there was none."""
    reload_success_unix_s: float = 0.0
    """When the config was last read and found good."""
    routes: Sequence[tuple[str, int]] = ()
    """(route, candidates that have their usual place in plans), for each route in effect."""
    dropped_lines: Sequence[tuple[str, int]] = ()
    """(stream, lines of it that were dropped since nothing read them)."""
    memory_limit_bytes: int = 0
    """What bodies, pins and all else that is kept may take together."""
    memory_used: Sequence[tuple[str, int]] = ()
    """(share, bytes of it that are taken)."""
    downstream: tuple[int, int] = (0, 0)
    """Connections of apps with a request, and without."""


class _Gauge(msgspec.Struct, frozen=True):
    """A gauge: ``read`` returns its label values and numbers."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    read: Callable[[ScrapeSnapshot], Sequence[tuple[tuple[str, ...], float]]]


def _connections(
    pools: Sequence[tuple[str, int, int]],
) -> list[tuple[tuple[str, ...], float]]:
    counts: collections.Counter[tuple[str, ...]] = collections.Counter()
    for provider, active, idle in pools:
        counts[provider, ConnectionState.ACTIVE] += active
        counts[provider, ConnectionState.IDLE] += idle
    return list(counts.items())


_CONNECTION_STATES: Final = ((ConnectionState.ACTIVE,), (ConnectionState.IDLE,))


def _candidate_states(
    candidate: CandidateSnapshot,
) -> Iterator[tuple[tuple[str, ...], float]]:
    family = candidate.model.partition("/")[0]
    for state in CandidateCondition:
        is_so = state is candidate.condition
        reason = candidate.reason if is_so and candidate.reason is not None else ""
        yield (family, candidate.account, candidate.model, state, reason), float(is_so)


def _store_gauge(name: str, documentation: str, read: Callable[[StoreSnapshot], float]) -> _Gauge:
    return _Gauge(
        f"plano_sidecar_affinity_{name}",
        documentation,
        (),
        lambda now: () if now.store is None else [((), float(read(now.store)))],
    )


GAUGES: Final = (
    _Gauge(
        "plano_sidecar_in_flight",
        "Calls admitted whose response has not ended.",
        (),
        lambda now: [((), now.in_flight)],
    ),
    _Gauge(
        "plano_sidecar_memory_limit_bytes",
        "What request bodies, pins and all else that is kept may take together.",
        (),
        lambda now: [((), now.memory_limit_bytes)],
    ),
    _Gauge(
        "plano_sidecar_memory_used_bytes",
        "What is taken of that, by what it is taken for.",
        ("share",),
        lambda now: [((share,), used) for share, used in now.memory_used],
    ),
    _Gauge(
        "plano_sidecar_upstream_connections",
        "Connections to providers; what two families share counts under the first one of them.",
        ("provider", "state"),
        lambda now: _connections(now.connections),
    ),
    _Gauge(
        "plano_sidecar_downstream_connections",
        "Connections of apps to the data port: with a request, or idle.",
        ("state",),
        lambda now: list(zip(_CONNECTION_STATES, now.downstream, strict=True)),
    ),
    _Gauge(
        "plano_sidecar_candidate_state",
        "1 for the state in which a configured candidate is, 0 for the others.",
        ("provider", "account", "model", "state", "reason"),
        lambda now: [
            sample for candidate in now.candidates for sample in _candidate_states(candidate)
        ],
    ),
    _Gauge(
        "plano_sidecar_route_candidates_serving",
        "How many of a route's candidates have their usual place: neither cooling nor ejected.",
        ("route",),
        lambda now: [((route,), serving) for route, serving in now.routes],
    ),
    _Gauge(
        "plano_sidecar_config_last_reload_successful",
        "1 if the config that was read last serves; 0 if it was refused and the one before does.",
        (),
        lambda now: [((), float(now.is_reload_successful))],
    ),
    _Gauge(
        "plano_sidecar_config_last_reload_success_timestamp_seconds",
        "When a config was last read and found good, at the start or by a reload, since 1970.",
        (),
        lambda now: [((), now.reload_success_unix_s)],
    ),
    _Gauge(
        "plano_sidecar_config_generations",
        "Configs by which calls are served: 1, and one for each older one whose calls go on.",
        (),
        lambda now: [((), now.generations)],
    ),
    _Gauge(
        "plano_sidecar_price_age_seconds",
        "Time since a source's prices or latencies were last read.",
        ("source",),
        lambda now: [((source,), age_s) for source, age_s in now.price_ages_s],
    ),
)
STORE_GAUGES: Final = (
    _store_gauge(
        "near_entries",
        "Pins that were read from Redis and are kept in this process. Only with Redis.",
        lambda store: store.near_entries,
    ),
    _store_gauge(
        "shadow_entries",
        "Pins made while Redis was away, to be written back. Only with Redis.",
        lambda store: store.shadow_entries,
    ),
    _store_gauge(
        "store_up",
        "1 while Redis is asked, 0 while it is left alone. Only with Redis.",
        lambda store: store.is_up,
    ),
    _store_gauge(
        "tracking_up",
        "1 while Redis tells this process when others change pins. Only with Redis.",
        lambda store: store.is_tracking,
    ),
)
