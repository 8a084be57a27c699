"""When a pin steers a call, and to which entries."""

import pytest

from sidecar.affinity.policy import is_home, is_pinned, keep_binding
from sidecar.domain.decision import Binding, Candidate, Decision, Source

MODEL = "openai/gpt-4o"


def candidate(provider: str, model: str = MODEL) -> Candidate:
    return Candidate(provider, model, model, model, frozenset())


EU, US, OTHER = candidate("eu"), candidate("us"), candidate("q", "openai/gpt-5")


def test_a_pin_steers_to_its_model_and_then_to_the_rest_of_its_route():
    """The decision is pinned, to the pinned model's entries, with the route that was found then."""
    kept = keep_binding(Binding(MODEL, route_name="code"), (EU,), (OTHER, EU), "code")

    assert Decision(Source.PINNED, (EU, OTHER), "code", metric_route="code") == kept


@pytest.mark.parametrize(
    ("pinned", "followers", "expected"),
    [
        ("us", (EU, US, OTHER), (US, EU, OTHER)),
        ("us", (OTHER, EU, US), (US, EU, OTHER)),
        ("us", (), (US, EU)),
        ("us", (EU, OTHER), (US, EU, OTHER)),
        ("eu", (EU, OTHER), (EU, OTHER)),
        ("gone", (US, EU, OTHER), (US, EU, OTHER)),
        (None, (US, OTHER, EU), (US, EU, OTHER)),
        (None, (OTHER,), (EU, US, OTHER)),
    ],
    ids=[
        "its entry first",
        "all of its model before others",
        "without a route",
        "an entry that its route no longer lists",
        "no entry that its route does not list",
        "an unknown entry",
        "a pin without an entry",
        "a model that its route no longer lists",
    ],
)
def test_a_pinned_entry_goes_first_and_its_models_other_entries_follow(pinned, followers, expected):
    """Before any other model does."""
    kept = keep_binding(Binding(MODEL, provider=pinned), (EU, US), followers)

    assert expected == kept.candidates


def test_a_pin_names_a_candidate_by_model_and_entry():
    """One that names no entry names all of the model's."""
    pins = Binding(MODEL, provider="eu"), Binding(MODEL), Binding("openai/gpt-5", provider="eu")

    assert [True, True, False] == [is_pinned(pin, EU) for pin in pins]
    assert [False, True, False] == [is_pinned(pin, US) for pin in pins]


def test_a_home_is_a_candidate_by_model_and_entry():
    """As a pin is."""
    pins = (
        Binding("m", home=MODEL, home_provider="eu"),
        Binding("m", home=MODEL),
        Binding(MODEL, provider="eu"),
    )

    assert [True, True, False] == [is_home(pin, EU) for pin in pins]
    assert [False, True, False] == [is_home(pin, US) for pin in pins]
