"""Who may call a listener: by which hosts, and from which pages."""

from __future__ import annotations

import pytest

from sidecar.domain.errors import HostRefused, MalformedRequest
from sidecar.listener.web_pages import HostCheck, is_of_browser, is_of_other_site

NAMES = frozenset({"llm.dev", "10.0.0.1"})


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"LOCALHOST.:12000",
        b"127.0.0.1:12000",
        b"127.9.9.9",
        b"[::1]:12000",
        b"[::ffff:127.0.0.1]",
        b"ip6-localhost:1",
        b"llm.dev:12000",
        b"LLM.dev.",
        b"10.0.0.1",
    ],
)
def test_loopbacks_own_names_and_the_configured_ones_may_call(host):
    """With any port, since a port-forward has its own; what passed is known the next time."""
    check = HostCheck(NAMES)
    check.check([host], "", (1, 1))

    assert host == check.known


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example:12000",
        b"localhost.evil.example",
        b"xlocalhost",
        b"127.0.0.1.evil.example",
        b"0.0.0.0:12000",
        b"10.0.0.2",
        b"[2001:db8::1]",
        b"llm.dev.evil.example",
    ],
)
def test_any_other_host_is_refused_and_told_the_key(host):
    """A page that rebinds its own name cannot choose its Host; nothing is looked up."""
    check = HostCheck(NAMES)
    with pytest.raises(HostRefused, match=r"allow_hosts"):
        check.check([host], "", (1, 1))

    assert check.known is None


def test_without_names_every_host_may_call():
    """A listener beyond loopback is called by names of services and of pods."""
    check = HostCheck()
    check.check([b"web.team-a.svc.cluster.local:12000"], "", (1, 1))

    assert b"web.team-a.svc.cluster.local:12000" == check.known


@pytest.mark.parametrize("names", [NAMES, None])
@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b"localhost", b"localhost"],
        [b""],
        [b":12000"],
        [b"."],
        [b"a b"],
        [b"a/b"],
        [b"user@localhost"],
        [b"localhost:port"],
        [b"localhost:123456"],
        [b"[::1"],
        [b"[::g]"],
        [b"[127.0.0.1]x"],
        [b"[:::1]"],
        [b"::1"],
        [b"a%zz"],
        [b"b\xfccher"],
        [b"a" * 256],
        [b"a, b"],
    ],
)
def test_a_request_has_one_well_formed_host(hosts, names):
    """RFC 9112, 3.2: 400, on any address."""
    with pytest.raises(MalformedRequest):
        HostCheck(names).check(hosts, "", (1, 1))


def test_http_10_knows_no_host():
    """What comes without one was no page of a browser."""
    HostCheck(NAMES).check([], "", (1, 0))


@pytest.mark.parametrize(
    ("authority", "error"),
    [
        ("localhost:12000", None),
        ("evil.example", HostRefused),
        ("@", MalformedRequest),
        ("user@localhost", MalformedRequest),
    ],
)
def test_the_authority_of_the_target_counts_instead_of_the_host(authority, error):
    """RFC 9112, 3.2.2. What such a request has as its Host is not known by it."""
    check = HostCheck(NAMES)
    if error is None:
        check.check([b"evil.example"], authority, (1, 1))
    else:
        with pytest.raises(error):
            check.check([b"localhost"], authority, (1, 1))

    assert check.known is None


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ([], False),
        ([b"cross-site"], True),
        ([b" Same-Site"], True),
        ([b"none"], False),
        ([b"same-origin"], False),
        ([b"same-origin", b"cross-site"], True),
        ([b"\xff"], False),
    ],
)
def test_a_browser_says_from_which_site_a_page_asks(sites, expected):
    """Another port of this machine is the same site and another origin."""
    assert expected == is_of_other_site(sites)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Accept", "*/*"), ("User-Agent", "Prometheus/3.5.0")], False),
        ([("sec-fetch-mode", "cors"), ("user-agent", "node")], False),
        ([("Origin", "null")], True),
        ([("Sec-Fetch-Site", "none")], True),
        ([("Sec-Fetch-Mode", "navigate")], True),
        ([("Sec-Fetch-Dest", "image")], True),
        ([("Sec-Fetch-User", "?1")], True),
        ([("Sec-Fetch-Storage-Access", "none")], True),
        ([("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Site", "cross-site")], True),
    ],
)
def test_a_browser_is_known_by_what_it_alone_sends(headers, expected):
    """Node's fetch, by which an app may wait for the sidecar, sends a mode and no more."""
    assert expected == is_of_browser(headers)
