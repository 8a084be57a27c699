"""From a request to a `Call`: its path names an endpoint, its head is checked, a permit is taken,
its body is read within its limits, and what headers and body say becomes the call's facts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, final

from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import BodyFacts, Call, Endpoint
from sidecar.domain.clock import Clock
from sidecar.domain.errors import (
    MalformedRequest,
    OriginRefused,
    UpgradeNotServed,
)
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Sampling
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.listener.body_reader import BodyReader
from sidecar.listener.paths import check_target
from sidecar.listener.request import Request
from sidecar.listener.response_writer import ResponseWriter
from sidecar.listener.upload import WINDOW_BYTES, StreamedUpload
from sidecar.listener.web_pages import HostCheck, is_of_other_site
from sidecar.runtime.lifecycle import Drain
from sidecar.runtime.steps import in_steps
from sidecar.wire.body import AT_ONCE_BYTES
from sidecar.wire.body_sessions import BodySessions
from sidecar.wire.client_timeouts import timeouts_of
from sidecar.wire.form import FormModel
from sidecar.wire.headers import HeaderPolicy
from sidecar.wire.request_headers import (
    RequestHeaders,
    agent_of,
    read_headers,
    request_id_of,
    session_id_of,
    tenant_of,
)
from sidecar.wire.trace_context import trace_context_of
from sidecar.wire.via import check_loop

_FIRST_VERSION: Final = (1, 0)
_LAST_VERSION: Final = (1, 1)
_Seen = BodyFacts | None
_NO_FACTS: Final = BodyFacts()
_NO_TIMEOUTS: Final[tuple[float | None, float | None]] = (None, None)
_Sent = tuple[bytes, StreamedUpload | None]
"""A whole body; or none, and an upload."""
_NO_MEMBERS: Final[frozenset[bytes]] = frozenset()
_NO_TENANT: Final = AffinityOperation(PinOperation.BYPASS, PinOutcome.NO_TENANT)


@final
@dataclass(init=False, unsafe_hash=True)
class ListenerPolicy:
    """What the config lets in through the data port."""

    headers: Final[HeaderPolicy]
    body_reader: Final[BodyReader]
    allow_origins: Final[frozenset[str]]
    fixed_tenant: Final[str | None]
    """Wins over the tenant header."""
    body_sessions: Final[BodySessions | None]
    """Reads sessions from bodies where no header names one; None where only headers do."""
    hosts: Final[HostCheck]
    sampling: Final[Sampling | None]
    """Which traces are sampled; None while tracing is off."""
    via: Final[bytes]
    """What this process adds to Via."""

    def __init__(
        self,
        headers: HeaderPolicy,
        body_reader: BodyReader,
        allow_origins: frozenset[str] = frozenset(),
        fixed_tenant: str | None = None,
        body_sessions: BodySessions | None = None,
        sampling: Sampling | None = None,
        via: bytes = b"",
        hosts: HostCheck | None = None,
    ) -> None:
        self.headers = headers
        self.body_reader = body_reader
        self.allow_origins = allow_origins
        self.fixed_tenant = fixed_tenant
        self.body_sessions = body_sessions
        self.sampling = sampling
        self.via = via
        self.hosts = HostCheck() if hosts is None else hosts


@final
@dataclass(init=False, unsafe_hash=True)
class RequestHead:
    """A request whose head was read and may come in."""

    request: Final[Request]
    path: Final[str]
    query: Final[str]
    """With its question mark, or empty."""
    headers: Final[RequestHeaders]
    request_id: Final[str]
    admitted_s: Final[float]
    """Monotonic clock: when the head had arrived."""

    def __init__(
        self,
        request: Request,
        path: str,
        query: str,
        headers: RequestHeaders,
        request_id: str,
        admitted_s: float,
    ) -> None:
        self.request = request
        self.path = path
        self.query = query
        self.headers = headers
        self.request_id = request_id
        self.admitted_s = admitted_s


class Admission:
    """Lets requests in, and holds a call's permit and the memory of its body while it is served."""

    def __init__(
        self,
        drain: Drain,
        dialects: DialectRegistry,
        observers: Observers,
        clock: Clock,
        policy: ListenerPolicy,
    ) -> None:
        self._drain = drain
        self._dialects = dialects
        self._observers = observers
        self._clock = clock
        self._policy = policy
        self._hosts = policy.hosts
        self._known_target = ""
        """The last one whose characters were looked at: most callers ask for few."""

    @property
    def has_ended(self) -> bool:
        """Whether the drain has cancelled the calls that were still in flight."""
        return self._drain.has_ended

    def read_head(self, request: Request, down: ResponseWriter) -> RequestHead:
        """Read the head of a request, and refuse one that may not come in.

        Raises: InvalidHeader, HeadersTooLarge, HostRefused, OriginRefused, UpgradeNotServed,
            MalformedRequest, LoopDetected; Overloaded where memory has no room for a long head.
        """
        admitted_s = self._clock.monotonic_s()
        headers = read_headers(request.raw_headers, self._policy.headers, request.hold_head)
        hosts, authority = headers.hosts, request.authority
        if len(hosts) != 1 or hosts[0] != self._hosts.known or authority:
            self._hosts.check(hosts, authority, request.version)
        is_of_page = headers.has_origin or bool(headers.fetch_sites)
        is_special = is_of_page or headers.is_upgrade or headers.is_chunked or bool(headers.vias)
        if is_special or not request.keep_alive or request.version != _LAST_VERSION:
            self._check(request, headers, down)
        path, mark, query = request.target.partition("?")
        if request.target != self._known_target:
            check_target(path, query)
            self._known_target = request.target
        request_id = request_id_of(headers.request_ids)
        return RequestHead(request, path, mark + query, headers, request_id, admitted_s)

    async def serve(
        self,
        head: RequestHead,
        endpoint: Endpoint,
        provider: str | None,
        down: ResponseWriter,
        serve: Callable[[Call, ResponseWriter], Awaitable[object]],
    ) -> None:
        """Make the request a call and have it served. Its permit is held until ``serve`` returns,
        which is when its stream has ended; the memory of its body until it was sent.

        Args: ``provider`` is the one to which the config passes the path through; None where it
            names none.
        Raises: Draining, Overloaded, what `BodyReader` and the dialect's ``peek`` raise,
            InvalidHeader, and what ``serve`` raises.
        """
        holder, request, encoding = head.request.task, head.request, head.headers.content_encoding
        self._drain.admit(holder)
        call: Call | None = None
        is_made, body = False, b""  # a flag: compiled, `call` counts as set in `finally`
        policy, reader = self._policy, self._policy.body_reader
        upload: StreamedUpload | None = None
        facts: _Seen = None
        try:
            if endpoint.is_body_read:
                at_hand = reader.read_nowait(request, encoding)
                body = at_hand if at_hand is not None else await reader.read(request, encoding)
                if len(body) > AT_ONCE_BYTES:
                    dialect, bodies = self._dialects.by_name[endpoint.dialect], policy.body_sessions
                    members = _NO_MEMBERS if bodies is None else bodies.members
                    facts = await in_steps(dialect.peek_in_steps(body, members))
                    await asyncio.sleep(0)  # what comes next is long enough
            else:
                form = _form_of(endpoint, encoding)
                body, upload = await reader.read_or_stream(request, form)
                down.upload, facts = upload, _NO_FACTS if form is None else form.facts
            call = self._call_of(head, endpoint, provider, (body, upload), facts)
            is_made = True
            body = b""  # the call alone holds it, and lets go of it once it was sent
            down.is_call = True
            await serve(call, down)
        finally:
            if not is_made or upload is not None:
                reader.memory.give_back(len(body) if upload is None else WINDOW_BYTES)
            elif call is not None and call.body:
                call.release_body()
            self._drain.release(holder)

    def _call_of(
        self, head: RequestHead, endpoint: Endpoint, provider: str | None, sent: _Sent, facts: _Seen
    ) -> Call:
        """Args: ``facts`` are None where the body is still to be read."""
        body, upload = sent
        headers, policy = head.headers, self._policy
        tenant = policy.fixed_tenant
        if tenant is None and headers.tenants:
            tenant = tenant_of(headers, policy.headers)
        session_id = session_id_of(headers, policy.headers) if headers.sessions else None
        timeouts = timeouts_of(headers.client_timeouts) if headers.client_timeouts else _NO_TIMEOUTS
        bodies = policy.body_sessions if session_id is None else None
        if facts is None:
            members = _NO_MEMBERS if bodies is None else bodies.members
            facts = self._dialects.by_name[endpoint.dialect].peek(body, members)
        if bodies is not None and facts.session_spans:
            session_id = bodies.session_id_of(body, facts)
        if session_id and tenant is None and policy.headers.tenant_name is not None:
            # Without its tenant's name a session would share the keys of all such sessions.
            self._observers.emit(_NO_TENANT)
            session_id = None
        return Call(
            endpoint=endpoint,
            method=head.request.method,
            query=head.query,
            headers=headers.lines,
            body=body,
            facts=facts,
            request_id=head.request_id,
            trace=trace_context_of(headers.traceparents, headers.tracestates, policy.sampling),
            admitted_s=head.admitted_s,
            session_id=session_id or None,
            tenant=tenant,
            agent=agent_of(headers, policy.headers) if headers.agents and session_id else None,
            client_timeout_s=timeouts[0],
            plano_timeout_s=timeouts[1],
            passthrough_provider=provider,
            give_back=policy.body_reader.memory.give_back,
            upload=upload,
        )

    def _check(self, request: Request, headers: RequestHeaders, down: ResponseWriter) -> None:
        """Refuse web pages of no allowed origin, WebSockets, heads of no version that is served,
        chunks in one that knows none, and what has come through this process before.

        Raises: OriginRefused, UpgradeNotServed, MalformedRequest, LoopDetected.
        """
        if not _FIRST_VERSION <= request.version <= _LAST_VERSION:
            raise MalformedRequest("the request line names no version of HTTP that is served")
        if headers.is_chunked and request.version < _LAST_VERSION:
            raise MalformedRequest("HTTP/1.0 has no transfer codings: its body's end is not known")
        if headers.has_origin:
            origins = request.header_values("Origin")
            if not self._policy.allow_origins.issuperset(origins):
                raise OriginRefused(
                    "requests from web pages are refused; listeners[].allow_origins can "
                    "allow an origin"
                )
            down.allow_page(origins[0])
        elif is_of_other_site(headers.fetch_sites):
            raise OriginRefused("requests that the page of another site makes are refused")
        if headers.is_upgrade:
            raise UpgradeNotServed("WebSocket is not served; use a streamed POST")
        check_loop(headers.vias, self._policy.via)


def _form_of(endpoint: Endpoint, encoding: bytes) -> FormModel | None:
    """Return what looks for the model in a body; None where it is no form, or compressed."""
    boundary = endpoint.form_boundary
    return None if boundary is None or encoding else FormModel(boundary)
