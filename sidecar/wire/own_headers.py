"""Header lines that the sidecar itself writes to the app: one function for each kind of response.

A new header of the sidecar's own is added here and nowhere else. What becomes of a provider's
headers is said by `wire.response_headers.response_lines`; CORS lines are made by `listener.cors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from sidecar.domain.call import Call, RawHeaders
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.errors import (
    ConnectFailed,
    MethodNotAllowed,
    Side,
    SidecarError,
    UpgradeNotServed,
    UpstreamReset,
)

MAX_RETRY_AFTER_S: Final = 60
"""The SDKs ignore a longer Retry-After."""

_SHOULD_RETRY: Final = b"x-should-retry"
_NO_RETRY: Final = b"x-should-retry: false\r\n"
_JSON: Final = b"content-type: application/json\r\n"
_REQUEST_ID: Final = b"x-request-id: %b\r\n"
_LOST_AT_MOST: Final = 16
"""Names of what was lost that are said."""
_LOST_CHARS: Final = 128
"""Of such a name."""
_THOUSANDTHS: Final = tuple(b".%03d" % number for number in range(1000))
_SAFE_IN_NAMES: Final = "".join(chr(code) for code in range(0x20, 0x7F)).replace("%", "")


def served_lines(
    call: Call,
    decision: Decision,
    served_by: Candidate,
    attempts: int,
    routing_s: float,
    upstream_s: float,
) -> bytes:
    """Lines of a response that a provider gave: who served and why, and where the time went.

    Args: ``routing_s`` is the time from admission to the decision, ``upstream_s`` the time from the
    start of the attempt that served to its head.
    """
    # A literal: mypyc joins its pieces at once, where it would ask Python to format a constant.
    lines = (
        b"%bx-request-id: %b\r\nx-plano-attempts: %d\r\n"
        b"server-timing: affinity;dur=%b, routing;dur=%b, upstream;dur=%b\r\n"
    ) % (
        _model_lines(
            served_by.model_name, served_by.provider, decision.route_name, decision.source
        ),
        call.request_id.encode(),
        attempts,
        _milliseconds(decision.affinity_s),
        _milliseconds(routing_s),
        _milliseconds(upstream_s),
    )
    if decision.routing is None or decision.routing.confidence is None:
        return lines
    return lines + b"x-plano-confidence: %.2f\r\n" % decision.routing.confidence


def lost_line(lost: str) -> bytes:
    """Line of a response to a request of which something was left out, or that is itself without
    something that the provider said.

    Args: ``lost`` names it, as `lost_text` does.
    """
    return b"x-plano-lost: %b\r\n" % lost.encode()


def lost_text(names: Sequence[str]) -> str:
    """Return the names of what was lost as one text: each once, and of many, which may be the
    caller's to invent, the first ones.
    """
    shown = [header_text(name[:_LOST_CHARS]) for name in dict.fromkeys(names)]
    return ", ".join(shown[:_LOST_AT_MOST] + ["..."] * (len(shown) > _LOST_AT_MOST))


def translated_line(way: str) -> bytes:
    """Line of a response of a provider that was asked in another API than the app's: from the one
    to the other, ``chat>messages``.
    """
    return f"x-plano-translated: {way}\r\n".encode()


def walked_headers(headers: RawHeaders) -> RawHeaders:
    """Return a provider's headers for an error that is shown after several attempts.

    The sidecar has tried what there is: an SDK's own retries would multiply that. A provider that
    asks for a retry knows of its own attempt only.
    """
    kept = [
        line
        for line in headers
        if len(line[0]) != len(_SHOULD_RETRY) or line[0].lower() != _SHOULD_RETRY
    ]
    return [*kept, (_SHOULD_RETRY, b"false")]


def refused_lines(error: SidecarError, request_id: str) -> list[bytes]:
    """Lines of an error that the sidecar itself replies with."""
    lines = [
        _JSON,
        _REQUEST_ID % request_id.encode(),
        b"x-plano-error: %b\r\n" % error.code.encode(),
    ]
    if not error.app_may_retry or error.candidates > 1:
        # The sidecar has tried what there is: an SDK's own retries would multiply that.
        lines.append(_NO_RETRY)
    elif isinstance(error, UpstreamReset | ConnectFailed):
        # The provider may have begun to work on it: that is the app's to risk, not the sidecar's.
        lines.append(b"x-should-retry: true\r\n")
    if error.retry_after_s is not None:
        lines.append(b"retry-after: %d\r\n" % min(error.retry_after_s, MAX_RETRY_AFTER_S))
    if isinstance(error, MethodNotAllowed):
        lines.append(b"allow: %b\r\n" % error.allow.encode())
    if isinstance(error, UpgradeNotServed):
        lines.append(b"upgrade: HTTP/1.1\r\n")
    if error.side is Side.UPSTREAM:
        lines.append(b"x-plano-attempts: %d\r\n" % error.attempts)
    return lines


def probe_lines(request_id: str) -> list[bytes]:
    """Lines of the empty response to an agent that asks whether its gateway is there."""
    return [_REQUEST_ID % request_id.encode()]


def models_lines(request_id: str) -> list[bytes]:
    """Lines of the list of models, and of one model's description."""
    return [_JSON, _REQUEST_ID % request_id.encode()]


def decision_lines(request_id: str) -> list[bytes]:
    """Lines of a decision that was asked for without a call."""
    return [_JSON, _REQUEST_ID % request_id.encode()]


def header_text(text: str) -> str:
    """Write a name so that it fits into one header line and every client reads it back.

    Printable ASCII stays as it is; every other byte of the name's UTF-8, and ``%``, is
    percent-encoded, so that no name can end a line (RFC 9110, 5.5).
    """
    if text.isascii() and text.isprintable() and "%" not in text:
        return text
    return quote(text, safe=_SAFE_IN_NAMES, errors="replace")


@lru_cache(maxsize=1024)  # bounded: a wildcard's model names are the clients' to invent
def _model_lines(
    model_name: str, provider_name: str, route_name: str | None, source: Source
) -> bytes:
    """Who served and why, made once for all calls of which it is true. A candidate itself is no
    argument: to hash one takes as long as all the rest of the lines.
    """
    route = "" if route_name is None else f"x-plano-route: {header_text(route_name)}\r\n"
    model = f"x-plano-model: {header_text(model_name)}\r\n"
    provider = f"x-plano-provider: {header_text(provider_name)}\r\n"
    return f"{model}{provider}{route}x-plano-source: {source.value}\r\n".encode()


def _milliseconds(seconds: float) -> bytes:
    """Return milliseconds with three decimals. Float formatting takes a third of a microsecond each
    time; a table of the decimals does not.
    """
    microseconds = int(seconds * 1e6 + 0.5)
    return b"%d%b" % (microseconds // 1000, _THOUSANDTHS[microseconds % 1000])
