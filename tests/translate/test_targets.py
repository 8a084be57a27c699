"""What a target can do, by its family and its model's id."""

from __future__ import annotations

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.abilities import Abilities
from sidecar.translate.claude_models import UNKNOWN, ClaudeModel, claude_abilities, claude_of
from sidecar.translate.openai_models import openai_abilities, openai_model_of
from sidecar.translate.targets import Target, abilities_of


@pytest.mark.parametrize(
    ("model_id", "tier", "version"),
    [
        ("claude-opus-4-20250514", "opus", (4, 0)),
        ("claude-opus-4-1-20250805", "opus", (4, 1)),
        ("claude-sonnet-4-5", "sonnet", (4, 5)),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet", (4, 5)),
        ("claude-haiku-4-5@20251001", "haiku", (4, 5)),
        ("anthropic/claude-haiku-4.5", "haiku", (4, 5)),
        ("claude-opus-5", "opus", (5, 0)),
        ("claude-fable-5-2", "fable", (5, 2)),
        ("claude-3-7-sonnet-20250219", "sonnet", (3, 7)),
        ("claude-3-opus-20240229", "opus", (3, 0)),
        ("Claude-2.1", "", (2, 1)),
    ],
)
def test_a_claude_is_known_by_its_id(model_id, tier, version):
    """Whatever the provider puts before it and behind it."""
    assert ClaudeModel(tier, version) == claude_of(model_id)


def test_an_id_that_says_no_more_than_claude_is_taken_for_a_new_one():
    """What the newest models refuse is not sent to it."""
    assert UNKNOWN == claude_of("claude-latest") == claude_of("my-claude")
    assert claude_of("gpt-5") is None


@pytest.mark.parametrize(
    ("model_id", "most", "is_held", "sampling", "prefill", "forced", "efforts", "off"),
    [
        ("claude-3-opus-20240229", 4_096, False, 1, True, True, 0, ""),
        ("claude-3-5-haiku-20241022", 8_192, False, 1, True, True, 0, ""),
        ("claude-3-7-sonnet-20250219", 64_000, False, 1, True, True, 0, ""),
        ("claude-sonnet-4-20250514", 64_000, False, 1, True, True, 0, ""),
        ("claude-opus-4-1", 32_000, True, 1, True, True, 0, ""),
        ("claude-sonnet-4-5", 64_000, True, 1, True, True, 0, ""),
        ("claude-opus-4-5", 64_000, True, 1, True, True, 3, ""),
        ("claude-sonnet-4-6", 128_000, True, 1, False, True, 4, ""),
        ("claude-opus-4-8", 128_000, True, None, False, True, 5, ""),
        ("claude-sonnet-5", 128_000, True, None, False, True, 5, "disabled"),
        ("claude-opus-5", 128_000, True, None, False, True, 5, "disabled"),
        ("claude-fable-5", 128_000, True, None, False, True, 5, None),
        ("claude-fable-5-1", 128_000, True, None, False, False, 5, None),
        ("claude-opus-5-5", 128_000, True, None, False, False, 5, None),
        ("claude-sonnet-5-5", 128_000, True, None, False, False, 5, "between_tools"),
        ("claude-haiku-5-5", 128_000, True, None, False, True, 5, "disabled"),
        ("claude-latest", 128_000, True, None, False, True, 0, None),
    ],
)
def test_a_claude_takes_what_its_documentation_says(
    model_id, most, is_held, sampling, prefill, forced, efforts, off
):
    """Limits, schemas, temperature, prefill, forced tools, effort, and thinking turned off."""
    model = claude_of(model_id)
    assert model is not None
    can = claude_abilities(model, "anthropic")

    assert (most, min(most, 64_000)) == (can.max_tokens, can.default_tokens)
    assert (is_held, is_held) == (can.has_json_schema, can.has_strict_tools)
    assert (sampling, prefill, forced) == (
        can.max_temperature,
        can.has_prefill,
        can.has_forced_tools,
    )
    assert (efforts, off) == (len(can.efforts), can.off)


@pytest.mark.parametrize(
    ("family", "model_id", "has_it"),
    [
        ("anthropic", "claude-opus-4-7", False),
        ("anthropic", "claude-opus-4-8", True),
        ("anthropic", "claude-sonnet-5", False),
        ("anthropic", "claude-sonnet-5-5", True),
        ("amazon_bedrock", "claude-opus-5", False),
    ],
)
def test_a_late_system_text_is_for_new_models_at_anthropic(family, model_id, has_it):
    """Others refuse the role."""
    assert has_it is abilities_of(Target(MESSAGES, family, model_id)).has_late_system


@pytest.mark.parametrize(
    ("model_id", "version", "is_o_series", "reasons"),
    [
        ("gpt-4o-mini", (4, 0), False, False),
        ("gpt-4.1", (4, 1), False, False),
        ("gpt-5", (5, 0), False, True),
        ("gpt-5-chat-latest", (5, 0), False, False),
        ("openai.gpt-5.6-sol", (5, 6), False, True),
        ("openai/gpt-6-astra", (6, 0), False, True),
        ("o3-mini", (0, 0), True, True),
    ],
)
def test_a_model_of_openais_is_known_by_its_id(model_id, version, is_o_series, reasons):
    """Whatever the provider puts before it."""
    model = openai_model_of(model_id)

    assert model is not None
    assert (version, is_o_series, reasons) == (model.version, model.is_o_series, model.reasons)


@pytest.mark.parametrize("model_id", ["gpt-35-turbo", "gpt-oss-120b", "my-deployment", "o11y"])
def test_an_id_that_is_none_of_openais_names_says_nothing(model_id):
    """What the API documents is believed then."""
    assert openai_model_of(model_id) is None
    assert 2 == openai_abilities(None, CHAT).max_temperature


@pytest.mark.parametrize(
    ("model_id", "most", "efforts", "off", "sampling", "images", "schema"),
    [
        ("gpt-3.5-turbo", 4_096, "", "", 2, False, False),
        ("gpt-4", 8_192, "", "", 2, False, False),
        ("gpt-4-turbo", 4_096, "", "", 2, True, False),
        ("gpt-4o", 16_384, "", "", 2, True, True),
        ("gpt-4.1-mini", 32_768, "", "", 2, True, True),
        ("o1-mini", 100_000, "low medium high", None, None, False, False),
        ("o3", 100_000, "low medium high", None, None, True, True),
        ("gpt-5-chat-latest", 16_384, "", "", 2, True, True),
        ("gpt-5-mini", 128_000, "minimal low medium high", None, None, True, True),
        ("gpt-5-codex", 128_000, "low medium high", None, None, True, True),
        ("gpt-5-pro", 128_000, "high", None, None, True, True),
        ("gpt-5.1", 128_000, "none low medium high", "none", None, True, True),
        ("gpt-5.2-pro", 128_000, "medium high xhigh", None, None, True, True),
        ("gpt-5.4", 128_000, "none low medium high xhigh", "none", None, True, True),
        ("gpt-5.6-luna", 128_000, "none low medium high xhigh max", "none", None, True, True),
        ("gpt-6-astra", 128_000, "low medium high xhigh max", None, None, True, True),
    ],
)
def test_a_model_of_openais_takes_what_its_documentation_says(
    model_id, most, efforts, off, sampling, images, schema
):
    """Limits, effort, temperature, images and schemas."""
    can = openai_abilities(openai_model_of(model_id), RESPONSES)

    assert (most, efforts, off) == (can.max_tokens, " ".join(can.efforts), can.off)
    assert (sampling, images, schema) == (
        can.max_temperature,
        can.has_images,
        can.has_json_schema,
    )


@pytest.mark.parametrize(
    ("model_id", "dialect", "has_tools", "calls_without_effort"),
    [
        ("gpt-5.2", CHAT, True, False),
        ("gpt-5.4", CHAT, True, True),
        ("gpt-6-astra", CHAT, False, True),
        ("gpt-6-astra", RESPONSES, True, False),
    ],
)
def test_newer_models_do_not_reason_where_they_call_tools_in_chat(
    model_id, dialect, has_tools, calls_without_effort
):
    """The responses API has both."""
    can = openai_abilities(openai_model_of(model_id), dialect)

    assert (has_tools, calls_without_effort) == (can.has_tools, can.calls_without_effort)


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (
            Target(CHAT, "anthropic", "claude-opus-5"),
            {"has_json_schema": False, "has_top_p": False},
        ),
        (Target(CHAT, "deepseek", "deepseek-chat"), {"has_images": False, "has_text_parts": False}),
        (Target(CHAT, "mistral", "m"), {"has_stream_usage": False, "has_strict_order": True}),
        (Target(CHAT, "openrouter", "anthropic/claude-opus-5.5"), {"has_forced_tools": False}),
        (Target(CHAT, "groq", "llama"), {"max_tokens_name": "max_tokens", "efforts": ()}),
        (Target(CHAT, "azure_openai", "mine"), {"max_tokens_name": "max_completion_tokens"}),
        (Target(RESPONSES, "openai", "gpt-4.1"), {"has_stop": False, "min_tokens": 16}),
        (Target(RESPONSES, "xai", "grok"), {"has_openai_members": False, "has_stop": False}),
        (Target(MESSAGES, "deepseek", "deepseek-chat"), {"has_images": False}),
        (Target(MESSAGES, "zhipu", "glm-5"), {"default_tokens": 16_384, "has_cache_ttls": False}),
    ],
    ids=lambda each: f"{each.family} {each.dialect}" if isinstance(each, Target) else "",
)
def test_a_family_takes_what_its_documentation_says(target, what):
    """Where it says nothing the API's own documentation is believed."""
    can = abilities_of(target)

    assert isinstance(can, Abilities)
    assert what == {name: getattr(can, name) for name in what}
