"""One spelling of hosts and ports."""

from __future__ import annotations

import pytest

from sidecar.runtime.hosts import bracketed, host_of, host_port, is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [("api.example", "api.example"), ("10.0.0.1", "10.0.0.1"), ("::1", "[::1]")],
)
def test_an_ipv6_address_stands_in_brackets_and_nothing_else_does(host, expected):
    """Its own colons would hide where the port begins."""
    assert (expected, f"{expected}:443") == (bracketed(host), host_port(host, 443))


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("API.example:443", "api.example"),
        ("api.example.", "api.example"),
        ("a_b~c!$&'()*+,;=-", "a_b~c!$&'()*+,;=-"),
        ("%41.example:", "%41.example"),
        ("[2001:DB8::1]:1", "2001:db8::1"),
        ("[fe80::1%25eth0]", "fe80::1"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        ("", None),
        (".", None),
        ("[]", None),
        ("[v1.x]", None),
        ("[1.2.3.4.5]", None),
        ("::1", None),
        ("a b", None),
        ("user@a", None),
        ("a:x", None),
        ("a\n", None),
        ("%4", None),
    ],
)
def test_a_host_is_what_names_it_without_port_and_case(authority, host):
    """RFC 3986, 3.2.2; a malformed one names none."""
    assert host == host_of(authority)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("ip6-loopback", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("evil.localhost.example", False),
        ("", False),
    ],
)
def test_only_names_that_lead_here_everywhere_are_loopbacks(host, expected):
    """Whoever owns another name decides where it leads, and changes that at will."""
    assert expected == is_loopback(host)
