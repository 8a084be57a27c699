"""References are expanded once, in one pass, and no message shows what they hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.config.expand import Expanded, Expander, read_text

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
    expander = Expander({}, tmp_path)
    expanded = expander.expand("${file:secret}")
    assert (expected, (path,), True) == (expanded.text, expanded.files, expanded.is_changed)
    assert [path] == list(expander.files)


def test_environment_that_is_not_utf8():
    """Bytes that Python could only smuggle through cannot go into a header."""
    assert Expander({"K": "a\udcff"}, Path()).expand("$K").problems == (
        "environment variable K is not UTF-8",
    )


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff", "is not UTF-8"), (b"12345", "is larger than 4 bytes")]
)
def test_unreadable_file(tmp_path, content, message):
    """A file that is too large or no text is refused without repeating any of it."""
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        read_text(path, 4)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, make):
    """A key file is read again under a running process: a pipe there would hold a thread for ever."""
    make(tmp_path / "key")
    expanded = Expander({}, tmp_path).expand("${file:key}")

    assert len(expanded.problems) == 1
    assert "" == expanded.text


def test_folder_is_no_file(tmp_path):
    """A folder where a file should be says so."""
    with pytest.raises(ValueError, match=r"^cannot be read: Is a directory$"):
        read_text(tmp_path, 4)
