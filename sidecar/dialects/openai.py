"""What the sidecar itself has to say, in the words of OpenAI's APIs: chat, responses, embeddings.

Source: contract.md, "Errors"; the event shapes are those that openai's Python SDK raises as
    ``APIError``.
"""

from __future__ import annotations

import msgspec

from sidecar.domain.call import DialectName
from sidecar.domain.ports import Problem


class _Error(msgspec.Struct, frozen=True):
    message: str
    type: str
    param: str | None
    code: str


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class _ResponsesEvent(msgspec.Struct, frozen=True):
    """Both readings at once: the documented ``error`` event has flat fields, the SDK wants an
    ``error`` member.
    """

    error: _Error
    code: str
    message: str
    param: str | None
    type: str = "error"


class OpenAIDialect:
    """Implements `domain.ports.Dialect` for one of OpenAI's APIs."""

    def __init__(self, name: DialectName) -> None:
        self.name = name

    def error_body(self, problem: Problem) -> bytes:
        """``{"error": {"message", "type", "param", "code"}}``."""
        return msgspec.json.encode(_ErrorBody(_error(problem)))

    def error_event(self, problem: Problem) -> bytes:
        """An unnamed data event for chat (and embeddings, which never stream), an ``error`` event
        for responses.
        """
        error = _error(problem)
        if self.name is not DialectName.RESPONSES:
            return b"data: " + msgspec.json.encode(_ErrorBody(error)) + b"\n\n"
        event = _ResponsesEvent(
            error=error, code=error.code, message=error.message, param=error.param
        )
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def _error(problem: Problem) -> _Error:
    return _Error(problem.message, _type(problem.status), problem.param, problem.code)


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
