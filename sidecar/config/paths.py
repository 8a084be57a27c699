"""Where at a provider each dialect is served: from a base URL's path and a prefix's conventions.
Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName

AZURE_API_VERSION: Final = "api-version=2025-01-01-preview"
"""What plano sends where the base URL's query names no other."""

_ENDS: Final = {
    CHAT: "/chat/completions",
    RESPONSES: "/responses",
    EMBEDDINGS: "/embeddings",
}
_AZURE_DEPLOYMENT: Final = "/openai/deployments/{model}"
_COUNT_TOKENS: Final = "/count_tokens"


class Base(msgspec.Struct, frozen=True):
    """The part of a base URL that decides paths."""

    path: str
    """As written, without a final slash; empty for none."""
    query: str = ""
    built_in_path: str = "/v1"
    """What applies where ``path`` is empty."""


def openai_paths(base: Base) -> tuple[str, dict[DialectName, str]]:
    """(base path for passthrough, path of each dialect) at an OpenAI-compatible provider.

    The base URL's path stands in for the built-in one; ``/v1/messages`` follows it, but never as
    ``/v1/v1``.
    """
    base_path = base.path or base.built_in_path
    paths = {dialect: base_path + end for dialect, end in _ENDS.items()}
    paths[MESSAGES] = f"{base_path.removesuffix('/v1')}/v1/messages"
    return base_path, paths


def anthropic_paths(base: Base) -> tuple[str, dict[DialectName, str]]:
    """As `openai_paths`, for Anthropic's convention: a base URL ends before ``/v1``, which all
    paths begin with.
    """
    base_path = f"{base.path.removesuffix('/v1')}/v1"
    paths = {dialect: base_path + end for dialect, end in _ENDS.items()}
    paths[MESSAGES] = f"{base_path}/messages"
    return base_path, paths


def azure_paths(base: Base) -> tuple[str, dict[DialectName, str]]:
    """As `openai_paths`, for Azure OpenAI: by deployment with an API version, or Azure's
    ``/openai/v1`` as it stands.

    Source: https://learn.microsoft.com/azure/ai-services/openai/reference
    """
    if base.path.endswith("/v1"):
        return openai_paths(base)
    version = f"?{base.query or AZURE_API_VERSION}"
    by_deployment = base.path if base.path not in {"", "/openai"} else _AZURE_DEPLOYMENT
    paths = {dialect: f"{by_deployment}{end}{version}" for dialect, end in _ENDS.items()}
    paths[RESPONSES] = f"/openai/responses{version}"
    paths[MESSAGES] = "/anthropic/v1/messages"
    return "/openai/v1", paths


def count_tokens_path(paths: dict[DialectName, str]) -> str | None:
    """Where Anthropic's token counter is, at a provider that speaks messages; None at any other."""
    messages = paths.get(MESSAGES)
    if messages is None:
        return None
    path, mark, query = messages.partition("?")
    return path + _COUNT_TOKENS + mark + query
