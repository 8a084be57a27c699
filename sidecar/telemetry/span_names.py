"""Names of spans' attributes, as OpenTelemetry's semantic conventions have them. Pure.

Version 1.44.0, schema https://opentelemetry.io/schemas/1.44.0. Those of generative AI are in status
Development and are kept in open-telemetry/semantic-conventions-genai since; they are written out
here, so that a library's next version does not rename what dashboards read.
"""

from __future__ import annotations

from typing import Final

from sidecar.domain.call import Operation

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CONVERSATION: Final = "gen_ai.conversation.id"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
METHOD: Final = "http.request.method"
URL_PATH: Final = "url.path"
STATUS_CODE: Final = "http.response.status_code"
RESENDS: Final = "http.request.resend_count"

ROUTE: Final = "plano.route"
SOURCE: Final = "plano.source"
PINNED: Final = "plano.pinned"
ATTEMPT: Final = "plano.attempt"
LOST: Final = "plano.lost"
TRANSLATED: Final = "plano.translated"

ATTRIBUTES: Final = {
    METHOD: "the app's method",
    URL_PATH: "the path that the app called, without its query",
    STATUS_CODE: "what the app got; on an attempt, what the provider said",
    ERROR_TYPE: "where it failed: the error's `code`, or how the call, attempt or question ended",
    REQUEST_MODEL: "the model that the app named; on an attempt, what the provider was asked for",
    CONVERSATION: "the session: first 16 hex digits of the SHA-256 of its name",
    ROUTE: "the configured route; `other` for one that the request's body brought",
    SOURCE: "why the model was chosen, as in `plano_sidecar_routing_decisions_total`",
    PINNED: "whether the session's pin decided",
    TRANSLATED: "where the model was asked in another API than the app's: `chat>messages`",
    OPERATION: "`chat`, `embeddings`, `count_tokens` or `passthrough`",
    PROVIDER: "the provider's family, by the name that the conventions have for it",
    SERVER_ADDRESS: "the provider's host",
    SERVER_PORT: "and port",
    ATTEMPT: "its place among the call's attempts, from 1",
    LOST: "what of the app's request was changed or left out, as `x-plano-lost` says it",
    RESENDS: "how often the same request had been sent before, on a connection that was dead",
    RESPONSE_MODEL: "the model that served, as the provider calls it",
    INPUT_TOKENS: "the provider's own figure",
    OUTPUT_TOKENS: "the provider's own figure",
}  # fmt: skip
"""Every attribute of a span -> its meaning: README.md lists them."""

OPERATION_NAMES: Final = {
    Operation.GENERATE: "chat",
    Operation.EMBED: "embeddings",
    Operation.COUNT_TOKENS: "count_tokens",
    Operation.PASSTHROUGH: "passthrough",
}
"""The last two are no names of the conventions, which allow others."""

_PROVIDER_NAMES: Final = {
    "azure_openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}


def provider_name(family: str) -> str:
    """Return what the conventions call a provider family; its own name where they have none."""
    return _PROVIDER_NAMES.get(family, family)
