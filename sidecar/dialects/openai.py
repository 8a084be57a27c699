"""What OpenAI's chat, responses and embeddings have in common: their errors."""

from __future__ import annotations

import msgspec

from sidecar.dialects.base import Problem


class OpenAIError(msgspec.Struct, frozen=True):
    """The ``error`` member of an error response."""

    message: str
    type: str
    param: str | None
    code: str


class _ErrorBody(msgspec.Struct, frozen=True):
    error: OpenAIError


def openai_error(problem: Problem) -> OpenAIError:
    """Say a problem in OpenAI's words; the type follows from the status alone."""
    return OpenAIError(problem.message, _type(problem.status), problem.param, problem.code)


def openai_error_body(problem: Problem) -> bytes:
    """Write ``{"error": {"message", "type", "param", "code"}}``."""
    return msgspec.json.encode(_ErrorBody(openai_error(problem)))


def openai_error_event(problem: Problem) -> bytes:
    """Write the same object as the data of an event without a name, which openai's SDKs raise as
    ``APIError``.
    """
    return b"data: " + openai_error_body(problem) + b"\n\n"


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
