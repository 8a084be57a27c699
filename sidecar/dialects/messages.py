"""What the sidecar itself has to say, in the words of Anthropic's messages API.

Source: contract.md, "Errors"; https://docs.anthropic.com/en/api/errors.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.domain.call import DialectName
from sidecar.domain.ports import Problem

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By status; the rest are ``api_error`` from 500 on and ``invalid_request_error`` below."""


class _Error(msgspec.Struct, frozen=True):
    type: str
    message: str


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error
    request_id: str
    type: str = "error"


class AnthropicDialect:
    """Implements `domain.ports.Dialect` for messages and count_tokens."""

    name = DialectName.MESSAGES

    def error_body(self, problem: Problem) -> bytes:
        """``{"type": "error", "error": {"type", "message"}, "request_id"}``."""
        kind = _TYPES.get(
            problem.status, "api_error" if problem.status >= 500 else "invalid_request_error"
        )
        return msgspec.json.encode(_ErrorBody(_Error(kind, problem.message), problem.request_id))

    def error_event(self, problem: Problem) -> bytes:
        """The same object as the data of an ``error`` event."""
        return b"event: error\ndata: " + self.error_body(problem) + b"\n\n"
