"""A provider and a router model that remember what they were sent, and fail in every way that a
test asks for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from aiohttp import web
from multidict import CIMultiDict

from sidecar.demo.completion import DemoCompletion
from sidecar.demo.openai_wire import CREATED_UNIX_S, indented
from sidecar.demo.provider import DEFAULT_MODELS, DemoProvider
from sidecar.demo.replies import (
    HttpReply,
    HttpRequest,
    good_reply,
    read_body,
    refusal,
)
from sidecar.demo.request import DemoRequest, Json, read_request
from sidecar.demo.router_model import complete_route
from tests.support.faults import Fault, Script, wished_fault
from tests.support.faulty_sender import FaultySender, Holds
from tests.support.provider_errors import error_body, error_event
from tests.support.recorded_request import RecordedRequest


class ScriptedProvider(DemoProvider):
    """The demo's provider with a script of faults, a record of requests, keys, OpenAI's files, and
    the header fields that the real providers send.

    Args: ``record`` is how many requests to remember (None for all); ``keys`` the credentials that
        it takes (None for any).
    """

    directive = "fail"
    """A user message that contains ``[[fail:429]]`` asks for that failure."""

    def __init__(
        self,
        *,
        name: str = "demo",
        token_gap_s: float = 0.0,
        models: tuple[str, ...] = DEFAULT_MODELS,
        record: int | None = None,
        keys: frozenset[str] | None = None,
    ) -> None:
        super().__init__(name=name, token_gap_s=token_gap_s, models=models)
        self.script = Script()
        self.requests: deque[RecordedRequest] = deque(maxlen=record)
        self.keys = keys
        self._holds = Holds()
        self._came = asyncio.Condition()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Bind and serve, also after `aclose`."""
        self._holds = Holds()
        return await super().start(host, port)

    async def aclose(self) -> None:
        """Let go of the replies that wait, then close every connection and the port."""
        self._holds.let_go()
        await super().aclose()

    async def wait_for_requests(self, count: int) -> None:
        """Wait until ``count`` requests have been read since the start."""
        async with self._came:
            await self._came.wait_for(lambda: self.seen >= count)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record one request and reply as the script or the request wishes, else properly."""
        record = await self._record(request)
        http = HttpRequest(record.method, record.path, request.headers, record.body, self.seen)
        body, problem = read_body(http)
        asked = read_request(body)
        fault = self.script.take(asked.model) or self._wish(http, asked)
        reply = self._failure(http, asked, problem, fault) or self._proper(http, body)
        try:
            return await self._send_badly(request, http, record, reply, fault)
        except (asyncio.CancelledError, ConnectionError) as error:
            if not record.when_done.is_set() and not self._holds.is_closing:
                record.when_closed.set()
            raise asyncio.CancelledError from error  # as in the demo's provider

    async def _record(self, request: web.Request) -> RecordedRequest:
        path, mark, query = request.raw_path.partition("?")
        body = await request.read()
        record = RecordedRequest(
            method=request.method,
            path=path,
            query=mark + query,
            headers=list(request.raw_headers),
            body=body,
        )
        if request.transport is not None:
            record.peer = request.transport.get_extra_info("peername")[:2]
        self.requests.append(record)
        self.seen += 1
        async with self._came:
            self._came.notify_all()
        return record

    def _wish(self, http: HttpRequest, asked: DemoRequest) -> Fault:
        return wished_fault(
            model=asked.model,
            prompt=asked.prompt,
            header=http.headers.get("x-demo-fail"),
            directive=self.directive,
        )

    def _failure(
        self, http: HttpRequest, asked: DemoRequest, problem: HttpReply | None, fault: Fault
    ) -> HttpReply | None:
        """Return the error (or other body) that the fault or the request itself calls for."""
        if fault.body is not None:
            return HttpReply(fault.status or 200, fault.body)
        if fault.status >= 400:
            return HttpReply(fault.status, error_body(http, fault, asked.model))
        if not fault.is_proper:
            return None
        if problem is not None:
            return problem
        bearer = http.headers.get("authorization", "").removeprefix("Bearer ")
        if self.keys is not None and (http.headers.get("x-api-key") or bearer) not in self.keys:
            return HttpReply(401, error_body(http, Fault(status=401), asked.model))
        return None if "/files" in http.path else refusal(http, asked)

    def _proper(self, http: HttpRequest, body: Json) -> HttpReply:
        if "/files" in http.path:
            return HttpReply(200, _files(http))
        return good_reply(http, body, self.models, self.complete)

    async def _send_badly(
        self,
        request: web.Request,
        http: HttpRequest,
        record: RecordedRequest,
        reply: HttpReply,
        fault: Fault,
    ) -> web.StreamResponse:
        sender = FaultySender(request, record, fault, self._holds)
        headers = _headers(http, fault)
        if reply.events is None:
            return await sender.send_whole(reply.status, headers, reply.body)
        headers["content-type"] = "text/event-stream; charset=utf-8"
        headers["cache-control"] = "no-cache"
        last_words = error_event(http.path, fault.after_events)
        return await sender.send_stream(headers, reply.events, last_words, self._token_gap_s)


class ScriptedRouterModel(ScriptedProvider):
    """A router model that says ``text`` if a test sets it; else it chooses for itself, as the
    demo's does. Its directive is one of its own, so that one user message can fail either.
    """

    directive = "fail-router"
    text: str | None = None

    def __init__(self, *, name: str = "router", record: int | None = None) -> None:
        super().__init__(name=name, models=("router",), record=record)

    def complete(self, request: DemoRequest) -> DemoCompletion:
        """Return the given text, or the route that shares most words with the prompt."""
        return complete_route(request) if self.text is None else DemoCompletion((self.text,))


def _headers(http: HttpRequest, fault: Fault) -> CIMultiDict[str]:
    """The header fields that these providers send, and those that the fault adds."""
    own = _ANTHROPIC_FIELDS if http.is_anthropic else _OPENAI_FIELDS
    headers = CIMultiDict([("content-type", "application/json"), *own])
    headers["request-id" if http.is_anthropic else "x-request-id"] = http.request_id
    for number, name in enumerate(("__cf_bm", "_cfuvid")):
        headers.add("set-cookie", f"{name}=demo-{number}; path=/; HttpOnly; Secure; SameSite=None")
    if fault.retry_after is not None:
        headers["retry-after"] = fault.retry_after
    for name, value in fault.headers:
        headers.add(name, value)
    return headers


_OPENAI_FIELDS = (
    ("openai-organization", "demo-org"),
    ("openai-processing-ms", "42"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "200000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "199900"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "30ms"),
)
_ANTHROPIC_FIELDS = (
    ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
    ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z"),
    ("anthropic-ratelimit-tokens-limit", "400000"),
    ("anthropic-ratelimit-tokens-remaining", "399000"),
    ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:00Z"),
)


def _files(http: HttpRequest) -> bytes:
    """OpenAI's files: the list, one file (also an upload), or its deletion."""
    file_id = http.path.partition("/files")[2].strip("/")
    if http.method == "DELETE":
        return indented({"id": file_id, "object": "file", "deleted": True})
    one = {
        "id": file_id or "file-demo000001",
        "object": "file",
        "bytes": len(http.body),
        "created_at": CREATED_UNIX_S,
        "filename": "demo.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
    if http.method == "POST" or file_id:
        return indented(one)
    ends = {"first_id": one["id"], "last_id": one["id"]}
    return indented({"object": "list", "data": [one], "has_more": False, **ends})
