"""When a pin steers a call."""

import pytest

from sidecar.affinity.policy import keep_binding
from sidecar.domain.decision import Binding, Candidate, Decision, Source

GPT = Candidate("p", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
OTHER = Candidate("q", "openai/gpt-5", "gpt-5", "openai/gpt-5", frozenset())


def test_a_pin_steers_to_its_model_and_then_to_the_rest_of_its_route():
    """The decision is pinned, to the pinned model's entries, with the route that was found then."""
    kept = keep_binding(Binding("openai/gpt-4o", route_name="code"), (GPT,), (OTHER, GPT))

    assert Decision(Source.PINNED, (GPT, OTHER), "code", metric_route="code") == kept


@pytest.mark.parametrize(("route_name", "metric_route"), [("code", "other"), (None, "none")])
def test_a_pin_of_a_route_that_is_not_configured_is_no_label(route_name, metric_route):
    """A body brought it along, or another pod's config knows it; without a route there is none."""
    kept = keep_binding(Binding("openai/gpt-4o", route_name=route_name), (GPT,))

    assert Decision(Source.PINNED, (GPT,), route_name, metric_route=metric_route) == kept
