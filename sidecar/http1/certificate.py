"""What an upstream's certificate says: when it begins and ends to be valid, and how TLS is spoken.

Where a certificate is refused for its dates, OpenSSL does not say which these are, and hands the
certificate out only after a handshake that ended well. The dialer therefore makes one more
handshake that trusts nothing and sends nothing, and reads the dates there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import Iterator
from typing import Final

import msgspec

NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
"""OpenSSL's X509_V_ERR numbers."""

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_FORMATS: Final = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
_FIELDS_BEFORE_DATES: Final = 3
"""Serial number, signature algorithm and issuer: RFC 5280, 4.1."""


class Validity(msgspec.Struct, frozen=True):
    """From when to when a certificate is valid, in seconds of Unix time."""

    begins_unix_s: float
    ends_unix_s: float


class TlsFacts(msgspec.Struct, frozen=True):
    """How an upstream speaks TLS."""

    version: str
    """As OpenSSL names it: ``TLSv1.3``."""
    expires_unix_s: float | None
    """When its certificate ends to be valid; None where that cannot be read."""


class CertificateOutOfDate(ssl.SSLCertVerificationError):
    """A certificate that was refused for its dates, with the day that it fails by."""

    def __init__(self, refusal: ssl.SSLCertVerificationError, day: dt.date) -> None:
        super().__init__(*refusal.args)
        self.verify_code = refusal.verify_code
        self.verify_message = refusal.verify_message
        self.day = day
        """In UTC: the last one, or the first one, on which it is valid."""


def tls_facts(transport: asyncio.BaseTransport | None) -> TlsFacts | None:
    """Return how TLS is spoken over a connected transport; None where it is not."""
    spoken = None if transport is None else transport.get_extra_info("ssl_object")
    if spoken is None:
        return None
    validity = validity_of(spoken.getpeercert(True) or b"")
    return TlsFacts(spoken.version() or "TLS", None if validity is None else validity.ends_unix_s)


def out_of_date(
    refusal: ssl.SSLCertVerificationError, validity: Validity | None, now_unix_s: float
) -> CertificateOutOfDate | None:
    """Return a refusal with its day; None where the certificate's own dates are not why it was
    refused, but those of its issuer's.
    """
    if validity is None:
        return None
    if refusal.verify_code == EXPIRED and validity.ends_unix_s < now_unix_s:
        return CertificateOutOfDate(refusal, _day(validity.ends_unix_s))
    if refusal.verify_code == NOT_YET_VALID and validity.begins_unix_s > now_unix_s:
        return CertificateOutOfDate(refusal, _day(validity.begins_unix_s))
    return None


def trusting_context() -> ssl.SSLContext:
    """Make a context that trusts any certificate, to look at one. Nothing may be sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def validity_of(certificate: bytes) -> Validity | None:
    """Return the dates of a DER certificate; None where it cannot be read.

    Source: RFC 5280, 4.1.
    """
    try:
        (_, body), *_ = _elements(certificate)
        (_, signed), *_ = _elements(body)
        fields = [each for each in _elements(signed) if each[0] != _VERSION]
        kind, dates = fields[_FIELDS_BEFORE_DATES]
        begins, ends = _elements(dates)
        return Validity(_unix_s(*begins), _unix_s(*ends)) if kind == _SEQUENCE else None
    except (ValueError, LookupError):
        return None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element of DER. Raises: ValueError, IndexError."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("an element is longer than what holds it")
        yield tag, data[at : at + length]
        at += length


def _unix_s(tag: int, text: bytes) -> float:
    """Raises: ValueError, LookupError."""
    moment = dt.datetime.strptime(text.decode("ascii"), _FORMATS[tag]).replace(tzinfo=dt.UTC)
    return moment.timestamp()


def _day(unix_s: float) -> dt.date:
    return dt.datetime.fromtimestamp(unix_s, dt.UTC).date()
