"""Request bodies as they are sent: another model's name is patched into the bytes as they came."""

from __future__ import annotations

import functools
from typing import Final

import msgspec

from sidecar.domain.call import BodyFacts, Edit

_JOIN_BYTES: Final = 16 * 1024
"""Patched bodies up to here leave as one piece: copying them is cheaper than the bookkeeping of
three.
"""
_PIECES_AT_MOST: Final = 64
"""A body that is in more pieces leaves as one."""


def patch_body(body: bytes, facts: BodyFacts, upstream_model: str) -> list[bytes | memoryview]:
    """Return the pieces to send: the body with ``upstream_model`` as its ``model``, and with the
    facts' edits.

    Every other byte is as it came, in its order. A missing ``model`` is inserted right behind the
    opening brace. Large bodies are not copied: their unchanged parts are views.

    Args: ``facts`` are what `JsonBody.peek` returned for this very body.
    """
    if facts.model_span is not None and not facts.edits:
        # The usual case: nothing but the name.
        if facts.requested_model == upstream_model:
            return [body]
        start, end = facts.model_span
        if len(body) <= _JOIN_BYTES:
            return [b"%b%b%b" % (body[:start], _encoded(upstream_model), body[end:])]
        view, model = memoryview(body), _encoded(upstream_model)
        return (
            [body[:start] + model, view[end:]]
            if start <= _JOIN_BYTES
            else [view[:start], model, view[end:]]
        )
    return _patch(body, facts, upstream_model)


def _patch(body: bytes, facts: BodyFacts, upstream_model: str) -> list[bytes | memoryview]:
    """`patch_body` where more than the model's name changes."""
    edits: list[Edit] = [*facts.edits]
    if facts.model_span is None:
        comma = b"" if facts.is_empty_object else b","
        edits.append(
            (facts.insert_at, facts.insert_at, b'"model":' + _encoded(upstream_model) + comma)
        )
    elif facts.requested_model != upstream_model:
        edits.append((*facts.model_span, _encoded(upstream_model)))
    if len(edits) > 1:
        edits.sort()
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    position = 0
    for start, end, text in edits:
        pieces.append(view[position:start])
        if text:
            pieces.append(text)
        position = end
    pieces.append(view[position:])
    is_joined = len(body) <= _JOIN_BYTES or len(pieces) > _PIECES_AT_MOST
    return [b"".join(pieces)] if is_joined else pieces


@functools.lru_cache(maxsize=512)
def _encoded(upstream_model: str) -> bytes:
    return msgspec.json.encode(upstream_model)
