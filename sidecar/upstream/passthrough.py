"""What is sent of a body that is passed through; where its path is at the provider, and where a
place that the provider names is here. Pure.

An app follows a `Location` with whatever the redirect lets it repeat: its body, and headers that
hold sessions, tenants and keys. So only places at the sidecar itself are passed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

from sidecar.config.address import Server
from sidecar.domain.call import BodyFacts, Call, Edit, RawHeaders
from sidecar.wire.headers import CHUNKED

LOCATION_HEADERS: Final = frozenset(
    {b"location", b"operation-location", b"x-goog-upload-url", b"x-goog-upload-control-url"}
)
"""What clients follow by themselves: Azure's pollers ask the second one with their key, Google's
SDKs send a file to the others.
"""
_VERSION: Final = re.compile(r"/v1(?=/|$)")
"""What the base path takes the place of. Any other path goes as it is: ``/v1beta/...``,
``/tokenize``, ``/openai/deployments/...``.
"""
_REFERENCE: Final = re.compile(rb"[!-\[\]-~]{1,8192}")
"""Browsers take a backslash for a slash, and leave out blanks and line ends inside."""
_PLAIN_PATH: Final = re.compile(r"/(?:[^/]|$)")
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
"""Methods whose requests have no length where they have no body."""
Patch = Callable[[bytes, BodyFacts, str], list[bytes | memoryview]]
"""As `Dialect.patch`."""
_USUAL_PORTS: Final = {"http": 80, "https": 443}


def passed_body(
    call: Call, upstream_model: str, patch: Patch
) -> tuple[Sequence[bytes | memoryview], int | None]:
    """Return the pieces of a passed-through body that are at hand, and its length as `request_head`
    takes it. It is the app's, byte for byte; but where it names the model by a name of the
    config's, ``patch`` puts ``upstream_model`` there.
    """
    body, facts, upload = call.body, call.facts, call.upload
    is_named = facts.requested_model not in (None, upstream_model)
    edit: Edit | None = None
    if is_named and facts.model_span is not None and call.endpoint.form_boundary is not None:
        edit = (*facts.model_span, upstream_model.encode())
    if upload is not None:
        upload.use(edit)
        return (), CHUNKED if upload.length is None else upload.length
    if not body:
        return (), None if call.method in _BODILESS else 0
    pieces: Sequence[bytes | memoryview] = (body,)
    if edit is not None:
        start, end, name = edit
        pieces = (body[:start], name, body[end:])
    elif is_named:
        pieces = patch(body, facts, upstream_model)
    return pieces, sum(map(len, pieces))


def upstream_path(path: str, base_path: str) -> str:
    """Return where a passthrough path is at the provider: below ``base_path``, which takes the
    place of ``/v1``. A path that is not below ``/v1`` is sent unchanged.
    """
    return path if _VERSION.match(path) is None else base_path + path.removeprefix("/v1")


def local_path(path: str, base_path: str, is_served: Callable[[str], bool]) -> str | None:
    """Return the passthrough path that is ``path`` at the provider; None where there is none.

    Args: ``is_served`` tells whether the config passes a path through to this provider.
    """
    below = path.removeprefix(base_path) if path.startswith(base_path) else None
    guesses = [path] if below is None else [f"/v1{below}", path]
    for guess in guesses:
        if upstream_path(guess, base_path) == path and is_served(guess):
            return guess
    return None


def local_reference(
    value: bytes, target: str, server: Server, base_path: str, is_served: Callable[[str], bool]
) -> bytes | None:
    """Return the path and query by which the app reaches through the sidecar what a URL reference
    names at the provider; None where that is elsewhere, or cannot be read.

    Args: ``target`` is that of the request which the provider responds to.
    """
    text = value.strip(b" \t")
    if _REFERENCE.fullmatch(text) is None:
        return None
    try:
        asked = f"{server.scheme}://{server.http_host}{target}"
        parts = urlsplit(urljoin(asked, text.decode("ascii")))
        port = parts.port or _USUAL_PORTS.get(parts.scheme)
    except ValueError:
        return None
    is_own = (parts.scheme, parts.netloc.lower()) == (server.scheme, server.http_host.lower()) or (
        (parts.scheme, parts.hostname, port) == (server.scheme, server.host, server.port)
        and "@" not in parts.netloc
    )
    if not is_own or _PLAIN_PATH.match(parts.path) is None:
        return None
    path = local_path(parts.path, base_path, is_served)
    if path is None or _PLAIN_PATH.match(path) is None:
        return None
    return f"{path}?{parts.query}".encode() if parts.query else path.encode()


def local_headers(
    headers: RawHeaders, to_local: Callable[[bytes], bytes | None]
) -> tuple[RawHeaders, str]:
    """Return the headers of a provider's response with the places that it names as the app reaches
    them; and the names of those that were left out, empty where none was.
    """
    kept, lost = list[tuple[bytes, bytes]](), list[str]()
    for name, value in headers:
        if name.lower() not in LOCATION_HEADERS:
            kept.append((name, value))
        elif (local := to_local(value)) is not None:
            kept.append((name, local))
        else:
            lost.append(name.decode("ascii").lower())
    return kept, ", ".join(dict.fromkeys(lost))
