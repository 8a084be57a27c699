"""Header fields as raw pairs: the app's, walked once and sorted; the provider's, made into lines
for the app.

Source: contract.md, "Request headers" and "Response headers"; RFC 9110, 7.6.1 (Connection) and 5.5
    (field values).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sidecar.domain.call import InboundHeaders, RawHeaders
from sidecar.domain.errors import HeadersTooLarge, InvalidHeader, MalformedRequest
from sidecar.domain.ids import is_request_id, mint_request_id
from sidecar.wire.header_names import Passage, RequestNames, ResponseNames, request_names
from sidecar.wire.header_policy import AFFINITY_HEADER, HeaderPolicy

__all__ = [
    "client_timeout_s_of",
    "read_headers",
    "request_head",
    "request_id_of",
    "response_lines",
    "session_id_of",
    "tenant_of",
]

_MAX_ID_BYTES: Final = 4096
"""Of a session or tenant header; what a key may hold is `affinity.key`'s to say."""
_MAX_VALUES_BYTES: Final = 64 * 1024
_BLANKS: Final = b" \t"
_SAFE_IN_VALUES: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_NUMBER: Final = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{0,12})?")
_SECONDS_PER_UNIT: Final = {
    "x-plano-timeout-ms": 0.001,
    "x-stainless-timeout": 1.0,
    "x-stainless-read-timeout": 1.0,
}
_TARGET: Final = re.compile(r"[!-~]+")
_PLAIN_CONNECTIONS: Final = frozenset((b"keep-alive", b"Keep-Alive", b"close", b"Close"))
"""What nearly every peer says in Connection, and what names no field."""
_PLAIN_CODINGS: Final = frozenset((b"", b"identity", b"chunked"))
"""What leaves a body as it is once aiohttp's parser has taken the framing off."""

_NO_FACTS: Final[dict[str, Any]] = {}
_PASS: Final = Passage.PASS
_DROP: Final = Passage.DROP
_response_names: Final = ResponseNames()
"""A cache, at most 512 names."""


def read_headers(raw: RawHeaders, policy: HeaderPolicy) -> InboundHeaders:
    """Sort the app's header fields by what becomes of them. Lines keep the app's spelling and
    order.

    Raises: HeadersTooLarge for more than 64 KiB of values; InvalidHeader for a control character in
    a value, a name that is no token, or a Connection header that names a field which is not the
    connection's.
    """
    names = request_names(policy)
    found = _sorted(raw, names)
    values = b"".join([value for _, value in raw])
    if values.translate(None, _SAFE_IN_VALUES):
        raise InvalidHeader("a header's value holds a control character")
    if len(values) > _MAX_VALUES_BYTES:
        raise HeadersTooLarge(f"the request's headers are over {_MAX_VALUES_BYTES} bytes")
    special = found.pop("special", None)
    if special is None:
        return _inbound(found, _NO_FACTS)
    listed = _listed(special)
    if listed:
        for name in listed:
            if not names.treatment(name.decode("latin-1")).may_be_dropped:
                raise InvalidHeader(
                    f"the Connection header names {name.decode('latin-1')!r}, which it may "
                    f"not remove"
                )
        found = _sorted([(name, value) for name, value in raw if name.lower() not in listed], names)
        found.pop("special", None)
    return _inbound(found, _special(special, listed))


def session_id_of(headers: InboundHeaders, policy: HeaderPolicy) -> str | None:
    """The session that the app names, or None if the call stands alone.

    The first header of the policy that is present counts. ``off`` in `AFFINITY_HEADER` means None,
    whatever the others say.

    Raises: InvalidHeader where that header stands twice with different values, is not UTF-8, or is
        too long.
    """
    if not headers.sessions:
        return None
    if len(headers.sessions) == 1:
        name, value = headers.sessions[0]
        session_id = _single(name, (value,))
        return (
            None
            if session_id is not None and name == AFFINITY_HEADER and session_id.lower() == "off"
            else session_id
        )
    for wanted in request_names(policy).session_names:
        session_id = _single(wanted, [value for name, value in headers.sessions if name == wanted])
        if session_id is not None:
            return None if wanted == AFFINITY_HEADER and session_id.lower() == "off" else session_id
    return None


def tenant_of(headers: InboundHeaders, policy: HeaderPolicy) -> str | None:
    """The tenant that the app names; None where the header is absent, empty or not configured.

    Raises: InvalidHeader as `session_id_of` does.
    """
    return _single(policy.tenant_header or "", headers.tenants) if headers.tenants else None


def client_timeout_s_of(headers: InboundHeaders) -> float | None:
    """How long the app says it will wait, in seconds: the least that its headers say. Nonsense and
    zero are ignored.
    """
    least: float | None = None
    for name, value in headers.patience:
        text = value.strip(_BLANKS)
        if _NUMBER.fullmatch(text) is None:
            continue
        seconds = float(text) * _SECONDS_PER_UNIT[name]
        if seconds > 0 and (least is None or seconds < least):
            least = seconds
    return least


def request_id_of(headers: InboundHeaders) -> str:
    """The app's request id byte for byte where it sent exactly one that may be kept, else a new
    one.
    """
    if len(headers.request_ids) == 1 and is_request_id(headers.request_ids[0]):
        return headers.request_ids[0].decode()
    return mint_request_id()


def request_head(
    method: str, target: str, host: str, lines: Iterable[bytes], content_length: int | None
) -> bytes:
    """The head of an HTTP/1.1 request, blank line included.

    Args: ``target`` is path and query; ``host`` with its port where it is not the scheme's;
    ``lines`` end in CRLF; ``content_length`` None: no such header.

    Raises: MalformedRequest where method, target or host holds a blank, a control character or is
        not ASCII.
    """
    for part in (method, target, host):
        if _TARGET.fullmatch(part) is None:
            raise MalformedRequest("the request's target holds characters that no target may hold")
    start = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
    framing = b"\r\n" if content_length is None else b"Content-Length: %d\r\n\r\n" % content_length
    return b"".join((start, *lines, framing))


def response_lines(raw: RawHeaders, extra: Iterable[bytes] = ()) -> list[bytes]:
    """The provider's header fields as lines for the app, in their order and spelling, then our own
    ``extra`` lines.

    Left out: what is the connection's, framing, and names that are ours (``x-plano-*``). The
    provider's id goes to ``x-plano-upstream-request-id``. Values are as the upstream's parser let
    them through.
    """
    names = _response_names
    lines: list[bytes] = []
    listed: set[bytes] = set()
    for name, value in raw:
        passage = names[name]
        if passage is _PASS:
            lines.append(name + b": " + value + b"\r\n")
        elif passage is _DROP:
            continue
        elif passage is Passage.CONNECTION:
            if value not in _PLAIN_CONNECTIONS:
                listed |= _tokens(value)
        else:
            if passage is Passage.PASS_AND_UPSTREAM_ID:
                lines.append(name + b": " + value + b"\r\n")
            lines.append(b"x-plano-upstream-request-id: " + value + b"\r\n")
    if listed:
        listed.add(b"connection")
        return response_lines(
            [(name, value) for name, value in raw if name.lower() not in listed], extra
        )
    lines.extend(extra)
    return lines


def _sorted(raw: RawHeaders, names: RequestNames) -> dict[str, list[Any]]:
    """Lines and values by the field of InboundHeaders that takes them, and what needs a second look
    as ``special``.
    """
    found: dict[str, list[Any]] = {}
    for name, value in raw:
        line, fact, key = names[name]
        if line:
            text = name + b": " + value + b"\r\n"
            lines = found.get(line)
            if lines is None:
                found[line] = [text]
            else:
                lines.append(text)
        if fact:
            told = (key, value) if key else value
            if fact in found:
                found[fact].append(told)
            else:
                found[fact] = [told]
    return found


def _inbound(found: dict[str, list[Any]], facts: dict[str, Any]) -> InboundHeaders:
    """Args: ``facts`` are those of `_special`."""
    return InboundHeaders(
        common=found.get("common", ()),
        openai_family=found.get("openai_family", ()),
        anthropic_family=found.get("anthropic_family", ()),
        openai_account=found.get("openai_account", ()),
        anthropic_account=found.get("anthropic_account", ()),
        credentials=found.get("credentials", ()),
        accept_encoding=found.get("accept_encoding", ()),
        baggage=found.get("baggage", ()),
        has_anthropic_version=facts.get("has_anthropic_version", False),
        content_encoding=facts.get("content_encoding", b""),
        request_ids=found.get("request_ids", ()),
        traceparents=found.get("traceparents", ()),
        tracestates=found.get("tracestates", ()),
        sessions=found.get("sessions", ()),
        tenants=found.get("tenants", ()),
        patience=found.get("patience", ()),
        has_origin=facts.get("has_origin", False),
        is_upgrade=facts.get("is_upgrade", False),
    )


def _listed(special: Sequence[tuple[str, bytes]]) -> set[bytes]:
    """The fields that Connection headers name, in lower case; Connection itself with them."""
    listed: set[bytes] = set()
    for name, value in special:
        if name == "connection" and value not in _PLAIN_CONNECTIONS:
            listed |= _tokens(value)
    return listed


def _special(special: Sequence[tuple[str, bytes]], listed: set[bytes]) -> dict[str, Any]:
    """The fields of InboundHeaders that are worked out from several headers or by looking into a
    value.
    """
    facts: dict[str, Any] = {}
    codings: list[bytes] = []
    for name, value in special:
        if name == "anthropic-version":
            facts["has_anthropic_version"] = True
        elif name in ("content-encoding", "transfer-encoding"):
            codings += [coding.strip(_BLANKS) for coding in value.lower().split(b",")]
        elif name == "origin":
            facts["has_origin"] = True
        elif name == "upgrade" and b"upgrade" in listed and b"websocket" in _tokens(value):
            facts["is_upgrade"] = True
    if codings:
        facts["content_encoding"] = b", ".join(
            coding for coding in codings if coding not in _PLAIN_CODINGS
        )
    return facts


def _tokens(value: bytes) -> set[bytes]:
    """The members of a comma-separated list, in lower case, empty ones left out."""
    return {token for part in value.lower().split(b",") if (token := part.strip(_BLANKS))}


def _single(name: str, values: Sequence[bytes]) -> str | None:
    """The one value that a header has, trimmed; None where it has none.

    Raises: InvalidHeader.
    """
    if len(values) == 1:
        text = values[0].strip(_BLANKS)
    else:
        distinct = {text for value in values if (text := value.strip(_BLANKS))}
        if len(distinct) > 1:
            raise InvalidHeader(f"{name} was sent with different values", param=name)
        text = distinct.pop() if distinct else b""
    if not text:
        return None
    if len(text) > _MAX_ID_BYTES:
        raise InvalidHeader(f"{name} is longer than {_MAX_ID_BYTES} bytes", param=name)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidHeader(f"{name} is not UTF-8", param=name) from error
