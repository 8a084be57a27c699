"""What operators are told of a failed attempt."""

from __future__ import annotations

import json

import pytest

from sidecar.config.address import Server
from sidecar.config.providers import Timeouts
from sidecar.domain import errors
from sidecar.domain.vocabulary import FailureClass
from sidecar.http1.dialer import ProxyRefused
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.failure import Failure, Penalty, PinEffect
from sidecar.upstream.failure_report import report_failure
from tests.support.providers import a_provider

PROVIDER = a_provider(
    "openai/gpt-4o",
    server=Server("http", "::1", 8000, "[::1]:8000"),
    timeouts=Timeouts(2.0, 300.0, 600.0, 300.0),
)


def _failure(of):
    return Failure(of, True, Penalty.COOL, PinEffect.AWAY)


def _reply(status, body=b"", headers=(), error=None):
    reply = BufferedReply.__new__(BufferedReply)
    reply.status, reply.beginning, reply.headers, reply.error = status, body, headers, error
    return reply


def _report(of, what, provider=PROVIDER):
    return report_failure(_failure(of), provider, what)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (errors.ConnectTimeout("x"), "no connection within 2 s (timeouts.connect_s)"),
        (errors.FirstByteTimeout("x"), "no byte within 300 s (timeouts.first_byte_s)"),
        (errors.ResponseTimeout("x"), "no whole response within 600 s (timeouts.response_s)"),
        (errors.StreamIdleTimeout("x"), "no byte of a stream within 300 s (timeouts.stream_idle_s)"),
        (errors.UpstreamReset("x"), "connection closed before a response"),
        (errors.AppTimeout("x"), "the app's own timeout ended"),
    ],
)  # fmt: skip
def test_a_timeout_is_told_with_its_length_and_its_key(error, cause):
    """So that a person knows what to change, or that it was long enough."""
    report = _report(FailureClass.FAILING, error)

    assert ("[::1]:8000", cause, None) == (report.place, report.cause, report.status)


@pytest.mark.parametrize(
    ("stage", "late_at"),
    [
        (errors.ConnectStage.NAME, ": the name server is silent"),
        (errors.ConnectStage.TCP, ""),
        (errors.ConnectStage.PROXY, ": the proxy is silent"),
        (errors.ConnectStage.TLS, ": TLS is not answered"),
    ],
)
def test_a_connection_that_is_late_says_what_it_waited_for(stage, late_at):
    """Each is mended elsewhere."""
    error = errors.ConnectTimeout("x")
    error.stage = stage
    report = _report(FailureClass.BUSY, error)

    assert f"no connection within 2 s (timeouts.connect_s){late_at}" == report.cause


def test_what_a_proxy_refused_is_told_in_our_own_words():
    """The proxy is the operator's, and so is its credential."""
    error = errors.ConnectFailed("x")
    error.__cause__ = ProxyRefused("the proxy p:3128 wants other credentials (407)")

    assert "the proxy p:3128 wants" in _report(FailureClass.BUSY, error).cause


@pytest.mark.parametrize(
    ("of", "status", "cause"),
    [
        (FailureClass.OUR_CREDENTIAL, 401, "credential refused"),
        (FailureClass.BUSY, 429, "rate limit reached (429)"),
        (FailureClass.FAILING, 500, "status 500"),
        (FailureClass.FAILING, 200, "an error inside a response of status 200"),
    ],
)
def test_a_refusal_is_told_by_what_it_means(of, status, cause):
    """And what a person has to do, where only a person can mend it."""
    report = _report(of, _reply(status))

    assert (cause, status) == (report.cause, report.status)
    assert (of is FailureClass.OUR_CREDENTIAL) == (report.to_do is not None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "invalid_api_key", "type": "x"}}, "invalid_api_key"),
        ({"type": "error", "error": {"type": "authentication_error"}}, "authentication_error"),
        ({"error": {"code": 403, "status": "PERMISSION_DENIED"}}, "PERMISSION_DENIED"),
        ({"error": "text", "code": "DeploymentNotFound"}, "DeploymentNotFound"),
        ({"error": {"code": "sk-proj-abc123", "type": "the prompt said so"}}, None),
        ({"error": {"code": "a" * 49}}, None),
        ([{"error": {"code": 503, "status": "UNAVAILABLE"}}], "UNAVAILABLE"),
        ([], None),
    ],
)
def test_a_code_is_passed_on_only_where_it_looks_like_one(body, code):
    """A provider may write a key or a prompt into it."""
    assert code == _report(FailureClass.FAILING, _reply(500, json.dumps(body).encode())).code


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 10**5, b"\xff"])
def test_a_body_that_cannot_be_read_has_no_code(body):
    """Also as an event's data in a stream."""
    reports = [_report(FailureClass.FAILING, what) for what in (_reply(500, body), body)]

    assert [(500, None), (200, None)] == [(each.status, each.code) for each in reports]


def test_the_providers_request_id_goes_along():
    """Its support asks for it. What is no id is left out."""
    good = _reply(401, headers=((b"Date", b"x"), (b"X-Request-Id", b"req_0123-A")))
    bad = _reply(401, headers=((b"x-request-id", b"a prompt\nlevel=error"),))

    assert ["req_0123-A", None] == [
        _report(FailureClass.OUR_CREDENTIAL, each).provider_request_id for each in (good, bad)
    ]
