"""Without a file the keys in the environment are the config."""

from __future__ import annotations

import pytest

from sidecar.config.families import FAMILIES
from sidecar.config.load import load_config
from sidecar.config.secret import Secret
from sidecar.domain.errors import ConfigError

VARIABLES = {prefix: known.key_variable for prefix, known in FAMILIES.items() if known.key_variable}


def test_two_keys():
    """Each key makes a wildcard entry; empty variables do not count; sessions are kept in
    memory.
    """
    loaded = load_config(
        None, {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o", "GROQ_API_KEY": "", "PATH": "/"}
    )
    assert [("openai/*", Secret("o")), ("anthropic/*", Secret("a"))] == [
        (p.model, p.access_key) for p in loaded.providers
    ]
    assert (loaded.is_zero_config, loaded.warnings, loaded.files) == (True, [], ())
    assert loaded.config.routing.session_cache.type == "memory"
    assert not any(provider.is_default for provider in loaded.providers)


@pytest.mark.parametrize(("prefix", "variable"), VARIABLES.items())
def test_every_built_in_provider_has_a_variable(prefix, variable):
    """One key is enough for each provider with a built-in address."""
    assert [f"{prefix}/*"] == [
        provider.model for provider in load_config(None, {variable: "k"}).providers
    ]
    assert None is not FAMILIES[prefix].origin


def test_no_key():
    """No key at all says what to set."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, {})
    assert [
        "no config file and no provider key: give --config FILE or set one of "
        + ", ".join(VARIABLES.values())
    ] == (caught.value.problems)


def test_unusable_key():
    """A key that cannot stand in a header is reported by its variable, not by its value."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"OPENAI_API_KEY": "sk\n", "GROQ_API_KEY": "k"})
    assert caught.value.problems == [
        "environment variable OPENAI_API_KEY holds a line break, a control character or blanks"
    ]
