"""Which reason an error body names for a refusal, by the tables of wordings. Pure."""

from __future__ import annotations

import re
from typing import Final

from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream import account_wordings as accounts
from sidecar.upstream import error_wordings as calls
from sidecar.upstream.error_body import ErrorBody, normalized, read_text

_WHATEVER_THE_STATUS: Final = (
    (calls.SIGNED_STATE, FailureClass.SIGNED_STATE),
    (calls.CONTENT_POLICY, FailureClass.CONTENT_POLICY),
    (accounts.QUOTA, FailureClass.QUOTA),
)
"""In the order in which they are looked for."""

_KEY_IS_BAD_STATUSES: Final = frozenset((None, 400, 403))
"""With these a body may say that the key is bad."""

_NUMBERS_CHARS: Final = 4096
"""Limits are looked for in the beginning of a message."""
_LIMIT_AND_REQUESTED: Final = re.compile(
    r"\blimit:? (\d{1,12})\b[^.]{0,80}?\brequested:? (\d{1,12})\b"
)

_SERVER_ERROR_HINT: Final = re.compile(
    rb"signature|encrypted|thinking|reasoning|item|bound|endpoints", re.IGNORECASE
)
"""Without one of these no server error names a reason: most are read no further."""


def reason_of(status: int | None, error: ErrorBody) -> FailureClass | None:
    """Return the reason that an error body names; None where it names none.

    Args: ``status`` is the reply's, of 4xx; of an error inside a 200 the one that its body names,
        or None.
    """
    for wording, reason in _WHATEVER_THE_STATUS:
        if wording.is_in(error):
            return reason
    if _names_length(status, error):
        return FailureClass.TOO_LONG
    if calls.FILTERED.is_in(error):
        return FailureClass.REFUSED
    if accounts.MODEL_GONE.is_in(error):
        return FailureClass.MODEL_GONE
    if status == 404 and accounts.MODEL_GONE_404.is_in(error):
        return FailureClass.MODEL_GONE
    return FailureClass.OUR_CREDENTIAL if _names_bad_key(status, error) else None


def names_other_model(error: ErrorBody, upstream_model: str) -> bool:
    """Return whether an error says of another model than the one that was sent that it is gone: of
    one that the caller named elsewhere in its body.
    """
    return normalized(upstream_model) not in error.text and accounts.OF_A_MODEL.is_in(error)


def reason_of_server_error(body: bytes) -> FailureClass | None:
    """Return the reason that a server error, of 5xx, names; None where it is just that."""
    if _SERVER_ERROR_HINT.search(body) is None:
        return None
    error = read_text(body)
    if calls.SIGNED_STATE.is_in(error):
        return FailureClass.SIGNED_STATE
    return FailureClass.REFUSED if calls.FILTERED.is_in(error) else None


def names_overload(error: ErrorBody) -> bool:
    """Return whether an error inside a 200 says that the server has too much to do."""
    return calls.OVERLOADED.is_in(error) or error.status in (503, 529)


def names_rate_limit(error: ErrorBody) -> bool:
    """Return whether an error inside a 200 says that the account sends too much."""
    return calls.RATE_LIMITED.is_in(error) or error.status == 429


def _names_length(status: int | None, error: ErrorBody) -> bool:
    """Return whether this request alone is more than the model, or a limit, allows. A rate limit
    names lengths too.
    """
    if status == 413 and calls.RATE_LIMITED.is_in(error):
        return True
    if calls.OVER_A_LIMIT.is_in(error) or _asks_over_limit(error.text):
        return True
    return status != 429 and calls.TOO_LONG.is_in(error)


def _asks_over_limit(text: str) -> bool:
    """Return whether a text names a limit and a larger request: "Limit 6000, Requested 7000"."""
    numbers = _LIMIT_AND_REQUESTED.search(text, 0, _NUMBERS_CHARS)
    return numbers is not None and int(numbers[2]) > int(numbers[1])


def _names_bad_key(status: int | None, error: ErrorBody) -> bool:
    if status not in _KEY_IS_BAD_STATUSES or accounts.OF_A_RESOURCE.is_in(error):
        return False
    return accounts.CREDENTIAL.is_in(error)
