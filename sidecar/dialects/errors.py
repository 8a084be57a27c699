"""Recognises errors where a response should be: in a body of status 200, or as an event of a
stream.

What such an error means is for `upstream.failure` to say; here it is only told from a response. The
forms are those of OpenAI's and Anthropic's APIs, and those that compatible servers have of their
own.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sidecar.dialects.lenient import decode_leniently

ERROR_SIGNS: Final = (b'"error"', b'"failed"')
"""A body that is an error contains one of these. A model's own quotes are escaped."""


class MaybeError(msgspec.Struct):
    """The members by which an error is told from a response. Any of them may be of a wrong type."""

    error: Any = None
    object: Any = None
    type: Any = None
    status: Any = None
    code: Any = None
    message: Any = None
    choices: Any = None


_decode: Final = msgspec.json.Decoder(MaybeError).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_BLANKS_AT_MOST: Final = 64
"""So many blanks may stand before a list."""


def read_maybe_error(data: bytes) -> MaybeError | None:
    """Read the members of a JSON object, or of the first one in a list, which is how Gemini sends
    its errors; None where the data are neither.
    """
    if data[:_BLANKS_AT_MOST].lstrip()[:1] == b"[":
        items = decode_leniently(_decode_list, data)
        data = bytes(items[0]) if items else b""
    return decode_leniently(_decode, data)


def is_error_event(event: MaybeError) -> bool:
    """Tell whether the data of an event are an error.

    They are one where ``error`` has a value, an object or a text; where ``object`` or ``type`` says
    so (Mistral, older vLLM; Anthropic, OpenAI's responses); and where a code and a message stand
    without choices (Cerebras, DashScope).
    """
    return bool(
        event.error
        or "error" in (event.object, event.type)
        or (event.choices is None and event.code is not None and isinstance(event.message, str))
    )


def is_error_response(body: bytes) -> bool:
    """Tell whether a whole body, or the first object of one that is a list, is an error: ``error``
    is an object, ``object`` or ``type`` says so, or ``status`` is ``failed``. Raises: nothing.

    An ``error`` that is null or a text stands in bodies that are fine.
    """
    said = read_maybe_error(body)
    return said is not None and (
        isinstance(said.error, dict)
        or "error" in (said.object, said.type)
        or (said.status == "failed" and said.choices is None)
    )
