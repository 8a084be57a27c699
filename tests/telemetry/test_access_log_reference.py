"""The reference of the access log lists what the code writes, and nothing else."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import msgspec

from sidecar.telemetry.call_flags import FLAGS
from sidecar.telemetry.call_record import CallRecord
from sidecar.telemetry.record_reference import RECORD_FIELDS
from tests.support.access_log_reference import README, with_reference

SAME = "debug.pin_after."
"""Fields that are told of once, under `pin_before`."""


def _names(struct: type[msgspec.Struct], before: str = "") -> Iterator[str]:
    """Every field of a record, and of the blocks in it."""
    for name, kind in typing.get_type_hints(struct).items():
        yield before + name
        for part in (kind, *typing.get_args(kind)):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                yield from _names(part, f"{before}{name}.")


def test_every_field_has_a_meaning_in_the_order_of_a_line():
    """And no meaning is left without a field."""
    names = [name for name in _names(CallRecord) if not name.startswith(SAME)]

    assert sorted(names) == sorted(RECORD_FIELDS)
    top = [name for name in RECORD_FIELDS if "." not in name]
    assert list(CallRecord.__struct_fields__) == top


def test_the_reference_is_up_to_date():
    """``python -m tests.support.access_log_reference`` writes it."""
    text = README.read_text(encoding="utf-8")

    assert with_reference(text) == text
    assert all(f"| `{flag}` |" in text for flag in FLAGS)
