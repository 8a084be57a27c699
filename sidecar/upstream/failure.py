"""What a provider's failure means: for the walk, for the candidate, and for the pin. Pure.

Source of the rules: contract.md, "What a failure means". Codes and sentences are those of the
providers' references and servers; where a provider has no code for it, the beginning of its
sentence stands in, since the rest may echo a prompt.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import enum
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import ResponseTimeout, UpstreamError
from sidecar.domain.vocabulary import FailureClass

READ_AT_MOST: Final = 64 * 1024
"""Bytes of an error's body that are worth reading to classify it; providers' own are below 4
KiB.
"""

_RETRY_AFTER_AT_MOST_S: Final = 300.0
_NUMBER: Final = re.compile(rb"\d{1,12}(?:\.\d{0,12})?")
_TOO_LONG_STATUSES: Final = frozenset((400, 413, 422))
_MODEL_CODES: Final = frozenset(
    (
        "model_not_found",  # OpenAI, Groq, Together; 404, and 403 for a project without the model
        "model_decommissioned",  # Groq, 400
        "deploymentnotfound",  # Azure
        "invalid_model",  # Mistral, 400
        "notfounderror",  # vLLM, whose only objects are models
    )
)
_MODEL_SENTENCES: Final = (
    "model:",  # Anthropic: not_found_error
    "the model `",  # OpenAI and compatible ones without a code
    "model '",  # Ollama
    'model "',
    "models/",  # Gemini
    "no endpoints found for",  # OpenRouter
)
_LENGTH_CODES: Final = frozenset(
    (
        "context_length_exceeded",  # OpenAI, Groq, Azure
        "rate_limit_exceeded",  # Groq, 413: one request over what a minute allows
    )
)
_LENGTH_SENTENCES: Final = (
    "prompt is too long",  # Anthropic
    "input length and `max_tokens` exceed context limit",  # Anthropic
    "input is too long",  # Anthropic through clouds
    "this model's maximum context length",  # OpenAI, vLLM, DeepSeek
    "this model's maximum prompt length",  # xAI
    "this endpoint's maximum context length",  # OpenRouter
    "prompt contains",  # Mistral: "... tokens, too large for model"
    "the input token count",  # Gemini
)
_QUOTA_CODES: Final = frozenset(
    (
        "insufficient_quota",  # OpenAI
        "billing_hard_limit_reached",  # OpenAI
        "billing_not_active",  # OpenAI
        "billing_error",  # Anthropic, 402
        "exceeded_current_quota_error",  # Moonshot
        "insufficient_balance",
    )
)
_QUOTA_SENTENCES: Final = (
    "your credit balance is too low",  # Anthropic, 400
    "you have reached your specified api usage limits",  # Anthropic, 400
    "insufficient balance",  # DeepSeek
)
_POLICY_CODES: Final = frozenset(
    (
        "content_policy_violation",  # OpenAI
        "content_filter",  # Azure
        "responsibleaipolicyviolation",  # Azure
        "moderation_blocked",  # OpenAI
        "invalid_prompt",  # OpenAI: flagged as violating the usage policy
        "cyber_policy_violation",  # OpenAI
        "refusal",
    )
)
_POLICY_SENTENCES: Final = (
    "output blocked by content filtering policy",  # Anthropic
    "your request was rejected as a result of our safety system",  # OpenAI
    "content violates usage guidelines",  # xAI, 403
)


class _Told(msgspec.Struct, frozen=True):
    """What an error body says of itself, in lower case."""

    codes: frozenset[str] = frozenset()
    message: str = ""

    def says(self, codes: frozenset[str], sentences: tuple[str, ...]) -> bool:
        """Whether it has one of the codes, or its message begins like one of the sentences."""
        return not codes.isdisjoint(self.codes) or self.message.startswith(sentences)


class Hold(enum.StrEnum):
    """What becomes of the candidate."""

    NONE = "none"
    COOL = "cool"
    """Last in plans until its Retry-After, or some seconds, have passed."""
    EJECT = "eject"
    """Last in plans until the config is reloaded, or for minutes: waiting alone does not mend
    it.
    """


class PinEffect(enum.StrEnum):
    """What becomes of the session's pin, if another candidate serves the call."""

    UNTOUCHED = "untouched"
    AWAY = "away"
    """The session is served elsewhere for a while."""
    MOVES = "moves"
    """The session belongs to the candidate that served it."""


class Failure(msgspec.Struct, frozen=True):
    """What one failed attempt means."""

    failure_class: FailureClass
    may_try_next: bool
    """Whether another candidate may be tried, if one is left and nothing was sent to the app."""
    hold: Hold
    pin: PinEffect
    retry_after_s: float | None = None
    """As the provider asked, at most 300; None where it did not."""
    needs_alert: bool = False
    """Whether somebody has to mend the config or the account."""


_CALLERS_FAULT: Final = Failure(FailureClass.CALLERS_FAULT, False, Hold.NONE, PinEffect.UNTOUCHED)
_CONTENT_POLICY: Final = Failure(FailureClass.CONTENT_POLICY, False, Hold.NONE, PinEffect.UNTOUCHED)
_CALLERS_CREDENTIAL: Final = Failure(
    FailureClass.CALLERS_CREDENTIAL, False, Hold.NONE, PinEffect.UNTOUCHED
)
_TOO_LONG: Final = Failure(FailureClass.TOO_LONG, True, Hold.NONE, PinEffect.MOVES)
_OUR_CREDENTIAL: Final = Failure(
    FailureClass.OUR_CREDENTIAL, True, Hold.EJECT, PinEffect.AWAY, needs_alert=True
)
_QUOTA: Final = Failure(FailureClass.QUOTA, True, Hold.EJECT, PinEffect.AWAY, needs_alert=True)
_MODEL_GONE: Final = Failure(
    FailureClass.MODEL_GONE, True, Hold.EJECT, PinEffect.MOVES, needs_alert=True
)
_CAPACITY: Final = Failure(FailureClass.CAPACITY, True, Hold.COOL, PinEffect.AWAY)
_CAPACITY_TOO_LATE: Final = Failure(FailureClass.CAPACITY, False, Hold.COOL, PinEffect.AWAY)

_IN_THE_CALLERS_NAME: Final = {
    FailureClass.OUR_CREDENTIAL: _CALLERS_CREDENTIAL,
    FailureClass.CAPACITY: _CALLERS_CREDENTIAL,
    FailureClass.QUOTA: _CALLERS_CREDENTIAL,
    FailureClass.MODEL_GONE: Failure(FailureClass.MODEL_GONE, True, Hold.NONE, PinEffect.MOVES),
}
"""What a refusal means where credential and account are the caller's: nothing to any other
caller.
"""


def classify_answer(
    status: int, body: bytes, headers: RawHeaders, now_unix_s: float, *, passthrough_auth: bool
) -> Failure:
    """What a provider's error answer means.

    Args: ``status`` is 400 or above; ``body`` at most its first `READ_AT_MOST` bytes, decoded by
        nobody: what is cut, compressed or no JSON is judged by its status alone;
        ``passthrough_auth`` says that the credential, and so the account behind it, is the
        caller's.
    """
    if status >= 500 or status == 408:
        failure = _CAPACITY
    else:
        failure = _of_refusal(status, _read(body))
        if passthrough_auth:
            failure = _IN_THE_CALLERS_NAME.get(failure.failure_class, failure)
    asked_s = retry_after_s(headers, now_unix_s)
    return failure if asked_s is None else msgspec.structs.replace(failure, retry_after_s=asked_s)


def classify_error(error: UpstreamError, *, failover_on_response_timeout: bool = False) -> Failure:
    """What it means that a provider did not answer, or not to the end.

    A response timeout of a call that is not streamed goes on only where the provider's entry allows
    it: the work may have been done, and would be billed twice.
    """
    if isinstance(error, ResponseTimeout):
        return _CAPACITY if failover_on_response_timeout else _CAPACITY_TOO_LATE
    return _CAPACITY if error.retryable else _CAPACITY_TOO_LATE


def is_curable(status: int) -> bool:
    """Whether the same call may succeed later: of several answers, the first such one is the
    app's.
    """
    return status in (408, 429) or status >= 500


def retry_after_s(headers: RawHeaders, now_unix_s: float) -> float | None:
    """How long a provider asks to be left alone: at most 300 s, and above zero; None where it does
    not say.

    ``retry-after-ms`` (OpenAI, Azure) goes before ``retry-after`` in seconds or as an HTTP date.
    """
    values = {name.lower(): value.strip() for name, value in reversed(headers)}
    asked_s = _number(values.get(b"retry-after-ms", b""))
    if asked_s is not None:
        asked_s /= 1e3
    else:
        value = values.get(b"retry-after", b"")
        asked_s = _number(value)
        if asked_s is None:
            asked_s = _seconds_until(value, now_unix_s)
    return min(asked_s, _RETRY_AFTER_AT_MOST_S) if asked_s is not None and asked_s > 0 else None


def _of_refusal(status: int, told: _Told) -> Failure:
    """The rows for 4xx answers other than 408; what names its reason goes before what only has a
    status.
    """
    if told.says(_POLICY_CODES, _POLICY_SENTENCES):
        failure = _CONTENT_POLICY
    elif status in _TOO_LONG_STATUSES and told.says(_LENGTH_CODES, _LENGTH_SENTENCES):
        failure = _TOO_LONG
    elif told.says(_MODEL_CODES, _MODEL_SENTENCES if status == 404 else ()):
        failure = _MODEL_GONE
    elif status == 402 or told.says(_QUOTA_CODES, _QUOTA_SENTENCES):
        failure = _QUOTA
    elif status in (401, 403):
        failure = _OUR_CREDENTIAL
    elif status == 429:
        failure = _CAPACITY
    else:
        failure = _CALLERS_FAULT
    return failure


def _read(body: bytes) -> _Told:
    """Codes and message of an error body in any of the shapes that providers use."""
    try:
        whole = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return _Told()
    if isinstance(whole, list) and whole:  # Gemini
        whole = whole[0]
    if not isinstance(whole, dict):
        return _Told()
    error = whole.get("error")
    message = error if isinstance(error, str) else None  # xAI, Ollama: the rest stands beside it
    fields = error if isinstance(error, dict) else whole
    message = message or fields.get("message")
    return _Told(frozenset(_codes(fields)), message.lower() if isinstance(message, str) else "")


def _codes(fields: dict[str, object]) -> Iterator[str]:
    inner = fields.get("innererror")  # Azure
    for value in (
        fields.get("code"),
        fields.get("type"),
        inner.get("code") if isinstance(inner, dict) else None,
    ):
        if isinstance(value, str):
            yield value.lower()
    metadata = fields.get("metadata")
    if isinstance(metadata, dict) and "flagged_input" in metadata:  # OpenRouter's moderation, a 403
        yield "refusal"


def _number(value: bytes) -> float | None:
    return float(value) if _NUMBER.fullmatch(value) else None


def _seconds_until(value: bytes, now_unix_s: float) -> float | None:
    """Seconds until an HTTP date."""
    try:
        date = email.utils.parsedate_to_datetime(value.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return date.timestamp() - now_unix_s
