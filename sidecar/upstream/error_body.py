"""What a provider's error body says of itself. Pure.

Codes and sentences are those of the providers' references and servers. Where a provider has no code
for a reason, the beginning of its sentence identifies it; the rest of a sentence may echo a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec


class Wording(msgspec.Struct, frozen=True):
    """How providers word one reason, in lower case."""

    codes: frozenset[str]
    sentences: tuple[str, ...]
    """Beginnings of messages."""


MODEL_GONE: Final = Wording(
    codes=frozenset(
        (
            "model_not_found",  # OpenAI, Groq, Together: 404, or 403 for a project without it
            "model_decommissioned",  # Groq, 400
            "deploymentnotfound",  # Azure
            "invalid_model",  # Mistral, 400
            "notfounderror",  # vLLM, whose only objects are models
        )
    ),
    sentences=(
        "model:",  # Anthropic: not_found_error
        "the model `",  # OpenAI and compatible ones without a code
        "model '",  # Ollama
        'model "',
        "models/",  # Gemini
        "no endpoints found for",  # OpenRouter
    ),
)
TOO_LONG: Final = Wording(
    codes=frozenset(
        (
            "context_length_exceeded",  # OpenAI, Groq, Azure
        )
    ),
    sentences=(
        "prompt is too long",  # Anthropic
        "input length and `max_tokens` exceed context limit",  # Anthropic
        "input is too long",  # Anthropic through clouds
        "this model's maximum context length",  # OpenAI, vLLM, DeepSeek
        "this model's maximum prompt length",  # xAI
        "this endpoint's maximum context length",  # OpenRouter
        "prompt contains",  # Mistral: "... tokens, too large for model"
        "the input token count",  # Gemini
    ),
)
QUOTA: Final = Wording(
    codes=frozenset(
        (
            "insufficient_quota",  # OpenAI
            "billing_hard_limit_reached",  # OpenAI
            "billing_not_active",  # OpenAI
            "billing_error",  # Anthropic, 402
            "exceeded_current_quota_error",  # Moonshot
            "insufficient_balance",
        )
    ),
    sentences=(
        "your credit balance is too low",  # Anthropic, 400
        "you have reached your specified api usage limits",  # Anthropic, 400
        "insufficient balance",  # DeepSeek
    ),
)
CONTENT_POLICY: Final = Wording(
    codes=frozenset(
        (
            "content_policy_violation",  # OpenAI
            "content_filter",  # Azure
            "responsibleaipolicyviolation",  # Azure
            "moderation_blocked",  # OpenAI
            "invalid_prompt",  # OpenAI: flagged as violating the usage policy
            "cyber_policy_violation",  # OpenAI
            "refusal",
        )
    ),
    sentences=(
        "output blocked by content filtering policy",  # Anthropic
        "your request was rejected as a result of our safety system",  # OpenAI
        "content violates usage guidelines",  # xAI, 403
    ),
)

CREDENTIAL: Final = Wording(
    codes=frozenset(
        (
            "authentication_error",  # Anthropic, DeepSeek
            "permission_error",  # Anthropic
            "invalid_api_key",  # OpenAI, Groq
            "invalid_authentication_error",  # Moonshot
            "unsupported_country_region_territory",  # OpenAI
            "permission_denied",  # Gemini
            "unauthenticated",  # Gemini
        )
    ),
    sentences=(),
)
BUSY: Final = Wording(
    codes=frozenset(
        (
            "overloaded_error",  # Anthropic
            "rate_limit_error",  # Anthropic
            "rate_limit_exceeded",  # OpenAI; Groq with 413: one request over what a minute allows
            "resource_exhausted",  # Gemini
            "unavailable",  # Gemini
        )
    ),
    sentences=(),
)
SIGNED_STATE: Final = Wording(
    codes=frozenset(("invalid_encrypted_content",)),  # OpenAI
    sentences=(),
)


class ErrorBody(msgspec.Struct, frozen=True):
    """An error body's codes and message, in lower case; neither, where it could not be read."""

    codes: frozenset[str] = frozenset()
    message: str = ""
    status: int | None = None
    """A code that is a number: the status that the body stands for."""

    def says(self, reason: Wording) -> bool:
        """Return whether a code is one of the reason's, or the message begins as one of its
        sentences does.
        """
        return self.has_code_of(reason) or self.message.startswith(reason.sentences)

    def has_code_of(self, reason: Wording) -> bool:
        """Return whether a code is one of the reason's."""
        return not reason.codes.isdisjoint(self.codes)


_UNREADABLE: Final = ErrorBody()


def read_error_body(body: bytes) -> ErrorBody:
    """Read an error body of any shape that providers use. Raises: nothing."""
    try:
        whole = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return _UNREADABLE
    if isinstance(whole, list) and whole:  # Gemini
        whole = whole[0]
    if not isinstance(whole, dict):
        return _UNREADABLE
    error = whole.get("error")
    message = error if isinstance(error, str) else None  # xAI, Ollama: the rest is beside it
    fields = error if isinstance(error, dict) else whole
    message = message or fields.get("message")
    code = fields.get("code")
    return ErrorBody(
        frozenset(_codes(fields)),
        message.lower() if isinstance(message, str) else "",
        code if isinstance(code, int) else None,
    )


def _codes(fields: dict[str, object]) -> Iterator[str]:
    inner = fields.get("innererror")  # Azure
    for value in (
        fields.get("code"),
        fields.get("type"),
        fields.get("status"),  # Gemini
        inner.get("code") if isinstance(inner, dict) else None,
    ):
        if isinstance(value, str):
            yield value.lower()
    metadata = fields.get("metadata")
    if isinstance(metadata, dict) and "flagged_input" in metadata:  # OpenRouter's moderation, a 403
        yield "refusal"
