"""What a provider says of its own failure, in a whole body or in an event of a stream, and the same
in the words of the caller's API.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from sidecar.dialects.base import Problem
from sidecar.dialects.errors import is_error_event, read_maybe_error
from sidecar.dialects.lenient import decode_leniently
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import MESSAGES, DialectName
from sidecar.translate.completion import StreamError

_BODY_BYTES: Final = 256 * 1024
_MESSAGE_CHARS: Final = 8 * 1024
_DEPTH: Final = 6
_INNER: Final = (
    "error",
    "errors",
    "upstream_error",
    "response",
    "detail",
    "details",
    "fault",
    "message",
)
"""Members in which an error stands, the first that there is."""
_TEXTS: Final = ("message", "Message", "msg", "detail", "error", "faultstring", "status_msg")
_CODES: Final = ("code", "type", "status", "error_type")
_NO_KINDS: Final = ("error", "")
_STATUSES: Final = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "timeout_error": 504,
    "server_is_overloaded": 503,
    "overloaded_error": 529,
}
"""By the words of OpenAI and Anthropic, for errors inside a stream, which have no other status."""
_UNKNOWN_KIND: Final = "upstream_error"
_TAGS: Final = re.compile(r"(?is)<(style|script)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")
_TITLE: Final = re.compile(r"(?is)<title[^>]*>(.{1,400}?)</title")

_TOO_LONG_CODE: Final = "context_length_exceeded"
_TOO_LONG_WORDS: Final = "prompt is too long"
_TOO_LONG_CODES: Final = (_TOO_LONG_CODE, "exceed_context_size_error", "prompt_too_long")
_TOO_LONG: Final = re.compile(
    r"(?i)(?:prompt|input) is too long|maximum context length|context (?:window|length|size)|"
    r"exceeds? (?:the )?(?:available )?context|maximum number of tokens allowed|"
    r"maximum (?:prompt|model|input) length|reduce the length of the messages"
)
"""A prompt that does not fit. Agents know it by OpenAI's code or Anthropic's words, and then make
their conversation shorter.
"""


class ProviderError(msgspec.Struct, frozen=True):
    """A provider's error. None: not said."""

    message: str
    """Empty where there is no text."""
    kind: str | None = None
    """The most telling of its codes and types."""
    status: int | None = None


def read_provider_error(body: bytes) -> ProviderError:
    """Read an error of any shape: JSON, a page, words. Raises: nothing."""
    value = decode_leniently(msgspec.json.decode, body) if len(body) <= _BODY_BYTES else None
    if isinstance(value, dict | list):
        return _read(value, ProviderError(""), 0)
    text = value if isinstance(value, str) else body[:_BODY_BYTES].decode("utf-8", "replace")
    title = _TITLE.search(text) if "<" in text else None
    return ProviderError(_shortened(title[1] if title else _TAGS.sub(" ", text)))


def stream_error_of(name: bytes, data: bytes) -> StreamError | None:
    """Return the error that an event is; None where it is none. Raises: nothing."""
    event = read_maybe_error(data)
    if name != b"error" and (event is None or not is_error_event(event)):
        return None
    return stream_error(read_provider_error(data))


def stream_error(error: ProviderError) -> StreamError:
    """Return an error as the last event of a stream."""
    message = (
        error.message or "the provider ended the stream with an error that it does not explain"
    )
    return StreamError(message, error.kind, error.status or _STATUSES.get(error.kind or "", 500))


def caller_problem(error: StreamError, source: DialectName, request_id: str) -> Problem:
    """Return a provider's error as a caller of an API is told it: the provider's text, and where
    the prompt is too long, the sign by which that API's callers know it.
    """
    code, message = error.kind or _UNKNOWN_KIND, error.message
    if code in _TOO_LONG_CODES or _TOO_LONG.search(message):
        code = _TOO_LONG_CODE
        if source == MESSAGES and _TOO_LONG_WORDS not in message:
            message = f"{_TOO_LONG_WORDS}: {message}"
    return Problem(error.status or 500, code, message, request_id=request_id)


def error_body(status: int, body: bytes, source: DialectName, request_id: str) -> bytes:
    """Return an error body of the caller's API with the provider's text inside. Raises: nothing."""
    error = read_provider_error(body)
    reason = error.kind or "it gave no reason"
    message = error.message or f"the provider refused with status {status}: {reason}"
    refusal = StreamError(message, error.kind, status)
    return DIALECTS.by_name[source].error_body(caller_problem(refusal, source, request_id))


def error_event(error: StreamError, source: DialectName, request_id: str) -> bytes:
    """Return the event of the caller's API by which a stream says that the provider has failed."""
    return DIALECTS.by_name[source].error_event(caller_problem(error, source, request_id))


def _read(node: object, found: ProviderError, depth: int) -> ProviderError:
    """Read a node of a decoded body, the outermost first; what is further inside says more."""
    if isinstance(node, list):
        return _read(node[0], found, depth + 1) if node and depth < _DEPTH else found
    if isinstance(node, str):
        return _with_message(found, node)
    if not isinstance(node, dict):
        return found
    found = ProviderError(
        _first_text(node) or found.message,
        _kind(node) or found.kind,
        _status(node.get("code")) or _status(node.get("status")) or found.status,
    )
    found = _with_raw(node.get("metadata"), found)
    inner = next((node[name] for name in _INNER if isinstance(node.get(name), dict | list)), None)
    return found if inner is None or depth >= _DEPTH else _read(inner, found, depth + 1)


def _first_text(node: dict[str, Any]) -> str:
    texts = (node.get(name) for name in _TEXTS)
    return _shortened(next((text for text in texts if isinstance(text, str) and text), ""))


def _kind(node: dict[str, Any]) -> str | None:
    """Return the first word for an error that is more than that it is one."""
    for name in _CODES:
        word = node.get(name)
        if isinstance(word, str) and word not in _NO_KINDS and not word.isdigit():
            return word[:64]
    return None


def _status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if type(value) is int and 400 <= value <= 599 else None


def _with_raw(metadata: object, found: ProviderError) -> ProviderError:
    """Add what OpenRouter was told by the provider behind it."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or not raw:
        return found
    return _with_message(found, f"{found.message}: {raw}" if found.message else raw)


def _with_message(found: ProviderError, message: str) -> ProviderError:
    return ProviderError(_shortened(message), found.kind, found.status)


def _shortened(text: str) -> str:
    return " ".join(text[: 2 * _MESSAGE_CHARS].split())[:_MESSAGE_CHARS]
