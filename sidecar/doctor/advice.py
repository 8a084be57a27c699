"""What a person can do about a connection that failed, by the phrase of its cause. Pure."""

from __future__ import annotations

from typing import Final

import msgspec


class Keys(msgspec.Struct, frozen=True):
    """Where the config, or the environment, says what is connected to."""

    address: str
    """What holds host and port."""
    ca: str
    """What names the CA to trust."""
    certificate: str
    """What names the client certificate to show."""
    name: str
    """What names the host that a certificate is to be for."""


ENTRY: Final = Keys(
    "base_url of this entry",
    "tls.ca_file of this entry, or SSL_CERT_FILE",
    "tls.cert_file of this entry",
    "tls.server_name of this entry",
)
STORE: Final = Keys(
    "routing.session_cache.url",
    "routing.session_cache.tls.ca_file, or SSL_CERT_FILE",
    "routing.session_cache.tls.cert_file",
    "the host of routing.session_cache.url",
)
SOURCE: Final = Keys("url of this source", "SSL_CERT_FILE", "", "the host of its url")
TRACING: Final = Keys(
    "tracing.otlp_endpoint",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "the host of tracing.otlp_endpoint",
)

_ADVICE: Final = (
    ("name server", "Look at the name server of this machine or pod (/etc/resolv.conf)."),
    ("the proxy", "Look at HTTPS_PROXY: its address, its credential, and what it lets through."),
    ("names no file", "Name files that can be read, or unset the variables."),
    ("TLS is not answered", "Something there accepts and does not speak TLS: check {address}."),
    (
        "name not found",
        "Look whether this machine's name server knows the host; else correct {address}.",
    ),
    ("name not valid", "Correct the host in {address}."),
    ("connection refused", "Nothing listens at {place}: start the server, or correct {address}."),
    (
        "no connection",
        (
            "Nothing replies at {place}: a firewall or network policy drops the packets, or "
            "{address} names the wrong host. Where a proxy leads out, set HTTPS_PROXY."
        ),
    ),
    (
        "no reply from the network",
        "Look for a firewall or network policy between here and {place}.",
    ),
    ("host unreachable", "There is no way to {place}: check {address}, and the network policy."),
    ("network unreachable", "There is no way to {place}: check {address}, and this pod's network."),
    ("not allowed by", "A rule of this machine forbids it: look at its network policy."),
    ("certificate expired", "Have the certificate of {place} renewed."),
    (
        "certificate not valid",
        "Look at this machine's clock; else have the certificate of {place} replaced.",
    ),
    ("certificate for another", "Write the name that the certificate is for into {name}."),
    ("certificate signed by itself", "Name that certificate in {ca}."),
    ("certificate of an unknown issuer", "Name the CA that has signed it in {ca}."),
    (
        "certificate not accepted",
        "Look at the certificate of {place}: openssl s_client -connect {place}",
    ),
    ("no TLS there", "Write the scheme without TLS into {address}, or the port that speaks TLS."),
    ("TLS refused", "It may want a client certificate: name one in {certificate}."),
    (
        "connection closed before",
        "Where {place} speaks TLS, {address} has to say so; else look at the server's log.",
    ),
    ("connection closed", "Look at the log of the server at {place}."),
    (
        "connection reset",
        "Where {place} speaks TLS, {address} has to say so; else look at its log.",
    ),
    (
        "speaks no TLS",
        "Look whether it speaks TLS; else begin {address} with redis://.",
    ),
    ("a reply that is not", "Something else answers at {place}: check {address}."),
    ("came back", "Write the provider's own address into {address}: it leads to this sidecar."),
    ("a redirect", "Write where it redirects to into {address}; often that is https."),
    ("a response that is no HTTP", "Something else answers at {place}: check {address}."),
    ("no byte", "Look whether the server at {place} is overloaded."),
    ("no whole", "Look whether the server at {place} is overloaded."),
    ("no reply", "Look whether the server at {place} is overloaded, or {address} is wrong."),
)
"""By words of the phrase; the first that fits counts."""
_ELSE: Final = "Check {address}, and the log of the server at {place}."


def advice_on(cause: str, place: str, keys: Keys) -> str:
    """Return what to do about a cause, as a sentence."""
    for words, advice in (*_ADVICE, ("", _ELSE)):
        if words in cause:
            return advice.format(place=place, **msgspec.structs.asdict(keys))
    raise AssertionError("every phrase contains no words")
