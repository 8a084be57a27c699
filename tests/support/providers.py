"""Provider entries for tests, as the config would resolve them."""

from __future__ import annotations

from typing import Any

from sidecar.config.providers import Provider, ProviderKind, Timeouts
from sidecar.config.secret import Secret
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES

_OPENAI_PATHS = {
    CHAT: "/v1/chat/completions",
    RESPONSES: "/v1/responses",
    EMBEDDINGS: "/v1/embeddings",
}
_ANTHROPIC_PATHS = {MESSAGES: "/v1/messages", CHAT: "/v1/chat/completions"}


def a_provider(model: str, **changes: Any) -> Provider:
    """An entry at 127.0.0.1 that speaks what its prefix usually speaks; any field can be given."""
    prefix, _, model_id = model.partition("/")
    is_anthropic = prefix == "anthropic"
    fields: dict[str, Any] = {
        "name": model,
        "model": model,
        "prefix": prefix,
        "model_id": model_id,
        "kind": ProviderKind.ANTHROPIC if is_anthropic else ProviderKind.OPENAI,
        "scheme": "http",
        "host": "127.0.0.1",
        "port": 1,
        "http_host": "127.0.0.1:1",
        "paths": _ANTHROPIC_PATHS if is_anthropic else _OPENAI_PATHS,
        "count_tokens_path": "/v1/messages/count_tokens" if is_anthropic else None,
        "base_path": "/v1",
        "access_key": Secret("sk-provider"),
        "passthrough_auth": False,
        "headers": (),
        "propagate_trace": True,
        "accept_encoding_passthrough": False,
        "timeouts": Timeouts(connect_s=2, first_byte_s=10, response_s=10, stream_idle_s=10),
        "is_default": False,
        "is_wildcard": model_id == "*",
        "price": None,
        "fallbacks": (),
        "failover_on_response_timeout": False,
        "is_router": False,
    }
    return Provider(**{**fields, **changes})
