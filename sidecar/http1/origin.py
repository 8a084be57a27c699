"""Where an upstream is, how long an exchange with it may take, and how TLS trusts it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final, final

from sidecar.runtime.hosts import host_port


@final
@dataclass(init=False, unsafe_hash=True)
class Origin:
    """Where an upstream is."""

    scheme: Final[str]
    host: Final[str]
    port: Final[int]
    server_name: Final[str | None]
    """For SNI and verification, where it is not ``host``."""

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        server_name: str | None = None,
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.server_name = server_name

    @property
    def place(self) -> str:
        """``host:port``, as errors name it."""
        return host_port(self.host, self.port)


@final
@dataclass(init=False, unsafe_hash=True)
class ExchangeTimeouts:
    """How long one exchange may take. None: for ever."""

    connect_s: Final[float]
    """Name, TCP and TLS together."""
    first_byte_s: Final[float | None]
    """From sending to the end of the response's head."""
    response_s: Final[float | None]
    """From sending to the response's last byte."""
    idle_s: Final[float | None]
    """A read of the body that brings nothing."""

    def __init__(
        self,
        connect_s: float,
        first_byte_s: float | None = None,
        response_s: float | None = None,
        idle_s: float | None = None,
    ) -> None:
        self.connect_s = connect_s
        self.first_byte_s = first_byte_s
        self.response_s = response_s
        self.idle_s = idle_s


def make_ssl_context(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """Make a client context: TLS 1.2 or later, certificate and host name verified, HTTP/1.1 by
    ALPN. A host name counts where it stands in subjectAltName (RFC 9525, 2), not as a common name.

    Args: ``ca_file`` is a PEM bundle that is trusted instead of the system's; without it OpenSSL's
    default places count, which ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` move. ``cert_file`` and
    ``key_file`` are shown to an upstream that asks for a client certificate; one file may hold
    both.
    Raises: OSError (ssl.SSLError too) if a file cannot be used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if cert_file is not None:
        # Without a password of our own OpenSSL would ask the terminal for one, and wait.
        context.load_cert_chain(cert_file, key_file, password="")
    return context
