"""When a pin steers a call."""

from sidecar.affinity.policy import keep_binding
from sidecar.domain.decision import Binding, Candidate, Decision, Source


def test_a_pin_steers_where_its_model_is_usable():
    """The decision is pinned, to the pinned model's entries, with the route that was found then."""
    candidate = Candidate("p", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
    binding = Binding("openai/gpt-4o", route_name="code")

    other = Candidate("q", "openai/gpt-5", "gpt-5", "openai/gpt-5", frozenset())

    told = Decision(
        Source.PINNED, (candidate, other), "code", metric_route="code", pinned_model="openai/gpt-4o"
    )
    assert told == keep_binding(binding, (candidate,), (other, candidate))


def test_a_pin_of_a_route_that_is_not_configured_is_no_label():
    """A body brought it along, or another pod's config knows it."""
    candidate = Candidate("p", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())
    kept = keep_binding(Binding("openai/gpt-4o", route_name="code"), (candidate,))

    assert (
        Decision(
            Source.PINNED, (candidate,), "code", metric_route="other", pinned_model="openai/gpt-4o"
        )
        == kept
    )


def test_a_pin_without_a_route_has_none():
    """The router model said other."""
    candidate = Candidate("p", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o", frozenset())

    assert Decision(Source.PINNED, (candidate,), pinned_model="openai/gpt-4o") == keep_binding(
        Binding("openai/gpt-4o"), (candidate,)
    )


def test_a_pin_to_an_unusable_model_steers_nothing():
    """A model that is not configured here, or cannot speak the dialect, is served around."""
    assert keep_binding(Binding("gone/model"), ()) is None
