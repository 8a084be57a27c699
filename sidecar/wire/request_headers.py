"""The head of the app's request: its header fields walked once, sorted by what becomes of them, and
what is read from them.

Source: RFC 9110, 7.6.1 (Connection) and 5.5 (field values).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, final

from sidecar.domain.call import InboundLines, RawHeaders
from sidecar.domain.errors import (
    HeadersTooLarge,
    InvalidHeader,
    MalformedRequest,
    UnsupportedEncoding,
)
from sidecar.domain.ids import is_request_id, mint_request_id
from sidecar.wire.headers import AFFINITY_HEADER, PLAIN_CONNECTIONS, HeaderPolicy, tokens_of
from sidecar.wire.via import members_of, via_line

STANDS_ALONE: Final = ""
"""What `session_id_of` returns for a call that wants no session, however it could be named."""
MAX_ID_BYTES: Final = 4096
"""Of the name of a session, agent or tenant; `affinity.session` says how long a key may get."""
_MAX_BYTES: Final = 64 * 1024
FREE_HEAD_BYTES: Final = 4 * 1024
"""Memory for a head up to here is not counted; those of most apps are shorter."""
_BLANKS: Final = b" \t"
_SAFE_IN_VALUES: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_VALUE: Final = itemgetter(1)
_PLAIN_CODINGS: Final = frozenset((b"", b"identity", b"chunked"))
"""What leaves a body as it is once aiohttp's parser has taken the framing off."""
_CHUNKED: Final = [b"chunked"]


@final
@dataclass(init=False, unsafe_hash=True)
class RequestHeaders:
    """The app's header fields, sorted. Made by `read_headers`."""

    lines: Final[InboundLines]
    """What may go on to a provider."""
    request_ids: Final[Sequence[bytes]]
    traceparents: Final[Sequence[bytes]]
    tracestates: Final[Sequence[bytes]]
    sessions: Final[Sequence[tuple[str, bytes]]]
    """(lower-case name, value) of every header in ``routing.session_headers`` that is present."""
    agents: Final[Sequence[tuple[str, bytes]]]
    """The same of ``routing.agent_headers``."""
    tenants: Final[Sequence[bytes]]
    client_timeouts: Final[Sequence[tuple[str, bytes]]]
    """(lower-case name, value) of the headers by which an app says how long it will wait."""
    vias: Final[Sequence[bytes]]
    """By which sidecars the request has come: members of Via, as `wire.via` makes them."""
    hosts: Final[Sequence[bytes]]
    fetch_sites: Final[Sequence[bytes]]
    """What a browser says of the page that asks: ``Sec-Fetch-Site``."""
    content_encoding: Final[bytes]
    """The request body's content coding, lower case; empty for identity."""
    has_origin: Final[bool]
    is_upgrade: Final[bool]
    """Whether the app wants a WebSocket."""
    is_chunked: Final[bool]
    """Whether the request's framing is a transfer coding."""

    def __init__(
        self,
        lines: InboundLines,
        facts: dict[str, list[Any]],
        content_encoding: bytes = b"",
        *,
        has_origin: bool = False,
        is_upgrade: bool = False,
        is_chunked: bool = False,
    ) -> None:
        """Args: ``facts`` has the other fields' values by their names, where there are any."""
        self.lines = lines
        self.request_ids = facts.get("request_ids", ())
        self.traceparents = facts.get("traceparents", ())
        self.tracestates = facts.get("tracestates", ())
        self.sessions = facts.get("sessions", ())
        self.agents = facts.get("agents", ())
        self.tenants = facts.get("tenants", ())
        self.client_timeouts = facts.get("client_timeouts", ())
        self.vias = facts.get("vias", ())
        self.hosts = facts.get("hosts", ())
        self.fetch_sites = facts.get("fetch_sites", ())
        self.content_encoding = content_encoding
        self.has_origin = has_origin
        self.is_upgrade = is_upgrade
        self.is_chunked = is_chunked


def read_headers(
    raw: RawHeaders, policy: HeaderPolicy, hold: Callable[[int], None] | None = None
) -> RequestHeaders:
    """Sort the app's header fields by what becomes of them. Lines keep the app's spelling and
    order.

    Args: ``hold`` is told how many bytes they are where these are more than `FREE_HEAD_BYTES`.
    Raises: HeadersTooLarge for more than 64 KiB of names and values; InvalidHeader for a control
    character in a value, a name that is no token, or a Connection header that names a field which
    is not the connection's; MalformedRequest, UnsupportedEncoding for a Transfer-Encoding that is
    not chunked; what ``hold`` raises.
    """
    lines, facts, name_bytes = _sorted(raw, policy)
    values = b"".join(map(_VALUE, raw))
    if values.translate(None, _SAFE_IN_VALUES):
        raise InvalidHeader("a header's value holds a control character")
    size = name_bytes + len(values)
    if size > _MAX_BYTES:
        raise HeadersTooLarge(f"the request's headers are over {_MAX_BYTES} bytes")
    if size > FREE_HEAD_BYTES and hold is not None:
        hold(size)
    special = facts.pop("special", None)
    if special is None:
        return RequestHeaders(lines, facts)
    listed = _listed_by_connection(special, policy)
    if listed:
        kept = [(name, value) for name, value in raw if name.lower() not in listed]
        lines, facts, _ = _sorted(kept, policy)
        facts.pop("special", None)
    names = {name for name, _ in special}
    return RequestHeaders(
        lines,
        facts,
        _content_encoding(special),
        has_origin="origin" in names,
        is_upgrade=b"upgrade" in listed and _is_websocket(special),
        is_chunked="transfer-encoding" in names,
    )


def session_id_of(headers: RequestHeaders, policy: HeaderPolicy) -> str | None:
    """Return the session that the app names; None where no header names one, `STANDS_ALONE` for
    ``off`` in `AFFINITY_HEADER`.

    The first header of the policy that is present counts.

    Raises: InvalidHeader where that header was sent twice with different values, is not UTF-8, or
        is too long.
    """
    if len(headers.sessions) == 1:
        name, value = headers.sessions[0]
        session_id = _single(name, (value,))
    else:
        name, session_id = _first(headers.sessions, policy.session_names)
    if session_id is not None and name == AFFINITY_HEADER and session_id.lower() == "off":
        return STANDS_ALONE
    return session_id


def agent_of(headers: RequestHeaders, policy: HeaderPolicy) -> str | None:
    """Return the sub-agent that makes the call, by the first header of the policy that is present;
    None where there is none.

    Raises: InvalidHeader as `session_id_of` does.
    """
    return _first(headers.agents, policy.agent_names)[1]


def tenant_of(headers: RequestHeaders, policy: HeaderPolicy) -> str | None:
    """Return the tenant that the app names; None where the header is absent, empty or not
    configured.

    Raises: InvalidHeader as `session_id_of` does.
    """
    return _single(policy.tenant_name or "", headers.tenants) if headers.tenants else None


def request_id_of(values: Sequence[bytes]) -> str:
    """Return the app's request id as it came if it sent one that may be kept, else a new one."""
    if len(values) == 1 and is_request_id(values[0]):
        return values[0].decode()
    return mint_request_id()


def _sorted(
    raw: RawHeaders, policy: HeaderPolicy
) -> tuple[dict[str, list[bytes]], dict[str, list[Any]], int]:
    """Lines by their group, and values by the field of RequestHeaders that takes them; those that
    need a second look as ``special``; and how long all names are together.
    """
    lines: dict[str, list[bytes]] = {}
    facts: dict[str, list[Any]] = {}
    name_bytes = 0
    for name, value in raw:
        name_bytes += len(name)
        group, fact, key = policy[name]
        if group:
            line = name + b": " + value + b"\r\n"
            if group in lines:
                lines[group].append(line)
            else:
                lines[group] = [line]
        if fact and not (key == "connection" and value in PLAIN_CONNECTIONS):
            read = (key, value) if key else value
            if fact in facts:
                facts[fact].append(read)
            else:
                facts[fact] = [read]
    if "vias" in facts:
        members = members_of(facts.pop("vias"))
        if members:
            facts["vias"], lines["via"] = members, [via_line(members)]
    return lines, facts, name_bytes


def _listed_by_connection(special: Sequence[tuple[str, bytes]], policy: HeaderPolicy) -> set[bytes]:
    """Names of the fields that Connection headers say end at this hop, in lower case.

    Raises: InvalidHeader for a field that is not the connection's.
    """
    listed: set[bytes] = set()
    for name, value in special:
        if name == "connection":
            listed |= tokens_of(value)
    for token in listed:
        name = token.decode("latin-1")
        if not policy.may_be_dropped(name):
            raise InvalidHeader(f"the Connection header names {name!r}, which it may not remove")
    return listed


def _content_encoding(special: Sequence[tuple[str, bytes]]) -> bytes:
    """All content codings of the body but those that leave it as it is.

    Raises: UnsupportedEncoding for a transfer coding beside ``chunked``; MalformedRequest for none
        at all: the parser takes an empty one, and what servers make of such a field differs.
    """
    codings: list[bytes] = []
    for name, value in special:
        if name in ("content-encoding", "transfer-encoding"):
            named = [coding.strip(_BLANKS) for coding in value.lower().split(b",")]
            if name == "content-encoding":
                codings += named
            elif set(named) - _PLAIN_CODINGS:
                raise UnsupportedEncoding("no other Transfer-Encoding than chunked is served")
            elif named != _CHUNKED:
                raise MalformedRequest("Transfer-Encoding is not chunked")
    return b", ".join([coding for coding in codings if coding not in _PLAIN_CODINGS])


def _is_websocket(special: Sequence[tuple[str, bytes]]) -> bool:
    return any(name == "upgrade" and b"websocket" in tokens_of(value) for name, value in special)


def _first(given: Sequence[tuple[str, bytes]], names: Sequence[str]) -> tuple[str, str | None]:
    """Return the first of ``names`` that has a value, with that; ``("", None)`` where none has.

    Raises: InvalidHeader.
    """
    for wanted in names if given else ():
        text = _single(wanted, [value for name, value in given if name == wanted])
        if text is not None:
            return wanted, text
    return "", None


def _single(name: str, values: Sequence[bytes]) -> str | None:
    """Return the one value that a header has, trimmed; None where it has none.

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
    if len(text) > MAX_ID_BYTES:
        raise InvalidHeader(f"{name} is longer than {MAX_ID_BYTES} bytes", param=name)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidHeader(f"{name} is not UTF-8", param=name) from error
