"""Decides what the demo provider replies to a request: an error, or what its API would say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec

from sidecar.demo import anthropic_wire, openai_wire, responses_wire
from sidecar.demo.completion import DemoCompletion
from sidecar.demo.request import DemoRequest, Json, read_request

_DIRECTIVE: Final = re.compile(r"\[\[fail:([45]\d\d)\]\]")
_FAILING_MODEL: Final = re.compile(r"error-([45]\d\d)")


class HttpRequest(NamedTuple):
    """One request as it came over the wire."""

    method: str
    path: str
    """As it stands on the request line, without the query."""
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes
    number: int
    """Counts the provider's requests from 1; ids are made of it."""

    @property
    def is_anthropic(self) -> bool:
        """Whether the caller speaks Anthropic's API rather than OpenAI's."""
        return "/messages" in self.path or "anthropic-version" in self.headers

    @property
    def request_id(self) -> str:
        """The id that the provider gives to the request."""
        return f"req_demo{self.number:08}"


class HttpReply(msgspec.Struct, frozen=True):
    """What is sent back: a body in one piece, or the events of a stream."""

    status: int
    body: bytes = b""
    events: tuple[bytes, ...] | None = None
    """Server-sent events, each with its blank line; None: the reply is not a stream."""


class _Api(NamedTuple):
    """How an API that generates text writes what was generated."""

    buffered: Callable[[DemoRequest, DemoCompletion, int], bytes]
    events: Callable[[DemoRequest, DemoCompletion, int], list[bytes]]


_GENERATING: Final = {
    "/chat/completions": _Api(openai_wire.buffered, openai_wire.events),
    "/responses": _Api(responses_wire.buffered, responses_wire.events),
    "/messages": _Api(anthropic_wire.buffered, anthropic_wire.events),
}
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_READING: Final = (*_GENERATING, "/embeddings", "/messages/count_tokens")
"""The ends of the paths whose bodies are JSON."""


def read_body(http: HttpRequest) -> tuple[Json, HttpReply | None]:
    """Decode the body of an API that takes JSON. Returns: the decoded object, and a 400 if the body
    is not one.
    """
    if not http.body or not _takes_json(http):
        return {}, None
    try:
        return msgspec.json.decode(http.body, type=dict), None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        text = f"We could not parse the JSON body of your request: {error}"
        return {}, error_reply(http, 400, text)


def refusal(http: HttpRequest, request: DemoRequest) -> HttpReply | None:
    """Return the error with which a real provider refuses the request; None if it does not."""
    if not _takes_json(http):
        if http.path.endswith("/models"):
            return None
        return error_reply(http, 404, f"Unknown request URL: {http.path}", code="unknown_url")
    if http.is_anthropic and "anthropic-version" not in http.headers:
        return error_reply(http, 400, "anthropic-version: header is required")
    if not request.model:
        anthropic, openai = "model: Field required", "you must provide a model parameter"
        return error_reply(http, 400, anthropic if http.is_anthropic else openai)
    if http.path.endswith("/messages") and request.output_limit is None:
        return error_reply(http, 400, "max_tokens: Field required")
    return None


def wished_failure(http: HttpRequest, request: DemoRequest) -> HttpReply | None:
    """Return the error that the caller asks for, by a model named ``error-529`` or a user message
    that contains ``[[fail:400]]``; None if it asks for none.
    """
    found = _DIRECTIVE.search(request.prompt) or _FAILING_MODEL.fullmatch(request.model)
    return error_reply(http, int(found[1])) if found else None


def error_reply(
    http: HttpRequest, status: int, message: str | None = None, *, code: str | None = None
) -> HttpReply:
    """Make an error as the caller's API writes it.

    Args: ``message`` None takes the status's reason phrase; ``code`` is OpenAI's, None the usual
        one of the status.
    """
    message = message or _PHRASES.get(status, "Overloaded")
    if http.is_anthropic:
        return HttpReply(status, anthropic_wire.error(status, message, http.request_id))
    return HttpReply(status, openai_wire.error(status, message, code=code))


def good_reply(
    http: HttpRequest,
    body: Json,
    models: tuple[str, ...],
    complete: Callable[[DemoRequest], DemoCompletion],
) -> HttpReply:
    """Make the reply of the API at the request's path.

    Args: ``body`` is the decoded body; ``models`` are the ids of the model list; ``complete`` says
        what is generated.
    """
    request, path = read_request(body), http.path
    for end, api in _GENERATING.items():
        if path.endswith(end):
            completion = complete(request)
            if request.wants_stream:
                return HttpReply(200, events=tuple(api.events(request, completion, http.number)))
            return HttpReply(200, api.buffered(request, completion, http.number))
    if path.endswith("/count_tokens"):
        return HttpReply(200, anthropic_wire.count_tokens(request))
    if path.endswith("/embeddings"):
        return HttpReply(200, openai_wire.embeddings(body, request))
    wire = anthropic_wire if http.is_anthropic else openai_wire
    return HttpReply(200, wire.models(models))


def _takes_json(http: HttpRequest) -> bool:
    return http.method == "POST" and http.path.endswith(_READING)
