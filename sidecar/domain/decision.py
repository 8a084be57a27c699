"""Which model should serve a call, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.call import DialectName
from sidecar.domain.ids import Session
from sidecar.domain.routing_facts import RoutingFacts
from sidecar.domain.translation import TranslationRule
from sidecar.domain.vocabulary import PinOutcome


class Source(enum.StrEnum):
    """Why a model was chosen. The value is what the header, the metrics and the logs say."""

    PINNED = "pinned"
    """The session's pin names it."""
    ROUTED = "routed"
    """It serves the route that the router model named."""
    REQUESTED = "requested"
    """The call asked for it."""
    DEFAULT = "default"
    """The call names no model, or an unknown one; this is the default."""
    FALLBACK = "fallback"
    """The router model did not say a route; the call asked for this one."""

    __hash__ = str.__hash__
    """A key of dicts on every call; Enum's own hash is a Python function."""


@final
@dataclass(init=False, unsafe_hash=True)
class Price:
    """What a provider charges, in USD per million tokens. None means unknown, never free."""

    usd_per_mtok_in: Final[float | None]
    usd_per_mtok_out: Final[float | None]
    usd_per_mtok_cached_in: Final[float | None]

    def __init__(
        self,
        usd_per_mtok_in: float | None = None,
        usd_per_mtok_out: float | None = None,
        usd_per_mtok_cached_in: float | None = None,
    ) -> None:
        self.usd_per_mtok_in = usd_per_mtok_in
        self.usd_per_mtok_out = usd_per_mtok_out
        self.usd_per_mtok_cached_in = usd_per_mtok_cached_in


@final
@dataclass(init=False, unsafe_hash=True)
class Candidate:
    """One model at one provider entry."""

    provider: Final[str]
    """The entry's unique name."""
    model_name: Final[str]
    """``prefix/model`` as pins and response headers show it."""
    upstream_model: Final[str]
    """The bare id that goes into the body."""
    metric_model: Final[str]
    """``model_name``, but ``prefix/*`` for a wildcard's models, so that clients cannot grow the
    series.
    """
    dialects: Final[frozenset[DialectName]]
    """What it speaks."""
    passthrough_auth: Final[bool]
    price: Final[Price | None]
    translation: Final[TranslationRule | None]
    """None where it serves no other dialects than those."""

    def __init__(
        self,
        provider: str,
        model_name: str,
        upstream_model: str,
        metric_model: str,
        dialects: frozenset[DialectName],
        passthrough_auth: bool = False,
        price: Price | None = None,
        translation: TranslationRule | None = None,
    ) -> None:
        self.provider = provider
        self.model_name = model_name
        self.upstream_model = upstream_model
        self.metric_model = metric_model
        self.dialects = dialects
        self.passthrough_auth = passthrough_auth
        self.price = price
        self.translation = translation
        others = () if translation is None else translation.targets
        self.served: Final = dialects.union([caller for caller, _ in others])
        """The dialects whose calls it serves, in them or by translation."""

    def targets_of(self, dialect: DialectName) -> tuple[DialectName, ...]:
        """Return what it may be spoken to in where a call comes in a dialect that it does not
        speak, the best one first; none where it does not serve such calls.
        """
        if self.translation is not None:
            for caller, targets in self.translation.targets:
                if caller == dialect:
                    return targets
        return ()

    @property
    def family(self) -> str:
        """Return the provider's family as the config names it: the prefix of its model."""
        return self.metric_model.partition("/")[0]


@final
@dataclass(init=False, unsafe_hash=True)
class Route:
    """A described kind of work with its models, in the operator's order."""

    name: Final[str]
    description: Final[str]
    candidates: Final[tuple[Candidate, ...]]
    prefer: Final[str]
    examples: Final[tuple[str, ...]]
    """Of what belongs to it, for the router model."""

    def __init__(
        self,
        name: str,
        description: str,
        candidates: tuple[Candidate, ...],
        prefer: str = "none",
        examples: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.description = description
        self.candidates = candidates
        self.prefer = prefer
        self.examples = examples


@final
@dataclass(init=False, unsafe_hash=True)
class Binding:
    """What the affinity store holds for a lane of a session: its pin."""

    model_name: Final[str]
    route_name: Final[str | None]
    requested_model: Final[str | None]
    """The lane that the pin is for; None for a pin of every lane."""
    generation: Final[int]
    """1 for a session's first pin, one more for each change."""
    bound_at_unix_s: Final[float]
    home: Final[str | None]
    """The model that the session left when it failed; None for a session that is at home."""
    away_since_unix_s: Final[float | None]
    failed_returns: Final[int]
    """How often the session was tried at home, since it left, and could not be served there."""
    provisional: Final[bool]
    """Whether it was made without the router model: it holds until a conversation begins anew."""
    provider: Final[str | None]
    """The entry's name in the config, which is the account; None in a pin that names a model alone:
    any of the model's entries may serve."""
    home_provider: Final[str | None]
    """The entry that the session left; None as for ``provider``, and where ``home`` is None."""

    def __init__(
        self,
        model_name: str,
        route_name: str | None = None,
        requested_model: str | None = None,
        generation: int = 0,
        bound_at_unix_s: float = 0.0,
        home: str | None = None,
        away_since_unix_s: float | None = None,
        failed_returns: int = 0,
        provisional: bool = False,
        provider: str | None = None,
        home_provider: str | None = None,
    ) -> None:
        self.model_name = model_name
        self.route_name = route_name
        self.requested_model = requested_model
        self.generation = generation
        self.bound_at_unix_s = bound_at_unix_s
        self.home = home
        self.away_since_unix_s = away_since_unix_s
        self.failed_returns = failed_returns
        self.provisional = provisional
        self.provider = provider
        self.home_provider = home_provider


@final
@dataclass(init=False, unsafe_hash=True)
class Decision:
    """Which candidates may serve a call, in the order in which they are tried, and why these."""

    source: Final[Source]
    candidates: Final[tuple[Candidate, ...]]
    route_name: Final[str | None]
    router_s: Final[float]
    """Seconds that the call waited for the router model."""
    metric_route: Final[str]
    """The route as metrics name it: ``other`` for a route that a body brought along."""
    returns_home: Final[bool]
    """Whether the first candidate is the session's home, which is tried again."""
    session: Final[Session | None]
    """The session whose pin decided the call; None for a call that was decided without a pin."""
    binding: Final[Binding | None]
    """The pin that decided the call, or that the call made; None exactly where ``session`` is."""
    is_claimed: Final[bool]
    """Whether this very call made the pin."""
    affinity_s: Final[float]
    """Seconds that the call waited for the affinity store."""
    requested: Final[tuple[Candidate, ...]]
    """The candidates of the model that the app asked for, after alias, in the call's dialect; none
    where that model does not speak it. Any other candidate is one that the sidecar chose."""
    routing: Final[RoutingFacts | None]
    """None where the router model was not needed."""
    pin_outcome: Final[PinOutcome | None]
    """What came of reading the session's pin, or why it was passed by; None where the pin was at
    hand, or the call has no session.
    """

    def __init__(
        self,
        source: Source,
        candidates: tuple[Candidate, ...],
        route_name: str | None = None,
        router_s: float = 0.0,
        metric_route: str = "none",
        returns_home: bool = False,
        session: Session | None = None,
        binding: Binding | None = None,
        is_claimed: bool = False,
        affinity_s: float = 0.0,
        requested: tuple[Candidate, ...] = (),
        routing: RoutingFacts | None = None,
        pin_outcome: PinOutcome | None = None,
    ) -> None:
        self.source = source
        self.candidates = candidates
        self.route_name = route_name
        self.router_s = router_s
        self.metric_route = metric_route
        self.returns_home = returns_home
        self.session = session
        self.binding = binding
        self.is_claimed = is_claimed
        self.affinity_s = affinity_s
        self.requested = requested
        self.routing = routing
        self.pin_outcome = pin_outcome


@final
@dataclass(init=False, unsafe_hash=True)
class Plan:
    """Candidates in the order in which they will be tried; never empty."""

    candidates: Final[tuple[Candidate, ...]]
    max_attempts: Final[int]
    requested: Final[tuple[Candidate, ...]]
    """The candidates of the model that the app asked for; as `Decision.requested`."""
    spare_attempts: Final[int]
    """So many more attempts take the place of those by which candidates refused this one call, its
    history or its length, and said nothing of themselves.
    """
    asked: Final[str]
    """The model that the app asked for and wrote the call for, ``prefix/model``; empty where it
    does not speak the dialect.
    """

    def __init__(
        self,
        candidates: tuple[Candidate, ...],
        max_attempts: int,
        requested: tuple[Candidate, ...] = (),
        spare_attempts: int = 0,
        asked: str | None = None,
    ) -> None:
        """Args: ``asked`` is None where ``requested`` tells it."""
        self.candidates = candidates
        self.max_attempts = max_attempts
        self.requested = requested
        self.spare_attempts = spare_attempts
        if asked is None:
            asked = requested[0].model_name if requested else ""
        self.asked = asked
