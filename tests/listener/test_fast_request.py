"""A request on what aiohttp's parser hands over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import EMPTY_PAYLOAD
from multidict import CIMultiDict

from sidecar.listener.request import NO_HEAD, FastRequest


def a_request(message: Any = NO_HEAD, **connection: Any) -> FastRequest:
    facts: dict[str, Any] = {"task": None, "transport": None, "pending": ()}
    return FastRequest(message, EMPTY_PAYLOAD, SimpleNamespace(**{**facts, **connection}))


def a_message(path: str, **headers: str) -> SimpleNamespace:
    return SimpleNamespace(
        method="GET",
        path=path,
        version=(1, 1),
        headers=CIMultiDict(headers),
        raw_headers=(),
        should_close=False,
    )


@pytest.mark.parametrize(
    ("sent", "authority", "target"),
    [
        ("/p?q", "", "/p?q"),
        ("//a/p", "", "//a/p"),
        ("http://a/p?x=%20", "a", "/p?x=%20"),
        ("HTTPS://a:1/p", "a:1", "/p"),
        ("http://a", "a", "/"),
        ("http://a?q", "a", "/?q"),
        ("http://u@a/", "u@a", "/"),
        ("http:///p", "@", "/p"),
        ("ftp://a/p", "", "ftp://a/p"),
        ("a:443", "", "a:443"),
        ("*", "", "*"),
    ],
)
def test_the_target_is_path_and_query(sent, authority, target):
    """The authority of an absolute target stands for itself (RFC 9112, 3.2.2)."""
    request = a_request(a_message(sent))

    assert (authority, target) == (request.authority, request.target)


def test_a_request_whose_head_could_not_be_parsed_ends_its_connection():
    """It has no header to read, and nothing is known of its version."""
    request = a_request()

    assert (False, (1, 0), [], "/") == (
        request.keep_alive,
        request.version,
        request.header_values("x-request-id"),
        request.target,
    )


def test_headers_are_found_in_any_case():
    """And every value of them."""
    assert ["1"] == a_request(a_message("/", a="1")).header_values("A")


@pytest.mark.parametrize(("pending", "expected"), [((), True), (("another",), False)])
def test_a_request_is_the_last_one_where_no_other_waits_behind_it(pending, expected):
    """Only then may its response wait for the end of the event loop's turn."""
    assert expected == a_request(pending=pending).is_last_sent
