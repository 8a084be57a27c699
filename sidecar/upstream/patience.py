"""How long one attempt may take, given how long the app will wait. Pure; time is passed in."""

from __future__ import annotations

from typing import Final

from sidecar.domain.call import Call
from sidecar.domain.errors import (
    AppTimeout,
    ConnectTimeout,
    FirstByteTimeout,
    ResponseTimeout,
    UpstreamError,
    UpstreamTimeout,
)
from sidecar.http1.origin import ExchangeTimeouts

LEAST_EVIDENCE_S: Final = 10.0
"""An attempt that the app's own timeout ended sooner says nothing about the candidate. While
another candidate is left, an attempt gets at least so long.
"""
_LEAST_TIMEOUT_S: Final = 0.001
"""For an app whose time is up already: a moment. Zero would mean no timeout at all."""


def attempt_timeouts(
    own: ExchangeTimeouts, call: Call, now_s: float, *, may_go_on: bool
) -> ExchangeTimeouts:
    """Return the timeouts of an attempt that begins now, for an app that says how long it will
    wait.

    That shortens the provider's ``own``. What the app says in ``x-plano-timeout-ms``, which no SDK
    sets by itself, also lengthens the time for a stream's first byte.

    Args: ``may_go_on`` is whether another candidate would be tried after a timeout: half of what
        is left of the app's time is kept for it.
    """
    left_s = call.admitted_s + (call.client_timeout_s or 0.0) - now_s
    given_s = max(_LEAST_TIMEOUT_S, left_s)
    if may_go_on:
        given_s = min(given_s, max(0.5 * given_s, LEAST_EVIDENCE_S))
    first_byte_s, response_s = own.first_byte_s, own.response_s
    if first_byte_s is not None:
        first_byte_s = min(max(first_byte_s, call.plano_timeout_s or 0.0), given_s)
    return ExchangeTimeouts(
        connect_s=min(own.connect_s, given_s),
        first_byte_s=first_byte_s,
        response_s=None if response_s is None else min(response_s, given_s),
        idle_s=own.idle_s,
    )


def apps_timeout(
    error: BaseException, own: ExchangeTimeouts, given: ExchangeTimeouts
) -> AppTimeout | None:
    """Return what an attempt failed by if that is that the app would not wait for 10 s; None where
    it failed by anything else.

    Args: ``own`` are the provider's timeouts, ``given`` those of the attempt.
    """
    own_s = given_s = None
    if isinstance(error, ConnectTimeout):
        own_s, given_s = own.connect_s, given.connect_s
    elif isinstance(error, FirstByteTimeout):
        own_s, given_s = own.first_byte_s, given.first_byte_s
    elif isinstance(error, ResponseTimeout):
        own_s, given_s = own.response_s, given.response_s
    if own_s is None or given_s is None or given_s >= min(own_s, LEAST_EVIDENCE_S):
        return None
    assert isinstance(error, UpstreamError)  # each of these is one
    late = AppTimeout("the app's own timeout ended")
    late.sends = error.sends
    return late


def timeout_of(
    error: UpstreamError, own: ExchangeTimeouts, given: ExchangeTimeouts, *, is_foreign: bool
) -> UpstreamTimeout | None:
    """Return what an attempt failed by, where that is another timeout than it was noticed by: the
    app's, or that of a whole response. None where it is not.

    Args: as of `apps_timeout`; ``is_foreign`` is whether the call is passed through: until such a
        response begins the time for a whole one runs, since nobody knows whether it is a stream.
    """
    late = apps_timeout(error, own, given)
    if late is not None or not (is_foreign and isinstance(error, FirstByteTimeout)):
        return late
    whole = ResponseTimeout(error.message)
    whole.sends = error.sends
    return whole
