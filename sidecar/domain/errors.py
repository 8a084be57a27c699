"""Every error that the sidecar raises: whose side it is on, which status it becomes, whether trying
on can help.

`listener.rescue` is the only reader of ``status``. Messages are for the app's developer: they name
what was wrong and never repeat a credential or a prompt.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Side(enum.StrEnum):
    """Who has to mend it."""

    DOWNSTREAM = "downstream"
    SIDECAR = "sidecar"
    UPSTREAM = "upstream"


class SidecarError(Exception):
    """Base of all. Raise one of the classes below.

    Class attributes: ``side``; ``status`` (HTTP); ``code`` (the contract's, sent as
    ``x-plano-error``); ``proxy_error`` (an RFC 9209 error type, for logs); ``retryable`` (another
    candidate may serve the call).
    """

    side: ClassVar[Side] = Side.SIDECAR
    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    proxy_error: ClassVar[str] = "proxy_internal_error"
    retryable: ClassVar[bool] = False
    app_may_retry: ClassVar[bool] = False
    """Whether the same call can succeed later; decides ``x-should-retry``."""

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.attempts = 1
        """How many candidates were tried; of interest where ``side`` is upstream."""


class DownstreamError(SidecarError):
    """The app sent what cannot be served."""

    side = Side.DOWNSTREAM
    status = 400
    proxy_error = "http_request_error"


class InvalidBody(DownstreamError):
    """Not JSON, not an object, not UTF-8, too deep, or a field that we read has the wrong type or
    stands twice.
    """

    code = "invalid_body"


class InvalidRoutingPreferences(DownstreamError):
    """The inline ``routing_preferences`` cannot be used; ``param`` names the place."""

    code = "invalid_routing_preferences"


class InvalidHeader(DownstreamError):
    """A session or tenant header cannot be used."""

    code = "invalid_header"


class MalformedRequest(DownstreamError):
    """The bytes were not HTTP as RFC 9112 has it."""

    code = "invalid_request"


class DialectNotServed(DownstreamError):
    """No candidate speaks the caller's dialect."""

    code = "dialect_not_served"


class BodyTooLarge(DownstreamError):
    """The body is longer than ``limits.body_bytes``."""

    status = 413
    code = "body_too_large"


class UnsupportedEncoding(DownstreamError):
    """The body is compressed, or in a transfer coding other than chunked."""

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
    proxy_error = "destination_not_found"


class PathNotFound(DownstreamError):
    """No such path."""

    status = 404
    code = "path_not_found"


class MethodNotAllowed(DownstreamError):
    """The path exists, the method does not. ``allow`` lists the ones that do."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class UpgradeNotServed(DownstreamError):
    """WebSocket is not served."""

    status = 426
    code = "upgrade_not_served"


class OriginRefused(DownstreamError):
    """A web page called the pod's model port."""

    status = 403
    code = "origin_refused"


class LocalError(SidecarError):
    """The sidecar refuses for reasons of its own."""

    status = 503
    app_may_retry = True


class Overloaded(LocalError):
    """The limit of calls in flight, or of buffered bytes, is reached."""

    code = "overloaded"
    proxy_error = "connection_limit_reached"


class Draining(LocalError):
    """The last seconds of a shutdown."""

    code = "draining"
    proxy_error = "destination_unavailable"


class InternalFault(SidecarError):
    """Our bug."""

    app_may_retry = True


class UpstreamError(SidecarError):
    """A provider could not be reached, or did not answer as it should."""

    side = Side.UPSTREAM
    status = 502
    retryable = True
    app_may_retry = True


class NoHealthyUpstream(UpstreamError):
    """Every candidate is ejected."""

    status = 503
    code = "no_healthy_upstream"
    proxy_error = "destination_unavailable"
    retryable = False


class ConnectFailed(UpstreamError):
    """No connection: refused, unreachable, unknown name, TLS not trusted, or gone before its first
    byte.
    """

    status = 503
    code = "upstream_connect_failed"
    proxy_error = "connection_refused"


class ConnectTimeout(ConnectFailed):
    """TCP and TLS together took longer than ``connect_s``: the call never left, so it counts as not
    connected.
    """

    proxy_error = "connection_timeout"


class UpstreamTimeout(UpstreamError):
    """The provider accepted the call and then let a timeout pass.

    Not retryable by itself: `upstream.dispatch` knows which timeout it was and whether it would be
    billed twice.
    """

    status = 504
    code = "upstream_timeout"
    proxy_error = "http_response_timeout"


class FirstByteTimeout(UpstreamTimeout):
    """Nothing came within ``first_byte_s`` (streams)."""


class ResponseTimeout(UpstreamTimeout):
    """The answer was not complete within ``response_s`` (calls that are not streamed)."""

    retryable = False


class StreamIdleTimeout(UpstreamTimeout):
    """A started stream fell silent for ``stream_idle_s``."""

    retryable = False


class UpstreamMalformed(UpstreamError):
    """What came back was not HTTP as RFC 9112 has it, or broke a limit."""

    code = "upstream_malformed"
    proxy_error = "http_protocol_error"


class UpstreamReset(UpstreamError):
    """The provider closed the connection before the head of its answer was complete."""

    status = 503
    code = "upstream_connect_failed"
    proxy_error = "connection_terminated"


class Stale(UpstreamReset):
    """A kept connection died before the first byte of the answer: the provider most likely never
    saw the request.
    """


class UpstreamCut(UpstreamError):
    """The provider closed the connection inside the body of its answer."""

    code = "stream_incomplete"
    proxy_error = "http_response_incomplete"
    retryable = False


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` lists all that is wrong with it, one line
    each.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
