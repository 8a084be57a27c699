"""One spelling of hosts and ports."""

from __future__ import annotations

import pytest

from sidecar.runtime.hosts import bracketed, host_port


@pytest.mark.parametrize(
    ("host", "expected"),
    [("api.example", "api.example"), ("10.0.0.1", "10.0.0.1"), ("::1", "[::1]")],
)
def test_an_ipv6_address_stands_in_brackets_and_nothing_else_does(host, expected):
    """Its own colons would hide where the port begins."""
    assert (expected, f"{expected}:443") == (bracketed(host), host_port(host, 443))
