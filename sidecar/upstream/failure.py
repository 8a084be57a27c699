"""What a failed attempt means: whether another candidate may be tried, and what becomes of the
candidate and of the session's pin. Pure.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import enum
import re
from typing import Final

import msgspec

from sidecar.domain.call import RawHeaders
from sidecar.domain.errors import (
    AppTimeout,
    ConnectFailed,
    ResponseTimeout,
    UpstreamError,
    UpstreamTimeout,
)
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.error_body import ErrorBody, read_error_body
from sidecar.upstream.reasons import (
    names_other_model,
    names_overload,
    names_rate_limit,
    reason_of,
    reason_of_server_error,
)

_RETRY_AFTER_AT_MOST_S: Final = 300.0
_RETRY_AFTER_LENGTHS: Final = (len(b"retry-after"), len(b"retry-after-ms"))
_NUMBER: Final = re.compile(rb"\d{1,12}(?:\.\d{0,12})?")


class Penalty(enum.StrEnum):
    """What becomes of the candidate."""

    NONE = "none"
    COOL = "cool"
    """Last in plans until its Retry-After, or some seconds, have passed."""
    COOL_ON_EVIDENCE = "cool_on_evidence"
    """As COOL, once failures of different calls show that no single request is their cause."""
    EJECT = "eject"
    """Last in plans until the config is reloaded, or for minutes: a person has to mend it."""


class PinEffect(enum.StrEnum):
    """What becomes of the session's pin if another candidate serves the call."""

    UNTOUCHED = "untouched"
    AWAY = "away"
    """The session is served elsewhere for a while."""
    MOVES = "moves"
    """The session belongs to the candidate that served it."""
    FOLLOWS = "follows"
    """The session belongs to the candidate that served it, but a return home that was refused only
    counts as failed: home is no worse for the session's later calls.
    """


class Failure(msgspec.Struct, frozen=True):
    """What one failed attempt means."""

    failure_class: FailureClass
    may_try_next: bool
    """Whether another candidate may be tried, if one is left and nothing was sent to the app."""
    penalty: Penalty
    pin: PinEffect
    retry_after_s: float | None = None
    """How long the provider asks to be left alone, at most 300; None where it does not say."""
    needs_alert: bool = False
    """Whether somebody has to mend the config or the account."""
    tries_again: bool = False
    """Whether the candidate itself is tried once more, with the key that its file holds now. Such
    an attempt is not counted among those that a call may make.
    """


_CALLERS_FAULT: Final = Failure(
    FailureClass.CALLERS_FAULT, False, Penalty.NONE, PinEffect.UNTOUCHED
)
_CONTENT_POLICY: Final = Failure(
    FailureClass.CONTENT_POLICY, False, Penalty.NONE, PinEffect.UNTOUCHED
)
_CALLERS_CREDENTIAL: Final = Failure(
    FailureClass.CALLERS_CREDENTIAL, False, Penalty.NONE, PinEffect.UNTOUCHED
)
_TOO_LONG: Final = Failure(FailureClass.TOO_LONG, True, Penalty.NONE, PinEffect.MOVES)
_OUR_CREDENTIAL: Final = Failure(
    FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY, needs_alert=True
)
_QUOTA: Final = Failure(FailureClass.QUOTA, True, Penalty.EJECT, PinEffect.AWAY, needs_alert=True)
_MODEL_GONE: Final = Failure(
    FailureClass.MODEL_GONE, True, Penalty.EJECT, PinEffect.MOVES, needs_alert=True
)
_SIGNED_STATE: Final = Failure(FailureClass.SIGNED_STATE, True, Penalty.NONE, PinEffect.FOLLOWS)
_REFUSED: Final = Failure(FailureClass.REFUSED, True, Penalty.NONE, PinEffect.UNTOUCHED)
_FILTERED: Final = Failure(FailureClass.REFUSED, True, Penalty.NONE, PinEffect.MOVES)
"""The session's next calls would be filtered likewise."""
_BUSY: Final = Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY)
_NO_DESCRIPTOR_LEFT: Final = Failure(FailureClass.BUSY, True, Penalty.NONE, PinEffect.UNTOUCHED)
"""This process has none: another candidate may have a connection open."""
_FAILING: Final = Failure(FailureClass.FAILING, True, Penalty.COOL_ON_EVIDENCE, PinEffect.AWAY)
_TIMED_OUT: Final = Failure(FailureClass.FAILING, True, Penalty.COOL_ON_EVIDENCE, PinEffect.MOVES)
"""The session does not come back: each return might make its app wait as long again."""
_FAILING_TOO_LATE: Final = Failure(
    FailureClass.FAILING, False, Penalty.COOL_ON_EVIDENCE, PinEffect.AWAY
)
_SWAPPED: Final = Failure(FailureClass.SWAPPED, True, Penalty.NONE, PinEffect.MOVES)
CALLERS_PATIENCE: Final = Failure(
    FailureClass.CALLERS_PATIENCE, False, Penalty.NONE, PinEffect.UNTOUCHED
)
"""The app left, or its own timeout ended too soon to say anything about the candidate."""

_OF_STATUS: Final = {
    401: _OUR_CREDENTIAL,
    402: _QUOTA,
    403: _REFUSED,
    429: _BUSY,
    503: _BUSY,
    529: _BUSY,
}
"""What a reply means whose body names no reason. Others: the caller's fault, or a failing candidate
where it is the server's.
"""

_OF_REASON: Final = {
    each.failure_class: each
    for each in (
        *(_SIGNED_STATE, _CONTENT_POLICY, _QUOTA, _TOO_LONG),
        *(_FILTERED, _MODEL_GONE, _OUR_CREDENTIAL),
    )
}

_IN_THE_CALLERS_NAME: Final = {
    FailureClass.OUR_CREDENTIAL: _CALLERS_CREDENTIAL,
    FailureClass.REFUSED: _CALLERS_CREDENTIAL,
    FailureClass.BUSY: _CALLERS_CREDENTIAL,
    FailureClass.QUOTA: _CALLERS_CREDENTIAL,
    FailureClass.MODEL_GONE: Failure(FailureClass.MODEL_GONE, True, Penalty.NONE, PinEffect.MOVES),
}
"""What a refusal means where credential and account are the caller's: it says nothing about any
other caller's calls.
"""


def classify_reply(
    status: int,
    body: bytes,
    headers: RawHeaders,
    now_unix_s: float,
    *,
    passthrough_auth: bool,
    upstream_model: str = "",
) -> Failure:
    """Return what a provider's error reply means.

    Args: ``status`` is 400 or above. ``body`` is as much as was read of it; where it names no
        reason, the status alone counts. ``passthrough_auth`` says that the credential, and so the
        account behind it, is the caller's. ``upstream_model`` is the model that was sent; empty
        where only the sidecar can have named one.
    """
    if status >= 500 or status == 408:
        reason = reason_of_server_error(body)
        failure = _OF_STATUS.get(status, _FAILING) if reason is None else _OF_REASON[reason]
    else:
        error = read_error_body(body)
        failure = _of_refusal(status, error)
        is_gone = failure.failure_class is FailureClass.MODEL_GONE
        if passthrough_auth or (is_gone and names_other_model(error, upstream_model)):
            failure = _in_the_callers_name(failure)
    wait_s = retry_after_s(headers, now_unix_s)
    return failure if wait_s is None else msgspec.structs.replace(failure, retry_after_s=wait_s)


def classify_error(error: UpstreamError, *, failover_on_response_timeout: bool = False) -> Failure:
    """Return what it means that a provider sent no reply, or not all of it.

    After a response timeout another candidate is tried only where the provider's entry allows it:
    the work may have been done, and would be billed twice.
    """
    if isinstance(error, AppTimeout):
        return CALLERS_PATIENCE
    if isinstance(error, ConnectFailed):
        return _NO_DESCRIPTOR_LEFT if error.is_own_shortage else _BUSY
    if isinstance(error, ResponseTimeout) and failover_on_response_timeout:
        return _TIMED_OUT
    if not error.retryable:
        return _FAILING_TOO_LATE
    return _TIMED_OUT if isinstance(error, UpstreamTimeout) else _FAILING


def classify_body_error(body: bytes, *, passthrough_auth: bool) -> Failure:
    """Return what an error means that came inside a response of status 200: an error object in the
    place of a response, or the data of a stream's error event.

    Args: ``body`` is known to be an error. What cannot be read, or names no other reason, is a
        failing candidate. ``passthrough_auth`` says that the account is the caller's.
    """
    error = read_error_body(body)
    failure = _of_refusal(error.status, error)
    is_overloaded = names_overload(error)
    if failure is _CALLERS_FAULT:
        failure = _BUSY if is_overloaded or names_rate_limit(error) else _FAILING
    if passthrough_auth and not is_overloaded:
        failure = _in_the_callers_name(failure)
    return failure


def with_another_key(failure: Failure) -> Failure:
    """Return what a refusal means whose key was replaced meanwhile: nothing, but that the candidate
    is tried once more.
    """
    return msgspec.structs.replace(
        failure,
        penalty=Penalty.NONE,
        pin=PinEffect.UNTOUCHED,
        needs_alert=False,
        tries_again=True,
    )


def for_swapped(failure: Failure) -> Failure:
    """Return what a reply's failure means where the candidate is not the model that the app asked
    for: a request that it refuses as wrong may suit the next one.
    """
    return _SWAPPED if failure.failure_class is FailureClass.CALLERS_FAULT else failure


def is_curable(status: int) -> bool:
    """Return whether the same call may succeed later. Of several error replies the app gets the
    first such one.
    """
    return status in (408, 429) or status >= 500


def retry_after_s(headers: RawHeaders, now_unix_s: float) -> float | None:
    """Return how long a provider asks to be left alone, above 0 and at most 300 s; None where it
    does not say.

    ``retry-after-ms`` (OpenAI, Azure) goes before ``retry-after`` in seconds or as an HTTP date. Of
    several headers of one name the first counts.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if len(name) in _RETRY_AFTER_LENGTHS:
            found.setdefault(name.lower(), value.strip())
    in_s, in_ms = found.get(b"retry-after", b""), found.get(b"retry-after-ms", b"")
    wait_s = None
    if _NUMBER.fullmatch(in_ms):
        wait_s = float(in_ms) / 1e3
    elif in_s:
        wait_s = float(in_s) if _NUMBER.fullmatch(in_s) else _seconds_until(in_s, now_unix_s)
    return min(wait_s, _RETRY_AFTER_AT_MOST_S) if wait_s is not None and wait_s > 0 else None


def _of_refusal(status: int | None, error: ErrorBody) -> Failure:
    """Return what an error other than a server's means. A body that names its reason goes before a
    status, which is None where neither a reply nor a body tells one.
    """
    reason = reason_of(status, error)
    if reason is not None:
        return _OF_REASON[reason]
    return _CALLERS_FAULT if status is None else _OF_STATUS.get(status, _CALLERS_FAULT)


def _in_the_callers_name(failure: Failure) -> Failure:
    """Return what a refusal means where credential and account are the caller's."""
    return (
        failure
        if failure is _FILTERED
        else _IN_THE_CALLERS_NAME.get(failure.failure_class, failure)
    )


def _seconds_until(value: bytes, now_unix_s: float) -> float | None:
    """Return the seconds until an HTTP date; None where the value is none."""
    try:
        date = email.utils.parsedate_to_datetime(value.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return date.timestamp() - now_unix_s
