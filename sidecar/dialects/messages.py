"""Anthropic's messages, and their token counter.

Source: https://docs.anthropic.com/en/api/messages, /errors.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.dialects.base import Problem
from sidecar.domain.call import MESSAGES, Endpoint, Operation

_ERROR_TYPES: Final = {
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


class Messages:
    """Implements `dialects.base.Dialect`."""

    name: Final = MESSAGES
    endpoints: Final = (
        Endpoint("/v1/messages", MESSAGES, Operation.GENERATE),
        Endpoint("/v1/messages/count_tokens", MESSAGES, Operation.COUNT_TOKENS),
    )
    sdk_header: Final = "anthropic-version"
    home_prefix: Final = "anthropic"

    @staticmethod
    def error_body(problem: Problem) -> bytes:
        """Write ``{"type": "error", "error": {"type", "message"}, "request_id"}``."""
        usual = "api_error" if problem.status >= 500 else "invalid_request_error"
        error = _Error(_ERROR_TYPES.get(problem.status, usual), problem.message)
        return msgspec.json.encode(_ErrorBody(error, problem.request_id))

    @staticmethod
    def error_event(problem: Problem) -> bytes:
        """Write the same object as the data of an ``error`` event."""
        return b"event: error\ndata: " + Messages.error_body(problem) + b"\n\n"
