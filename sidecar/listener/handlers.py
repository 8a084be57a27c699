"""From a request on localhost to a `Call`, and from whatever goes wrong to a reply. Nothing is
decided here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from urllib.parse import unquote

import msgspec

from sidecar.dialects.models import ModelInfo, model_body, models_body
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import (
    BodyFacts,
    Call,
    Endpoint,
    Operation,
)
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Decision, Source
from sidecar.domain.errors import (
    Draining,
    MalformedRequest,
    MethodNotAllowed,
    OriginRefused,
    PathNotFound,
    UpgradeNotServed,
)
from sidecar.domain.events import AffinityOperation, RequestRefused
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome
from sidecar.domain.ports import Downstream
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.listener.body_reader import parse_error_of
from sidecar.listener.cors import is_preflight
from sidecar.listener.policy import ListenerPolicy, RequestHead
from sidecar.listener.request import Request
from sidecar.listener.rescue import Rescue
from sidecar.listener.response_writer import ResponseWriter
from sidecar.routing.table import ModelTable
from sidecar.runtime.lifecycle import Drain
from sidecar.wire.own_headers import decision_lines, models_lines, probe_lines
from sidecar.wire.request_headers import (
    RequestHeaders,
    client_timeout_s_of,
    read_headers,
    request_id_of,
    session_id_of,
    tenant_of,
)
from sidecar.wire.trace_context import trace_context_of

_PROBES: Final = frozenset({"/", "/api/hello"})
"""Agents ask whether their gateway is there before they use it."""
_MODELS: Final = "/v1/models"
_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})
"""Nowhere served: a tunnel would go around everything, an echo would tell credentials."""
_FIRST_VERSION: Final = (1, 0)
_CLIMB: Final = re.compile(r"[/\\]\.{1,2}(?:[/\\;]|$)")
"""A dot segment, also as servers read it that take a backslash for a slash, or parameters off a
segment.
"""
_NO_FACTS: Final = BodyFacts()
_NO_TENANT: Final = AffinityOperation(PinOperation.BYPASS, PinOutcome.NO_TENANT)


class ProxyPort(Protocol):
    """The proxy, as far as the door needs it."""

    async def handle(self, call: Call, down: Downstream) -> Outcome:
        """Carry a call."""
        ...

    async def decide(self, call: Call) -> Decision:
        """Say what would become of a call."""
        ...


class DataHandler:
    """The data port's handler."""

    def __init__(
        self,
        carrier: ProxyPort,
        models: ModelTable,
        rescue: Rescue,
        dialects: DialectRegistry,
        drain: Drain,
        observers: Observers,
        clock: Clock,
        policy: ListenerPolicy,
        write: Callable[[asyncio.Transport, bytes], None] | None = None,
    ) -> None:
        self._carry = carrier.handle
        self._decide = carrier.decide
        self._models = models
        self._rescue = rescue
        self._dialects = dialects
        self._endpoints = dialects.endpoints
        self._decision_endpoints = {
            f"/routing{path}": endpoint
            for path, endpoint in self._endpoints.items()
            if endpoint.operation is Operation.GENERATE
        }
        """Katanemo's own name for "which model would it be?"."""
        self._drain = drain
        self._observers = observers
        self._clock = clock
        self._policy = policy
        self._write = write

    async def handle(self, request: Request) -> ResponseWriter:
        """Serve one request: the answer is written before this returns. Raises only
        CancelledError.
        """
        admitted_s = self._clock.monotonic_s()
        down = ResponseWriter(request, self._write)
        path, mark, query = request.target.partition("?")
        endpoint = self._endpoints.get(path)
        request_id = ""
        try:
            headers = read_headers(request.raw_headers, self._policy.headers)
            request_id = request_id_of(headers.request_ids)
            if headers.has_origin or headers.is_upgrade or not request.keep_alive:
                self._check(request, headers, down)
            arrival = RequestHead(request, path, mark + query, headers, request_id, admitted_s)
            if endpoint is not None and request.method == "POST":
                await self._carry_call(arrival, endpoint, None, down, self._carry)
            else:
                await self._serve_other(arrival, down)
        except Exception as error:  # noqa: BLE001 - every error becomes a reply here
            self._answer(error, down, endpoint or self._decision_endpoints.get(path), request_id)
        except asyncio.CancelledError:
            if self._drain.has_ended and not down.is_started:
                # Not the app left: the grace is spent. It waits for an answer still.
                ended = Draining(
                    "this sidecar has shut down before the answer came", retry_after_s=1
                )
                self._answer(
                    ended, down, endpoint or self._decision_endpoints.get(path), request_id
                )
            raise
        return down

    def handle_parse_error(self, request: Request, error: BaseException | None) -> ResponseWriter:
        """Answer bytes that were not a request. What they were is told to nobody: they may hold a
        credential.
        """
        down = ResponseWriter(request)
        self._answer(parse_error_of(error), down, None, "")
        return down

    async def _carry_call(
        self,
        arrival: RequestHead,
        endpoint: Endpoint,
        provider: str | None,
        down: ResponseWriter,
        serve: Callable[[Call, ResponseWriter], Awaitable[Outcome | None]],
    ) -> None:
        """One call, admitted and read. The permit is held until the stream has ended."""
        holder = arrival.request.task
        self._drain.admit(holder)
        held_bytes = 0
        intake = self._policy.intake
        try:
            body = intake.read_nowait(arrival.request, arrival.headers.content_encoding)
            if body is None:
                body = await intake.read(arrival.request)
            held_bytes = len(body)
            call = self._call_of(arrival, endpoint, provider, body)
            down.is_carried = True
            await serve(call, down)
        finally:
            intake.budget.give_back(held_bytes)
            self._drain.release(holder)

    def _call_of(
        self, arrival: RequestHead, endpoint: Endpoint, provider: str | None, body: bytes
    ) -> Call:
        headers, policy = arrival.headers, self._policy
        tenant = policy.fixed_tenant
        if tenant is None and headers.tenants:
            tenant = tenant_of(headers, policy.headers)
        session_id = session_id_of(headers, policy.headers) if headers.sessions else None
        if tenant is None and policy.headers.tenant_name is not None:
            if session_id is not None:
                self._observers.emit(_NO_TENANT)
            session_id = None  # an unknown tenant's sessions must not share the keys of nobody's
        return Call(
            endpoint=endpoint,
            method=arrival.request.method,
            query=arrival.query,
            headers=headers.lines,
            body=body,
            facts=self._dialects.by_name[endpoint.dialect].peek(body)
            if provider is None
            else _NO_FACTS,
            request_id=arrival.request_id,
            trace=trace_context_of(headers.traceparents, headers.tracestates),
            admitted_s=arrival.admitted_s,
            session_id=session_id,
            tenant=tenant,
            client_timeout_s=client_timeout_s_of(headers) if headers.client_timeouts else None,
            passthrough_provider=provider,
        )

    async def _serve_other(self, arrival: RequestHead, down: ResponseWriter) -> None:
        """The paths that are not calls to a model: lists, probes, passthrough, and mistakes."""
        path, method = arrival.path, arrival.request.method
        provider = self._passthrough_of(path)
        if arrival.headers.has_origin and is_preflight(arrival.request):
            down.send_whole(204, b"", [], b"")
        elif method in _REFUSED_METHODS:
            _allow(method, path, "GET, HEAD, POST")
        elif path in self._endpoints:
            _allow(method, path, "POST")
        elif path in self._decision_endpoints:
            _allow(method, path, "POST")
            await self._carry_call(arrival, self._decision_endpoints[path], None, down, self._tell)
        elif path == _MODELS or path.startswith(_MODELS + "/"):
            _allow(method, path, "GET, HEAD")
            self._serve_models(arrival, down)
        elif provider is not None:
            name = self._dialects.of_headers(arrival.request.header_values).name
            endpoint = Endpoint(path, name, Operation.PASSTHROUGH)
            await self._carry_call(arrival, endpoint, provider, down, self._carry)
        elif path in _PROBES:
            _allow(method, path, "GET, HEAD")
            down.send_whole(200, b"OK", probe_lines(arrival.request_id), b"")
        else:
            raise PathNotFound(f"no such path: {path[:200]}")

    async def _tell(self, call: Call, down: ResponseWriter) -> None:
        """What would become of the call, as JSON; it goes nowhere. The first model is the
        choice.
        """
        down.is_carried = False
        decision = await self._decide(call)
        told: dict[str, object] = {
            "models": list(
                dict.fromkeys(candidate.model_name for candidate in decision.candidates)
            ),
            "route": decision.route_name,
            "trace_id": call.trace.trace_id,
            "pinned": decision.source is Source.PINNED,
            "source": decision.source.value,
        }
        if call.session_id is not None:
            told["session_id"] = call.session_id
        down.send_whole(200, b"OK", decision_lines(call.request_id), msgspec.json.encode(told))

    def _serve_models(self, arrival: RequestHead, down: ResponseWriter) -> None:
        wanted = unquote(arrival.path[len(_MODELS) + 1 :])
        if wanted:
            listed = self._models.describe(wanted)
            body = model_body(ModelInfo(listed.name, listed.owner))
        else:
            body = models_body(
                [ModelInfo(listed.name, listed.owner) for listed in self._models.listed]
            )
        down.send_whole(200, b"OK", models_lines(arrival.request_id), body)

    def _passthrough_of(self, path: str) -> str | None:
        """The provider that the config names for a path. One that climbs out of its prefix is no
        such path.
        """
        if _CLIMB.search(unquote(path)) is not None:
            return None
        for prefix, provider in self._policy.passthrough:
            if path == prefix or path.startswith(prefix + "/"):
                return provider
        return None

    def _check(self, request: Request, headers: RequestHeaders, down: ResponseWriter) -> None:
        """Refuse web pages of no allowed origin, WebSockets, and heads without a version.

        Raises: OriginRefused, UpgradeNotServed, MalformedRequest.
        """
        if request.version < _FIRST_VERSION:
            raise MalformedRequest("the request line names no version of HTTP")
        if headers.has_origin:
            origins = request.header_values("Origin")
            if not self._policy.allow_origins.issuperset(origins):
                raise OriginRefused(
                    "requests from web pages are refused; listeners[].allow_origins can "
                    "allow an origin"
                )
            down.allow_page(origins[0])
        if headers.is_upgrade:
            raise UpgradeNotServed("WebSocket is not served; use a streamed POST")

    def _answer(
        self, error: Exception, down: ResponseWriter, endpoint: Endpoint | None, request_id: str
    ) -> None:
        """Reply with the error, or break the connection where the answer had begun already."""
        request_id = request_id or _request_id_of(down.request)
        if endpoint is not None:
            dialect = endpoint.dialect
        else:
            dialect = self._dialects.of_headers(down.request.header_values).name
        refusal = self._rescue.refuse(error, dialect, request_id)
        if not down.is_carried and RequestRefused in self._observers.heard:
            self._observers.emit(RequestRefused(dialect, refusal.status, refusal.code))
        if down.is_started:
            down.abort()
            return
        if refusal.closes or not down.request.content.is_eof():
            down.close_after()
        down.send_whole(refusal.status, b"", refusal.lines, refusal.body)


def _allow(method: str, path: str, allowed: str) -> None:
    if method not in allowed.split(", "):
        raise MethodNotAllowed(
            f"{method} is not served on {path}; allowed: {allowed}", allow=allowed
        )


def _request_id_of(request: Request) -> str:
    """The id of a request whose header fields could not all be read."""
    values = [
        value.encode(errors="surrogateescape") for value in request.header_values("x-request-id")
    ]
    return request_id_of(values)
