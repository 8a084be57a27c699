"""Which model should answer, and why."""

from __future__ import annotations

import enum

import msgspec

from sidecar.domain.call import DialectName


class Source(enum.StrEnum):
    """Why a model was chosen. The value is what the header, the metrics and the logs say."""

    PINNED = "pinned"
    ROUTED = "routed"
    REQUESTED = "requested"
    DEFAULT = "default"
    FALLBACK = "fallback"


class Price(msgspec.Struct, frozen=True, gc=False):
    """What a provider charges, in USD per million tokens. None means unknown, never free."""

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    usd_per_mtok_cached_in: float | None = None


class Candidate(msgspec.Struct, frozen=True):
    """One model at one provider entry."""

    provider: str
    """The entry's unique name."""
    model_name: str
    """``prefix/model`` as pins and response headers show it."""
    upstream_model: str
    """The bare id that goes into the body."""
    metric_model: str
    """``model_name``, but ``prefix/*`` for a wildcard's models, so that clients cannot grow the series."""
    dialects: frozenset[DialectName]
    passthrough_auth: bool = False
    price: Price | None = None


class Route(msgspec.Struct, frozen=True):
    """A described kind of work with its models, in the operator's order."""

    name: str
    description: str
    candidates: tuple[Candidate, ...]
    prefer: str = "none"


class Binding(msgspec.Struct, frozen=True):
    """What the affinity store holds for a session: the pin and nothing else."""

    model_name: str
    route_name: str | None = None
    requested_model: str | None = None
    generation: int = 0
    bound_at_unix_s: float = 0.0
    home: str | None = None
    away_since_unix_s: float | None = None
    failed_returns: int = 0
    """How often the session could not be served at home since it left."""
    provisional: bool = False


class Decision(msgspec.Struct, frozen=True):
    """The outcome of choosing: candidates in no particular rank yet, and the reason."""

    source: Source
    candidates: tuple[Candidate, ...]
    route_name: str | None = None
    router_s: float = 0.0
    """Spent waiting for the router model."""
    metric_route: str = "none"
    """The route as metrics name it: ``other`` for one that a body brought along."""
    returns_home: bool = False
    """Whether the first candidate is where the session came from, tried again."""
    pinned_model: str | None = None
    """The model under which the session's pin stands; None for a call without one."""
    has_claimed: bool = False
    """Whether this very call made the pin."""
    affinity_s: float = 0.0
    """Spent waiting for the affinity store."""


class Plan(msgspec.Struct, frozen=True):
    """Candidates in the order in which they will be tried; never empty."""

    candidates: tuple[Candidate, ...]
    max_attempts: int
