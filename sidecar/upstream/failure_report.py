"""What operators are told of a failed attempt: a cause in words, and what to do. Pure.

Nothing that a provider wrote is passed on but its error's code and its request id, and those only
where they look like one: whatever else it wrote may hold a prompt or a key.
"""

from __future__ import annotations

import json
import re
from typing import Final

from sidecar.config.providers import Provider
from sidecar.domain.errors import (
    AppTimeout,
    ConnectStage,
    ConnectTimeout,
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamError,
)
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import FailureClass
from sidecar.http1.cause import cause_of
from sidecar.http1.dialer import ProxyRefused
from sidecar.runtime.hosts import host_port
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.failure import Failure
from sidecar.wire.provider_ids import provider_request_id

HowItFailed = UpstreamError | BufferedReply | bytes
"""Without a reply, by a reply that is an error, or by an error event's data inside a stream."""

_CODE: Final = re.compile(r"[A-Za-z]+(?:[_.][A-Za-z]+)*")
_CODE_CHARS: Final = 48

_OF_CLASS: Final = {
    FailureClass.OUR_CREDENTIAL: "credential refused",
    FailureClass.QUOTA: "quota or credit used up",
    FailureClass.MODEL_GONE: "model not known there",
}
_LATE_AT: Final[dict[ConnectStage | None, str]] = {
    ConnectStage.NAME: ": the name server is silent",
    ConnectStage.PROXY: ": the proxy is silent",
    ConnectStage.TLS: ": TLS is not answered",
}
"""What a connection waited for that did not come about in time, where that is worth a word."""
TO_DO: Final = {
    FailureClass.OUR_CREDENTIAL: "put a valid key into access_key; one in a file is read again",
    FailureClass.QUOTA: "raise the account's limit or add credit",
    FailureClass.MODEL_GONE: "check the model's name and the account's access to it",
}
"""What a person can do about a failure that only a person can mend."""


def report_failure(failure: Failure, provider: Provider, what: HowItFailed) -> FailureReport:
    """Return what an operator is told of a failed attempt at an entry."""
    server = provider.server
    place, to_do = host_port(server.host, server.port), TO_DO.get(failure.failure_class)
    if isinstance(what, UpstreamError):
        return FailureReport(place, _cause_of_error(what, provider), to_do=to_do)
    status, request_id = 200, None
    if isinstance(what, bytes):
        body = what
    else:
        status, body = what.status, what.error or what.beginning
        request_id = provider_request_id(what.headers)
    cause = _OF_CLASS.get(failure.failure_class)
    if cause is None and status < 400:
        cause = "an error inside a response of status 200"
    elif cause is None:
        cause = "rate limit reached (429)" if status == 429 else f"status {status}"
    return FailureReport(place, cause, status, _code_in(body), request_id, to_do)


def _cause_of_error(error: UpstreamError, provider: Provider) -> str:
    timeouts = provider.timeouts
    for kind, words, seconds, key in (
        (ConnectTimeout, "no connection", timeouts.connect_s, "connect_s"),
        (FirstByteTimeout, "no byte", timeouts.first_byte_s, "first_byte_s"),
        (ResponseTimeout, "no whole response", timeouts.response_s, "response_s"),
        (StreamIdleTimeout, "no byte of a stream", timeouts.stream_idle_s, "stream_idle_s"),
    ):
        if isinstance(error, kind):
            late_at = _LATE_AT.get(error.stage, "") if isinstance(error, ConnectTimeout) else ""
            return f"{words} within {seconds:g} s (timeouts.{key}){late_at}"
    if isinstance(error, AppTimeout):
        return "the app's own timeout ended"
    if isinstance(error.__cause__, ProxyRefused):
        return str(error.__cause__)  # our own words
    return cause_of(error)


def _code_in(body: bytes) -> str | None:
    """Return the code, or else the type, of an error object; None where there is none that looks
    like a code.
    """
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(decoded, list) and decoded:  # Gemini
        decoded = decoded[0]
    error = decoded.get("error") if isinstance(decoded, dict) else None
    for holder in (error, decoded):
        if isinstance(holder, dict):
            for name in ("code", "status", "type"):
                value = holder.get(name)
                if isinstance(value, str) and len(value) <= _CODE_CHARS and _CODE.fullmatch(value):
                    return value
    return None
