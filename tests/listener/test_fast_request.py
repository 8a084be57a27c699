"""A request on what aiohttp's parser hands over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import EMPTY_PAYLOAD
from multidict import CIMultiDict
from yarl import URL

from sidecar.listener.request import NO_HEAD, FastRequest


def a_request(message: Any = NO_HEAD, **connection: Any) -> FastRequest:
    facts: dict[str, Any] = {"task": None, "transport": None, "pending": ()}
    return FastRequest(message, EMPTY_PAYLOAD, SimpleNamespace(**{**facts, **connection}))


def a_message(path: str, **headers: str) -> SimpleNamespace:
    return SimpleNamespace(
        method="GET",
        path=path,
        url=URL(path),
        version=(1, 1),
        headers=CIMultiDict(headers),
        raw_headers=(),
        should_close=False,
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/p?q", "/p?q"), ("http://a/p?x=%20", "/p?x=%20"), ("http://a", "/"), ("*", "*")],
)
def test_the_target_is_path_and_query(path, expected):
    """The authority of an absolute target is left out (RFC 9112, 3.2.2)."""
    assert expected == a_request(a_message(path)).target


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
