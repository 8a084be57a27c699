"""Lookup of a requested model, in the order of its steps."""

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from sidecar.domain.decision import Source
from sidecar.domain.errors import DialectNotServed, ModelNotFound
from sidecar.routing.resolved import Listed
from sidecar.routing.table import ModelTable
from tests.support.providers import a_provider

BOTH = {MESSAGES: "/v1/messages", CHAT: "/v1/chat/completions"}
PROVIDERS = (
    a_provider("openai/gpt-4o-mini", is_default=True),
    a_provider("openai/gpt-4o", name="gpt-eu"),
    a_provider("openai/gpt-4o", name="gpt-us"),
    a_provider("anthropic/claude-haiku-4-5", by_dialect=BOTH),
    a_provider("azure_openai/gpt-4o-mini", name="azure-mini"),
    a_provider("groq/*"),
    a_provider("plano/router", is_router=True),
)
DEPLOYMENTS = a_provider("azure_openai/*", by_dialect={CHAT: "/openai/deployments/{model}/x"})
ALIASES = {"fast": "openai/gpt-4o-mini", "smart": "gpt-us", "gpt-4o": "anthropic/claude-haiku-4-5"}


def _names(table, requested_model, dialect=CHAT):
    resolved = table.resolve(requested_model, dialect)
    decision = resolved.decision
    return (
        resolved.model_name,
        [candidate.provider for candidate in decision.candidates],
        decision.source,
    )


@pytest.mark.parametrize(
    ("requested_model", "model_name", "providers"),
    [
        ("fast", "openai/gpt-4o-mini", ["openai/gpt-4o-mini"]),
        ("smart", "gpt-us", ["gpt-us"]),
        ("gpt-4o", "anthropic/claude-haiku-4-5", ["anthropic/claude-haiku-4-5"]),
        ("gpt-eu", "gpt-eu", ["gpt-eu"]),
        ("openai/gpt-4o", "openai/gpt-4o", ["gpt-eu", "gpt-us"]),
        ("gpt-4o-mini", "openai/gpt-4o-mini", ["openai/gpt-4o-mini"]),
        ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5", ["anthropic/claude-haiku-4-5"]),
        ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini", ["openai/gpt-4o-mini"]),
        ("groq/llama-3", "groq/llama-3", ["groq/*"]),
        ("llama-3", "groq/llama-3", ["groq/*"]),
    ],
    ids=[
        "alias",
        "alias of a name",
        "an alias wins",
        "entry name",
        "group",
        "bare id",
        "dated",
        "dashes",
        "wild",
        "bare",
    ],
)
def test_a_requested_model_is_found(requested_model, model_name, providers):
    """Alias, entry name, model, bare id, undated id, wildcard: the first that fits, and twice the
    same.
    """
    table = ModelTable(PROVIDERS, ALIASES)

    assert (model_name, providers, Source.REQUESTED) == _names(table, requested_model)
    assert (model_name, providers, Source.REQUESTED) == _names(table, requested_model)


def test_a_wildcards_model_is_named_in_full_but_counted_under_the_wildcard():
    """Clients invent names at will; the metrics' label is the operator's."""
    (candidate,) = ModelTable(PROVIDERS, {}).resolve("groq/llama-3", CHAT).decision.candidates

    assert ("groq/llama-3", "llama-3", "groq/*") == (
        candidate.model_name,
        candidate.upstream_model,
        candidate.metric_model,
    )


def test_a_missing_model_is_the_defaults():
    """No model, no problem, where one provider is the default."""
    assert ("openai/gpt-4o-mini", ["openai/gpt-4o-mini"], Source.DEFAULT) == _names(
        ModelTable(PROVIDERS, {}), None
    )


def test_a_missing_model_without_a_default_is_not_found():
    """The error says what is missing on both sides."""
    with pytest.raises(
        ModelNotFound, match="names no model, and no entry is the default; known: openai"
    ):
        ModelTable(PROVIDERS[1:], {}).resolve(None, CHAT)


@pytest.mark.parametrize(
    "requested_model", ["gpt-5", "openai/", "/x", "plano/router", "router", "openai/gpt-5"]
)
def test_an_unknown_model_is_not_found_and_the_known_are_listed(requested_model):
    """The router model is nobody's to call, and a prefix alone is no name."""
    table = ModelTable([provider for provider in PROVIDERS if not provider.is_wildcard], ALIASES)
    with pytest.raises(
        ModelNotFound, match="known: openai/gpt-4o-mini, openai/gpt-4o, anthropic/claude-haiku-4-5"
    ):
        table.resolve(requested_model, CHAT)


def test_a_long_name_is_not_repeated_in_full():
    """An error is a line, not an echo."""
    with pytest.raises(ModelNotFound) as caught:
        ModelTable(PROVIDERS[:1], {}).resolve("x" * 10_000, CHAT)

    assert len(caught.value.message) < 300


def test_many_known_names_are_cut_short():
    """A thousand models do not make a thousand-name error."""
    many = [a_provider(f"openai/m{number}") for number in range(100)]
    with pytest.raises(ModelNotFound, match=r"m19, \.\.\."):
        ModelTable(many, {}).resolve("nothing", CHAT)


def test_an_unknown_model_can_be_the_defaults():
    """routing.unknown_model: default."""
    table = ModelTable(PROVIDERS[:1], {}, unknown_uses_default=True)

    assert ("openai/gpt-4o-mini", ["openai/gpt-4o-mini"], Source.DEFAULT) == _names(table, "gpt-5")


def test_a_model_that_does_not_speak_the_dialect_says_what_it_speaks():
    """The error names both, so that the caller knows which side to change."""
    table = ModelTable(PROVIDERS, {})
    resolved = table.resolve("openai/gpt-4o", MESSAGES)

    assert ("openai/gpt-4o", ()) == (resolved.model_name, resolved.decision.candidates)
    with pytest.raises(
        DialectNotServed, match=r"'openai/gpt-4o' does not speak 'messages'; it speaks chat"
    ):
        table.requested(resolved, MESSAGES)


def test_fallbacks_are_not_the_model_that_was_asked_for():
    """A candidate of another model is one that the sidecar chose."""
    table = ModelTable(
        (a_provider("openai/gpt-4o", fallbacks=("groq/llama-3",)), a_provider("groq/*")),
        {"smart": "openai/gpt-4o"},
    )
    decision = table.resolve("smart", CHAT).decision

    assert (["openai/gpt-4o", "groq/llama-3"], ["openai/gpt-4o"]) == (
        [each.model_name for each in decision.candidates],
        [each.model_name for each in decision.requested],
    )


@pytest.mark.parametrize(
    ("requested_model", "expected"),
    [
        ("groq/llama-3", ["groq/llama-3", "openai/gpt-4o"]),
        ("llama-3", ["groq/llama-3", "openai/gpt-4o"]),
        ("groq/mixtral", ["groq/mixtral"]),
        ("openai/gpt-4o", ["openai/gpt-4o", "groq/llama-3"]),
    ],
    ids=["by its prefix", "by its bare id", "an entry of its own", "a wildcard's as fallback"],
)
def test_a_wildcards_fallbacks_follow_each_of_its_models(requested_model, expected):
    """But for those that have an entry of their own."""
    table = ModelTable(
        (
            a_provider("groq/*", fallbacks=("openai/gpt-4o",)),
            a_provider("groq/mixtral"),
            a_provider("openai/gpt-4o", fallbacks=("groq/llama-3",)),
        ),
        {},
    )
    decision = table.resolve(requested_model, CHAT).decision

    assert expected == [each.model_name for each in decision.candidates]


def test_a_fallback_serves_where_the_model_does_not_speak_the_dialect():
    """It is a candidate like any other."""
    chat_only = a_provider("openai/gpt-4o", fallbacks=("anthropic/claude-haiku-4-5",))
    table = ModelTable([chat_only, PROVIDERS[3]], {})
    resolved = table.resolve("openai/gpt-4o", MESSAGES)

    assert ["anthropic/claude-haiku-4-5"] == [
        each.provider for each in table.requested(resolved, MESSAGES).candidates
    ]


def test_a_bare_id_that_two_wildcards_could_serve_is_not_guessed():
    """With two wildcards of one dialect the prefix must be written."""
    table = ModelTable([a_provider("groq/*"), a_provider("mistral/*")], {})

    with pytest.raises(ModelNotFound):
        table.resolve("llama-3", CHAT)


@pytest.mark.parametrize(
    ("dialect", "model_name"),
    [(CHAT, "openai/gpt-9"), (RESPONSES, "openai/gpt-9"), (MESSAGES, "anthropic/gpt-9")],
)
def test_bare_ids_go_home_where_several_wildcards_could_serve(dialect, model_name):
    """A bare id is OpenAI's for chat and responses and Anthropic's for messages."""
    table = ModelTable(
        [a_provider("groq/*"), a_provider("openai/*"), a_provider("anthropic/*")],
        {},
        homes=DIALECTS.homes,
    )

    assert model_name == table.resolve("gpt-9", dialect).model_name


def test_a_single_wildcard_serves_bare_ids():
    """Only one provider, so there is nothing to choose."""
    assert (
        "groq/x"
        == ModelTable([a_provider("groq/*")], {}, homes=DIALECTS.homes)
        .resolve("x", CHAT)
        .model_name
    )


def test_pinned_models_are_found_by_any_configured_name():
    """A pin written by another pod names a model, an entry or a wildcard's model; unknown ones have
    no candidates.
    """
    table = ModelTable(PROVIDERS, ALIASES)

    assert ["gpt-eu", "gpt-us"] == [
        candidate.provider for candidate in table.candidates_of("openai/gpt-4o", CHAT)
    ]
    assert ["groq/*"] == [
        candidate.provider for candidate in table.candidates_of("groq/llama", CHAT)
    ]
    assert () == table.candidates_of("gone/model", CHAT)
    assert () == table.candidates_of("openai/gpt-4o", MESSAGES)


@pytest.mark.parametrize("requested_model", ["groq/*", "*", "other/*"])
def test_a_wildcard_itself_is_no_model(requested_model):
    """What stands for the star can be asked for; the star cannot."""
    with pytest.raises(ModelNotFound, match=r"is a wildcard, which is no model|is not configured"):
        ModelTable([a_provider("groq/*")], {}).resolve(requested_model, CHAT)


def test_an_alias_of_what_was_left_out_names_nothing():
    """An optional entry without a key is not there: neither is another name for it, and no wildcard
    takes its place.
    """
    table = ModelTable(
        PROVIDERS,
        {"gone": "mistral/large", "own": "gpt-us", "bare": "claude-haiku-4-5", "w": "groq/x"},
    )

    with pytest.raises(ModelNotFound):
        table.resolve("gone", CHAT)
    assert [Listed("own", "openai"), Listed("bare", "anthropic"), Listed("w", "groq")] == list(
        table.listed[-3:]
    )


def test_the_list_is_in_config_order_with_aliases_last():
    """What GET /v1/models shows. The router model is not in it, nor a wildcard, which nobody could
    ask for.
    """
    assert [
        Listed("openai/gpt-4o-mini", "openai"),
        Listed("openai/gpt-4o", "openai"),
        Listed("anthropic/claude-haiku-4-5", "anthropic"),
        Listed("azure_openai/gpt-4o-mini", "azure_openai"),
        Listed("fast", "openai"),
    ] == list(ModelTable(PROVIDERS, {"fast": "openai/gpt-4o-mini"}).listed)


@pytest.mark.parametrize(
    ("name", "owner"),
    [("fast", "openai"), ("gpt-4o-mini", "openai"), ("groq/llama-3", "groq"), ("gpt-us", "openai")],
)
def test_one_model_can_be_described(name, owner):
    """Whatever a call could ask for has an entry of its own."""
    assert Listed(name, owner) == ModelTable(PROVIDERS, {"fast": "openai/gpt-4o-mini"}).describe(
        name
    )


def test_an_unknown_model_cannot_be_described():
    """404, with the known names."""
    with pytest.raises(ModelNotFound):
        ModelTable(PROVIDERS[:1], {}).describe("gpt-5")


def test_entries_and_candidates_of_a_name():
    """Of any dialect, and of one; a wildcard's models count, unknown names have none, and asking
    twice changes nothing.
    """
    table = ModelTable(PROVIDERS, ALIASES)
    for _ in range(2):
        assert ["gpt-eu", "gpt-us"] == [each.provider for each in table.entries_of("openai/gpt-4o")]
        assert ["gpt-eu", "gpt-us"] == [
            each.provider for each in table.candidates_of("openai/gpt-4o", CHAT)
        ]
        assert ["groq/*"] == [each.provider for each in table.candidates_of("groq/llama", CHAT)]
        assert () == table.candidates_of("anthropic/claude-haiku-4-5", RESPONSES)
        assert ((), ()) == (table.entries_of("nobody"), table.candidates_of("no/body", CHAT))


def test_a_name_that_could_not_stand_in_a_header_is_no_wildcards():
    """It comes from a body, and would be a response header's value."""
    with pytest.raises(ModelNotFound):
        ModelTable(PROVIDERS, ALIASES).resolve("groq/a\r\nb", CHAT)


@pytest.mark.parametrize("model_id", ["m" * 257, "\u00e9" * 129, "a\rb"])
@pytest.mark.parametrize("name", ["groq/{}", "{}"])
def test_a_wildcard_serves_no_name_that_is_too_long_or_not_printable(model_id, name):
    """Callers invent it, also in a list of their own: it is kept, and sent in header lines."""
    table = ModelTable([a_provider("groq/*")], {})

    with pytest.raises(ModelNotFound):
        table.resolve(name.format(model_id), CHAT)
    assert () == table.entries_of(f"groq/{model_id}")


@pytest.mark.parametrize(
    "model_id",
    [".", "..", "..;a=b", "../x", "a/../b", "a/b", "a\\b", "%2e%2e", "%252e%252e", "a%2fb"],
)
def test_a_name_that_a_path_would_read_as_a_path_is_no_deployment(model_id):
    """Azure's path holds the name: some servers decode it, twice even, and serve another path. In a
    body it is a name like any other.
    """
    table = ModelTable([DEPLOYMENTS, a_provider("groq/*")], {})

    assert () == table.entries_of(f"azure_openai/{model_id}")
    assert 1 == len(table.entries_of(f"groq/{model_id}"))


@pytest.mark.parametrize(
    "model_id", ["gpt-4o", "gpt-3.5", ".x", "...", "a..b", "ft:gpt;x", "a?b#c"]
)
def test_other_names_are_deployments(model_id):
    """What quoting makes one segment of every server's path."""
    table = ModelTable([DEPLOYMENTS], {})

    assert [model_id] == [
        each.upstream_model for each in table.entries_of(f"azure_openai/{model_id}")
    ]


def test_a_model_serves_apis_that_it_does_not_speak():
    """By translation, unless the config says no; embeddings never."""
    claude = a_provider("anthropic/claude", translate=True)
    table = ModelTable((claude, a_provider("openai/gpt-4o"), a_provider("mistral/m")), {})
    (found,) = table.resolve("anthropic/claude", CHAT).decision.candidates

    assert ((MESSAGES,), (MESSAGES,)) == (found.targets_of(CHAT), found.targets_of(RESPONSES))
    assert (found,) == table.candidates_of("anthropic/claude", RESPONSES)
    assert () == table.candidates_of("anthropic/claude", EMBEDDINGS)
    assert () == table.candidates_of("openai/gpt-4o", MESSAGES)
    assert () == found.targets_of(MESSAGES)


def test_a_model_is_spoken_to_in_what_loses_least():
    """The dialects of its family, the best one first."""
    table = ModelTable((a_provider("openai/gpt-4o", translate="strict"),), {})
    (found,) = table.candidates_of("openai/gpt-4o", MESSAGES)

    assert (RESPONSES, CHAT) == found.targets_of(MESSAGES)
    assert found.translation is not None
    assert found.translation.is_strict


def test_fallbacks_may_be_translated_too():
    """They follow in the operator's order."""
    gpt = a_provider("openai/gpt-4o", fallbacks=("anthropic/claude",))
    table = ModelTable((gpt, a_provider("anthropic/claude", translate=True)), {})
    decision = table.resolve("openai/gpt-4o", CHAT).decision

    assert ["openai/gpt-4o", "anthropic/claude"] == [each.provider for each in decision.candidates]
    assert ["openai/gpt-4o"] == [each.provider for each in decision.requested]


def test_a_bare_id_goes_to_the_only_wildcard_that_speaks_the_dialect_or_else_serves_it():
    """To one that would be translated for only where none speaks it."""
    both = (a_provider("openai/*", translate=True), a_provider("anthropic/*", translate=True))

    assert "anthropic/m" == ModelTable(both, {}).resolve("m", MESSAGES).model_name
    assert "openai/m" == ModelTable(both, {}).resolve("m", CHAT).model_name
    assert "anthropic/m" == ModelTable(both[1:], {}).resolve("m", CHAT).model_name
    with pytest.raises(ModelNotFound):
        ModelTable(
            (both[1], a_provider("qwen2/*", translate=True, by_dialect={MESSAGES: "/m"})), {}
        ).resolve("m", CHAT)
