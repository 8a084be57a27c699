"""OpenAI's embeddings, which are never streamed, routed or pinned.

Source: https://platform.openai.com/docs/api-reference/embeddings.
"""

from __future__ import annotations

from typing import Final

from sidecar.dialects.openai import openai_error_body, openai_error_event
from sidecar.domain.call import EMBEDDINGS, Endpoint, Operation


class Embeddings:
    """Implements `dialects.base.Dialect`."""

    name: Final = EMBEDDINGS
    endpoints: Final = (Endpoint("/v1/embeddings", EMBEDDINGS, Operation.EMBED),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    error_body = staticmethod(openai_error_body)
    error_event = staticmethod(openai_error_event)
