"""Lines, comments and indentation around a place."""

from __future__ import annotations

import pytest

from sidecar.inject.layout import Layout
from sidecar.inject.nodes import read_nodes
from sidecar.inject.surroundings import TextLines, layout_of

TEXT = "a: 1\n# b\nc: 2\n  # d\n# e"


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("a: 1\n", Layout(2, 2)),
        ("- a:\n    b: 1\n", Layout(2, 2)),
        ("a:\n    b: 1\nc:\n- 1\n", Layout(4, 0)),
        ("a:\n    - b:\n         c: 1\n", Layout(3, 4)),
        ("a: {b: {c: 1}}\nd: [1]\n", Layout(2, 2)),
        ("a: &x\n   b: 1\nc: *x\n", Layout(3, 2)),
    ],
)
def test_the_layout_is_that_of_the_first_block(text, layout):
    """The first mapping below a key, and the first list."""
    root = read_nodes(text)
    assert root is not None

    assert layout == layout_of(root)


def test_a_line_is_found_by_a_place_in_it():
    """Its begin, its text, its number."""
    lines = TextLines(TEXT)

    assert (9, "2\n", 3) == (lines.line_start(12), lines.line_at(12), lines.line_of(12))
    assert "# e" == lines.line_at(TEXT.index("# e"))
    assert (True, False) == (lines.begins_line(9), lines.begins_line(12))


def test_comments_belong_to_what_they_stand_at():
    """Those above a key in its column; and those behind a value, further right than its key."""
    lines = TextLines(TEXT)

    assert 5 == lines.before_comments(9)
    assert 0 == TextLines("# a\nb").before_comments(4)
    assert TEXT.index("# e") == lines.behind(12, 1)
    assert TEXT.index("  # d") == lines.behind(12)
    assert len(TEXT) == lines.behind(len(TEXT) - 1, 1)
    assert len("a\n  # b") == TextLines("a\n  # b").behind(1, 1)


@pytest.mark.parametrize(
    ("text", "prefix"), [("{\n\ta}", "\t"), ("{a}", None), ("a", None), ("\n  a", "  ")]
)
def test_what_begins_a_line_in_brackets_has_an_indentation(text, prefix):
    """Tabs too."""
    assert prefix == TextLines(text).prefix_in_brackets(text.index("a"))


@pytest.mark.parametrize(("text", "newline"), [("a\r\n", "\r\n"), ("a\n", "\n"), ("", "\n")])
def test_lines_end_in_one_way(text, newline):
    """The way of the file."""
    assert newline == TextLines(text).newline
