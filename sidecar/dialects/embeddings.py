"""OpenAI's embeddings, which are never routed or pinned and never streamed.

Source: https://platform.openai.com/docs/api-reference/embeddings.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import msgspec

from sidecar.dialects.base import StreamRules, Turn
from sidecar.dialects.errors import ERROR_SIGNS, is_error_response
from sidecar.dialects.openai import openai_error_body, openai_error_event
from sidecar.dialects.request import REQUEST_BODY
from sidecar.dialects.usage import UsageMembers, text_of
from sidecar.domain.call import EMBEDDINGS, BodyFacts, Endpoint, Operation
from sidecar.domain.outcome import Served
from sidecar.wire.patch import patch_body

_USAGE: Final = UsageMembers(
    "prompt_tokens", "completion_tokens", ("prompt_tokens_details", "cached_tokens")
)


class _Response(msgspec.Struct):
    """Any member may be of a wrong type; the vectors are skipped over."""

    model: Any = None
    usage: Any = None


_decode: Final = msgspec.json.Decoder(_Response).decode


def _served(body: bytes) -> Served:
    response = _decode(body)
    return Served(_USAGE.read(response.usage), text_of(response.model), None)


def _least_request() -> bytes:
    return b'{"input":"ping"}'


class Embeddings:
    """Implements `dialects.base.Dialect`."""

    name: Final = EMBEDDINGS
    endpoints: Final = (Endpoint("/v1/embeddings", EMBEDDINGS, Operation.EMBED),)
    sdk_header: Final = ""
    home_prefix: Final = "openai"
    is_cache_apart: Final = False
    stream: Final = StreamRules(telling=(b'"usage"',))
    least_request = staticmethod(_least_request)
    peek = staticmethod(REQUEST_BODY.peek)
    peek_in_steps = staticmethod(REQUEST_BODY.peek_in_steps)
    patch = staticmethod(patch_body)
    served_of_response = staticmethod(_served)
    served_of_event = staticmethod(_served)
    error_signs: Final = ERROR_SIGNS
    is_error_response = staticmethod(is_error_response)
    usage_of = staticmethod(_USAGE.read)
    error_body = staticmethod(openai_error_body)
    error_event = staticmethod(openai_error_event)

    @staticmethod
    def turns(
        body: bytes,  # noqa: ARG004 - the protocol's
        facts: BodyFacts,  # noqa: ARG004
        room_bytes: int | None,  # noqa: ARG004
    ) -> Generator[None, None, tuple[Turn, ...]]:
        """Return none: a text to be embedded is no conversation."""
        yield from ()
        return ()

    @staticmethod
    def is_newest_turn_signed(body: bytes, facts: BodyFacts) -> bool:  # noqa: ARG004
        """Return false: there is no turn."""
        return False

    @staticmethod
    def without_signed_state(
        body: bytes,  # noqa: ARG004
        facts: BodyFacts,  # noqa: ARG004
        refusal: bytes,  # noqa: ARG004
    ) -> Generator[None, None, bytes | None]:
        """Return none: there is no such state."""
        yield from ()
        return None
