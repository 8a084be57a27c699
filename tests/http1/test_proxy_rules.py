"""HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as curl and Go read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1.proxy_rules import ForwardProxy, ProxyRules

PROXY = "http://proxy.example:3128"


def _proxy_of(value: str) -> ForwardProxy:
    proxy = ProxyRules.from_environment({"HTTPS_PROXY": value}).proxy_for("https", "a.example", 443)
    assert proxy is not None
    return proxy


def _credential(proxy: ForwardProxy) -> str:
    assert proxy.authorization is not None
    return proxy.authorization


def _is_direct(no_proxy: str, host: str, port: int = 443) -> bool:
    rules = ProxyRules.from_environment({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    return rules.proxy_for("https", host, port) is None


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        ("http://proxy.example:3128", "proxy.example", 3128),
        ("proxy.example:3128", "proxy.example", 3128),
        ("http://proxy.example", "proxy.example", 80),
        ("http://proxy.example/", "proxy.example", 80),
        ("http://[2001:db8::1]:3128", "2001:db8::1", 3128),
        (" http://10.0.0.1:8080 ", "10.0.0.1", 8080),
    ],
)
def test_a_proxy(value, host, port):
    """With and without scheme and port."""
    assert ForwardProxy(host, port) == _proxy_of(value)


def test_its_place_as_errors_name_it():
    """IPv6 in brackets, never the credential."""
    proxy = _proxy_of("http://u:p@[2001:db8::1]:3128")

    assert ("[2001:db8::1]:3128", "proxy.example:80") == (
        proxy.place,
        ForwardProxy("proxy.example", 80).place,
    )
    assert ["ForwardProxy([2001:db8::1]:3128)"] * 3 == [repr(proxy), str(proxy), f"{proxy}"]


def test_credentials_are_unescaped():
    """A password with an @ in it stands escaped in a URL."""
    assert "Basic dXNAZXI6cDp3" == _credential(_proxy_of("http://us%40er:p%3Aw@proxy.example"))


def test_a_user_without_a_password():
    """Some tokens are user names."""
    assert "Basic dG9rZW46" == _credential(_proxy_of("http://token@proxy.example"))


def test_each_scheme_has_its_own():
    """And lower case wins over upper."""
    rules = ProxyRules.from_environment(
        {"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2", "HTTP_PROXY": ""}
    )

    assert (ForwardProxy("a", 1), None) == (
        rules.proxy_for("https", "x.example", 443),
        rules.proxy_for("http", "x.example", 80),
    )


def test_no_variables_no_proxy():
    """The usual pod."""
    assert ProxyRules.from_environment({}).proxy_for("https", "api.openai.com", 443) is None


@pytest.mark.parametrize(
    "value",
    [
        "https://proxy.example",
        "socks5://proxy.example",
        "http://",
        "http://proxy:no",
        "http://[::1",
        "http://:80",
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_that_does_not_repeat_it(value):
    """It may hold a password."""
    with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
        ProxyRules.from_environment({"HTTPS_PROXY": value.replace("//", "//user:secret@")})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.8.8", "::1"]
)
def test_loopback_is_direct(host):
    """Whatever the rules say."""
    assert _is_direct("", host)


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        ("*", ["a.example", "10.0.0.1"], []),
        (
            "example.com",
            ["example.com", "api.example.com", "EXAMPLE.com", "example.com."],
            ["badexample.com", "example.org"],
        ),
        (".example.com", ["api.example.com", "a.b.example.com"], ["example.com", "badexample.com"]),
        ("*.example.com", ["api.example.com"], ["example.com"]),
        (".svc", ["vllm.llm.svc"], ["svc", "vllm.llm.svc.cluster.local", "mysvc"]),
        (".svc,.cluster.local", ["vllm.llm.svc.cluster.local"], ["a.example"]),
        ("a.example b.example", ["a.example", "b.example"], ["c.example"]),
        (
            "10.0.0.0/8, 192.168.1.7",
            ["10.9.8.7", "192.168.1.7"],
            ["11.0.0.1", "192.168.1.8", "ten.example"],
        ),
        ("2001:db8::/32", ["2001:db8::5"], ["2001:db9::5"]),
        ("[2001:db8::1]", ["2001:db8::1"], ["2001:db8::2"]),
        ("10.0.0.1/8", ["10.200.0.1"], []),
        ("", [], ["a.example"]),
        (".", [], ["a.example"]),
        (",, ,", [], ["a.example"]),
        ("10.0.0.0/99", [], ["10.0.0.1"]),
    ],
)
def test_exceptions(no_proxy, direct, proxied):
    """Names, suffixes, addresses, blocks."""
    assert [] == [host for host in direct if not _is_direct(no_proxy, host)]
    assert [] == [host for host in proxied if _is_direct(no_proxy, host)]


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("a.example:443", "a.example", 443, True),
        ("a.example:443", "a.example", 8443, False),
        ("10.0.0.1:443", "10.0.0.1", 443, True),
        ("10.0.0.1:443", "10.0.0.1", 80, False),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("[2001:db8::1]:443", "2001:db8::1", 80, False),
    ],
)
def test_exceptions_may_name_a_port(no_proxy, host, port, expected):
    """Then only that one is direct."""
    assert expected == _is_direct(no_proxy, host, port)


@given(
    no_proxy=st.text(max_size=60),
    host=st.text(min_size=1, max_size=60),
    port=st.integers(0, 65_535),
)
def test_any_exception_and_any_host_have_an_answer(no_proxy, host, port):
    """A typo in the environment must not end a call."""
    assert _is_direct(no_proxy, host, port) in (True, False)
