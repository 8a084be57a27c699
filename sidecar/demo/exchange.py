"""One request to a demo provider and its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from sidecar.demo import provider_errors, wire_chat, wire_messages, wire_responses, wire_small
from sidecar.demo.ask import Answer, Ask, Json, read_ask
from sidecar.demo.faults import Act, Fault, Script, wished_fault
from sidecar.demo.record import RecordedRequest
from sidecar.demo.sending import Holds, Sender


class Persona(NamedTuple):
    """Who a provider is."""

    name: str
    token_gap_s: float
    keys: frozenset[str] | None
    models: tuple[str, ...]
    script: Script
    make_answer: Callable[[Ask], Answer]
    directive: str


class _Wire(NamedTuple):
    """How an API that generates writes its answers."""

    buffered: Callable[[Ask, Answer, int], bytes]
    events: Callable[[Ask, Answer, int], list[bytes]]


_GENERATING: Final = {
    "/chat/completions": _Wire(wire_chat.buffered, wire_chat.events),
    "/responses": _Wire(wire_responses.buffered, wire_responses.events),
    "/messages": _Wire(wire_messages.buffered, wire_messages.events),
}
_READING: Final = (*_GENERATING, "/embeddings", "/messages/count_tokens")


class Exchange:
    """One request and its answer: decides what to say, and leaves it to a `Sender`."""

    def __init__(
        self, persona: Persona, request: web.Request, record: RecordedRequest, number: int
    ) -> None:
        self._persona = persona
        self._request = request
        self._record = record
        self._number = number
        self._path = record.path
        self._is_anthropic = "/messages" in record.path or "anthropic-version" in request.headers
        self._wire = next(
            (wire for end, wire in _GENERATING.items() if self._path.endswith(end)), None
        )
        self._body: Json = {}

    async def answer(self, holds: Holds) -> web.StreamResponse:
        """Answer as wished, else properly."""
        problem = self._read_body()
        ask = read_ask(self._body)
        fault = self._persona.script.take(ask.model) or self._wish(ask)
        if not fault.status and fault.act is Act.ANSWER and fault.body is None:
            refused = problem or self._refusal(ask)
            fault = refused or fault
        sender = Sender(self._request, self._record, fault, holds)
        headers = self._headers(fault)
        if fault.status >= 400 or fault.body is not None:
            body = fault.body if fault.body is not None else self._error_body(fault, ask)
            return await sender.send_whole(fault.status or 200, headers, body)
        made = self._persona.make_answer(ask)
        if ask.wants_stream and self._wire is not None:
            events = self._wire.events(ask, made, self._number)
            headers["content-type"] = "text/event-stream; charset=utf-8"
            headers["cache-control"] = "no-cache"
            return await sender.send_stream(
                headers, events, self._error_event(fault), self._persona.token_gap_s
            )
        return await sender.send_whole(200, headers, self._whole(ask, made))

    def _wish(self, ask: Ask) -> Fault:
        header, directive = self._request.headers.get("x-demo-fail"), self._persona.directive
        return wished_fault(model=ask.model, prompt=ask.prompt, header=header, directive=directive)

    def _read_body(self) -> Fault | None:
        """Decode a JSON body, leaving others alone. Returns: the refusal of one that cannot be
        read.
        """
        is_json = self._request.content_type == "application/json"
        if not self._record.body or not (is_json or self._is_read()):
            return None
        try:
            self._body = msgspec.json.decode(self._record.body, type=dict)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Fault(
                status=400, message=f"We could not parse the JSON body of your request: {error}"
            )
        return None

    def _is_read(self) -> bool:
        return self._record.method == "POST" and self._path.endswith(_READING)

    def _refusal(self, ask: Ask) -> Fault | None:
        """What a real provider would refuse by itself."""
        if self._persona.keys is not None and self._key() not in self._persona.keys:
            return Fault(status=401)
        if not self._is_read():
            known = self._path.endswith("/models") or "/files" in self._path
            return (
                None
                if known
                else Fault(
                    status=404, code="unknown_url", message=f"Unknown request URL: {self._path}"
                )
            )
        if self._is_anthropic and "anthropic-version" not in self._request.headers:
            return Fault(status=400, message="anthropic-version: header is required")
        if not ask.model:
            text = (
                "model: Field required"
                if self._is_anthropic
                else "you must provide a model parameter"
            )
            return Fault(status=400, message=text)
        if self._path.endswith("/messages") and ask.output_limit is None:
            return Fault(status=400, message="max_tokens: Field required")
        return None

    def _key(self) -> str:
        bearer = self._request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._request.headers.get("x-api-key") or bearer

    def _whole(self, ask: Ask, made: Answer) -> bytes:
        """The answer in one piece, for any known path."""
        path, models = self._path, self._persona.models
        if self._wire is not None:
            return self._wire.buffered(ask, made, self._number)
        if path.endswith("/count_tokens"):
            return wire_small.count_tokens(ask)
        if path.endswith("/embeddings"):
            return wire_small.embeddings(self._body, ask)
        if path.endswith("/models"):
            return (
                wire_small.anthropic_models if self._is_anthropic else wire_small.openai_models
            )(models)
        file_id = path.partition("/files")[2].strip("/")
        return wire_small.files(self._record.method, file_id, len(self._record.body))

    def _request_id(self) -> str:
        return f"req_demo{self._number:08}"

    def _error_body(self, fault: Fault, ask: Ask) -> bytes:
        if self._is_anthropic:
            return provider_errors.anthropic_error(fault, ask.model, self._request_id())
        return provider_errors.openai_error(fault, ask.model)

    def _error_event(self, fault: Fault) -> bytes:
        if self._path.endswith("/messages"):
            return provider_errors.messages_error_event()
        if self._path.endswith("/responses"):
            return provider_errors.responses_error_event(fault.after_events)
        return provider_errors.chat_error_event()

    def _headers(self, fault: Fault) -> CIMultiDict[str]:
        """The header fields that these providers send beside the content's own."""
        own = _anthropic_headers if self._is_anthropic else _openai_headers
        headers = CIMultiDict([("content-type", "application/json"), *own(self._request_id())])
        for n, name in enumerate(("__cf_bm", "_cfuvid")):
            headers.add("set-cookie", f"{name}=demo-{n}; path=/; HttpOnly; Secure; SameSite=None")
        if fault.retry_after is not None:
            headers["retry-after"] = fault.retry_after
        for name, value in fault.headers:
            headers.add(name, value)
        return headers


def _openai_headers(request_id: str) -> list[tuple[str, str]]:
    return [
        ("x-request-id", request_id),
        ("openai-organization", "demo-org"),
        ("openai-processing-ms", "42"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "200000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "199900"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ]


def _anthropic_headers(request_id: str) -> list[tuple[str, str]]:
    return [
        ("request-id", request_id),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z"),
        ("anthropic-ratelimit-tokens-limit", "400000"),
        ("anthropic-ratelimit-tokens-remaining", "399000"),
        ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:00Z"),
    ]
