"""Routing preferences: the configured ones, those that a request's body brings for one call, and
the order in which a route's candidates are tried. Pure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from sidecar.config.schema_routing import RoutingPreference
from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate, Price, Route
from sidecar.domain.errors import DialectNotServed, InvalidRoutingPreferences
from sidecar.domain.ids import MAX_NAME_BYTES
from sidecar.routing.answer import NO_ROUTE
from sidecar.routing.rank import Ranked, RankInputs, native_first, rank
from sidecar.routing.resolved import shorten

FindEntries = Callable[[str], Sequence[Candidate]]
"""Returns all entries of a model, of any dialect, by its name (model, entry, alias or bare id);
none for an unknown name.
"""

_FIELD: Final = "routing_preferences"
_MAX_BYTES: Final = 64 * 1024
"""Of an inline list: twice a router prompt's default budget; checked in milliseconds."""
_PREFERENCES: Final = ("cheapest", "fastest", "none")


class SourceNumbers(Protocol):
    """What the metrics sources said last; each mapping is replaced as a whole."""

    @property
    def prices(self) -> Mapping[str, Price]:
        """By model name."""
        ...

    @property
    def latencies_s(self) -> Mapping[str, float]:
        """By model name."""
        ...


class RankSources(msgspec.Struct, frozen=True):
    """Where the numbers for ranking come from; looked at for each decision."""

    numbers: SourceNumbers
    expected: Callable[[Candidate, float], tuple[float, int]]
    """This sidecar's own averages at a time: a candidate's seconds to first byte, and from how many
    samples.
    """


class RouteScope(msgspec.Struct, frozen=True):
    """Which calls the router model is asked about."""

    has_router: bool = True
    """Whether there is a router model to choose among routes."""
    route_only: frozenset[str] = frozenset()
    """The models and aliases whose calls alone are routed; empty: all calls are."""
    fits: Callable[[tuple[Route, ...]], bool] = lambda _routes: True
    """Tells whether the router model can be shown a call's own list."""


class Routes:
    """The routes of a config, as calls use them.

    Args: ``roll`` is uniform in [0, 1) and decides when an unmeasured model is explored.
    """

    def __init__(
        self,
        configured: tuple[Route, ...],
        find_entries: FindEntries,
        sources: RankSources,
        scope: RouteScope,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.configured = configured
        self.in_effect = configured if scope.has_router else ()
        """The configured routes; none without a router model."""
        self.route_only = scope.route_only
        self._find_entries, self._sources = find_entries, sources
        self._scope = scope
        self._roll = roll

    def of_call(self, call: Call) -> tuple[Route, ...]:
        """Return the body's own list if there is one, else the configured routes; none without a
        router model.

        Raises: InvalidRoutingPreferences.
        """
        raw = call.facts.routing_preferences
        if raw is None:
            return self.in_effect
        inline = inline_routes(raw, self._find_entries)
        if inline is None or not self._scope.has_router:
            return self.in_effect
        if not self._scope.fits(inline):
            raise InvalidRoutingPreferences(
                f"{_FIELD!r} does not fit into the router model's prompt", param=_FIELD
            )
        return inline

    def are_for(self, requested_model: str | None, model_name: str) -> bool:
        """Return whether calls that ask for a model are routed by the configured routes.

        Args: ``requested_model`` is the name as asked for; ``model_name`` the model that it means.
        """
        return (requested_model or "") in self.route_only or model_name in self.route_only

    def ranked(self, route: Route, dialect: DialectName, now_s: float) -> Ranked:
        """Return a route's candidates that serve the dialect, in the order in which they are tried.

        Raises: DialectNotServed.
        """
        sources = self._sources

        def expected(candidate: Candidate) -> tuple[float, int]:
            return sources.expected(candidate, now_s)

        inputs = RankInputs(sources.numbers.prices, sources.numbers.latencies_s, expected)
        usable = usable_candidates(route, dialect)
        if route.prefer != "none":
            usable = native_first(usable, dialect)
        return rank(usable, route.prefer, inputs, self._roll())

    def followers(
        self, route_name: str, dialect: DialectName, now_s: float
    ) -> tuple[Candidate, ...]:
        """Return the candidates of a configured route that serve the dialect, in rank order; none
        for a name that no configured route has.
        """
        named = next((route for route in self.configured if route.name == route_name), None)
        if named is None or not any(dialect in each.served for each in named.candidates):
            return ()
        return self.ranked(named, dialect, now_s).candidates


class _Policy(msgspec.Struct):
    prefer: str | None = None


class _Preference(msgspec.Struct):
    """An entry as plano's users write it in a body; keys that it does not know are theirs."""

    name: str
    description: str
    models: list[str]
    selection_policy: _Policy | None = None


_decoder: Final = msgspec.json.Decoder(list[_Preference] | None)


def configured_routes(
    preferences: Iterable[RoutingPreference], find_entries: FindEntries
) -> tuple[Route, ...]:
    """The config's preferences as routes, in its order.

    A model that was left out with its optional provider is no candidate, and a route without any is
    left out too: the router model must not choose what nobody can serve.
    """
    routes = (
        Route(
            name=preference.name,
            description=preference.description,
            candidates=_candidates(preference.models, find_entries),
            prefer=preference.selection_policy.prefer,
            examples=preference.examples,
        )
        for preference in preferences
    )
    return tuple(route for route in routes if route.candidates)


def inline_routes(raw: bytes, find_entries: FindEntries) -> tuple[Route, ...] | None:
    """The routes that a body brings, in its order: instead of the configured ones, for this call
    only.

    Args: ``raw`` is the value of the body's ``routing_preferences``.
    Returns: no routes for ``[]``: this call is not routed; None for null: the configured ones stay.
    Raises: InvalidRoutingPreferences, with the place as ``param``:
        ``routing_preferences[1].models[0]``.
    """
    if len(raw) > _MAX_BYTES:
        raise InvalidRoutingPreferences(f"{_FIELD!r} is over {_MAX_BYTES} bytes", param=_FIELD)
    try:
        preferences = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _misshapen(error) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRoutingPreferences(f"{_FIELD!r} is not valid text", param=_FIELD) from error
    if preferences is None:
        return None
    routes: list[Route] = []
    first: dict[str, str] = {}
    for index, preference in enumerate(preferences):
        place = f"{_FIELD}[{index}]"
        _check_texts(preference, place)
        if preference.name in first:
            raise _invalid(f"{place}.name", f"is the name of {first[preference.name]} too")
        first[preference.name] = place
        candidates = _known_candidates(preference.models, f"{place}.models", find_entries)
        routes.append(
            Route(preference.name, preference.description, candidates, _prefer(preference, place))
        )
    return tuple(routes)


def usable_candidates(route: Route, dialect: DialectName) -> tuple[Candidate, ...]:
    """The route's candidates that serve the caller's dialect, in its order.

    Raises: DialectNotServed, naming the route, its models and the dialect, if none does.
    """
    usable = tuple(candidate for candidate in route.candidates if dialect in candidate.served)
    if not usable:
        models = ", ".join(dict.fromkeys(candidate.model_name for candidate in route.candidates))
        spoken = sorted({name for candidate in route.candidates for name in candidate.dialects})
        raise DialectNotServed(
            f"no model of route {route.name!r} ({models}) speaks {dialect!r}; "
            f"spoken: {', '.join(spoken) or 'nothing'}"
        )
    return usable


def _candidates(models: Iterable[str], find_entries: FindEntries) -> tuple[Candidate, ...]:
    """Every model's entries in order, each once."""
    return tuple(dict.fromkeys(candidate for model in models for candidate in find_entries(model)))


def _known_candidates(
    models: Sequence[str], place: str, find_entries: FindEntries
) -> tuple[Candidate, ...]:
    if not models:
        raise _invalid(place, "must name a model")
    for index, model in enumerate(models):
        if len(model.encode()) > MAX_NAME_BYTES:
            raise _invalid(f"{place}[{index}]", f"is longer than {MAX_NAME_BYTES} bytes")
        if not find_entries(model):
            raise _invalid(f"{place}[{index}]", f"{shorten(model)!r} is not a configured model")
    return _candidates(models, find_entries)


def _check_texts(preference: _Preference, place: str) -> None:
    name = preference.name
    if (
        not name
        or name != name.strip()
        or not name.isprintable()
        or len(name.encode()) > MAX_NAME_BYTES
    ):
        raise _invalid(
            f"{place}.name",
            f"must be printable, of 1 to {MAX_NAME_BYTES} bytes, without blanks around it",
        )
    if name == NO_ROUTE:
        raise _invalid(
            f"{place}.name", f"{NO_ROUTE!r} is what the router model answers where nothing fits"
        )
    if not preference.description.strip():
        raise _invalid(f"{place}.description", "must say which kind of work this is")


def _prefer(preference: _Preference, place: str) -> str:
    prefer = (preference.selection_policy and preference.selection_policy.prefer) or "none"
    if prefer not in _PREFERENCES:
        raise _invalid(
            f"{place}.selection_policy.prefer", f"must be one of {', '.join(_PREFERENCES)}"
        )
    return prefer


def _misshapen(error: msgspec.ValidationError) -> InvalidRoutingPreferences:
    """What msgspec found, with our name for the place: its paths begin with ``$``."""
    found, at, path = str(error).partition(" - at `$")
    return _invalid(
        _FIELD + path.rstrip("`") if at else _FIELD, f"is misshapen: {found[:1].lower()}{found[1:]}"
    )


def _invalid(place: str, problem: str) -> InvalidRoutingPreferences:
    return InvalidRoutingPreferences(f"{place} {problem}", param=place)
