"""OpenAI's chat completions.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from typing import Final

from sidecar.dialects.openai import openai_error_body, openai_error_event
from sidecar.domain.call import CHAT, Endpoint, Operation


class Chat:
    """Implements `dialects.base.Dialect`."""

    name: Final = CHAT
    endpoints: Final = (Endpoint("/v1/chat/completions", CHAT, Operation.GENERATE),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    error_body = staticmethod(openai_error_body)
    error_event = staticmethod(openai_error_event)
