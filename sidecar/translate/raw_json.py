"""JSON values of a request as they stand in its body: looked at, and decoded with patience for
halves of characters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from sidecar.dialects.lenient import decode_leniently

_T = TypeVar("_T")

Json = msgspec.Raw | memoryview
"""A value as it stands in the body."""
Members = Mapping[str, Json]

_NULL: Final = b"null"

as_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
as_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
as_objects: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
as_plain: Final = msgspec.json.Decoder(dict[str, str | int | float | bool | None]).decode
"""Of an object that holds no other: one that does may hold a million."""
as_any: Final = msgspec.json.Decoder().decode
as_text: Final = msgspec.json.Decoder(str).decode
as_integer: Final = msgspec.json.Decoder(int).decode
as_number: Final = msgspec.json.Decoder(float).decode
as_flag: Final = msgspec.json.Decoder(bool).decode
as_texts: Final = msgspec.json.Decoder(str | list[str]).decode


def is_null(raw: Json | None) -> bool:
    """Return whether a member is missing or null, which every API takes for the same."""
    return raw is None or (len(raw) == len(_NULL) and bytes(raw) == _NULL)


def is_text(raw: Json) -> bool:
    """Return whether a value is a text."""
    return bytes(memoryview(raw)[:1]) == b'"'


def json_text(raw: Json) -> str:
    """Return a value as JSON text, as it was written."""
    return bytes(raw).decode("utf-8", "replace")


def leniently(decode: Callable[[bytes], _T], raw: Json) -> _T | None:
    """Return a decoded value, lone halves of characters replaced; None where it is none."""
    return decode_leniently(decode, raw)  # type: ignore[arg-type]


def raw_of(value: object) -> msgspec.Raw:
    """Return a value as JSON."""
    return msgspec.Raw(msgspec.json.encode(value))
