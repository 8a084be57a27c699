"""CORS lines: what a browser reads before and after a page's request."""

from __future__ import annotations

import pytest

from sidecar.listener.cors import is_preflight, page_lines, without_others
from tests.listener.fakes import FakeRequest

ASKS = ("Access-Control-Request-Method", "POST")


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [("OPTIONS", [ASKS], True), ("OPTIONS", [], False), ("POST", [ASKS], False)],
)
async def test_a_preflight_is_an_options_that_names_a_method(method, headers, expected):
    """Any other OPTIONS is the app's own."""
    assert expected == is_preflight(FakeRequest(method=method, headers=headers))


async def test_a_page_may_read_every_header_of_its_response():
    """And caches keep the responses of several origins apart."""
    assert [
        b"Access-Control-Allow-Origin: http://ui\r\n",
        b"Vary: Origin\r\n",
        b"Access-Control-Expose-Headers: *\r\n",
    ] == page_lines(FakeRequest(), "http://ui")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("authorization, content-type", b"authorization, content-type"),
        ("a;b", None),
        ("x\r\ny", None),
    ],
)
async def test_a_preflight_gets_the_names_back_that_it_asked_for(asked, expected):
    """By name: `*` would leave `authorization` out. What is no list of names is not repeated."""
    headers = [ASKS, ("Access-Control-Request-Headers", asked)]
    lines = page_lines(FakeRequest(method="OPTIONS", headers=headers), "http://ui")
    names = [line for line in lines if line.startswith(b"Access-Control-Allow-Headers")]

    assert ([] if expected is None else [b"Access-Control-Allow-Headers: %b\r\n" % expected]) == (
        names
    )


def test_a_providers_own_cors_lines_are_left_out():
    """A browser refuses a response with two of them."""
    lines = [b"access-control-allow-origin: *\r\n", b"Access-Control-Max-Age: 1\r\n", b"a: 1\r\n"]

    assert [b"a: 1\r\n"] == without_others(lines)
