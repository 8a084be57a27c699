"""How we trust providers."""

from __future__ import annotations

import ssl


def make_ssl_context(ca_file: str | None = None) -> ssl.SSLContext:
    """A client context: TLS 1.2 or later, certificate and host name verified, HTTP/1.1 by ALPN.

    Args: ``ca_file`` is a PEM bundle that is trusted instead of the system's; without it OpenSSL's default places
    count, which ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` move.
    Raises: OSError (ssl.SSLError too) if the file cannot be used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
