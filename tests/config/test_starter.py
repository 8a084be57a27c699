"""The first config that `init` writes."""

from __future__ import annotations

from sidecar.config.starter import starter_config
from tests.config.loading import load, warnings


def test_each_key_in_the_environment_is_an_entry():
    """The file names variables, and holds no key."""
    found = {"OPENAI_API_KEY": "sk-1", "GROQ_API_KEY": "sk-2", "MISTRAL_API_KEY": ""}
    text = starter_config(found)

    assert ["openai/*", "groq/*"] == [each.model for each in load(text, **found).providers]
    assert [] == warnings(text, **found)
    assert "sk-" not in text


def test_without_any_key_there_is_an_example():
    """It loads as soon as the key is set."""
    assert ["openai/*"] == [
        each.model for each in load(starter_config({}), OPENAI_API_KEY="k").providers
    ]
