"""Reads and checks where servers are and how they are trusted: a provider's URL and headers, a
Redis URL, the files of TLS.
"""

from __future__ import annotations

import os
import pathlib
import re
import urllib.parse
from typing import Final

import msgspec

from sidecar.config.report import Path, Report
from sidecar.config.schema_providers import ProviderTls
from sidecar.config.schema_routing import RedisTls
from sidecar.config.secret import Secret
from sidecar.runtime.hosts import bracketed

_HOST: Final = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_HOST_HEADER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_VISIBLE: Final = re.compile(r"[!-~]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""
_FIELD_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""RFC 9110, 5.5: no control character but the tab. A line break in it would begin another
header.
"""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_ENDPOINT: Final = re.compile(
    r"/(chat/completions|completions|responses|messages(/count_tokens|/batches)?|embeddings|"
    r"images/generations|audio/(speech|transcriptions|translations)|moderations)$"
)
"""What is appended to a base URL, in the ends that an operator could take for a part of it."""

MANAGED_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
     "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
"""Headers that the HTTP client writes, or that belong to one connection (RFC 9110, 7.6.1)."""
HEADER_VALUE_BYTES_AT_MOST: Final = 16_384
"""Twice what nginx reads of one line."""
CREDENTIAL_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
     "x-goog-api-key", "x-auth-token", "x-access-token", "x-amz-security-token",
     "x-forwarded-access-token", "x-auth-request-access-token", "x-amzn-oidc-accesstoken",
     "x-amzn-oidc-data", "cf-access-jwt-assertion", "x-goog-iap-jwt-assertion"}
)  # fmt: skip
"""Headers that carry a secret, in lower case: of HTTP itself, of providers, and of what signs users
in before an app (oauth2-proxy, the load balancers of AWS, Cloudflare and Google).
"""
_CREDENTIAL_NAME: Final = re.compile(
    r"(?:.*[-_])?(?:(?:api|access|auth|secret|subscription)[-_]?key|apikey|auth|authorization|"
    r"credentials?|jwt|passw(?:or)?d|secret|token)",
    re.IGNORECASE,
)
"""How the names of other headers end that carry a secret, such as ``X-Corp-Api-Key`` and
``Ocp-Apim-Subscription-Key``.
"""
HOSTED_IDLE_S: Final = 20.0
"""Hosted providers keep idle connections for a minute and more."""
OWN_IDLE_S: Final = 4.0
"""uvicorn, and so vLLM and most servers that people run themselves, close after 5 s: this side
closes first, such that no request is sent into the closing.
"""


class Address(msgspec.Struct, frozen=True):
    """A base URL, taken apart."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    path: str
    """Without a final slash; empty for none."""
    query: str = ""

    @property
    def host_header(self) -> str:
        """``host`` or ``host:port``, the port only where it is not the scheme's own (RFC 9110,
        7.2).
        """
        host = bracketed(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def read_base_url(url: str) -> Address | str:
    """Return a base URL's address, or a sentence that says what is wrong with it. The sentence
    never quotes the URL, which may hold a secret.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL with a valid host and port"
    if parts.scheme not in _DEFAULT_PORTS:
        return "must begin with http:// or https://"
    if "@" in parts.netloc:
        return "must not hold a user or password; put the key under access_key"
    host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    if not _HOST.fullmatch(host.removesuffix(":")) or port == 0:
        return "is not a URL with a valid host and port"
    path = parts.path.rstrip("/")
    fault = _fault_of_path(url, path, parts.query)
    if fault is not None:
        return fault
    return Address(
        scheme=parts.scheme,
        host=host.removesuffix(":").strip("[]").lower(),
        port=port or _DEFAULT_PORTS[parts.scheme],
        path=path,
        query=parts.query,
    )


def _fault_of_path(url: str, path: str, query: str) -> str | None:
    if "#" in url or not _VISIBLE.fullmatch(path + query):
        return "must not hold a fragment, blanks or characters beyond ASCII"
    endpoint = _ENDPOINT.search(path)
    return None if endpoint is None else f"must end before the endpoint: leave {endpoint[0]} out"


def is_http_url(text: str) -> bool:
    """Return whether a text is an ``http`` or ``https`` URL with a host; a user and a password may
    precede the host.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in _DEFAULT_PORTS and has_host and _VISIBLE.fullmatch(text) is not None


def is_host_header(text: str) -> bool:
    """Return whether a text may be the value of a Host header."""
    return _HOST_HEADER.fullmatch(text) is not None


def is_header_name(text: str) -> bool:
    """Return whether a text may name a header."""
    return _TOKEN.fullmatch(text) is not None


def fault_of_header_value(text: str) -> str | None:
    """Return what keeps a text from being a header's value, as a sentence without it; None where
    nothing does.
    """
    if not is_header_value(text):
        return "holds a line break, a control character or blanks around it"
    if len(text.encode()) > HEADER_VALUE_BYTES_AT_MOST:
        return f"is longer than {HEADER_VALUE_BYTES_AT_MOST} bytes, which no provider takes"
    return None


def names_credential(header: str) -> bool:
    """Return whether a header carries a secret, as far as its name tells."""
    is_known = header.lower() in CREDENTIAL_HEADERS
    return is_known or _CREDENTIAL_NAME.fullmatch(header) is not None


def is_header_value(text: str) -> bool:
    """Return whether a text may be a header's value: one line, no control characters, no blanks
    around it.
    """
    return _FIELD_VALUE.fullmatch(text) is not None and text == text.strip()


class TlsFiles(msgspec.Struct, frozen=True):
    """PEM files for TLS to a provider."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Server(msgspec.Struct, frozen=True):
    """Where a provider is, and how it is reached."""

    scheme: str
    host: str
    """Without brackets."""
    port: int
    http_host: str
    """The Host header's value."""
    tls_files: TlsFiles = TlsFiles()
    server_name: str | None = None
    """For SNI and verification, where it is not ``host``."""
    keep_idle_s: float = HOSTED_IDLE_S
    """How long an idle connection to it is kept."""


def tls_files_of(tls: ProviderTls, at: Path, report: Report) -> TlsFiles:
    """Return the files that an entry names, and report those that cannot be read."""
    for key in unreadable(tls):
        report.problem((*at, key), "names no file that can be read")
    if tls.key_file is not None and tls.cert_file is None:
        report.problem(
            (*at, "key_file"), "needs cert_file: a key without its certificate is shown to nobody"
        )
    return TlsFiles(tls.ca_file, tls.cert_file, tls.key_file)


def unreadable(tls: ProviderTls | RedisTls) -> list[str]:
    """Return the keys whose file cannot be read."""
    files = {key: getattr(tls, key) for key in ("ca_file", "cert_file", "key_file")}
    return [
        key
        for key, file in files.items()
        if file is not None and not (pathlib.Path(file).is_file() and os.access(file, os.R_OK))
    ]


_ONE_SERVER: Final = frozenset({"redis", "rediss"})
_SEVERAL_SERVERS: Final = re.compile(r"redis\+(?:sentinel|cluster)://\S+", re.IGNORECASE)
_SEVERAL_HOSTS: Final = re.compile(r"rediss?://(?:[^/]*@)?[^/@]*,[^/@]*(?:/|$)", re.IGNORECASE)
_USUAL_PORT: Final = 6379
_DATABASE: Final = re.compile(r"/?[0-9]{0,6}/?")
_ESCAPE: Final = (
    "; in a user or password @ : / ? # must be percent-encoded, "
    "or stand under username and password"
)


class RedisAddress(msgspec.Struct, frozen=True):
    """One server, and the user who may use it."""

    host: str
    port: int
    database: int
    is_tls: bool
    username: str | None
    password: Secret | None


def names_several_servers(url: str) -> bool:
    """Return whether a URL names a Sentinel or a Cluster, which `read_redis_url` does not read."""
    return _SEVERAL_SERVERS.fullmatch(url) is not None


def read_redis_url(url: str) -> RedisAddress | str:
    """Return the server of a URL, or a sentence that says what is wrong with it. The sentence never
    quotes the URL, which may hold a password.
    """
    if _SEVERAL_HOSTS.match(url):
        return "names several servers: redis+sentinel:// and redis+cluster:// do that"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        return f"is not a URL with a valid host and port{_ESCAPE}"
    if (fault := _fault_of(url, parts)) is not None:
        return fault
    password = urllib.parse.unquote(parts.password or "")
    return RedisAddress(
        host=parts.hostname or "localhost",
        port=port or _USUAL_PORT,
        database=int(parts.path.strip("/") or 0),
        is_tls=parts.scheme == "rediss",
        username=urllib.parse.unquote(parts.username or "") or None,
        password=Secret(password) if password else None,
    )


def is_same_server(url: str, other: str) -> bool:
    """Return whether two URLs differ in user and password at most."""
    addresses = read_redis_url(url), read_redis_url(other)
    places = [
        (each.host, each.port, each.database, each.is_tls)
        for each in addresses
        if isinstance(each, RedisAddress)
    ]
    return len(places) == 2 and places[0] == places[1]


def _fault_of(url: str, parts: urllib.parse.SplitResult) -> str | None:
    if (
        parts.scheme not in _ONE_SERVER
        or not url[len(parts.scheme) :].startswith("://")
        or url.endswith("://")
    ):
        return "must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://"
    if parts.port == 0 or any(blank.isspace() for blank in url):
        return f"is not a URL with a valid host and port{_ESCAPE}"
    if not _DATABASE.fullmatch(parts.path):
        return f"must end with the number of a database, or without a path{_ESCAPE}"
    if parts.query or parts.fragment:
        return f"must not hold a query or fragment{_ESCAPE}"
    return None
