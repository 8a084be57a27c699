"""How a provider names a request of its own, for whoever asks it about one. Pure."""

from __future__ import annotations

import re
from typing import Final

from sidecar.domain.call import RawHeaders

_REQUEST_ID: Final = re.compile(
    rb"(?!(?:sk|pk|rk|gsk|xai|pplx|fw|csk|dop|doo|vck|nvapi|key)[-_]|AIza)[A-Za-z0-9_-]{1,64}"
)
"""What begins as keys do is none: a server that sends headers back would put keys into logs."""
_NAMES: Final = (
    b"x-request-id",
    b"request-id",  # Anthropic
    b"apim-request-id",  # Azure
    b"x-amzn-requestid",
    b"cf-ray",
)


def provider_request_id(headers: RawHeaders) -> str | None:
    """Return the provider's name for the request that a response's headers belong to; None where
    they hold none that looks like one.
    """
    for name, value in headers:
        if name.lower() in _NAMES and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return None
