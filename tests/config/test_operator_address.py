"""Where the operators' listener may be."""

from __future__ import annotations

import pytest

from sidecar.config.operator_address import (
    OperatorAddress,
    default_operator_address,
    read_operator_address,
)
from tests.config.loading import load, problems

BOTH = ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", OperatorAddress()),
        ("127.0.0.1:9902", OperatorAddress(("127.0.0.1",), 9902)),
        ("127.8.0.1:0", OperatorAddress(("127.8.0.1",), 0)),
        ("[::1]:9902", OperatorAddress(("::1",), 9902)),
        ("localhost:9902", OperatorAddress(BOTH, 9902)),
        ("unix:/run/plano/operators.sock", OperatorAddress(path="/run/plano/operators.sock")),
    ],
)
def test_a_loopback_address_a_socket_or_nothing(text, address):
    """All are inside the pod."""
    assert address == read_operator_address(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be a loopback address with a port"),
        ("9902", "must be a loopback address with a port"),
        ("127.0.0.1", "must be a loopback address with a port"),
        ("1.2.3:1", "must be a loopback address with a port"),
        ("127.0.0.1:65536", "the highest port is 65535"),
        ("0.0.0.0:9902", "for callers inside the pod"),
        ("10.0.0.1:9902", "for callers inside the pod"),
        ("[::]:9902", "for callers inside the pod"),
        ("unix:run/x", "an absolute path"),
        ("unix:/a\0b", "an absolute path"),
        ("unix:/" + "a" * 107, "longer than a socket's path may be (107 bytes)"),
    ],
)
def test_what_other_pods_reach_or_nothing_can_be_is_refused(text, words):
    """What is shown there is for callers inside the pod."""
    said = read_operator_address(text)

    assert words in str(said)


@pytest.mark.parametrize(("admin_port", "port"), [(9901, 9902), (0, 0), (65535, 65536)])
def test_without_one_it_is_the_port_after_the_admin_port(admin_port, port):
    """A free one where that is; whether it can be had turns out when it is bound."""
    assert OperatorAddress(BOTH, port, is_configured=False) == default_operator_address(admin_port)


FORMS = "must be a loopback address with a port, unix:/path, or off"
FOR_WHOM = "what these pages show and change is for callers inside the pod"
PROVIDERS = "model_providers: [{model: openai/a, access_key: k}]\n"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", OperatorAddress(BOTH, 9902, is_configured=False)),
        ("admin: {port: 7001}", OperatorAddress(BOTH, 7002, is_configured=False)),
        ("admin: {operator_address: off}", OperatorAddress()),
        ("admin: {operator_address: 'unix:/x'}", OperatorAddress(path="/x")),
    ],
)
def test_a_config_names_it(text, address):
    """`off` is a word there, not a boolean."""
    assert address == load(PROVIDERS + text).config.admin.operators


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "admin: {operator_address: '0.0.0.0:1'}",
            f"2: admin.operator_address: {FORMS}: {FOR_WHOM}",
        ),
        (
            "admin: {operator_address: '127.0.0.1:9901'}",
            "2: admin.operator_address: is the admin port as well",
        ),
        (
            "admin: {operator_address: 'localhost:12000'}",
            "2: admin.operator_address: is the data port as well",
        ),
    ],
)
def test_a_config_that_names_an_impossible_one_is_told(text, problem):
    """With the key and its line."""
    assert [problem] == problems(PROVIDERS + text)
