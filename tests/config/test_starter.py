"""The first config that `init` writes."""

from __future__ import annotations

import re

import pytest

from sidecar.config.families import FAMILIES
from sidecar.config.starter import starter_config
from tests.config.loading import load, warnings


def _switched_on(text: str) -> str:
    return re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE)


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


@pytest.mark.parametrize(
    "variables",
    [
        ("OPENAI_API_KEY",),
        ("ANTHROPIC_API_KEY", "GROQ_API_KEY"),
        ("MISTRAL_API_KEY",),
        tuple(row.key_variable for row in FAMILIES.values() if row.key_variable),
    ],
)
def test_all_that_is_switched_off_can_be_switched_on(variables):
    """Where it stands, without another edit: each example names models that the found keys serve."""
    found = dict.fromkeys(variables, "k")
    text = _switched_on(starter_config(found))
    loaded = load(text, **found)

    assert "plano/Arch-Router" in {each.model for each in loaded.providers}
    assert {"code generation", "summaries"} == {
        each.name for each in loaded.config.routing_preferences
    }
    assert ["fast"] == list(loaded.config.model_aliases)
    assert [] == warnings(text, **found)
