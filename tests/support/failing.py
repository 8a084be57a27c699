"""A sidecar in front of providers that fail in every way, for tests of errors."""

from __future__ import annotations

from typing import Any

from tests.support.net import closed_port
from tests.support.sidecar_process import sidecar_config

BODY_LIMIT_BYTES = 65_536
SHORT_S = 0.4
PROVIDER_STATUSES = (400, 401, 404, 413, 429, 503, 504)
CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
MESSAGES, COUNT_TOKENS = "/v1/messages", "/v1/messages/count_tokens"
DIALECT_PATHS = (CHAT, RESPONSES, EMBEDDINGS, MESSAGES, COUNT_TOKENS)
GENERATING_PATHS = (CHAT, RESPONSES, MESSAGES)


def failing_config(provider_url: str) -> dict[str, Any]:
    """For each provider: models whose port is closed, that do not begin in time, that
    fall silent, that talk nonsense, and one
    for each error status.

    The scripted provider fails them by its script; `model_of` names the models.
    """
    closed_url = f"http://127.0.0.1:{closed_port()}"
    short = {"first_byte_s": SHORT_S, "response_s": SHORT_S}
    limits = {"body_bytes": BODY_LIMIT_BYTES}
    config = sidecar_config(provider_url, limits=limits, translate=False)
    for prefix in ("openai", "anthropic"):
        config["model_providers"] += [
            {"model": f"{prefix}/{prefix}-closed", "access_key": "sk-demo", "base_url": closed_url},
            {
                "model": f"{prefix}/{prefix}-slow",
                "access_key": "sk-demo",
                "base_url": provider_url,
                "timeouts": short,
            },
            {
                "model": f"{prefix}/{prefix}-idle",
                "access_key": "sk-demo",
                "base_url": provider_url,
                "timeouts": {"stream_idle_s": SHORT_S},
            },
            *(
                {
                    "model": f"{prefix}/{prefix}-{what}",
                    "access_key": "sk-demo",
                    "base_url": provider_url,
                }
                for what in ("garbage", *PROVIDER_STATUSES)
            ),
        ]
    return config


def model_of(path: str, what: object) -> str:
    """The bare id of the model that fails so, at a provider that speaks the dialect of ``path``."""
    return f"{'anthropic' if is_anthropic(path) else 'openai'}-{what}"


def is_anthropic(path: str) -> bool:
    """Whether the path's errors are Anthropic's."""
    return path.startswith(MESSAGES)


def body_for(path: str, model: str | None, said: str = "Hello", **more: Any) -> dict[str, Any]:
    """The body of a call; None leaves the model out."""
    turns = [{"role": "user", "content": said}]
    bodies: dict[str, dict[str, Any]] = {
        CHAT: {"messages": turns},
        RESPONSES: {"input": said},
        EMBEDDINGS: {"input": said},
        MESSAGES: {"messages": turns, "max_tokens": 99},
        COUNT_TOKENS: {"messages": turns},
    }
    return ({} if model is None else {"model": model}) | bodies[path] | more


def good_model(path: str) -> str:
    """A configured model that works."""
    return (
        "claude-demo"
        if is_anthropic(path)
        else "text-embedding-3-small"
        if path == EMBEDDINGS
        else "gpt-4o"
    )
