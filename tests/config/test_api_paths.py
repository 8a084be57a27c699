"""Which entries are known to serve the paths of providers' APIs that are no calls."""

from __future__ import annotations

import pytest

from sidecar.config.api_paths import API_DIALECTS, is_known_to_serve, is_of_kind
from sidecar.config.families import FAMILIES
from sidecar.domain.api_paths import ApiPath
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from tests.config.loading import load
from tests.support.providers import a_provider

ALL_OF_OPENAI = {
    "/v1/responses/compact", "/v1/responses/input_tokens", "/v1/responses", "/v1/conversations",
    "/v1/moderations", "/v1/completions", "/v1/images", "/v1/audio", "/v1/files", "/v1/uploads",
    "/v1/batches", "/v1/vector_stores",
}  # fmt: skip
SERVED = {
    # https://platform.openai.com/docs/api-reference
    "openai": ALL_OF_OPENAI,
    # https://learn.microsoft.com/azure/ai-foundry/openai/latest: what is moderated is no API there
    "azure_openai": ALL_OF_OPENAI - {"/v1/moderations"},
    # https://docs.anthropic.com/en/api/creating-message-batches and .../files-create
    "anthropic": {"/v1/messages/batches", "/v1/files"},
    # https://inference-docs.cerebras.ai/api-reference/completions
    "cerebras": {"/v1/completions"},
    # Codex with the user's own login
    "chatgpt": {"/v1/responses/compact"},
    # https://docs.fireworks.ai/api-reference/post-completions and .../get-response
    "fireworks": {"/v1/completions", "/v1/responses"},
    # https://console.groq.com/docs/api-reference
    "groq": {"/v1/audio", "/v1/batches", "/v1/files"},
    # https://github.com/ggml-org/llama.cpp/tree/master/tools/server
    "llama_cpp": {"/v1/completions"},
    # https://lmstudio.ai/docs/app/api/endpoints/openai
    "lm_studio": {"/v1/completions"},
    # https://docs.mistral.ai/api
    "mistral": {"/v1/audio", "/v1/batch", "/v1/files", "/v1/moderations"},
    # https://platform.moonshot.ai/docs/api/files
    "moonshotai": {"/v1/files"},
    # https://docs.ollama.com/api/openai-compatibility
    "ollama": {"/v1/completions"},
    # https://docs.together.ai/reference
    "together_ai": {"/v1/audio", "/v1/completions", "/v1/images"},
    # https://docs.vllm.ai/en/stable/serving/online_serving
    "vllm": {"/v1/audio", "/v1/completions", "/v1/responses"},
    # https://docs.x.ai/docs/api-reference
    "xai": {"/v1/completions", "/v1/files", "/v1/images", "/v1/responses"},
}


def test_families_serve_what_their_makers_document():
    """No more than is sure: a path that is not here is sent where the config says."""
    assert SERVED == {name: set(row.api_paths) for name, row in FAMILIES.items() if row.api_paths}


@pytest.mark.parametrize(
    ("family", "dialect", "expected"),
    [
        ("openai", CHAT, True),
        ("openai", RESPONSES, True),
        ("openai", MESSAGES, False),
        ("anthropic", MESSAGES, True),
        ("anthropic", CHAT, False),
        ("deepseek", CHAT, False),
    ],
)
def test_files_are_two_apis(family, dialect, expected):
    """Anthropic's SDK means Anthropic's, any other OpenAI's."""
    assert expected == is_known_to_serve(a_provider(f"{family}/m"), ApiPath.FILES, dialect)


@pytest.mark.parametrize(
    ("family", "dialect", "expected"),
    [
        ("deepseek", CHAT, True),
        ("deepseek", MESSAGES, False),
        ("anthropic", MESSAGES, True),
        ("anthropic", RESPONSES, False),
        ("unheard_of", RESPONSES, True),
    ],
)
def test_the_rest_of_an_api_is_of_one_kind(family, dialect, expected):
    """Whichever of the other's dialects a provider speaks beside its own."""
    assert expected == is_of_kind(a_provider(f"{family}/m"), dialect)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{model: corp/m, provider_interface: openai, base_url: 'http://h'}", True),
        ("{model: corp/m, provider_interface: anthropic, base_url: 'http://h'}", False),
        ("{model: corp/m, provider_interface: gemini, base_url: 'http://h'}", False),
        ("{model: azure_openai/m, access_key: k, base_url: 'https://h'}", True),
    ],
)
def test_an_interface_that_an_entry_names_says_what_it_serves(entry, expected):
    """As it says which dialects it speaks."""
    (provider,) = load(f"model_providers: [{entry}]").providers

    assert expected == is_known_to_serve(provider, ApiPath.FILES, CHAT)


def test_paths_of_one_api_are_of_its_dialect():
    """Errors on them are told in it, whoever asks."""
    assert {RESPONSES, MESSAGES} == set(API_DIALECTS.values())
    assert all(
        path.startswith("/v1/messages/") for path, of in API_DIALECTS.items() if of == MESSAGES
    )
