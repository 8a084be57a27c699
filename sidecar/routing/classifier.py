"""From a call and its routes to the route that the router model names, and the order of that
route's candidates.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import msgspec

from sidecar.dialects.conversation import prompt_facts
from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate, Price, Route
from sidecar.domain.vocabulary import RouterOutcome
from sidecar.routing.preferences import FindEntries, inline_routes, usable_candidates
from sidecar.routing.prompt import PromptForm, build_prompt, prompt_form
from sidecar.routing.rank import Expected, Ranked, RankInputs, rank
from sidecar.routing.router import Router, RouterVerdict


class ClassifierPolicy(msgspec.Struct, frozen=True):
    """How the router model is asked."""

    context_tokens: int
    template: str | None = None


class RankSources(msgspec.Struct, frozen=True):
    """Where the numbers for ranking come from; asked for each decision."""

    prices: Callable[[], Mapping[str, Price]]
    latencies_s: Callable[[], Mapping[str, float]]
    expected: Callable[[Candidate, float], tuple[float, int]]
    """This sidecar's own averages: a candidate's seconds to first byte and their samples, at a
    time.
    """


class Choice(msgspec.Struct, frozen=True):
    """What came of asking."""

    asked: RouterVerdict
    route: Route | None
    ranked: Ranked | None
    prompt: str = ""


class RouteClassifier:
    """The configured routes, the router model and the numbers, as one call needs them."""

    def __init__(
        self,
        routes: tuple[Route, ...],
        router: Router | None,
        find_entries: FindEntries,
        measures: RankSources,
        policy: ClassifierPolicy,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self.configured = routes
        self.routes = routes if router is not None else ()
        """The configured routes that are in effect."""
        self._router = router
        self._find_entries = find_entries
        self._measures = measures
        self._policy = policy
        self._roll = roll
        self._form = self._form_of(routes)

    def routes_of(self, call: Call) -> tuple[Route, ...]:
        """The routes in effect: the body's own list, else the configured ones; none where no router
        model is.

        Raises: InvalidRoutingPreferences.
        """
        raw = call.facts.routing_preferences
        inline = None if raw is None else inline_routes(raw, self._find_entries)
        if self._router is None:
            return ()
        return self.configured if inline is None else inline

    def is_configured(self, routes: tuple[Route, ...]) -> bool:
        """Whether these are the config's routes; the names of others are no metric labels."""
        return routes is self.configured

    def may_ask(self, now_s: float) -> bool:
        """Whether the router model would be asked now: there is one, and its breaker lets somebody
        through.
        """
        return self._router is not None and not self._router.breaker.is_shut(now_s)

    async def choose(
        self, call: Call, routes: tuple[Route, ...], now_s: float, waited_s: float = 0.0
    ) -> Choice:
        """Ask the router model. Waits ``router_timeout_ms`` at most, less ``waited_s`` that are
        spent; there is one where there are routes.

        Raises: DialectNotServed where no candidate of the chosen route speaks the caller's dialect.
        """
        assert self._router is not None  # else `routes_of` told of no route
        if self._router.breaker.is_shut(now_s):
            return Choice(
                RouterVerdict(RouterOutcome.BREAKER_OPEN), None, None
            )  # a prompt that nobody reads need not be written
        prompt = self.prompt_of(call, routes)
        by_name = {route.name: route for route in routes}
        asked = await self._router.choose(prompt, by_name, call, waited_s)
        route = None if asked.route_name is None else by_name[asked.route_name]
        ranked = None if route is None else self.ranked(route, call.dialect, now_s)
        return Choice(asked, route, ranked, prompt)

    def prompt_of(self, call: Call, routes: tuple[Route, ...]) -> str:
        """What the router model is shown of a call."""
        form = self._form if routes is self.configured else self._form_of(routes)
        return build_prompt(form, prompt_facts(call.dialect, call.body).turns)

    def ranked(self, route: Route, dialect: DialectName, now_s: float) -> Ranked:
        """A route's candidates that speak the dialect, in the order in which they should be tried.

        Raises: DialectNotServed.
        """
        measures = self._measures

        def expected(candidate: Candidate) -> tuple[float, int]:
            return measures.expected(candidate, now_s)

        told: Expected = expected
        numbers = RankInputs(measures.prices(), measures.latencies_s(), told)
        return rank(usable_candidates(route, dialect), route.prefer, numbers, self._roll())

    def followers(
        self, route_name: str, dialect: DialectName, now_s: float
    ) -> tuple[Candidate, ...]:
        """The candidates of a configured route that speak the dialect, in rank order; none for
        another name.
        """
        named = next((route for route in self.configured if route.name == route_name), None)
        if named is None or not any(
            dialect in candidate.dialects for candidate in named.candidates
        ):
            return ()
        return self.ranked(named, dialect, now_s).candidates

    def _form_of(self, routes: tuple[Route, ...]) -> PromptForm:
        return prompt_form(routes, self._policy.context_tokens, self._policy.template)
