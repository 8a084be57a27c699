"""Which entry a path of a provider's API goes to: the model's that the body names, the default, or
the first whose family is known to serve it.
"""

from __future__ import annotations

import pytest

from sidecar.domain.api_paths import api_path_of
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName, Endpoint, Operation
from sidecar.domain.decision import Binding, Source
from sidecar.domain.errors import ModelNotFound, PathNotFound
from sidecar.routing.owners import PathOwners
from sidecar.routing.table import ModelTable
from tests.support.providers import a_provider

CLAUDE, GROQ, GPT, DEEP = "anthropic/claude", "groq/llama", "openai/gpt-4o", "deepseek/chat"


def at(path: str, dialect: DialectName = CHAT) -> Endpoint:
    return Endpoint(path, dialect, Operation.PASSTHROUGH, api_path=api_path_of(path))


def owners(*models: str, default: str = "", aliases: dict[str, str] | None = None) -> PathOwners:
    entries = [a_provider(model, is_default=model == default) for model in models]
    return ModelTable(entries, aliases or {}).owners


def chosen(found: PathOwners, endpoint: Endpoint, model: str | None = None) -> tuple[str, str]:
    (candidate,) = found.requested(endpoint, model).candidates
    return candidate.provider, candidate.upstream_model


def test_a_configured_path_goes_to_an_entry_or_to_the_first_of_a_prefix():
    """By name or by prefix, also where an entry is named like another's prefix."""
    entries = [a_provider(GPT), a_provider(GPT, name="gpt-us"), a_provider(GROQ, name="openai")]
    found = ModelTable(entries, {}).owners

    assert [GPT, "gpt-us", "openai", "openai"] == [
        *(each.provider for each in found.configured(GPT).candidates),
        found.entry_of("gpt-us"),
        found.entry_of("openai"),
        found.entry_of("groq"),
    ]
    decision = found.configured("gpt-us")
    assert (Source.REQUESTED, decision.candidates) == (decision.source, decision.requested)


@pytest.mark.parametrize(
    ("models", "default", "path", "expected"),
    [
        ((CLAUDE, GPT), "", "/v1/files", GPT),
        ((GROQ, GPT), "", "/v1/files", GROQ),
        ((GPT, GROQ), "", "/v1/files", GPT),
        ((GROQ, GPT), GPT, "/v1/files", GPT),
        ((GROQ, GPT), GROQ, "/v1/moderations", GPT),
        ((GPT, CLAUDE), CLAUDE, "/v1/images/generations", GPT),
        (("openai/*",), "", "/v1/batches", "openai/*"),
    ],
)
def test_without_a_model_the_default_is_meant_or_the_first_that_serves_the_path(
    models, default, path, expected
):
    """In the config's order, never at random."""
    found = owners(*models, default=default)
    decision = found.requested(at(path), None)

    assert found.serves(at(path))
    assert (Source.DEFAULT, expected) == (decision.source, decision.candidates[0].provider)


@pytest.mark.parametrize(
    ("path", "dialect", "expected"),
    [
        ("/v1/messages/batches", MESSAGES, CLAUDE),
        ("/v1/files", MESSAGES, CLAUDE),
        ("/v1/files", CHAT, GPT),
    ],
)
def test_the_callers_sdk_tells_whose_files_are_meant(path, dialect, expected):
    """Nothing of Anthropic's SDK goes to OpenAI, and the other way round."""
    assert expected == chosen(owners(GPT, CLAUDE), at(path, dialect))[0]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", (GPT, "gpt-4o")),
        (GPT, (GPT, "gpt-4o")),
        ("smart", (GPT, "gpt-4o")),
        ("gpt-4o-2024-08-06", (GPT, "gpt-4o")),
        ("openai/omni", (GPT, "omni")),
        ("mistral/moderate", ("mistral/*", "moderate")),
        ("deepseek/chat", (DEEP, "chat")),
        ("deepseek/other", (DEEP, "other")),
    ],
)
def test_a_model_that_is_named_goes_to_its_entry(model, expected):
    """By any configured name, by a wildcard or by the prefix of an entry; also where the family is
    not known to serve the path: who names a model knows what it can do.
    """
    found = owners("mistral/*", GPT, DEEP, aliases={"smart": GPT})
    decision = found.requested(at("/v1/moderations"), model)

    assert expected == chosen(found, at("/v1/moderations"), model)
    assert (Source.REQUESTED, decision.candidates) == (decision.source, decision.requested)


@pytest.mark.parametrize("model", ["omni-moderation-latest", "org/model", "openai/", "openai/*"])
def test_a_model_that_no_config_knows_is_the_providers_to_know(model):
    """Its name stays as it is."""
    assert (GPT, model) == chosen(owners(GPT, CLAUDE), at("/v1/moderations"), model)


def test_of_several_entries_of_a_model_the_first_that_serves_the_path_is_meant():
    """An account that cannot serve it is passed by."""
    entries = [
        a_provider(GPT, name="own", conventions=a_provider("deepseek/x").conventions),
        a_provider(GPT),
    ]
    found = ModelTable(entries, {}).owners

    assert GPT == chosen(found, at("/v1/completions"), "gpt-4o")[0]


@pytest.mark.parametrize(
    ("model", "dialect", "why"),
    [
        (None, CHAT, "no entry is known to serve it"),
        ("unknown", CHAT, "no entry is known to serve it"),
        ("claude", CHAT, "'claude' is at 'anthropic/claude', which does not serve it"),
        (GPT, MESSAGES, "'openai/gpt-4o' is at 'openai/gpt-4o', which does not serve it"),
    ],
)
def test_where_nothing_can_be_meant_that_is_said(model, dialect, why):
    """A prompt never goes to another vendor than that of the model that it names."""
    models = (CLAUDE, GPT) if model in ("claude", GPT) else (CLAUDE,)

    with pytest.raises(PathNotFound) as caught:
        owners(*models).requested(at("/v1/moderations", dialect), model)
    assert (
        f"/v1/moderations is a path of providers, and {why}; `passthrough` in the config names the "
        "provider that a path goes to"
    ) == caught.value.message


def test_a_name_that_no_model_has_is_refused():
    """It would stand in logs and headers."""
    with pytest.raises(ModelNotFound, match="is no name that a model has"):
        owners(GPT).requested(at("/v1/moderations"), "a\nb")


def test_a_path_that_nobody_serves_is_known_beforehand():
    """Before a long body is read; a path of the config's own counts for nothing here."""
    found = owners(CLAUDE, GROQ)
    configured = Endpoint("/v1/files", CHAT, Operation.PASSTHROUGH)

    assert [True, False, False] == [
        found.serves(at("/v1/files")),
        found.serves(at("/v1/moderations")),
        found.serves(configured),
    ]
    assert None is found.default(at("/v1/moderations"))


@pytest.mark.parametrize(
    ("models", "expected"), [((GPT,), False), ((GPT, CLAUDE), False), ((GPT, "openai/b"), True)]
)
def test_there_is_a_choice_where_several_entries_serve_a_path(models, expected):
    """Else no pin need be read."""
    assert expected == owners(*models).is_choice(at("/v1/responses/r", RESPONSES))


PINS = {
    "its entry": (Binding("openai/b", provider="openai/b"), "openai/b"),
    "any entry of its model": (Binding("openai/b"), "openai/b"),
    "an entry that is gone": (Binding("openai/b", provider="gone"), None),
    "a model that is gone": (Binding("openai/gone", provider="openai/b"), None),
    "an entry that does not serve the path": (Binding(GROQ, provider=GROQ), None),
}


@pytest.mark.parametrize("pin", PINS)
def test_a_pin_names_its_own_entry(pin):
    """Where that is configured here, and known to serve the path."""
    binding, expected = PINS[pin]
    found = owners(GPT, "openai/b", GROQ).pinned(at("/v1/responses/r", RESPONSES), binding)

    assert expected == (found and found.candidates[0].provider)
    if found is not None:
        assert (Source.PINNED, None, None) == (found.source, found.session, found.binding)


@pytest.mark.parametrize(
    ("model", "lane"), [("smart", GPT), ("gpt-4o", GPT), ("unknown", ""), (None, "")]
)
def test_a_lane_is_that_of_the_model_that_is_named(model, lane):
    """As calls of its session name it."""
    assert lane == owners(GPT, aliases={"smart": GPT}).lane_of(model)
