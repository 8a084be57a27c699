"""By which hosts the data port may be called, as a config says it."""

from __future__ import annotations

import pytest

from sidecar.config.schema_listeners import OF_THE_HOST, Listener
from tests.config.loading import ONE_PROVIDER, problems


@pytest.mark.parametrize(
    ("listener", "addresses", "hosts"),
    [
        (Listener(), ("127.0.0.1", "::1"), OF_THE_HOST),
        (Listener(), ("127.0.0.5",), OF_THE_HOST),
        (Listener(), ("0.0.0.0",), None),
        (Listener(), ("10.0.0.1",), None),
        (Listener(allow_hosts=()), ("127.0.0.1",), frozenset()),
        (Listener(allow_hosts=("LLM.dev.", "::2")), ("127.0.0.1",), frozenset({"llm.dev", "::2"})),
        (Listener(allow_hosts=("web.svc",)), ("0.0.0.0",), frozenset({"web.svc"})),
    ],
)
def test_on_loopback_few_hosts_may_call_and_elsewhere_those_that_are_listed(
    listener, addresses, hosts
):
    """What counts is where it is bound, which a reload leaves alone."""
    assert hosts == listener.hosts_at(addresses)


@pytest.mark.parametrize("host", ["llm.dev", "10.0.0.1", "::1", "a_b", "llm.dev."])
def test_a_host_is_a_name_or_an_address(host):
    """As it stands in a Host header, brackets left out."""
    assert [] == problems(f"listeners: [{{allow_hosts: ['{host}']}}]\n{ONE_PROVIDER}")


@pytest.mark.parametrize(
    "host", ["llm.dev:12000", "http://llm.dev", "*", "*.dev", "a b", "[::1]", "."]
)
def test_anything_else_is_no_host(host):
    """A port is not asked for, and a pattern is not understood."""
    assert [
        f"1: listeners[0].allow_hosts[0]: '{host}' is not a name or an IP address without a port"
    ] == problems(f"listeners: [{{allow_hosts: ['{host}']}}]\n{ONE_PROVIDER}")
