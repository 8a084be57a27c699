"""Decodes JSON that apps and providers got nearly right: JavaScript cuts emoji in half and sends
lone halves, which msgspec refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from sidecar.wire.from_end import Effort, Span
from sidecar.wire.outline import QUOTE, backslashes_before

_T = TypeVar("_T")

_HIGH: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_ESCAPES: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!%b)|[c-fC-F][0-9a-fA-F]{2}(?<!%b\\u[dD][0-9a-fA-F]{3}))"
    % (_LOW, _HIGH)
)
"""Halves that stand alone, in a text without escaped backslashes. What all have in common stands
first, so that one is searched for, not tried at each byte.
"""
_LONE: Final = re.compile("[\ud800-\udfff]")
_REPAIR_COST: Final = 8
"""What a byte costs that is repaired, in bytes that are decoded."""
_REPAIRED_BYTES: Final = 1024 * 1024
"""Nothing that is longer is repaired."""
_ESCAPES_AT_MOST: Final = 20_000
"""More escapes are not looked at, which takes ten milliseconds."""
_CHARACTER_BYTES: Final = 12
"""The longest way to write a character: two escapes."""
_ESCAPE_BYTES: Final = 6
_RUN_BYTES: Final = 64 * 1024
"""So many backslashes in a row are told even from odd."""


def decode_leniently(
    decode: Callable[[bytes], _T], data: bytes | msgspec.Raw, effort: Effort | None = None
) -> _T | None:
    """Decode ``data``, replacing lone halves of characters where they are in the way; None where it
    cannot be decoded, or the effort is spent.
    """
    if effort is not None and not effort.decode(len(data)):
        return None
    try:
        return decode(data)
    except msgspec.ValidationError:
        return None
    except (ValueError, RecursionError):
        text = bytes(data)
        is_spent = effort is not None and not effort.decode(_REPAIR_COST * len(data))
        if is_spent or not _may_be_repaired(text):
            return None
        # Escaped backslashes go first, so that none is taken for the beginning of an escape.
        repaired = _LONE_ESCAPES.sub(rb"\\ufffd", text.replace(rb"\\", rb"\u005c"))
    try:
        return decode(repaired)
    except (ValueError, RecursionError):
        return None


def _may_be_repaired(text: bytes) -> bool:
    """Return whether a text has halves of characters that may stand alone, and not too many."""
    if len(text) > _REPAIRED_BYTES:
        return False
    halves = text.count(b"\\ud") + text.count(b"\\uD")
    return halves > 0 and halves + text.count(rb"\\") <= _ESCAPES_AT_MOST


def text_at(body: bytes, place: Span, room_bytes: int) -> str:
    """Return the text at a place; empty where none stands there. Of one that is too long for
    ``room_bytes`` beginning and end are returned as one, each long enough to fill them alone.
    """
    start, end = place[0] + 1, place[1] - 1
    if body[start - 1] != QUOTE:
        return ""
    most = _CHARACTER_BYTES * (room_bytes + 1)
    if end - start <= 2 * most:
        return _LONE.sub("\ufffd", _decoded(body[start:end]))
    head = _decoded(body[start : _escape_start(body, start, start + most)])
    tail_at = end - most
    escape_at = _escape_start(body, start, tail_at)
    if escape_at < tail_at:
        tail_at = escape_at + (_ESCAPE_BYTES if body[escape_at + 1] == ord("u") else 2)
    tail = _decoded(body[tail_at:end])
    return _LONE.sub("\ufffd", head[: room_bytes + 1] + tail[-room_bytes - 1 :])


def _escape_start(body: bytes, start: int, at: int) -> int:
    """Return where the escape begins inside which ``at`` is; ``at`` where it is inside none."""
    slash = body.rfind(b"\\", max(start, at - _ESCAPE_BYTES + 1), at)
    if slash < 0 or backslashes_before(body, slash, max(start, slash - _RUN_BYTES)) % 2:
        return at
    size = _ESCAPE_BYTES if body[slash + 1] == ord("u") else 2
    return slash if slash + size > at else at


def _decoded(inside: bytes) -> str:
    """Decode what stands between a text's quotes; empty where that cannot be done. A character
    that is cut at either end is left out.
    """
    try:
        text: str = json.loads(f'"{inside.decode("utf-8", "ignore")}"', strict=False)
    except ValueError:
        return ""
    return text
