"""How chat completions are asked for the usage of a stream: by ``stream_options.include_usage``.

Source: https://platform.openai.com/docs/api-reference/chat: all chunks get a member ``usage`` then,
which is null, and one more comes before ``[DONE]``, whose ``choices`` are empty.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final

import msgspec

from sidecar.dialects.base import UsageOption
from sidecar.dialects.lenient import decode_leniently
from sidecar.domain.call import BodyFacts, Edit
from sidecar.wire.places import Text

_OPTIONS_AT_MOST: Final = 4096
"""Longer ones are left as they are."""
_WANTED: Final = b'"include_usage":true'
_OBJECT: Final = b"{%b}" % _WANTED
_NULL: Final = b"null"


class _Beside(msgspec.Struct):
    """An event of a stream. Any member may be of a wrong type, or missing."""

    choices: Any = ...
    usage: Any = None


_decode: Final = msgspec.json.Decoder(_Beside).decode


def _edit_of(body: bytes, facts: BodyFacts) -> Edit | None:
    """Return the edit that adds the option, ``stream_options`` too where they are missing. Null, of
    either, is as good as missing.
    """
    if facts.stream_options is None:
        return facts.insert_at, facts.insert_at, b'"stream_options":%b,' % _OBJECT
    start, end = facts.stream_options
    if end - start > _OPTIONS_AT_MOST:
        return None
    options = body[start:end]
    if options == _NULL:
        return start, end, _OBJECT
    if options[:1] != b"{" or b"\\" in options:
        return None  # an escape may be part of a name
    members = Text(options).members()
    said = [each.value for each in members if each.name == b"include_usage"]
    if not said:
        comma = b"," if members else b""
        return start + 1, start + 1, _WANTED + comma
    is_null = len(said) == 1 and options[said[0][0] : said[0][1]] == _NULL
    return (start + said[0][0], start + said[0][1], b"true") if is_null else None


def _is_beside(data: bytes) -> bool:
    """Some servers say null in the place of no choices."""
    event = decode_leniently(_decode, data)
    return event is not None and event.choices in ([], None) and isinstance(event.usage, dict)


def _ask(body: bytes, facts: BodyFacts) -> BodyFacts | None:
    edit = _edit_of(body, facts)
    if edit is None or any(start < edit[1] and edit[0] < end for start, end, _ in facts.edits):
        return None  # what is sent otherwise already is not gone into
    return dataclasses.replace(facts, edits=tuple(sorted((*facts.edits, edit))))


USAGE_OPTION: Final = UsageOption(
    ask=_ask,
    names=(b"stream_options", b"include_usage"),
    sign=re.compile(rb'"choices"[ \t]*+:[ \t]*+(?:\[[ \t]*+\]|null)'),
    # A choice has begun, or data that are no object.
    not_this=re.compile(rb'"choices"[ \t]*+:[ \t]*+\[[ \t]*+[^\] \t]|(?:\A|[\r\n])data: ?+[^{ ]'),
    is_beside=_is_beside,
)
