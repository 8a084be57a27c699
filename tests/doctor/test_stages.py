"""How far a connection came, by the error that ended it."""

from __future__ import annotations

import socket
import ssl

import pytest

from sidecar.doctor.findings import Reach, StepState
from sidecar.doctor.stages import reach_of, reached
from sidecar.domain.errors import (
    ConnectFailed,
    ConnectStage,
    ConnectTimeout,
    ResponseTimeout,
)
from sidecar.http1.dialer import ProxyRefused

OK, FAILED = StepState.OK, StepState.FAILED


def late(stage: ConnectStage | None) -> ConnectTimeout:
    error = ConnectTimeout("x")
    error.stage = stage
    return error


def behind(cause: BaseException) -> ConnectFailed:
    error = ConnectFailed("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reach"),
    [
        (late(ConnectStage.NAME), Reach(dns=FAILED)),
        (late(ConnectStage.TCP), Reach(dns=OK, tcp=FAILED)),
        (late(ConnectStage.PROXY), Reach(dns=OK, tcp=FAILED)),
        (late(ConnectStage.TLS), Reach(dns=OK, tcp=OK, tls=FAILED)),
        (late(None), Reach(dns=StepState.UNKNOWN, tcp=FAILED)),
        (behind(socket.gaierror(-2, "x")), Reach(dns=FAILED)),
        (behind(UnicodeError("x")), Reach(dns=FAILED)),
        (behind(ConnectionRefusedError(111, "x")), Reach(dns=OK, tcp=FAILED)),
        (behind(ProxyRefused("x")), Reach(dns=OK, tcp=FAILED)),
        (behind(ssl.SSLError(1, "x")), Reach(dns=OK, tcp=OK, tls=FAILED)),
        (behind(ValueError()), Reach(dns=StepState.UNKNOWN, tcp=FAILED)),
        (ResponseTimeout("x"), Reach(dns=OK, tcp=OK, tls=OK, http=FAILED)),
    ],
)
def test_the_first_step_that_failed_is_known(error, reach):
    """What comes behind it was not tried."""
    assert reach == reach_of(error, is_tls=True)


def test_plain_http_has_no_step_of_tls():
    """Neither well nor failed."""
    assert Reach(dns=OK, tcp=OK) == reached(is_tls=False)
    assert Reach(dns=OK, tcp=OK, http=FAILED) == reach_of(ResponseTimeout("x"), is_tls=False)


def test_a_chain_of_errors_that_never_ends_is_left():
    """Of circles too something is said."""
    first, second = ValueError(), RuntimeError()
    first.__context__, second.__context__ = second, first

    assert Reach(dns=StepState.UNKNOWN, tcp=FAILED) == reach_of(first, is_tls=True)
