"""Certificates for whoever speaks TLS."""

from __future__ import annotations

import pytest

from tests.contract.http1.peer import Certificates
from tests.support.certificates import CertificateAuthority


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA of ours and certificates by it for ``localhost`` and for another name."""
    authority = CertificateAuthority(tmp_path_factory.mktemp("certificates"))
    good = authority.sign("localhost", "DNS:localhost,IP:127.0.0.1", common_name="localhost")
    other = authority.sign("other", "DNS:other.example", common_name="other")
    return Certificates(ca=str(authority.ca), good=str(good), other=str(other))
