"""OpenAI's responses API.

Source: https://platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.dialects.base import Problem
from sidecar.dialects.openai import OpenAIError, openai_error, openai_error_body
from sidecar.domain.call import RESPONSES, Endpoint, Operation


class _ErrorEvent(msgspec.Struct, frozen=True):
    """Both readings at once: the documented ``error`` event has flat fields, the SDK wants an
    ``error`` member.
    """

    error: OpenAIError
    code: str
    message: str
    param: str | None
    type: str = "error"


class Responses:
    """Implements `dialects.base.Dialect`."""

    name: Final = RESPONSES
    endpoints: Final = (Endpoint("/v1/responses", RESPONSES, Operation.GENERATE),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    error_body = staticmethod(openai_error_body)

    @staticmethod
    def error_event(problem: Problem) -> bytes:
        """Write an ``error`` event."""
        error = openai_error(problem)
        event = _ErrorEvent(error, error.code, error.message, error.param)
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"
