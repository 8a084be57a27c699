"""Why an upstream could not be reached, as a phrase that an operator can act on. Pure."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import Final

from sidecar.domain.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    LoopDetected,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRedirects,
    UpstreamReset,
)
from sidecar.http1.certificate import EXPIRED, NOT_YET_VALID, CertificateOutOfDate

_LINKS: Final = 5
_NUMBER: Final = re.compile(r"\[Errno (\d{1,4})\]|\bError (\d{1,4})\b")
"""Several addresses that fail for several reasons become one error without a number of its own."""

_OF_NUMBER: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ECONNABORTED: "connection reset",
    errno.ETIMEDOUT: "no reply from the network",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EACCES: "not allowed by this machine's network rules",
    errno.EPERM: "not allowed by this machine's network rules",
    errno.EMFILE: "no file descriptor left",
    errno.ENFILE: "no file descriptor left",
    errno.EADDRNOTAVAIL: "no local port left",
}
_OF_CERTIFICATE: Final = {
    NOT_YET_VALID: "certificate not valid yet",
    EXPIRED: "certificate expired",
    18: "certificate signed by itself",
    19: "certificate of an unknown issuer",
    20: "certificate of an unknown issuer",
    21: "certificate of an unknown issuer",
    62: "certificate for another name",
    64: "certificate for another address",
}
"""By OpenSSL's X509_V_ERR numbers."""
_PLAIN_TEXT: Final = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
)
"""OpenSSL's words for bytes that are no TLS."""
_OF_ERROR: Final[tuple[tuple[type[UpstreamError], str], ...]] = (
    (ConnectTimeout, "no connection in time (timeouts.connect_s)"),
    (FirstByteTimeout, "no byte in time (timeouts.first_byte_s)"),
    (ResponseTimeout, "no whole response in time (timeouts.response_s)"),
    (StreamIdleTimeout, "a stream fell silent (timeouts.stream_idle_s)"),
    (UpstreamReset, "connection closed before a response"),
    (LoopDetected, "the request came back to this sidecar"),
    (UpstreamRedirects, "a redirect in the place of a response"),
    (UpstreamMalformed, "a response that is no HTTP/1.1, or a page for a browser"),
    (UpstreamCut, "connection closed inside a response"),
)


def cause_of(error: BaseException) -> str:
    """Return why an exchange failed; never a text that an upstream wrote."""
    for kind, phrase in _OF_ERROR:
        if isinstance(error, kind):
            return phrase
    return network_cause(error) or "it could not be reached"


def network_cause(error: BaseException) -> str | None:
    """Return what the network, the name server or TLS said, also where another error wraps it; None
    where it is none of theirs.
    """
    link: BaseException | None = error
    for _ in range(_LINKS):
        if link is None:
            break
        phrase = _phrase(link)
        if phrase is not None:
            return phrase
        link = link.__cause__ or link.__context__
    return None


def _phrase(error: BaseException) -> str | None:
    if isinstance(error, UnicodeError):
        return "name not valid"
    if not isinstance(error, OSError):
        return None
    if isinstance(error, socket.gaierror):
        is_down = error.errno == socket.EAI_AGAIN
        return "name server does not answer" if is_down else "name not found"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error)
    if isinstance(error, ssl.SSLError):
        is_plain = any(word in str(error.reason) for word in _PLAIN_TEXT)
        return "no TLS there" if is_plain else "TLS refused"
    number = error.errno or _number_in(str(error))
    return None if number is None else _OF_NUMBER.get(number)


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if not isinstance(error, CertificateOutOfDate):
        return _OF_CERTIFICATE.get(error.verify_code, "certificate not accepted")
    is_over = error.verify_code == EXPIRED
    return f"certificate {'expired on' if is_over else 'not valid before'} {error.day.isoformat()}"


def _number_in(text: str) -> int | None:
    found = _NUMBER.search(text[:2000])
    return None if found is None else int(found[1] or found[2])
