"""What people write who know another tool or another version, and what to write instead. Pure."""

from __future__ import annotations

import re
from typing import Final

from sidecar.config.families import FAMILIES
from sidecar.config.report import Path, did_you_mean, pattern_of, quote
from sidecar.config.schema_providers import MODEL_PATTERN, PATH_PATTERN
from sidecar.config.schema_routing import BODY_KEY_PATTERN, KEY_PREFIX_PATTERN
from sidecar.config.yaml_nodes import Mapping, Node, Scalar, Sequence

_MAKERS: Final = (
    (
        re.compile(
            r"(gpt|chatgpt|text-embedding|o[1-9]|codex|omni-moderation|whisper|tts|dall-e|davinci|"
            r"babbage)([-.:]|$)"
        ),
        "openai",
    ),
    (re.compile(r"claude([-.:]|$)"), "anthropic"),
    (re.compile(r"(gemini|gemma)([-.:]|$)"), "gemini"),
    (
        re.compile(r"(open-)?(mi[sx]tral|ministral|codestral|magistral|devstral)([-.:]|$)"),
        "mistral",
    ),
    (re.compile(r"deepseek([-.:]|$)"), "deepseek"),
    (re.compile(r"grok([-.:]|$)"), "xai"),
    (re.compile(r"(kimi|moonshot)([-.:]|$)"), "moonshotai"),
    (re.compile(r"glm([-.:]|$)"), "zhipu"),
    (re.compile(r"(qwen[0-9.]*|qwq)([-.:]|$)"), "qwen"),
    (re.compile(r"sonar([-.:]|$)"), "perplexity"),
    (re.compile(r"(plano-orchestrator|arch-router)", re.IGNORECASE), "plano"),
)
"""How the ids of models begin, by the family whose maker gives them. Source: the makers' lists of
models.
"""
LITELLM_FAMILIES: Final = {
    "azure": "azure_openai",
    "bedrock": "amazon_bedrock",
    "dashscope": "qwen",
    "fireworks_ai": "fireworks",
    "hosted_vllm": "vllm",
    "moonshot": "moonshotai",
    "ollama_chat": "ollama",
    "text-completion-openai": "openai",
    "zai": "zhipu",
}
"""LiteLLM's prefixes that have another name here."""
_ELSEWHERE: Final = LITELLM_FAMILIES | {
    "google": "gemini",
    "mistralai": "mistral",
    "together": "together_ai",
    "x-ai": "xai",
    "z-ai": "zhipu",
}
"""Prefixes of LiteLLM, OpenRouter and others that have another name here."""
_HOSTED_ROUTER: Final = "plano-orchestrator"
_IN_PROVIDERS: Final = frozenset(
    {"model", "access_key", "base_url", "default", "provider_interface", "passthrough_auth"}
)
"""Keys that stand under an entry of ``model_providers`` alone."""
_OTHER_TOOLS: Final = (
    (
        "LiteLLM",
        ("model_list", "litellm_settings"),
        "`plano-sidecar convert FILE` writes one for this sidecar",
    ),
    (
        "Bifrost or claude-code-router",
        ("Providers", "providers", "Router"),
        "write an entry under model_providers for each of its models, as `plano-sidecar init` does",
    ),
)
"""Tool, keys at the top of its file, and what to do."""

_INSTEAD: Final = {
    **dict.fromkeys(
        (f"model_providers[].{key}" for key in ("api_key", "apiKey", "key")), "write access_key"
    ),
    **dict.fromkeys(
        (
            f"model_providers[].{key}"
            for key in ("api_base", "apiBase", "baseURL", "baseUrl", "url")
        ),
        "write base_url",
    ),
    "model_providers[].base_url_path_prefix": "put the path into base_url: http://host:port/prefix",
    "model_providers[].retry_policy": "other models are tried as fallbacks of the entry name "
    "them, limits.attempts times in all",
    "model_providers[].max_retries": "see limits.attempts and fallbacks",
    "model_providers[].timeout": "see timeouts of the entry",
    "retry_policy": "other models are tried as fallbacks of an entry name them, limits.attempts "
    "times in all",
    "models": "write an entry under model_providers for each: - model: openai/gpt-4o",
    "redis": "see routing.session_cache",
    "port": "see listeners: [{type: model, name: llm, port: 12000}]",
}
"""By the pattern of a key that is not one of ours."""

_PATTERN_SAYS: Final = {
    MODEL_PATTERN: "must be provider/model, or provider/* for all of a provider's models",
    PATH_PATTERN: "must be a path that begins with a slash, without blanks",
    BODY_KEY_PATTERN: "must be known_clients, or the name of a member of the body, or of a member "
    "of that: prompt_cache_key, metadata.conversation",
    KEY_PREFIX_PATTERN: "must be 1 to 128 characters of printable ASCII but blanks, braces and ~",
}
"""What a text must be, by the pattern that it does not fit."""
_PREFERENCE: Final = (
    "; write an entry for each: - {name: code, description: writing code, models: [openai/gpt-4o]}"
)
_LISTED: Final = {
    "routing_preferences": _PREFERENCE,
    "model_providers": "; write an entry for each model: - model: openai/gpt-4o",
    "model_metrics_sources": "; each source is an entry of its own, after a dash",
    "passthrough": "; write - {path: /v1/files, provider: openai}",
}
"""What follows "expected a list"."""


def other_tools_file(root: Mapping) -> str | None:
    """Return what to do with a file that has no ``model_providers`` and another tool's keys; None
    for any other.
    """
    for tool, keys, what_to_do in _OTHER_TOOLS:
        if any(root.get(key) is not None for key in keys):
            return f"this is a file of {tool}: {what_to_do}"
    return None


def unknown_key(path: Path, key: str, among: Mapping) -> str | None:
    """Return what to write instead of a key that is not one of ours; None where that is not known.

    Args: ``among`` is the mapping in which it stands.
    """
    if path == (key,) and key in _IN_PROVIDERS:
        return "belongs under model_providers, in an entry that begins with a dash; indent it"
    pattern = pattern_of(path)
    if pattern in {"model_providers[].endpoint", "model_providers[].protocol"}:
        return f"write base_url: {_base_url(among)}"
    instead = _INSTEAD.get(pattern)
    if pattern == "model_providers[].provider":
        named = _with_provider(among)
        instead = f"write model: {named}"
        if named == _text(among, "model"):
            instead = "leave it out: the provider stands before the slash of model"
    return None if instead is None else f"unknown key {quote(key)}; {instead}"


def family_of_id(model: str) -> str:
    """Return the family whose maker gives such ids as ``gpt-4o``; empty where it is not known."""
    return next((family for shape, family in _MAKERS if shape.match(model.lower())), "")


def unknown_prefix(prefix: str) -> str:
    """Return what follows where the prefix of a model is no family's."""
    return did_you_mean(_ELSEWHERE.get(prefix, prefix), FAMILIES)


def unknown_router(name: str) -> str:
    """Return what follows where the router model that a config names is no entry of it."""
    if not name.lower().rpartition("/")[2].startswith(_HOSTED_ROUTER):
        return ""
    return (
        "; plano's hosted router is not built in: add an entry "
        f"`- {{model: plano/{name.rpartition('/')[2][:80]}, base_url: http://host:port}}`"
    )


def wrong_text(pattern: str, among: Mapping) -> str:
    """Return what a text must be that does not fit its pattern; ``among`` it stands."""
    more = _model_without_provider(among) if pattern == MODEL_PATTERN else ""
    return _PATTERN_SAYS[pattern] + more


def _model_without_provider(among: Mapping) -> str:
    """Return what to write for a model that stands without its provider, as far as that can be
    told from its name or from what stands beside it; else nothing.
    """
    named = _with_provider(among)
    return "" if named.startswith("provider/") else f"; write {named}"


def wrong_shape(path: Path, node: Node, wanted: str) -> str:
    """Return what follows ``expected``, which names a mapping or a list."""
    if wanted == "a list" and not isinstance(node, Sequence):
        return wanted + _LISTED.get(pattern_of(path), "")
    is_entry = len(path) == 2 and path[0] == "model_providers"
    if wanted == "a mapping" and is_entry and isinstance(node, Scalar) and "/" in node.text:
        return f"{wanted}; write - model: {node.text[:80]}"
    if wanted == "a mapping" and path == ("model_aliases",):
        return f"{wanted}; write the name as the key: fast: {{target: openai/gpt-4o}}"
    is_alias = len(path) == 2 and path[0] == "model_aliases"
    if wanted == "a mapping" and is_alias and isinstance(node, Scalar):
        written = f"{path[1]}: {{target: {node.text[:80]}}}"
        return f"{wanted}; write {written}" if written.isprintable() else wanted
    return wanted


def _with_provider(among: Mapping) -> str:
    """Return ``provider/model`` for an entry, with ``provider`` itself where no family is known."""
    model = _text(among, "model")
    own, mark, bare = model.partition("/")
    if mark and own in FAMILIES:
        return model
    provider = _text(among, "provider").lower() or _text(among, "provider_interface")
    provider = _ELSEWHERE.get(provider, provider) or family_of_id(model)
    if not provider and any(among.get(key) is not None for key in ("endpoint", "base_url")):
        provider = "vllm"
    return f"{provider or 'provider'}/{bare if mark and own == provider else model or 'model'}"


def _base_url(among: Mapping) -> str:
    """Return the base URL that plano of old wrote in two keys."""
    endpoint, protocol = _text(among, "endpoint"), _text(among, "protocol")
    return f"{protocol or 'http'}://{endpoint.rpartition('://')[2] or 'host:port'}"


def _text(among: Mapping, key: str) -> str:
    entry = among.get(key)
    value = entry.value if entry is not None else None
    return value.text[:80] if isinstance(value, Scalar) else ""
