"""The corpus itself: what is written in it is well-formed, and there is as much as there was."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.corpus.cases import by_id, read_answers, read_requests, written

REQUESTS, ANSWERS = read_requests(), read_answers()
_SECTION = r"(?:own|sse|(?:9110|9112|9113|3986|6585|8259|W3C) \d+(?:\.\d+)*)"


def test_every_case_has_a_name_of_its_own():
    """Names choose cases on the command line."""
    names = Counter(case.id for case in [*REQUESTS, *ANSWERS])

    assert [] == [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("case", [*REQUESTS, *ANSWERS], ids=by_id([*REQUESTS, *ANSWERS]))
def test_a_case_names_the_section_that_decides_and_why(case):
    """So that a reader can disagree."""
    assert re.fullmatch(rf"{_SECTION}(?:, {_SECTION})*", case.rfc)
    assert case.why.endswith(".")
    assert re.fullmatch(r"[A-Za-z0-9.-]+", case.id)


def test_bytes_are_written_a_character_each():
    """Also those that are no text, and those that would fill pages."""
    assert b"\x00\xff\r\n" == written("\u0000\u00ff\r\n")
    assert b"GET /aaa HTTP/1.1" == written(["GET /", ("a", 3), " HTTP/1.1"])
