"""Files inside a request: addresses of the ``data:`` scheme, media types, kinds of files."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from sidecar.translate.conversation import CacheMark, DocumentPart, ImagePart

PDF: Final = "application/pdf"
PLAIN_TEXT: Final = "text/plain"
_SCHEME: Final = "data:"
_BASE64: Final = ";base64"
_IMAGE_STARTS: Final = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How the base64 of an image begins, by the format that Anthropic's API checks it against."""
_HEAD_CHARS: Final = 256
"""No media type with its parameters is longer."""


def data_url(media_type: str, data: str) -> str:
    """Return the address that holds a file."""
    return f"{_SCHEME}{media_type}{_BASE64},{data}"


def parted(url: str) -> tuple[str, str] | None:
    """Return media type and base64 of an address that holds a file; None for any other."""
    if url[: len(_SCHEME)].lower() != _SCHEME:
        return None
    comma = url.find(",", 0, _HEAD_CHARS)
    head = url[len(_SCHEME) : comma]
    if comma < 0 or not head.lower().endswith(_BASE64):
        return None
    return head.partition(";")[0].strip().lower(), unbroken(url[comma + 1 :])


def unbroken(data: str) -> str:
    """Return base64 without line ends."""
    return "".join(data.split()) if "\n" in data or " " in data else data


def image_of(url: str, detail: str | None, cache: CacheMark | None) -> ImagePart:
    """Return the picture at an address."""
    parts = parted(url)
    if parts is None:
        return ImagePart(url=url, detail=detail, cache=cache)
    media_type, data = parts
    return ImagePart(media_type=image_type(data, media_type), data=data, detail=detail, cache=cache)


def image_type(data: str, said: str) -> str:
    """Return the media type of a picture: what its first bytes say, else what was said."""
    for start, media_type in _IMAGE_STARTS:
        if data.startswith(start):
            return media_type
    return said or "image/png"


def document_of(
    data: str, media_type: str, name: str | None, cache: CacheMark | None
) -> DocumentPart:
    """Return a file by its base64; plain text is decoded."""
    if media_type == PLAIN_TEXT:
        try:
            text = base64.b64decode(data).decode()
        except (binascii.Error, ValueError):
            text = ""
        return DocumentPart(text=text, media_type=media_type, name=name, cache=cache)
    return DocumentPart(data=data, media_type=media_type or PDF, name=name, cache=cache)


def file_of(data: str, name: str | None, cache: CacheMark | None) -> DocumentPart:
    """Return a file by its ``file_data``: an address that holds it, or its mere base64."""
    parts = parted(data)
    media_type, encoded = ("", data) if parts is None else parts
    if parts is None and name is not None and name.lower().endswith((".txt", ".md")):
        media_type = PLAIN_TEXT
    return document_of(encoded, media_type or PDF, name, cache)
