"""The provider prefixes whose address is known: where they serve, under which path, and what they
speak.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName


class DialectKey(enum.StrEnum):
    """The dialects that ``model_providers[].dialects`` may name: those of `dialects.registry`."""

    CHAT = "chat"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"


_OPENAI_COMPATIBLE: Final = (CHAT, EMBEDDINGS)


class BuiltIn(msgspec.Struct, frozen=True):
    """What is known about a prefix."""

    origin: str | None
    """``https://host``; None where only the operator knows it."""
    base_path: str = "/v1"
    """What stands before ``/chat/completions``."""
    key_variable: str | None = None
    """The environment variable that the provider's own documentation uses; read with no config file
    only.
    """
    dialects: tuple[DialectName, ...] = _OPENAI_COMPATIBLE
    is_anthropic: bool = False


BUILT_IN: Final = {
    "openai": BuiltIn(
        "https://api.openai.com",
        key_variable="OPENAI_API_KEY",
        dialects=(CHAT, RESPONSES, EMBEDDINGS),
    ),
    "anthropic": BuiltIn(
        "https://api.anthropic.com",
        key_variable="ANTHROPIC_API_KEY",
        dialects=(MESSAGES, CHAT),
        is_anthropic=True,
    ),
    "gemini": BuiltIn(
        "https://generativelanguage.googleapis.com", "/v1beta/openai", "GEMINI_API_KEY"
    ),
    "groq": BuiltIn("https://api.groq.com", "/openai/v1", "GROQ_API_KEY"),
    "mistral": BuiltIn("https://api.mistral.ai", "/v1", "MISTRAL_API_KEY"),
    "deepseek": BuiltIn("https://api.deepseek.com", "/v1", "DEEPSEEK_API_KEY"),
    "xai": BuiltIn("https://api.x.ai", "/v1", "XAI_API_KEY"),
    "together_ai": BuiltIn("https://api.together.xyz", "/v1", "TOGETHER_API_KEY"),
    "openrouter": BuiltIn("https://openrouter.ai", "/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": BuiltIn("https://api.perplexity.ai", "", "PERPLEXITY_API_KEY"),
    "moonshotai": BuiltIn("https://api.moonshot.ai", "/v1", "MOONSHOT_API_KEY"),
    "zhipu": BuiltIn("https://open.bigmodel.cn", "/api/paas/v4", "ZHIPU_API_KEY"),
    "qwen": BuiltIn(
        "https://dashscope-intl.aliyuncs.com", "/compatible-mode/v1", "DASHSCOPE_API_KEY"
    ),
    "fireworks": BuiltIn("https://api.fireworks.ai", "/inference/v1", "FIREWORKS_API_KEY"),
    "cerebras": BuiltIn("https://api.cerebras.ai", "/v1", "CEREBRAS_API_KEY"),
    "digitalocean": BuiltIn("https://inference.do-ai.run", "/v1", "DIGITALOCEAN_API_KEY"),
    "vercel": BuiltIn("https://ai-gateway.vercel.sh", "/v1", "AI_GATEWAY_API_KEY"),
    "ollama": BuiltIn(None),
    "vllm": BuiltIn(None),
    "azure_openai": BuiltIn(None),
    "plano": BuiltIn(None),
}
"""By prefix. Source: the providers' API references."""
