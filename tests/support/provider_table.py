"""What each provider family serves, and where, as its maker documents it: what its row is held
against.
"""

from __future__ import annotations

from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES

BEARER = "Authorization: Bearer k"
X_API_KEY = "x-api-key: k"

TELL_USAGE_IF_ASKED = {
    # https://platform.openai.com/docs/api-reference/chat and github.com/openai/openai-openapi/pull/248
    "openai",
    # https://docs.anthropic.com/en/api/openai-sdk: stream_options are supported
    "anthropic",
    # The API's description of 2024-10-21 in github.com/Azure/azure-rest-api-specs, and a chunk of it in
    # github.com/griptape-ai/griptape/issues/1640; older versions refuse it.
    "azure_openai",
    # Without being asked it has the tokens under x_groq alone: github.com/vercel/ai/issues/1651 and
    # github.com/withceleste/celeste-python/pull/351
    "groq",
    # github.com/ggml-org/llama.cpp/issues/16048 (only builds of some weeks of 2025 tell it in any
    # case) and .../pull/22081, which would have it told in any case
    "llama_cpp",
    # https://lmstudio.ai/docs/app/api-changelog, since 0.3.18
    "lm_studio",
    # https://platform.moonshot.ai/docs
    "moonshotai",
    # github.com/ollama/ollama/issues/5200, since 0.5.2
    "ollama",
    # https://docs.qwencloud.com/developer-guides/text-generation/streaming
    "qwen",
    # github.com/vllm-project/vllm/pull/36379, since 0.5.0
    "vllm",
}
"""Whose chat streams tell their usage with ``stream_options.include_usage``, and only then. Of the
others, Mistral refuses it; DeepSeek (https://api-docs.deepseek.com/api/create-chat-completion: it stands in
the last chunk, beside a choice, "either way"), Gemini, OpenRouter and Perplexity tell usage in any
case; of the rest nothing was found.
"""

SERVED = {
    # https://platform.openai.com/docs/api-reference
    "openai": {
        CHAT: ("api.openai.com/v1/chat/completions", BEARER),
        RESPONSES: ("api.openai.com/v1/responses", BEARER),
        EMBEDDINGS: ("api.openai.com/v1/embeddings", BEARER),
    },
    # https://docs.anthropic.com/en/api/messages. What its .../openai-sdk says of chat is for tests
    # alone: it ignores response_format, strict tools and caching.
    "anthropic": {MESSAGES: ("api.anthropic.com/v1/messages", X_API_KEY)},
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
