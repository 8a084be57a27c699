"""The head of a request to a provider."""

from __future__ import annotations

import pytest

from sidecar.domain.errors import MalformedRequest
from sidecar.wire.headers import CHUNKED, request_head


def test_a_head_is_one_piece_of_bytes():
    """Request line, Host, lines as given, length, blank line."""
    head = request_head(
        "POST", "/v1/messages?beta=true", "api.example:8443", [b"Accept: */*\r\n", b"a: b\r\n"], 12
    )
    assert head == (
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.example:8443\r\nAccept: */*\r\na: b\r\nContent-Length: 12\r\n\r\n"
    )


def test_a_head_without_a_body_says_nothing_of_its_length():
    """None leaves Content-Length out, zero does not."""
    assert request_head("GET", "/", "h", (), None) == b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert request_head("POST", "/", "h", (), CHUNKED) == (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert (
        request_head("POST", "/", "h", (), 0)
        == b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [
        ("GE T", "/", "h"),
        ("GET", "/a b", "h"),
        ("GET", "/\r\nx: y", "h"),
        ("GET", "/", "h\n"),
        ("GET", "/\u00e9", "h"),
        ("GET", "", "h"),
    ],
)
def test_a_head_cannot_be_split(method, target, host):
    """A blank, a line end or a non-ASCII character in what makes up the first two lines is
    refused.
    """
    with pytest.raises(MalformedRequest):
        request_head(method, target, host, (), None)
