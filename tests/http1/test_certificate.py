"""Dates of certificates, as they are read from any bytes. No socket."""

from __future__ import annotations

import ssl

import pytest

from sidecar.http1.certificate import (
    EXPIRED,
    NOT_YET_VALID,
    Validity,
    out_of_date,
    tls_facts,
    trusting_context,
    validity_of,
)
from tests.support.certificates import CertificateAuthority

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> bytes:
    """A real one, DER, valid for two days."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("ca"))
    return ssl.PEM_cert_to_DER_cert(authority.ca.read_text())


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def a_certificate(*dates: bytes) -> bytes:
    """The least that has dates, without the version, as X.509 v1 has it."""
    filler = element(2, b"x")
    return element(0x30, element(0x30, filler, filler, filler, element(0x30, *dates)))


def refusal(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "refused")
    error.verify_code, error.verify_message = code, "refused"
    return error


def test_the_dates_of_a_real_certificate_are_read(certificate):
    """Its authority made it for two days."""
    validity = validity_of(certificate)

    assert validity is not None
    assert 2 * DAY_S == validity.ends_unix_s - validity.begins_unix_s


def test_both_forms_of_a_date_are_read():
    """Two digits for the year up to 2049, four from then on: RFC 5280, 4.1.2.5."""
    early, late = element(0x17, b"261127120000Z"), element(0x18, b"20500101000000Z")

    assert Validity(1795780800.0, 2524608000.0) == validity_of(a_certificate(early, late))


def test_no_bytes_raise(certificate):
    """They are the other side's: cut anywhere, or of another kind, there are no dates in them."""
    date = element(0x17, b"261127120000Z")
    others = [
        b"\x00" * 40,
        b"\x30\x80",
        a_certificate(),
        a_certificate(date),
        a_certificate(date, element(0x17, b"next summer")),
        a_certificate(date, element(0x17, b"\xff\xfe")),
        a_certificate(date, element(0x02, b"261127120000Z")),
        element(0x30, element(0x30, *[element(2, b"x")] * 4)),
    ]

    assert {None} == {validity_of(each) for each in others}
    assert {None} == {validity_of(certificate[:size]) for size in range(len(certificate) - 1)}


@pytest.mark.parametrize(
    ("code", "now_s", "day"),
    [
        (EXPIRED, 11 * DAY_S, "1970-01-11"),
        (EXPIRED, 9 * DAY_S, None),
        (NOT_YET_VALID, 1 * DAY_S, "1970-01-06"),
        (NOT_YET_VALID, 6 * DAY_S, None),
        (62, 11 * DAY_S, None),
    ],
)
def test_a_day_is_named_only_where_it_is_why(code, now_s, day):
    """An issuer's certificate may be the one that expired: the dates of the other are no reason."""
    dated = out_of_date(refusal(code), Validity(5 * DAY_S, 10 * DAY_S), now_s)

    assert day == (None if dated is None else dated.day.isoformat())
    assert dated is None or (code, "refused") == (dated.verify_code, dated.verify_message)


def test_a_certificate_that_cannot_be_read_gives_no_day():
    """The refusal stands as it is."""
    assert out_of_date(refusal(EXPIRED), None, 0.0) is None


class _Spoken:
    def version(self) -> None:
        return None

    def getpeercert(self, binary_form: bool) -> None:
        return None


class _Transport:
    def __init__(self, spoken: object) -> None:
        self._spoken = spoken

    def get_extra_info(self, name: str) -> object:
        return self._spoken


def test_plain_http_has_no_facts_of_tls():
    """And TLS whose certificate cannot be had still has them."""
    assert tls_facts(None) is None
    assert tls_facts(_Transport(None)) is None  # type: ignore[arg-type]
    facts = tls_facts(_Transport(_Spoken()))  # type: ignore[arg-type]
    assert facts is not None
    assert ("TLS", None) == (facts.version, facts.expires_unix_s)


def test_a_look_trusts_everything():
    """It sends nothing, so that nothing can be read by the wrong one."""
    context = trusting_context()

    assert (ssl.CERT_NONE, False) == (context.verify_mode, context.check_hostname)
