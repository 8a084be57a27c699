"""Certificates for whoever speaks TLS."""

from __future__ import annotations

import subprocess

import pytest

from tests.contract.http1.peer import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA of ours and certificates by it for ``localhost`` and for another name, made by
    openssl.
    """
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        "req",
        "-x509",
        *key,
        "-subj",
        "/CN=Test CA",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
    )
    for name, alternatives in (
        ("localhost", "DNS:localhost,IP:127.0.0.1"),
        ("other", "DNS:other.example"),
    ):
        openssl(
            "req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"
        )
        (folder / f"{name}.ext").write_text(
            f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n"
        )
        issuer = (
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            f"{name}.ext",
            "-days",
            "2",
        )
        openssl("x509", "-req", "-in", f"{name}.csr", *issuer, "-out", f"{name}.crt")
        pem = (folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text()
        (folder / f"{name}.pem").write_text(pem)
    return Certificates(
        ca=str(folder / "ca.pem"),
        good=str(folder / "localhost.pem"),
        other=str(folder / "other.pem"),
    )
