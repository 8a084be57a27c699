"""What each provider family serves, and where, as its maker documents it."""

from __future__ import annotations

import pytest

from sidecar.config.families import FAMILIES
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Endpoint,
    InboundLines,
    Operation,
)
from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from sidecar.routing.table import ModelTable
from sidecar.upstream.client import ProviderClient
from tests.config.loading import load
from tests.support.values import a_call

BEARER = "Authorization: Bearer k"
X_API_KEY = "x-api-key: k"

SERVED = {
    # https://platform.openai.com/docs/api-reference
    "openai": {
        CHAT: ("api.openai.com/v1/chat/completions", BEARER),
        RESPONSES: ("api.openai.com/v1/responses", BEARER),
        EMBEDDINGS: ("api.openai.com/v1/embeddings", BEARER),
    },
    # https://docs.anthropic.com/en/api/messages and .../openai-sdk
    "anthropic": {
        MESSAGES: ("api.anthropic.com/v1/messages", X_API_KEY),
        CHAT: ("api.anthropic.com/v1/chat/completions", X_API_KEY),
    },
    # https://ai.google.dev/gemini-api/docs/openai
    "gemini": {
        CHAT: ("generativelanguage.googleapis.com/v1beta/openai/chat/completions", BEARER),
        EMBEDDINGS: ("generativelanguage.googleapis.com/v1beta/openai/embeddings", BEARER),
    },
    # https://api-docs.deepseek.com/guides/anthropic_api
    "deepseek": {
        CHAT: ("api.deepseek.com/v1/chat/completions", BEARER),
        EMBEDDINGS: ("api.deepseek.com/v1/embeddings", BEARER),
        MESSAGES: ("api.deepseek.com/anthropic/v1/messages", X_API_KEY),
    },
    # https://platform.moonshot.ai/docs
    "moonshotai": {
        CHAT: ("api.moonshot.ai/v1/chat/completions", BEARER),
        RESPONSES: ("api.moonshot.ai/v1/responses", BEARER),
        EMBEDDINGS: ("api.moonshot.ai/v1/embeddings", BEARER),
        MESSAGES: ("api.moonshot.ai/anthropic/v1/messages", BEARER),
    },
    # https://docs.z.ai/api-reference
    "zhipu": {
        CHAT: ("open.bigmodel.cn/api/paas/v4/chat/completions", BEARER),
        EMBEDDINGS: ("open.bigmodel.cn/api/paas/v4/embeddings", BEARER),
        MESSAGES: ("open.bigmodel.cn/api/anthropic/v1/messages", X_API_KEY),
    },
    # https://platform.xiaomimimo.com/#/docs
    "xiaomi": {
        CHAT: ("api.xiaomimimo.com/v1/chat/completions", BEARER),
        EMBEDDINGS: ("api.xiaomimimo.com/v1/embeddings", BEARER),
        MESSAGES: ("api.xiaomimimo.com/anthropic/v1/messages", BEARER),
    },
    # https://docs.x.ai/docs/api-reference
    "xai": {
        CHAT: ("api.x.ai/v1/chat/completions", BEARER),
        RESPONSES: ("api.x.ai/v1/responses", BEARER),
        EMBEDDINGS: ("api.x.ai/v1/embeddings", BEARER),
    },
    # https://docs.mistral.ai/api
    "mistral": {
        CHAT: ("api.mistral.ai/v1/chat/completions", BEARER),
        EMBEDDINGS: ("api.mistral.ai/v1/embeddings", BEARER),
    },
    # https://console.groq.com/docs/responses-api
    "groq": {
        CHAT: ("api.groq.com/openai/v1/chat/completions", BEARER),
        RESPONSES: ("api.groq.com/openai/v1/responses", BEARER),
        EMBEDDINGS: ("api.groq.com/openai/v1/embeddings", BEARER),
    },
    # https://docs.fireworks.ai/api-reference
    "fireworks": {
        CHAT: ("api.fireworks.ai/inference/v1/chat/completions", BEARER),
        RESPONSES: ("api.fireworks.ai/inference/v1/responses", BEARER),
        EMBEDDINGS: ("api.fireworks.ai/inference/v1/embeddings", BEARER),
        MESSAGES: ("api.fireworks.ai/inference/v1/messages", BEARER),
    },
    # https://openrouter.ai/docs/api-reference
    "openrouter": {
        CHAT: ("openrouter.ai/api/v1/chat/completions", BEARER),
        RESPONSES: ("openrouter.ai/api/v1/responses", BEARER),
        EMBEDDINGS: ("openrouter.ai/api/v1/embeddings", BEARER),
        MESSAGES: ("openrouter.ai/api/v1/messages", BEARER),
    },
    # https://platform.minimax.io/docs/api-reference/text-anthropic-api
    "minimax": {
        CHAT: ("api.minimax.io/v1/chat/completions", BEARER),
        RESPONSES: ("api.minimax.io/v1/responses", BEARER),
        EMBEDDINGS: ("api.minimax.io/v1/embeddings", BEARER),
        MESSAGES: ("api.minimax.io/anthropic/v1/messages", X_API_KEY),
    },
    # https://www.alibabacloud.com/help/en/model-studio/anthropic-api-messages
    "qwen": {
        CHAT: ("dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", BEARER),
        EMBEDDINGS: ("dashscope-intl.aliyuncs.com/compatible-mode/v1/embeddings", BEARER),
        MESSAGES: ("dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages", X_API_KEY),
    },
    # https://docs.together.ai/reference
    "together_ai": {
        CHAT: ("api.together.xyz/v1/chat/completions", BEARER),
        EMBEDDINGS: ("api.together.xyz/v1/embeddings", BEARER),
    },
    # https://inference-docs.cerebras.ai/api-reference
    "cerebras": {
        CHAT: ("api.cerebras.ai/v1/chat/completions", BEARER),
        EMBEDDINGS: ("api.cerebras.ai/v1/embeddings", BEARER),
    },
    # https://docs.perplexity.ai/api-reference
    "perplexity": {
        CHAT: ("api.perplexity.ai/chat/completions", BEARER),
        EMBEDDINGS: ("api.perplexity.ai/embeddings", BEARER),
    },
    # https://docs.digitalocean.com/products/gradient-ai-platform
    "digitalocean": {
        CHAT: ("inference.do-ai.run/v1/chat/completions", BEARER),
        EMBEDDINGS: ("inference.do-ai.run/v1/embeddings", BEARER),
    },
    # https://vercel.com/docs/ai-gateway
    "vercel": {
        CHAT: ("ai-gateway.vercel.sh/v1/chat/completions", BEARER),
        EMBEDDINGS: ("ai-gateway.vercel.sh/v1/embeddings", BEARER),
    },
    # https://docs.edenai.co/v3
    "edenai": {
        CHAT: ("api.edenai.run/v3/chat/completions", BEARER),
        EMBEDDINGS: ("api.edenai.run/v3/embeddings", BEARER),
    },
    # Codex with the user's own login
    "chatgpt": {RESPONSES: ("chatgpt.com/backend-api/codex/responses", BEARER)},
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server
    "vllm": {
        CHAT: ("own/v1/chat/completions", BEARER),
        RESPONSES: ("own/v1/responses", BEARER),
        EMBEDDINGS: ("own/v1/embeddings", BEARER),
        MESSAGES: ("own/v1/messages", BEARER),
    },
    # https://docs.ollama.com/api/anthropic-compatibility
    "ollama": {
        CHAT: ("own/v1/chat/completions", BEARER),
        RESPONSES: ("own/v1/responses", BEARER),
        EMBEDDINGS: ("own/v1/embeddings", BEARER),
        MESSAGES: ("own/v1/messages", BEARER),
    },
    # https://github.com/ggml-org/llama.cpp/tree/master/tools/server
    "llama_cpp": {
        CHAT: ("own/v1/chat/completions", BEARER),
        EMBEDDINGS: ("own/v1/embeddings", BEARER),
        MESSAGES: ("own/v1/messages", BEARER),
    },
    # https://lmstudio.ai/docs/app/api/endpoints/openai
    "lm_studio": {
        CHAT: ("own/v1/chat/completions", BEARER),
        EMBEDDINGS: ("own/v1/embeddings", BEARER),
    },
    # https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html
    "amazon_bedrock": {
        CHAT: ("own/openai/v1/chat/completions", BEARER),
        RESPONSES: ("own/openai/v1/responses", BEARER),
    },
    # https://learn.microsoft.com/azure/ai-services/openai/reference
    "azure_openai": {
        CHAT: ("own/openai/deployments/m/chat/completions?api-version=2025-01-01-preview", "api-key: k"),
        EMBEDDINGS: ("own/openai/deployments/m/embeddings?api-version=2025-01-01-preview", "api-key: k"),
        RESPONSES: ("own/openai/responses?api-version=2025-01-01-preview", "api-key: k"),
    },
}  # fmt: skip
"""By family: host and path of each dialect that it speaks by default, and the key's header line."""
CLAUDE = {
    "amazon_bedrock": {MESSAGES: ("own/anthropic/v1/messages", BEARER)},
    "azure_openai": {MESSAGES: ("own/anthropic/v1/messages", "api-key: k")},
}
"""The same for models with ``claude`` in their id, where others speak something else."""


def _entry(family: str, model: str = "m", base_url: str = "", more: str = "") -> str:
    if not base_url and FAMILIES[family].origin is None:
        base_url = "https://own"
    at = f", base_url: '{base_url}'" if base_url else ""
    return f"model_providers: [{{model: {family}/{model}, access_key: k{at}{more}}}]"


def _request(text: str, endpoint: Endpoint, headers: InboundLines | None = None) -> list[str]:
    """The lines of the head that a call gets at the only entry of a config."""
    (provider,) = load(text).providers
    client = ProviderClient(provider, Pool(Origin("https", "h", 443)), DIALECTS.by_name)
    body = b'{"model":"m"}'
    facts = DIALECTS.by_name[endpoint.dialect].peek(body, frozenset())
    call = a_call(endpoint=endpoint, body=body, facts=facts, headers=headers or {})
    table = ModelTable([provider], {})
    (candidate,) = table.entries_of(provider.model) or (table.passthrough(provider.prefix),)
    head, _ = client.request(call, candidate)
    return head.decode().split("\r\n")


def _generate(dialect: str) -> Endpoint:
    return next(each for each in DIALECTS.endpoints.values() if each.dialect == dialect)


def test_the_table_says_something_of_every_family():
    """And of none that is not built in."""
    routers = {name for name, row in FAMILIES.items() if row.is_router}
    assert set(FAMILIES) == set(SERVED) | routers


@pytest.mark.parametrize(
    ("family", "model", "served"),
    [
        *((family, "m", served) for family, served in SERVED.items()),
        *((family, "claude-x", served) for family, served in CLAUDE.items()),
    ],
)
def test_a_family_serves_its_dialects_where_its_maker_says(family, model, served):
    """No more of them, each at its path, with the key in its header."""
    text = _entry(family, model)
    (provider,) = load(text).providers
    assert set(served) == set(provider.spoken_by(provider.model_id))

    for dialect, (place, key) in served.items():
        line, host, *lines = _request(text, _generate(dialect))
        path = line.removeprefix("POST ").removesuffix(" HTTP/1.1")
        assert (place, key) == (host.removeprefix("Host: ") + path, lines[0])


@pytest.mark.parametrize("family", CLAUDE)
def test_a_wildcard_of_two_kinds_of_models_tells_them_apart(family):
    """A call goes to no path that its model does not have."""
    (provider,) = load(_entry(family, "*")).providers

    assert set(CLAUDE[family]) == set(provider.spoken_by("anthropic.Claude-x"))
    assert set(SERVED[family]) == set(provider.spoken_by("gpt-oss"))


def test_dialects_that_the_config_names_hold_for_every_model():
    """The operator knows better."""
    (provider,) = load(_entry("azure_openai", "*", more=", dialects: [chat]")).providers
    assert {CHAT} == provider.spoken_by("claude-x")


@pytest.mark.parametrize(
    ("family", "base_url", "path"),
    [
        ("deepseek", "https://gw/deepseek/v1", "/deepseek/anthropic/v1/messages"),
        ("deepseek", "https://gw", "/anthropic/v1/messages"),
        ("zhipu", "https://gw/x/api/paas/v4", "/x/api/anthropic/v1/messages"),
        ("openrouter", "https://gw/api/v1", "/api/v1/messages"),
        ("amazon_bedrock", "https://gw/openai/v1", "/anthropic/v1/messages"),
    ],
)
def test_messages_follow_a_base_url_of_ones_own(family, base_url, path):
    """A gateway before a provider keeps the provider's paths below its own."""
    model = "claude-x" if family == "amazon_bedrock" else "m"
    line, *_ = _request(_entry(family, model, base_url), _generate(MESSAGES))
    assert f"POST {path} HTTP/1.1" == line


def test_whoever_serves_messages_gets_anthropics_headers_and_version():
    """Betas and the version belong to the API, not to the maker of the model."""
    endpoint = _generate(MESSAGES)
    headers = {"anthropic": (b"anthropic-beta: b\r\n",), "openai": (b"x-title: t\r\n",)}

    lines = _request(_entry("deepseek"), endpoint, headers)
    assert {"anthropic-beta: b", "anthropic-version: 2023-06-01"} <= set(lines)
    assert "x-title: t" not in lines
    lines = _request(_entry("deepseek"), _generate(CHAT), headers)
    assert "x-title: t" in lines
    assert not [line for line in lines if line.startswith("anthropic-")]


@pytest.mark.parametrize(
    ("path", "sent", "key"),
    [
        ("/v1/files", "/v1beta/openai/files", BEARER),
        ("/v1beta/models/m:generateContent", "/v1beta/models/m:generateContent", "x-goog-api-key: k"),
    ],
)  # fmt: skip
def test_geminis_own_api_wants_the_key_in_another_header(path, sent, key):
    """Below its compatible paths it is a bearer, beside them Google's own header."""
    line, _, first, *_ = _request(_entry("gemini"), Endpoint(path, CHAT, Operation.PASSTHROUGH))
    assert (f"POST {sent} HTTP/1.1", key) == (line, first)
