"""The ``model`` field of a form, looked for in the first bytes of a body that is not held: it says
where the call goes, and a file may be of any length.

Sources: RFC 7578 (multipart/form-data); RFC 2046, 5.1.1 (boundaries and parts).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Final, final

from sidecar.domain.call import BodyFacts
from sidecar.domain.ids import MAX_NAME_BYTES

LOOKED_AT_BYTES: Final = 64 * 1024
"""Of a form's beginning: as much as is held of a short body."""
PARTS_AT_MOST: Final = 128
"""Of a form that is looked through: no API has so many fields."""
_HEAD_BYTES: Final = 4096
"""Of a part's header fields, which have some hundred."""
_PARAMETERS_AT_MOST: Final = 16
"""Of a header field; clients send three."""
_NO_FACTS: Final = BodyFacts()
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER: Final = re.compile(
    r"""[ \t]*;[ \t]*([!#-'*+.^-z|~0-9A-Z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;" \t]*))"""
)
_FIELD: Final = re.compile(r"\r\n([!#-'*+.^-z|~0-9A-Z-]+):[ \t]*([^\r\n]*)")
_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})
"""Transfer encodings that leave a part as it is; RFC 7578, 4.7, has no other."""


def boundary_of(content_types: Sequence[str]) -> bytes | None:
    """Return what delimits the parts of a form.

    Args: ``content_types`` are the values of the request's Content-Type.
    Returns: None where they name no form, or no boundary that one may have.
    """
    if len(content_types) != 1:
        return None
    kind, parameters = _split(content_types[0])
    boundary = parameters.get("boundary", "")
    is_form = kind == "multipart/form-data" and _BOUNDARY.fullmatch(boundary) is not None
    return boundary.encode() if is_form else None


@final
class FormModel:
    """Looks for the field in the bytes of one form as they come. What cannot be read is no error:
    it is the provider's to refuse.
    """

    def __init__(self, boundary: bytes) -> None:
        self.facts = _NO_FACTS
        """The model that the form names, and where; none before it was found."""
        self.is_over = False
        """Whether no more bytes can tell."""
        self._seen = bytearray()
        self._scan = _model_span(self._seen, b"--" + boundary)

    def feed(self, piece: bytes) -> None:
        """Look through the next bytes of the form."""
        if self.is_over:
            return
        self._seen += piece[: LOOKED_AT_BYTES - len(self._seen)]
        try:
            next(self._scan)
            self.is_over = len(self._seen) == LOOKED_AT_BYTES
        except StopIteration as end:
            self.is_over = True
            if end.value is not None:
                self.facts = _facts(self._seen, *end.value)
        if self.is_over:
            self._seen = bytearray()


def _facts(seen: bytearray, start: int, end: int) -> BodyFacts:
    if end - start > MAX_NAME_BYTES:
        return _NO_FACTS
    try:
        model = seen[start:end].decode()
    except UnicodeDecodeError:
        return _NO_FACTS
    # As a member of JSON: empty, or `none`, it names no model.
    return BodyFacts(None if model in ("", "none") else model, model_span=(start, end))


def _model_span(seen: bytearray, delimiter: bytes) -> Generator[None, None, tuple[int, int] | None]:
    """Return where the value of the field stands, None where the form has none that can be read;
    yield where more bytes are needed.
    """
    at = yield from _find(seen, delimiter, 0)
    if at:
        return None  # a preamble, which no client sends
    for _ in range(PARTS_AT_MOST):
        line_end = yield from _find(seen, b"\r\n", at + len(delimiter))
        if seen[at + len(delimiter) : line_end].strip(b" \t"):
            return None  # the last delimiter, or a text that only begins like one
        head_end = yield from _find(seen, b"\r\n\r\n", line_end)
        start = head_end + 4
        at = yield from _find(seen, b"\r\n" + delimiter, start)
        if head_end - line_end <= _HEAD_BYTES and _is_model(bytes(seen[line_end:head_end])):
            return start, at
        at += 2
    return None


def _find(seen: bytearray, what: bytes, start: int) -> Generator[None, None, int]:
    """Return where something stands first from ``start`` on; yield until it has come."""
    while (found := seen.find(what, start)) < 0:
        start = max(start, len(seen) - len(what) + 1)
        yield
    return found


def _is_model(head: bytes) -> bool:
    """Return whether a part is the field: a plain text, no file."""
    fields = {name.lower(): value for name, value in _FIELD.findall(head.decode("latin-1"))}
    kind, parameters = _split(fields.get("content-disposition", ""))
    is_named = kind == "form-data" and parameters.get("name") == "model"
    is_file = "filename" in parameters or "filename*" in parameters
    encoding, _ = _split(fields.get("content-transfer-encoding", ""))
    return is_named and not is_file and encoding in _PLAIN


def _split(value: str) -> tuple[str, dict[str, str]]:
    """Return the word that a header field begins with, and its parameters by name, in lower case;
    those from the first one on that cannot be read, or are too many, are left out.
    """
    word, _, _ = value.partition(";")
    at = len(word)
    parameters: dict[str, str] = {}
    for _ in range(_PARAMETERS_AT_MOST):
        found = _PARAMETER.match(value, at)
        if found is None:
            break
        quoted, token = found[2], found[3]
        text = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        parameters.setdefault(found[1].lower(), text)
        at = found.end()
    return word.strip().lower(), parameters
