"""How we trust providers, and how they may know us."""

from __future__ import annotations

import ssl

from sidecar.config.tls_files import TlsFiles


def make_ssl_context(files: TlsFiles | None = None) -> ssl.SSLContext:
    """A client context: TLS 1.2 or later, certificate and host name verified, HTTP/1.1 by ALPN.

    Args: ``files.ca_file`` is a PEM bundle that is trusted instead of the system's; without it
    OpenSSL's default places count, which ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` move.
    ``files.cert_file`` and ``files.key_file`` are shown to a provider that asks for a client
    certificate; one file may hold both.
    Raises: OSError (ssl.SSLError too) if a file cannot be used.
    """
    files = files or TlsFiles()
    context = ssl.create_default_context(cafile=files.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if files.cert_file is not None:
        # Without a password of our own OpenSSL would ask the terminal for one, and wait.
        context.load_cert_chain(files.cert_file, files.key_file, password="")
    return context
