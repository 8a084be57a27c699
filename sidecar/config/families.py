"""The provider families: a row each, as their makers document what they serve. Pure."""

from __future__ import annotations

from typing import Final

from sidecar.config.conventions import (
    API_KEY,
    X_API_KEY,
    X_GOOG_API_KEY,
    Conventions,
    CredentialStyle,
    HeaderFamily,
    anthropic_paths,
    azure_paths,
    openai_paths,
    openai_paths_with,
)
from sidecar.domain.api_paths import ApiPath
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName

_OPENAI: Final = frozenset(ApiPath) - {ApiPath.BATCH_JOBS, ApiPath.MESSAGE_BATCHES}
"""What OpenAI serves beside calls."""
_CODEX_SESSION: Final = ("session-id", "thread-id", "x-client-request-id")
"""By which OpenAI's own agent names its conversations."""


def _compatible(
    origin: str,
    base_path: str,
    key_variable: str,
    *more: DialectName,
    messages: str | None = None,
    messages_credential: CredentialStyle | None = None,
    decisions_path: str | None = None,
) -> Conventions:
    """Return the row of a provider that speaks OpenAI's API in OpenAI's way.

    Args: ``more`` are its dialects beside chat and embeddings; ``messages`` is the full path of
        that dialect where it is not below ``base_path``.
    """
    return Conventions(
        origin,
        base_path,
        key_variable,
        dialects=(CHAT, EMBEDDINGS, *more),
        paths=openai_paths if messages is None else openai_paths_with(messages, base_path),
        messages_credential=messages_credential,
        decisions_path=decisions_path,
    )


FAMILIES: Final = {
    "openai": Conventions(
        "https://api.openai.com",
        key_variable="OPENAI_API_KEY",
        dialects=(CHAT, RESPONSES, EMBEDDINGS),
        api_paths=_OPENAI,
        tells_usage_if_asked=True,
    ).hinted(*_CODEX_SESSION, member_in=(CHAT, RESPONSES)),
    "anthropic": Conventions(
        "https://api.anthropic.com",
        key_variable="ANTHROPIC_API_KEY",
        dialects=(MESSAGES,),
        paths=anthropic_paths,
        credential=X_API_KEY,
        header_family=HeaderFamily.ANTHROPIC,
        api_paths=frozenset({ApiPath.MESSAGE_BATCHES, ApiPath.FILES}),
        tells_usage_if_asked=True,
    ),
    "amazon_bedrock": Conventions(
        base_path="/openai/v1",
        dialects=(CHAT, RESPONSES),
        claude_dialects=(MESSAGES,),
        paths=openai_paths_with("/anthropic/v1/messages", "/openai/v1"),
    ),
    "azure_openai": Conventions(
        base_path="",
        dialects=(CHAT, RESPONSES, EMBEDDINGS),
        claude_dialects=(MESSAGES,),
        paths=azure_paths,
        credential=API_KEY,
        api_paths=_OPENAI - {ApiPath.MODERATIONS},
        is_host=True,
        tells_usage_if_asked=True,
    ).hinted(member_in=(CHAT, RESPONSES)),
    "cerebras": _compatible("https://api.cerebras.ai", "/v1", "CEREBRAS_API_KEY").serving(
        ApiPath.COMPLETIONS
    ),
    "chatgpt": Conventions(
        "https://chatgpt.com",
        "/backend-api/codex",
        dialects=(RESPONSES,),
    )
    .serving(ApiPath.COMPACT)
    .hinted(*_CODEX_SESSION, member_in=(RESPONSES,)),
    "deepseek": _compatible(
        "https://api.deepseek.com",
        "/v1",
        "DEEPSEEK_API_KEY",
        MESSAGES,
        messages="/anthropic/v1/messages",
        messages_credential=X_API_KEY,
    ),
    "digitalocean": _compatible("https://inference.do-ai.run", "/v1", "DIGITALOCEAN_API_KEY"),
    "edenai": _compatible("https://api.edenai.run", "/v3", "EDENAI_API_KEY"),
    "fireworks": _compatible(
        "https://api.fireworks.ai",
        "/inference/v1",
        "FIREWORKS_API_KEY",
        RESPONSES,
        MESSAGES,
        decisions_path="/inference/v1/decisions",
    )
    .serving(ApiPath.COMPLETIONS, ApiPath.STORED_RESPONSES)
    .hinted(made="x-session-affinity", member_in=(CHAT,)),
    "gemini": Conventions(
        "https://generativelanguage.googleapis.com",
        "/v1beta/openai",
        "GEMINI_API_KEY",
        native_credential=X_GOOG_API_KEY,
    ),
    "groq": _compatible("https://api.groq.com", "/openai/v1", "GROQ_API_KEY", RESPONSES)
    .telling_usage_if_asked()
    .serving(ApiPath.AUDIO, ApiPath.BATCHES, ApiPath.FILES),
    "llama_cpp": Conventions(
        dialects=(CHAT, EMBEDDINGS, MESSAGES), tells_usage_if_asked=True
    ).serving(ApiPath.COMPLETIONS),
    "lm_studio": Conventions(tells_usage_if_asked=True).serving(ApiPath.COMPLETIONS),
    "minimax": _compatible(
        "https://api.minimax.io",
        "/v1",
        "MINIMAX_API_KEY",
        RESPONSES,
        MESSAGES,
        messages="/anthropic/v1/messages",
        messages_credential=X_API_KEY,
    ),
    "mistral": _compatible("https://api.mistral.ai", "/v1", "MISTRAL_API_KEY")
    .serving(ApiPath.AUDIO, ApiPath.BATCH_JOBS, ApiPath.FILES, ApiPath.MODERATIONS)
    .hinted(made="x-affinity", member_in=(CHAT,)),
    "moonshotai": _compatible(
        "https://api.moonshot.ai",
        "/v1",
        "MOONSHOT_API_KEY",
        RESPONSES,
        MESSAGES,
        messages="/anthropic/v1/messages",
    )
    .telling_usage_if_asked()
    .serving(ApiPath.FILES)
    .hinted(member_in=(CHAT,)),
    "ollama": Conventions(
        dialects=(CHAT, EMBEDDINGS, RESPONSES, MESSAGES), tells_usage_if_asked=True
    ).serving(ApiPath.COMPLETIONS),
    "openrouter": _compatible(
        "https://openrouter.ai",
        "/api/v1",
        "OPENROUTER_API_KEY",
        RESPONSES,
        MESSAGES,
        decisions_path="/api/alpha/decisions",
    ),
    "perplexity": _compatible("https://api.perplexity.ai", "", "PERPLEXITY_API_KEY"),
    "qwen": _compatible(
        "https://dashscope-intl.aliyuncs.com",
        "/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        MESSAGES,
        messages="/apps/anthropic/v1/messages",
        messages_credential=X_API_KEY,
    ).telling_usage_if_asked(),
    "together_ai": _compatible("https://api.together.xyz", "/v1", "TOGETHER_API_KEY").serving(
        ApiPath.AUDIO, ApiPath.COMPLETIONS, ApiPath.IMAGES
    ),
    "vercel": _compatible("https://ai-gateway.vercel.sh", "/v1", "AI_GATEWAY_API_KEY"),
    "vllm": Conventions(
        dialects=(CHAT, EMBEDDINGS, RESPONSES, MESSAGES), tells_usage_if_asked=True
    ).serving(ApiPath.AUDIO, ApiPath.COMPLETIONS, ApiPath.STORED_RESPONSES),
    "xai": _compatible("https://api.x.ai", "/v1", "XAI_API_KEY", RESPONSES)
    .serving(ApiPath.COMPLETIONS, ApiPath.FILES, ApiPath.IMAGES, ApiPath.STORED_RESPONSES)
    .hinted(made="x-grok-conv-id", member_in=(RESPONSES,)),
    "xiaomi": _compatible(
        "https://api.xiaomimimo.com",
        "/v1",
        "XIAOMI_API_KEY",
        MESSAGES,
        messages="/anthropic/v1/messages",
    ),
    "zhipu": _compatible(
        "https://open.bigmodel.cn",
        "/api/paas/v4",
        "ZHIPU_API_KEY",
        MESSAGES,
        messages="/api/anthropic/v1/messages",
        messages_credential=X_API_KEY,
    ),
    "plano": Conventions(is_router=True),
}
"""By the prefix of a model. Source: the providers' API references."""

UNKNOWN: Final = Conventions()
"""Row of an interface that has none: OpenAI's API, at an address that only the operator knows."""
