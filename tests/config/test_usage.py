"""`usage` of a provider entry: where it asks, and where that does nothing."""

from __future__ import annotations

import pytest

from tests.config.loading import load, problems

FAMILY = (
    "does nothing here: mistral tells usage in any case, or is not known to tell it where asked"
)
CODING = "does nothing here: what accept_encoding lets come compressed cannot be taken out again"


@pytest.mark.parametrize(
    ("entry", "asks", "warning"),
    [
        ("model: openai/m", False, None),
        ("model: openai/m, usage: leave", False, None),
        ("model: openai/m, usage: ask", True, None),
        ("model: openai/*, usage: ask, passthrough_auth: true", True, None),
        ("model: own/m, provider_interface: openai, base_url: 'https://h', usage: ask", True, None),
        ("model: mistral/m, usage: ask", False, FAMILY),
        ("model: openai/m, usage: ask, accept_encoding: passthrough", False, CODING),
    ],
)
def test_an_entry_asks_where_its_family_tells_usage_if_asked(entry, asks, warning):
    """Where nothing comes of it, a warning says so, at its place."""
    key = "" if "passthrough_auth" in entry else ", access_key: k"
    loaded = load(f"model_providers: [{{{entry}{key}}}]")
    warnings = [each for each in loaded.warnings if "usage" in each]

    assert asks == loaded.providers[0].asks_usage
    assert (warning is None) == (warnings == [])
    assert warning is None or ("model_providers[0].usage" in warnings[0] and warning in warnings[0])


def test_any_other_word_is_a_mistake():
    """Plano has a key of this name that does nothing, whatever it says."""
    (problem,) = problems("model_providers: [{model: openai/m, access_key: k, usage: aks}]")

    assert "usage" in problem
    assert "ask" in problem
