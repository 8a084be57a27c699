"""Every error that the sidecar raises: its side, its HTTP status, its code, and what may follow.

Rooms translate foreign errors into these once, at their border, with ``raise ... from``;
`listener.rescue` alone turns them into responses. Messages are for the app's developer: they name
what was wrong and never repeat a credential or a prompt.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Side(enum.StrEnum):
    """Who has to act: the app's developer, the sidecar's operator, or the provider."""

    DOWNSTREAM = "downstream"
    SIDECAR = "sidecar"
    UPSTREAM = "upstream"


class SidecarError(Exception):
    """Base of all errors of a call. Raise one of the classes below, not this one."""

    side: ClassVar[Side] = Side.SIDECAR
    status: ClassVar[int] = 500
    """The HTTP status of the response."""
    code: ClassVar[str] = "internal"
    """The error's name in the response body and in ``x-plano-error``."""
    retryable: ClassVar[bool] = False
    """Whether another candidate may serve the call."""
    app_may_retry: ClassVar[bool] = False
    """Whether the same call can succeed later; sent as ``x-should-retry``."""

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """Args: ``param`` is the wrong place in the body; ``retry_after_s`` is sent as a header."""
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.attempts = 1
        """How often the call was sent to candidates; set by `upstream.dispatch`, as the next."""
        self.candidates = 1
        """How many attempts at candidates that were; one that was sent again counts once."""


class DownstreamError(SidecarError):
    """The app sent what cannot be served."""

    side = Side.DOWNSTREAM
    status = 400


class InvalidBody(DownstreamError):
    """The body cannot be decoded, is no object of JSON, or has a wrong field, or one twice."""

    code = "invalid_body"


class InvalidRoutingPreferences(DownstreamError):
    """The ``routing_preferences`` in the body cannot be used; ``param`` names the place."""

    code = "invalid_routing_preferences"


class InvalidHeader(DownstreamError):
    """A session or tenant header cannot be used."""

    code = "invalid_header"


class MalformedRequest(DownstreamError):
    """The request's bytes are not HTTP/1.1 as RFC 9112 defines it."""

    code = "invalid_request"


class DialectNotServed(DownstreamError):
    """No candidate speaks the caller's dialect."""

    code = "dialect_not_served"


class BodyTooLarge(DownstreamError):
    """The body is longer than ``limits.body_bytes``, as it came or decompressed."""

    status = 413
    code = "body_too_large"


class UnsupportedEncoding(DownstreamError):
    """The body is in a content coding that is not read, or in a transfer coding but chunked."""

    status = 415
    code = "unsupported_encoding"


class HeadersTooLarge(DownstreamError):
    """More than 64 KiB of headers, or more than 128 of them."""

    status = 431
    code = "headers_too_large"


class RequestTimeout(DownstreamError):
    """The head or the body took longer than its timeout to arrive."""

    status = 408
    code = "request_timeout"
    app_may_retry = True


class ModelNotFound(DownstreamError):
    """The requested model is not configured."""

    status = 404
    code = "model_not_found"


class PathNotFound(DownstreamError):
    """The path is not served."""

    status = 404
    code = "path_not_found"


class MethodNotAllowed(DownstreamError):
    """The path is served, but not with this method. ``allow`` lists the methods that are."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class UpgradeNotServed(DownstreamError):
    """WebSocket is not served."""

    status = 426
    code = "upgrade_not_served"


class HostRefused(DownstreamError):
    """The request is for a host by which this listener is not called."""

    status = 421
    code = "host_refused"


class OriginRefused(DownstreamError):
    """A web page of an origin that is not allowed called the data port."""

    status = 403
    code = "origin_refused"


class LocalError(SidecarError):
    """The sidecar refuses the call because of its own state."""

    status = 503
    app_may_retry = True


class Overloaded(LocalError):
    """The limit of calls in flight, or of buffered bytes, is reached."""

    code = "overloaded"


class Draining(LocalError):
    """The sidecar is in the last seconds of its shutdown."""

    code = "draining"


class InternalFault(SidecarError):
    """A bug of the sidecar."""

    app_may_retry = True


class UpstreamError(SidecarError):
    """A provider could not be reached, or its response is unusable."""

    side = Side.UPSTREAM
    status = 502
    retryable = True
    app_may_retry = True
    sends = 1
    """How often the request was sent for the attempt that ended so."""


class ConnectFailed(UpstreamError):
    """No connection came about: refused, unreachable, unknown name, or TLS not trusted."""

    status = 503
    code = "upstream_connect_failed"
    is_own_shortage = False  # whether this process had no file descriptor left


class ConnectStage(enum.StrEnum):
    """What there is to do before a request can be sent, in this order."""

    NAME = "name"
    TCP = "tcp"
    PROXY = "proxy"
    """Opening a tunnel through a forward proxy."""
    TLS = "tls"


class ConnectTimeout(ConnectFailed):
    """TCP and TLS together took longer than ``timeouts.connect_s``. The request was not sent."""

    stage: ConnectStage | None = None
    """What was not done in time; None where that is not known."""


class UpstreamTimeout(UpstreamError):
    """The provider took the request and let a timeout pass. A second attempt may be billed too."""

    status = 504
    code = "upstream_timeout"


class FirstByteTimeout(UpstreamTimeout):
    """A stream's first byte did not come within ``timeouts.first_byte_s``."""


class ResponseTimeout(UpstreamTimeout):
    """A response that is not streamed was not complete within ``timeouts.response_s``."""

    retryable = False


class AppTimeout(UpstreamTimeout):
    """The app's own timeout ended, too soon to say anything about the provider."""

    retryable = False


class StreamIdleTimeout(UpstreamTimeout):
    """A started stream was silent for ``timeouts.stream_idle_s``."""

    retryable = False


class UpstreamMalformed(UpstreamError):
    """The response is not HTTP/1.1 (RFC 9112), exceeds a limit, or is a page for a browser."""

    code = "upstream_malformed"


class UpstreamRedirects(UpstreamMalformed):
    """The provider redirects: no SDK follows that with a body."""


class LoopDetected(UpstreamError):
    """The request has come through this very sidecar before: it is a provider of its own."""

    status = 508
    code = "loop_detected"
    app_may_retry = False


class UpstreamReset(UpstreamError):
    """The provider closed the connection before the head of its response was complete."""

    status = 503
    code = "upstream_connect_failed"


class Stale(UpstreamReset):
    """A reused connection was closed before the response began; the work may have begun."""


class Untaken(Stale):
    """The same, and the kernel proves that the provider took no byte of the request."""


class UpstreamCut(UpstreamError):
    """The provider closed the connection inside the body of its response."""

    code = "stream_incomplete"
    retryable = False


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` has one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LoggableError(Exception):
    """Base of errors whose message may be logged: no URL, no credential, nothing of a document."""
