"""References are expanded once, in one pass, and no message shows what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.config.expand import Expanded, Expander
from sidecar.runtime.file_watch import FILE_BYTES_AT_MOST, FileReader

ENVIRON = {"KEY": "v", "EMPTY": "", "DOLLAR": "$KEY", "_x1": "low"}


def expand(text: str, folder: Path = Path("/nowhere")) -> Expanded:
    return Expander(ENVIRON, folder).expand(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$KEY", "v"),
        ("${KEY}", "v"),
        ("a-$KEY-b", "a-v-b"),
        ("${KEY}$_x1", "vlow"),
        ("$EMPTY", ""),
        ("${KEY:-d}", "v"),
        ("${EMPTY:-d}", "d"),
        ("${NOPE:-}", ""),
        ("${NOPE:-a:-b $KEY}", "a:-b $KEY"),
        ("$$KEY", "$KEY"),
        ("$$$KEY", "$v"),
        ("$DOLLAR", "$KEY"),
        ("costs $5 or 5$", "costs $5 or 5$"),
    ],
)
def test_expands(text, expected):
    """``$$`` is a dollar sign, a default stands in for what is unset or empty, and nothing is
    expanded twice.
    """
    assert (expected, ()) == (expand(text).text, expand(text).problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("$NOPE", "environment variable NOPE is not set"),
        ("${NOPE}", "environment variable NOPE is not set"),
        (
            "${}",
            "${...} must be ${VAR}, ${VAR:-default} or ${file:/path}; write $$ for a dollar sign",
        ),
        (
            "${KEY",
            "${...} must be ${VAR}, ${VAR:-default} or ${file:/path}; write $$ for a dollar sign",
        ),
        (
            "${env:KEY}",
            "${...} must be ${VAR}, ${VAR:-default} or ${file:/path}; write $$ for a dollar sign",
        ),
        (
            "${file:}",
            "${...} must be ${VAR}, ${VAR:-default} or ${file:/path}; write $$ for a dollar sign",
        ),
        ("${file:/no/such}", "file '/no/such' cannot be read: No such file or directory"),
        ("${file:a\0b}", "file 'a\\x00b' cannot be read: no file can have this name"),
    ],
)
def test_what_cannot_be_expanded(text, problem):
    """An undefined variable is an error, not an empty key, and so is what looks like a reference
    and is none.
    """
    assert (problem,) == expand(text).problems


def test_every_problem_of_a_scalar():
    """Two undefined variables are two problems."""
    assert len(expand("$NOPE1 $NOPE2").problems) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n"), ("k", "k"), ("$KEY ${x}\n", "$KEY ${x}")],
)
def test_file(tmp_path, content, expected):
    """One final newline is stripped; what a file holds is not expanded; the file is remembered for
    the reload.
    """
    path = tmp_path / "secret"
    path.write_bytes(content.encode())
    reader = FileReader()
    expander = Expander({}, tmp_path, reader)
    expanded = expander.expand("${file:secret}")
    assert (expected, (path,), True) == (expanded.text, expanded.files, expanded.is_changed)
    assert [path] == list(reader.digests)


def test_environment_that_is_not_utf8():
    """Bytes that Python could only smuggle through cannot go into a header."""
    assert Expander({"K": "a\udcff"}, Path()).expand("$K").problems == (
        "environment variable K is not UTF-8",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xffmarked", "is not UTF-8"),
        (b"marked" * FILE_BYTES_AT_MOST, f"is larger than {FILE_BYTES_AT_MOST} bytes"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_unreadable_file(tmp_path, content, message):
    """A file that is too large or no text is refused without repeating any of it."""
    path = tmp_path / "f"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)

    assert (f"file 'f' {message}",) == Expander({}, tmp_path).expand("${file:f}").problems
