"""Errors in the words of the providers. Source: their API references and the bodies that their
servers send.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.demo.ask import Json
from sidecar.demo.faults import Fault

_OPENAI_TYPES: Final = {429: "requests", 401: "invalid_request_error", 403: "invalid_request_error"}
_OPENAI_CODES: Final = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_OPENAI_TEXTS: Final = {
    "context_length_exceeded": "This model's maximum context length is 128000 tokens. However, "
    "your messages "
    "resulted in 200000 tokens. Please reduce the length of the messages.",
    "content_policy_violation": "Your request was rejected as a result of our safety system.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing "
    "details.",
    "invalid_api_key": "Incorrect API key provided: sk-demo. You can find your API key at https://platform.openai.com.",
    "rate_limit_exceeded": "Rate limit reached for {model} in organization demo on requests per "
    "min (RPM).",
    "model_not_found": "The model `{model}` does not exist or you do not have access to it.",
}
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ANTHROPIC_TEXTS: Final = {
    "context_length_exceeded": "prompt is too long: 250000 tokens > 200000 maximum",
    "credit_balance": "Your credit balance is too low to access the Anthropic API. Please go "
    "to Plans & Billing to "
    "upgrade or purchase credits.",
    "content_policy_violation": "Output blocked by content filtering policy",
    "model_not_found": "model: {model}",
    "401": "invalid x-api-key",
    "404": "model: {model}",
    "413": "Request exceeds the maximum size",
    "429": "This request would exceed your organization's rate limit.",
    "500": "Internal server error",
    "529": "Overloaded",
}


def openai_error(fault: Fault, model: str) -> bytes:
    """OpenAI's error body for the wish, laid out in lines as OpenAI sends it."""
    code = fault.code or _OPENAI_CODES.get(fault.status)
    kind = _OPENAI_TYPES.get(
        fault.status, "invalid_request_error" if fault.status < 500 else "server_error"
    )
    kind = "insufficient_quota" if code == "insufficient_quota" else kind
    message = fault.message or _OPENAI_TEXTS.get(
        code or "", f"demo provider: this call was to fail with {fault.status}."
    )
    param = "messages" if code == "context_length_exceeded" else None
    error = {
        "message": message.replace("{model}", model),
        "type": kind,
        "param": param,
        "code": code,
    }
    return msgspec.json.format(msgspec.json.encode({"error": error}), indent=2) + b"\n"


def anthropic_error(fault: Fault, model: str, request_id: str) -> bytes:
    """Anthropic's error body for the wish."""
    kind = _ANTHROPIC_TYPES.get(
        fault.status, "invalid_request_error" if fault.status < 500 else "api_error"
    )
    text = _ANTHROPIC_TEXTS.get(fault.code or str(fault.status))
    message = fault.message or text or f"demo provider: this call was to fail with {fault.status}."
    error = {"type": kind, "message": message.replace("{model}", model)}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})


def chat_error_event() -> bytes:
    """What OpenAI sends where a chat stream fails after its start."""
    error: Json = {
        "message": "The server had an error while processing your request.",
        "type": "server_error",
    }
    return (
        b"data: " + msgspec.json.encode({"error": error | {"param": None, "code": None}}) + b"\n\n"
    )


def responses_error_event(sequence_number: int) -> bytes:
    """What OpenAI sends where a responses stream fails after its start."""
    event: Json = {
        "type": "error",
        "code": "server_error",
        "message": "The server had an error.",
        "param": None,
    }
    return (
        b"event: error\ndata: "
        + msgspec.json.encode(event | {"sequence_number": sequence_number})
        + b"\n\n"
    )


def messages_error_event() -> bytes:
    """What Anthropic sends where a stream fails after its start."""
    error = {"type": "overloaded_error", "message": "Overloaded"}
    return (
        b"event: error\ndata: " + msgspec.json.encode({"type": "error", "error": error}) + b"\n\n"
    )
