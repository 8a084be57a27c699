"""Plain scalars have the types of YAML 1.2's core schema."""

from __future__ import annotations

import pytest

from sidecar.config.yaml_nodes import is_null, is_text, to_bool, to_float, to_int


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "1:30", "2024-01-01", "0.2.0", "1_000", "v1", "0o9", "0xg"],
)
def test_what_yaml_1_1_made_of_words(text):
    """What YAML 1.1 took for booleans, times and dates is text."""
    assert (is_text(text), to_bool(text), to_int(text), to_float(text)) == (True, None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xfF", 255),
        ("9" * 18, 10**18 - 1),
        ("9" * 5000, None),
    ],
)
def test_int(text, expected):
    """Decimal, octal, hexadecimal; absurd lengths are no number."""
    assert expected == to_int(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1e3", -1000.0),
        (".inf", None),
        (".nan", None),
        ("1e999", None),
        ("-1e999", None),
    ],
)
def test_float(text, expected):
    """Finite numbers only."""
    assert expected == to_float(text)


@pytest.mark.parametrize(
    "text",
    ["", "~", "null", "true", "FALSE", "1", "0x1", "1.5", ".inf", "-.INF", ".nan", "9" * 5000],
)
def test_not_text(text):
    """Null, booleans and numbers are not text, not even those that cannot be used."""
    assert not is_text(text)


def test_null_and_bool():
    """Null has five spellings; booleans six."""
    assert [is_null(text) for text in ("", "~", "NULL", "nil")] == [True, True, True, False]
    assert [to_bool(text) for text in ("True", "FALSE", "tRUE")] == [True, False, None]
