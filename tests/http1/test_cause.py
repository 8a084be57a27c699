"""Why an upstream could not be reached, in words that an operator can act on."""

from __future__ import annotations

import datetime as dt
import errno
import socket
import ssl

import pytest

from sidecar.domain import errors
from sidecar.http1.cause import cause_of, network_cause
from sidecar.http1.certificate import CertificateOutOfDate


def _certificate(code):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "refused"
    return error


def _dated(code):
    return CertificateOutOfDate(_certificate(code), dt.date(2026, 11, 27))


def _tls(reason):
    error = ssl.SSLError(1, "failed")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "phrase"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "x"), "host unreachable"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 101] x"), "connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "name not found"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "name server does not answer"),
        (UnicodeError("label too long"), "name not valid"),
        (_certificate(10), "certificate expired"),
        (_dated(10), "certificate expired on 2026-11-27"),
        (_dated(9), "certificate not valid before 2026-11-27"),
        (_certificate(62), "certificate for another name"),
        (_certificate(20), "certificate of an unknown issuer"),
        (_certificate(1), "certificate not accepted"),
        (_tls("WRONG_VERSION_NUMBER"), "no TLS there"),
        (_tls("TLSV1_ALERT_ACCESS_DENIED"), "TLS refused"),
        (_tls(None), "TLS refused"),
        (OSError("something"), None),
        (OSError(9999, "something"), None),
        (ValueError("sk-secret"), None),
    ],
)  # fmt: skip
def test_what_the_network_says_is_a_phrase(error, phrase):
    """Never a class's name, and never a text of the other side."""
    assert phrase == network_cause(error)


def test_an_error_is_found_behind_those_that_wrap_it():
    """Up to a bound, since a chain may be a circle."""
    inner = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    outer, circle = errors.ConnectFailed("provider:443: no"), ValueError()
    outer.__cause__ = ValueError()
    outer.__cause__.__context__ = inner
    circle.__context__ = RuntimeError()
    circle.__context__.__context__ = circle

    assert ("connection refused", None) == (cause_of(outer), network_cause(circle))


@pytest.mark.parametrize(
    ("error", "phrase"),
    [
        (errors.ConnectTimeout("x"), "no connection in time (timeouts.connect_s)"),
        (errors.FirstByteTimeout("x"), "no byte in time (timeouts.first_byte_s)"),
        (errors.UpstreamReset("x"), "connection closed before a response"),
        (errors.UpstreamRedirects("x"), "a redirect in the place of a response"),
        (errors.UpstreamMalformed("x"), "a response that is no HTTP/1.1, or a page for a browser"),
        (errors.ConnectFailed("x"), "it could not be reached"),
    ],
)
def test_each_error_of_an_exchange_has_a_phrase(error, phrase):
    """By its class, or by what caused it."""
    assert phrase == cause_of(error)
