"""How long an attempt may take for an app that says how long it will wait."""

from __future__ import annotations

import pytest

from sidecar.domain.errors import (
    AppTimeout,
    ConnectTimeout,
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamReset,
)
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.upstream.patience import apps_timeout, attempt_timeouts, timeout_of
from tests.support.values import a_call

STREAM = ExchangeTimeouts(2, 120, None, 30)
WHOLE = ExchangeTimeouts(2, None, 600, None)


@pytest.mark.parametrize(
    ("own", "left_s", "expected"),
    [
        (STREAM, 5.0, ExchangeTimeouts(2, 5.0, None, 30)),
        (WHOLE, 5.0, ExchangeTimeouts(2, None, 5.0, None)),
        (WHOLE, 1.0, ExchangeTimeouts(1.0, None, 1.0, None)),
        (STREAM, 1000.0, STREAM),
        (WHOLE, 1000.0, WHOLE),
        (STREAM, -1.0, ExchangeTimeouts(0.001, 0.001, None, 30)),
    ],
)
def test_the_apps_timeout_shortens_those_of_providers_and_never_lengthens_one(
    own, left_s, expected
):
    """Streams have a first byte and an idle time, whole responses one limit; an app whose time is
    up has a moment left, not for ever.
    """
    call = a_call(admitted_s=990.0, client_timeout_s=10.0 + left_s)

    assert expected == attempt_timeouts(own, call, 1000.0, may_go_on=False)


@pytest.mark.parametrize(
    ("least_s", "plano_s", "may_go_on", "first_byte_s"),
    [
        (300.0, 300.0, False, 300.0),
        (60.0, 300.0, False, 60.0),
        (60.0, 60.0, False, 60.0),
        (300.0, 300.0, True, 150.0),
        (300.0, None, False, 120),
    ],
)
def test_planos_own_header_also_lengthens_the_time_for_a_first_byte(
    least_s, plano_s, may_go_on, first_byte_s
):
    """Within what the app's other headers allow; those lengthen nothing."""
    call = a_call(client_timeout_s=least_s, plano_timeout_s=plano_s)

    given = attempt_timeouts(STREAM, call, 1000.0, may_go_on=may_go_on)
    assert ExchangeTimeouts(2, first_byte_s, None, 30) == given


@pytest.mark.parametrize(
    ("left_s", "given_s"), [(100.0, 50.0), (40.0, 20.0), (19.0, 10.0), (12.0, 10.0), (4.0, 4.0)]
)
def test_half_of_the_apps_time_is_kept_for_another_candidate(left_s, given_s):
    """But an attempt gets 10 s at least, so that its end is evidence."""
    call = a_call(client_timeout_s=left_s)

    assert given_s == attempt_timeouts(STREAM, call, 1000.0, may_go_on=True).first_byte_s


@pytest.mark.parametrize(
    ("error", "own", "given", "expected"),
    [
        (FirstByteTimeout("x"), STREAM, ExchangeTimeouts(2, 9.9, None, 30), True),
        (FirstByteTimeout("x"), STREAM, ExchangeTimeouts(2, 10.0, None, 30), False),
        (FirstByteTimeout("x"), STREAM, ExchangeTimeouts(2, 300, None, 30), False),
        (
            FirstByteTimeout("x"),
            ExchangeTimeouts(2, 5, None, 30),
            ExchangeTimeouts(2, 5, None, 30),
            False,
        ),
        (ResponseTimeout("x"), WHOLE, ExchangeTimeouts(2, None, 0.005, None), True),
        (ResponseTimeout("x"), WHOLE, ExchangeTimeouts(2, None, 11, None), False),
        (ConnectTimeout("x"), WHOLE, ExchangeTimeouts(1.9, None, 1.9, None), True),
        (ConnectTimeout("x"), WHOLE, ExchangeTimeouts(2, None, 3, None), False),
        (UpstreamReset("x"), STREAM, ExchangeTimeouts(1, 1, None, 30), False),
        (FirstByteTimeout("x"), WHOLE, WHOLE, False),
    ],
    ids=[
        "the app would not wait for a stream",
        "it waited for 10 s",
        "it would have waited for longer",
        "the provider's own timeout is as short",
        "the app would not wait for a response",
        "it waited for more than 10 s",
        "nor for a connection",
        "the connection took all of its own time",
        "it was no timeout",
        "it has no such timeout",
    ],
)
def test_what_ends_because_the_app_would_not_wait_says_nothing_of_the_candidate(
    error, own, given, expected
):
    """Else the app that waits for the shortest time would steer all others."""
    error.sends = 2
    late = apps_timeout(error, own, given)

    assert expected == (late is not None)
    assert late is None or late.sends == 2


@pytest.mark.parametrize(
    ("error", "given", "is_foreign", "expected"),
    [
        (FirstByteTimeout("x"), STREAM, False, None),
        (FirstByteTimeout("x"), STREAM, True, ResponseTimeout),
        (StreamIdleTimeout("x"), STREAM, True, None),
        (FirstByteTimeout("x"), ExchangeTimeouts(2, 5, None, 30), True, AppTimeout),
    ],
    ids=["a stream", "passed through", "it has begun", "the app would not wait"],
)
def test_what_is_passed_through_and_does_not_begin_is_late_as_a_whole(
    error, given, is_foreign, expected
):
    """Its time is `timeouts.response_s`, which is what the operator has to know."""
    error.sends = 2
    late = timeout_of(error, STREAM, given, is_foreign=is_foreign)

    assert (expected, 2) == (
        None if late is None else type(late),
        2 if late is None else late.sends,
    )
