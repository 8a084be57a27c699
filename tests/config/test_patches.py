"""What models refuse of each other's parameters: which rows a model gets, and that each is a fact
that a provider of the tests acts by.
"""

from __future__ import annotations

import pytest

from sidecar.config.conventions import family_of
from sidecar.config.families import FAMILIES
from sidecar.config.patch_table import PATCHED_FAMILIES, PATCHES, changes_for
from sidecar.config.patches import beside, beside_only, but, only
from sidecar.config.patches_claude import CLAUDE
from sidecar.config.patches_openai import OPENAI
from sidecar.config.patches_servers import SERVERS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from tests.support.refusing_provider import REFUSED

PATHS = {"/v1/chat/completions": CHAT, "/v1/responses": RESPONSES, "/v1/messages": MESSAGES}
SAMPLING = "temperature, top_p"
PENALTIES = "presence_penalty, frequency_penalty"
CLAUDE_SAMPLING = "temperature, top_p, top_k"


def shown(model: str, dialect: DialectName, asked: str = "") -> str:
    family = family_of(model)
    changes = changes_for(family, dialect, model.removeprefix(f"{family}/"), asked)
    return ", ".join(dict.fromkeys(each.shown for each in changes))


@pytest.mark.parametrize(
    ("model", "dialect", "expected"),
    [
        ("openai/gpt-5", CHAT, f"max_tokens, temperature, top_p, {PENALTIES}, logit_bias, reasoning_effort, max_completion_tokens"),
        ("openai/gpt-5-mini-2025-08-07", RESPONSES, f"{SAMPLING}, reasoning.effort"),
        ("openai/gpt-5.1", CHAT, f"max_tokens, {SAMPLING}, reasoning_effort"),
        ("openai/gpt-5.3-codex", RESPONSES, SAMPLING),
        ("openai/gpt-6", CHAT, "max_tokens"),
        ("openai/gpt-5-chat-latest", CHAT, ""),
        ("openai/gpt-5.3-chat-latest", CHAT, ""),
        ("openai/o3-mini", CHAT, f"max_tokens, {SAMPLING}, {PENALTIES}, logit_bias, parallel_tool_calls, reasoning_effort, max_completion_tokens"),
        ("openai/gpt-4o-2024-05-13", CHAT, "reasoning_effort, max_tokens, max_completion_tokens"),
        ("openai/gpt-4o-audio-preview", CHAT, "reasoning_effort"),
        ("openai/gpt-4", CHAT, "reasoning_effort"),
        ("openai/gpt-3.5-turbo-instruct", RESPONSES, "reasoning, reasoning.encrypted_content"),
        ("openai/ft:gpt-4o:acme", CHAT, ""),
        ("openai/omni-moderation-latest", CHAT, ""),
        ("azure_openai/my-deployment", CHAT, ""),
        ("vllm/gpt-5", CHAT, ""),
        ("openrouter/openai/gpt-5", CHAT, ""),
        ("anthropic/claude-sonnet-4-5", MESSAGES, "thinking, top_p, output_config.effort, max_tokens"),
        ("anthropic/claude-sonnet-4-20250514", MESSAGES, "thinking, output_config.effort, max_tokens"),
        ("amazon_bedrock/anthropic.claude-sonnet-4-20250514-v1:0", MESSAGES, "thinking, output_config.effort, max_tokens"),
        ("anthropic/claude-opus-4-1-20250805", MESSAGES, "thinking, top_p, output_config.effort, max_tokens"),
        ("anthropic/claude-opus-4-5", MESSAGES, "thinking, top_p, output_config.effort, max_tokens"),
        ("anthropic/claude-opus-4-6", MESSAGES, "output_config.effort, max_tokens"),
        ("anthropic/claude-opus-4-7", MESSAGES, f"thinking.budget_tokens, {CLAUDE_SAMPLING}, max_tokens"),
        ("anthropic/claude-sonnet-5-5", MESSAGES, f"thinking.budget_tokens, thinking, {CLAUDE_SAMPLING}, max_tokens"),
        ("anthropic/claude-3-5-haiku-20241022", MESSAGES, "thinking, output_config.effort, max_tokens"),
        ("anthropic/claude-sonnet-4-5", CHAT, ""),
        ("anthropic/claude-next", MESSAGES, ""),
        ("minimax/MiniMax-M3", MESSAGES, "cache_control.ttl"),
        ("minimax/MiniMax-M3", CHAT, "role developer"),
        ("moonshotai/kimi-k2", CHAT, ""),
        ("xai/grok-4-fast", RESPONSES, "reasoning.effort"),
        ("xai/grok-3", CHAT, ""),
    ],
)  # fmt: skip
def test_a_model_gets_the_rows_that_are_sure_of_it(model, dialect, expected):
    """Names that nobody knows, and deployments with names of their own, get none."""
    assert expected == shown(model, dialect)


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        ("openai/gpt-5-mini", "openai/gpt-5", ""),
        ("azure_openai/gpt-5", "openai/gpt-5-mini", ""),
        ("openai/gpt-4o", "openai/gpt-4.1", "max_tokens, max_completion_tokens"),
        ("openai/gpt-5.1", "openai/gpt-5", f"{SAMPLING}, reasoning_effort"),
        ("mistral/mistral-large", "zhipu/glm-5", "max_completion_tokens, seed, user"),
        ("deepseek/deepseek-chat", "vllm/any", "role developer"),
    ],
)
def test_what_the_asked_model_refuses_as_well_is_not_changed(model, asked, expected):
    """An app that sends it all the same would hear so from its own model."""
    assert expected == shown(model, CHAT, asked)


def test_every_row_is_of_a_family_that_speaks_the_dialect_and_has_a_source():
    """A row of another family would never be found."""
    for each in PATCHES:
        for family in each.families:
            row = FAMILIES[family]
            assert each.dialect in {*row.dialects, *(row.claude_dialects or ())}
        assert each.source.startswith("https://")
        assert each.changes
    assert {family for each in PATCHES for family in each.families} == PATCHED_FAMILIES
    assert len(PATCHES) == len(OPENAI) + len(CLAUDE) + len(SERVERS)


@pytest.mark.parametrize(
    "patch", PATCHES, ids=lambda patch: f"{patch.families[0]} {patch.models.shown}"
)
def test_every_row_is_met_by_a_provider_that_refuses(patch):
    """Each of its changes is one that a call of `tests/flow/test_patches.py` needs."""
    met = {
        name
        for each in REFUSED
        for family, _, model_id in [each.model.partition("/")]
        if PATHS[each.path] == patch.dialect and family in patch.families
        if patch.models.ids.search(model_id)
        for name in each.lost.split(", ")
    }  # fmt: skip

    wanted = {each.shown for each in patch.changes}
    if wanted == {"max_tokens", "max_completion_tokens"}:  # either is brought down, by one limit
        assert met & wanted
    else:
        assert wanted <= met


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        (but(1), 1.0, False),
        (but(1), None, False),
        (but(1), 0.5, True),
        (only("none"), "none", True),
        (only("none"), None, False),
        (beside("a", "none"), "low", True),
        (beside("a", "none"), "none", False),
        (beside_only("a", "adaptive"), "adaptive", True),
        (beside_only("a", "adaptive"), "enabled", False),
    ],
)
def test_the_words_of_the_rows_say_for_which_values(where, value, expected):
    """Null says the same as no member, and is left."""
    assert expected == where.matches(value)
