"""What a provider's error body says of itself: its codes, and its messages as it wrote them. Pure.

Gateways put another server's error into their own: as an object, as JSON inside a string, as text
behind the name of an exception. All of it is read, within bounds, since every byte is a provider's
and much of a message may echo the caller's prompt. Fields that only echo a request are not read.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

_BODY_BYTES: Final = 64 * 1024
_NODES: Final = 64
"""So many objects and strings of a body are read."""
_DEPTH: Final = 8
_LIST_ITEMS: Final = 4
_OPENINGS_PER_MESSAGE: Final = 32
_OPENING_CHARS: Final = 300
_WRAPPED_CHARS: Final = 600
"""So far into a message its wrapping may reach."""

_CODE_FIELDS: Final = ("code", "type", "status", "reason", "error_code", "error_type", "__type")
_STATUS_FIELDS: Final = (*_CODE_FIELDS[:3], "status_code", "statusCode", "http_code")
_INNER_FIELDS: Final = (
    "error",
    "errors",  # Cloudflare
    "message",
    "Message",  # Amazon
    "msg",
    "detail",  # FastAPI: vLLM, SGLang, NVIDIA
    "details",  # Google, GitHub Models
    "innererror",  # Azure
    "base_resp",  # MiniMax
    "status_msg",  # MiniMax
    "response",  # OpenAI: an event `response.failed`
    "upstream_error",
    "provider",
    "body",
    "fault",
    "faultstring",
)
"""Where errors and messages stand. `param`, `input`, `ctx` and the like hold parts of a request."""
_BESIDE_TEXT: Final = ("error", "message", "detail")
"""Where `error` is a text, the others of these may say more."""

_QUOTES: Final = dict.fromkeys(map(ord, "`'\"\\\u201c\u201d\u2018\u2019"))
_QUOTED: Final = re.compile(r"\s*([\"'`])")
_VALIDATION: Final = re.compile(
    r"is not (?:of type|one of|valid under any|a multiple)|does not match (?:\^|the regex)|"
    r"was unexpected|is too short|is a required property|non-unique elements|"
    r"must be (?:one of|equal to)|should not be valid"
)
"""What jsonschema and its kin put behind a value that they refuse."""
_WORD: Final = re.compile(r"[\w.]+")
_EXCEPTION: Final = re.compile(r"[a-z_.]{0,60}(?:error|exception)")
_IDENTIFIER: Final = re.compile(r"\d+|[0-9a-f]{4,}")
_WRAPPING: Final = re.compile(
    "a|an|api|anthropic|azure|b|bedrock|by|calling|code|converse|conversestream|data|details?|"
    "errors?|event|failed|following|from|gemini|google|https?|invalid_argument|"
    "invalid_request_error|invokemodel|invokemodelwithresponsestream|message|model|n|none|null|"
    "occurred|of|openai|operation|provider|raw|request|requestid|response|returned|runtime|status|"
    "statuscode|the|type|upstream|vertex_ai|when|internalerror.algo.invalidparameter"
)
"""Words that a gateway puts before another server's message."""


class ErrorBody(msgspec.Struct, frozen=True):
    """An error body's codes and messages, in lower case and without quotation marks; empty where it
    could not be read.
    """

    codes: frozenset[str] = frozenset()
    openings: tuple[str, ...] = ()
    """What each message begins with, behind each word of what may wrap it: at most 300 characters
    each. A server writes the beginning of its message; what follows may be a caller's.
    """
    text: str = ""
    """All messages."""
    status: int | None = None
    """The HTTP status that the body gives itself."""


def read_error_body(body: bytes) -> ErrorBody:
    """Read an error body of any shape that providers use, or any other bytes. Raises: nothing."""
    reading = _Reading()
    reading.read(_decoded(body[:_BODY_BYTES]))
    return ErrorBody(
        frozenset(reading.codes),
        tuple(reading.openings),
        "\n".join(reading.texts),
        reading.status,
    )


def read_text(body: bytes) -> ErrorBody:
    """Read a body as one text, whatever its shape: where only texts are looked for."""
    return ErrorBody(text=normalized(body[:_BODY_BYTES].decode("utf-8", "replace")))


def normalized(text: str) -> str:
    """Return a text in lower case, without quotation marks, with single spaces."""
    return " ".join(text.lower().replace("\\n", " ").translate(_QUOTES).split())


class _Reading:
    """What has been found in a body so far."""

    def __init__(self) -> None:
        self.codes: set[str] = set()
        self.openings: list[str] = []
        self.texts: list[str] = []
        self.status: int | None = None

    def read(self, whole: object) -> None:
        """Read what is inside a decoded body, the outermost first."""
        waiting = deque([(whole, 0, False)])
        for _ in range(_NODES):
            if not waiting:
                break
            node, depth, is_error = waiting.popleft()
            inner = self._read_node(node, is_error=is_error)
            if depth < _DEPTH:
                holds_error = _holds_error(node)
                waiting.extend((each, depth + 1, holds_error) for each in inner)

    def _read_node(self, node: object, *, is_error: bool) -> Iterator[object]:
        """Note what a node says, and return what is inside it.

        Args: ``is_error`` is whether it is the ``error`` of another: the metadata beside it, of a
            response that failed, are what the caller wrote there.
        """
        if isinstance(node, str):
            return self._read_message(node)
        if isinstance(node, dict):
            self._read_fields(node)
            metadata = node.get("metadata") if is_error else None
            return itertools.chain(_inside(node), self._read_metadata(metadata))
        return iter(node[:_LIST_ITEMS]) if isinstance(node, list) else iter(())

    def _read_fields(self, fields: dict[str, object]) -> None:
        for name in _CODE_FIELDS:
            value = fields.get(name)
            if isinstance(value, str):
                self.codes.add(_code(value))
        for name in _STATUS_FIELDS:
            if self.status is None and name in fields:
                self.status = _status(fields[name])

    def _read_metadata(self, metadata: object) -> Iterator[str]:
        """Read what OpenRouter puts into an error; return the error that it was sent."""
        if not isinstance(metadata, dict):
            return
        if "flagged_input" in metadata:  # its moderation, a 403
            self.codes.add("refusal")
        if isinstance(metadata.get("error_type"), str):
            self.codes.add(_code(metadata["error_type"]))
        if isinstance(metadata.get("raw"), str):
            yield metadata["raw"]

    def _read_message(self, message: str) -> Iterator[object]:
        """Note a message; return the error that it carries as JSON, if it begins with one."""
        text = normalized(message)
        self.texts.append(text)
        if _begins_with_echo(message, text):
            return iter(())
        words = list(_wrapping(text))
        self.codes.update(word.rpartition(".")[2] for word, _ in words if _names_error(word))
        starts = [0, *(end for _, end in words)]
        self.openings += (text[at:].lstrip(" {}[]()<>:,;=-|#")[:_OPENING_CHARS] for at in starts)
        embedded = _embedded(message)
        return iter(()) if embedded is None else iter((embedded,))


def _decoded(body: bytes) -> object:
    """Return a body's JSON value, or as text what is none."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _inside(fields: dict[str, object]) -> Iterator[object]:
    """Return the members of an object in which an error may stand.

    Beside an error object stands nothing about it: what a response then holds is the request's.
    """
    names: tuple[str, ...] = _INNER_FIELDS
    if "error" in fields:
        names = _BESIDE_TEXT if isinstance(fields["error"], str) else ("error",)
    for name in names:
        value = fields.get(name)
        if isinstance(value, (str, dict, list)):
            yield value


def _holds_error(node: object) -> bool:
    """Return whether an object's ``error`` is what `_inside` returns of it."""
    return isinstance(node, dict) and not isinstance(node.get("error", ""), str)


def _wrapping(text: str) -> Iterator[tuple[str, int]]:
    """Return the words that wrap a normalized message, each with the place where it ends."""
    found = _WORD.finditer(text, 0, _WRAPPED_CHARS)
    for _, match in zip(range(_OPENINGS_PER_MESSAGE), found, strict=False):
        word = match[0].strip(".")
        is_wrapping = _WRAPPING.fullmatch(word) or _IDENTIFIER.fullmatch(word)
        if not is_wrapping and not _names_error(word):
            return
        yield word, match.end()


def _names_error(word: str) -> bool:
    """Return whether a word is the name of an exception: `litellm.RateLimitError`."""
    return _EXCEPTION.fullmatch(word) is not None and not _WRAPPING.fullmatch(word)


def _begins_with_echo(message: str, text: str) -> bool:
    """Return whether a message begins with a value of the request, as validators write them:
    "'x' is not one of ['user', 'system'] - 'messages.0.role'".
    """
    if _VALIDATION.search(text):
        return True
    quoted = _QUOTED.match(message)
    return quoted is not None and message.find(quoted[1], quoted.end(), -1) >= 0


def _embedded(message: str) -> object | None:
    """Return the JSON object that a message consists of, but for its wrapping."""
    at = message.find("{", 0, _WRAPPED_CHARS)
    if at < 0:
        return None
    prefix = normalized(message[:at])
    wrapped = [word for word, _ in _wrapping(prefix)]
    if len(wrapped) < len(_WORD.findall(prefix)):
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(message, at)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _code(value: str) -> str:
    """Return a code as the tables have it. Amazon's have a namespace before and an address behind
    them.
    """
    return value[:_OPENING_CHARS].rpartition("#")[2].partition(":")[0].strip().lower()


def _status(value: object) -> int | None:
    """Return the HTTP status of an error that a field names, as a number or as its digits."""
    if isinstance(value, str) and len(value) == len("400") and value.isascii() and value.isdigit():
        value = int(value)
    return value if type(value) is int and 400 <= value <= 599 else None
