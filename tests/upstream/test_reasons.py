"""Which reason a body names, where its status decides with it."""

from __future__ import annotations

import pytest

from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.error_body import ErrorBody, read_error_body
from sidecar.upstream.reasons import (
    names_overload,
    names_rate_limit,
    reason_of,
    reason_of_server_error,
)


def said(message: str, code: str = "x") -> ErrorBody:
    return read_error_body(
        b'{"error":{"message":"%b","code":"%b"}}' % (message.encode(), code.encode())
    )


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (429, said("Rate limit: Limit 30000, Used 1, Requested 200"), None),
        (429, said("Rate limit: Limit 30000, Used 1, Requested 30001"), FailureClass.TOO_LONG),
        (429, said("Limit: 5, requested: 5"), None),
        (429, said("maximum context length"), None),
        (429, said("", "context_length_exceeded"), FailureClass.TOO_LONG),
        (400, said("maximum context length"), FailureClass.TOO_LONG),
        (None, said("maximum context length"), FailureClass.TOO_LONG),
        (413, said("", "rate_limit_exceeded"), FailureClass.TOO_LONG),
        (429, said("", "rate_limit_exceeded"), None),
        (404, said("model: claude-x"), FailureClass.MODEL_GONE),
        (400, said("model: claude-x"), None),
        (404, said("Resource not found."), FailureClass.MODEL_GONE),
        (404, said("Resource not found in file x"), None),
        (400, said("API key not valid"), FailureClass.OUR_CREDENTIAL),
        (403, said("API key not valid"), FailureClass.OUR_CREDENTIAL),
        (None, said("API key not valid"), FailureClass.OUR_CREDENTIAL),
        (404, said("API key not valid"), None),
        (403, said("The caller has no right", "permission_denied"), FailureClass.OUR_CREDENTIAL),
        (403, said("CachedContent not found", "permission_denied"), None),
        (403, said("You do not have permission to access the File a", "permission_denied"), None),
        (400, said("nothing of it"), None),
    ],
)  # fmt: skip
def test_a_status_may_decide_with_a_body(status, error, expected):
    """The same words mean something else with another status."""
    assert expected is reason_of(status, error)


def test_a_server_error_is_read_for_signed_state_and_filters_alone():
    """All else its status says."""
    signed = reason_of_server_error(b"Invalid `signature` in `thinking` block")
    filtered = reason_of_server_error(b"No endpoints found that support tool use")

    assert (FailureClass.SIGNED_STATE, FailureClass.REFUSED) == (signed, filtered)
    assert reason_of_server_error(b"an item is bound to fail") is None
    assert reason_of_server_error(b"maximum context length") is None


@pytest.mark.parametrize(
    ("body", "is_overload", "is_rate_limit"),
    [
        (b'{"error":{"type":"overloaded_error"}}', True, False),
        (b'{"error":{"code":529}}', True, False),
        (b'{"error":{"type":"rate_limit_error"}}', False, True),
        (b'{"error":{"code":429}}', False, True),
        (b'{"error":{"type":"api_error"}}', False, False),
    ],
)
def test_two_ways_of_being_busy(body, is_overload, is_rate_limit):
    """One is the server's, the other the account's."""
    error = read_error_body(body)

    assert (is_overload, is_rate_limit) == (names_overload(error), names_rate_limit(error))
