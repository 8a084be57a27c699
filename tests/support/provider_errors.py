"""What OpenAI and Anthropic say in their errors. Source: their API references and the bodies that
their servers send.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.demo import anthropic_wire, openai_wire
from sidecar.demo.replies import HttpRequest
from tests.support.faults import Fault

_OPENAI_TEXTS: Final = {
    "context_length_exceeded": "This model's maximum context length is 128000 tokens. However, your "
    "messages resulted in 200000 tokens. Please reduce the length of the messages.",
    "content_policy_violation": "Your request was rejected as a result of our safety system.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing "
    "details.",
    "401": "Incorrect API key provided: sk-demo. You can find your API key at "
    "https://platform.openai.com.",
    "404": "The model `{model}` does not exist or you do not have access to it.",
    "429": "Rate limit reached for {model} in organization demo on requests per min (RPM).",
    "model_not_found": "The model `{model}` does not exist or you do not have access to it.",
}
_ANTHROPIC_TEXTS: Final = {
    "context_length_exceeded": "prompt is too long: 250000 tokens > 200000 maximum",
    "content_policy_violation": "Output blocked by content filtering policy",
    "credit_balance": "Your credit balance is too low to access the Anthropic API. Please go to "
    "Plans & Billing to upgrade or purchase credits.",
    "model_not_found": "model: {model}",
    "401": "invalid x-api-key",
    "404": "model: {model}",
    "413": "Request exceeds the maximum size",
    "429": "This request would exceed your organization's rate limit.",
    "500": "Internal server error",
    "529": "Overloaded",
}


def error_body(http: HttpRequest, fault: Fault, model: str) -> bytes:
    """Write the error that a fault asks for as the caller's API has it."""
    texts = _ANTHROPIC_TEXTS if http.is_anthropic else _OPENAI_TEXTS
    text = texts.get(fault.code or str(fault.status), f"This call fails with {fault.status}.")
    message = fault.message or text.replace("{model}", model)
    if http.is_anthropic:
        return anthropic_wire.error(fault.status, message, http.request_id)
    param = "messages" if fault.code == "context_length_exceeded" else None
    return openai_wire.error(fault.status, message, code=fault.code, param=param)


def error_event(path: str, sequence_number: int) -> bytes:
    """Write the event with which the API at ``path`` reports an error inside a stream."""
    if path.endswith("/messages"):
        overloaded = {"type": "overloaded_error", "message": "Overloaded"}
        return _event("error", {"type": "error", "error": overloaded})
    failed = {"message": "The server had an error.", "param": None, "code": "server_error"}
    if path.endswith("/responses"):
        return _event("error", {"type": "error", "sequence_number": sequence_number, **failed})
    return _event(None, {"error": {**failed, "type": "server_error", "code": None}})


def _event(name: str | None, data: object) -> bytes:
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"
