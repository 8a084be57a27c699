"""A certificate authority of the tests' own, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
# Python 3.13 verifies as RFC 5280 has it: key usage of the CA and key identifiers have to be there.
_CA_EXTENSIONS = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
_EXTENSIONS = "basicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"


class CertificateAuthority:
    """Signs certificates that Python trusts who trusts ``ca``, a PEM file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self._folder = folder
        out = ("-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")
        self._openssl("req", "-x509", *_NEW_KEY, *out, *_CA_EXTENSIONS)

    def sign(self, name: str, alternatives: str, *, common_name: str, days: int = 2) -> Path:
        """Make a key and a certificate for ``alternatives``, none where that is empty; return the
        PEM file that has both.

        Args: ``name`` is that of the files; negative ``days`` make a certificate that has expired.
        """
        key, request, signed = f"{name}.key", f"{name}.csr", f"{name}.crt"
        subject = f"/CN={common_name}"
        self._openssl("req", *_NEW_KEY, "-subj", subject, "-keyout", key, "-out", request)
        names = f"subjectAltName={alternatives}\n" if alternatives else ""
        (self._folder / f"{name}.ext").write_text(names + _EXTENSIONS)
        issuer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        terms = ("-extfile", f"{name}.ext", "-days", str(days))
        self._openssl("x509", "-req", "-in", request, *issuer, *terms, "-out", signed)
        pem = self._folder / f"{name}.pem"
        pem.write_text((self._folder / key).read_text() + (self._folder / signed).read_text())
        return pem

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)
