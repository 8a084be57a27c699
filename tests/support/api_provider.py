"""A provider that serves what OpenAI's and Anthropic's APIs have beside their calls, in their own
formats: stored responses, moderations, completions, images, audio, files, batches and the like.
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

CREATED = 1_760_000_000
SPEECH = bytes(range(256)) * 64
CONTENT = b'{"custom_id":"a"}\n'
MODEL_GONE = {
    "error": {
        "message": "The model `gone` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
}
USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
Json = dict[str, Any]


@dataclass(frozen=True)
class ApiRequest:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body, decoded."""
        found: Json = json.loads(self.body)
        return found

    @property
    def form(self) -> dict[str, bytes]:
        """The parts of a multipart body, by name."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        found: dict[str, bytes] = {}
        for part in message.iter_parts():
            data = part.get_payload(decode=True)
            assert isinstance(data, bytes)
            found[str(part.get_param("name", header="content-disposition"))] = data
        return found


def _response(_: ApiRequest) -> Json:
    return {
        "id": "resp_1", "object": "response", "created_at": CREATED, "status": "completed",
        "model": "gpt-4o", "output": [], "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "error": None, "incomplete_details": None, "instructions": None,
        "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def _deleted(kind: str, name: str) -> Callable[[ApiRequest], Json]:
    return lambda _: {"id": name, "object": kind, "deleted": True}


def _list(*items: Json) -> Json:
    ids = [item["id"] for item in items]
    ends = {"first_id": ids[0], "last_id": ids[-1]} if ids else {}
    return {"object": "list", "data": [*items], "has_more": False, **ends}


def _compacted(asked: ApiRequest) -> Json:
    item = {"id": "cmp_1", "type": "compaction", "encrypted_content": "x"}
    details = {"cached_tokens": 0, "cache_write_tokens": 0}
    usage = {
        **USAGE,
        "input_tokens_details": details,
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    assert asked.json["input"]
    return {
        "id": "resp_2", "object": "response.compaction", "created_at": CREATED,
        "output": [item], "usage": usage,
    }  # fmt: skip


def _moderation(asked: ApiRequest) -> Json:
    assert asked.json["input"]
    return {"id": "modr-1", "model": asked.json["model"], "results": []}


def _completion(asked: ApiRequest) -> Json | bytes:
    choice = {"index": 0, "text": "hello", "finish_reason": "stop", "logprobs": None}
    whole = {
        "id": "cmpl-1", "object": "text_completion", "created": CREATED,
        "model": asked.json["model"], "choices": [choice],
    }  # fmt: skip
    if not asked.json.get("stream"):
        return whole
    return b"data: %b\n\n" % json.dumps(whole).encode() * 3 + b"data: [DONE]\n\n"


def _images(asked: ApiRequest) -> Json:
    assert (asked.form if asked.headers["Content-Type"].startswith("multi") else asked.json)[
        "prompt"
    ]
    return {"created": CREATED, "data": [{"b64_json": "aGk="}]}


def _transcription(asked: ApiRequest) -> Json:
    return {"text": f"{len(asked.form['file'])} bytes", "usage": {"type": "duration", "seconds": 1}}


def _file(asked: ApiRequest) -> Json:
    size = len(asked.form["file"]) if asked.method == "POST" else 3
    return {
        "id": "file-1", "object": "file", "bytes": size, "created_at": CREATED,
        "filename": "a.jsonl", "purpose": "batch", "status": "processed",
    }  # fmt: skip


def _batch(_: ApiRequest) -> Json:
    return {
        "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions",
        "input_file_id": "file-1", "completion_window": "24h", "status": "validating",
        "created_at": CREATED,
    }  # fmt: skip


def _upload(_: ApiRequest) -> Json:
    return {
        "id": "upload_1", "object": "upload", "bytes": 3, "created_at": CREATED,
        "expires_at": CREATED, "filename": "a", "purpose": "batch", "status": "pending",
    }  # fmt: skip


def _vector_store(_: ApiRequest) -> Json:
    counts = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}
    return {
        "id": "vs_1", "object": "vector_store", "created_at": CREATED, "name": "a",
        "usage_bytes": 0, "file_counts": counts, "status": "completed",
        "last_active_at": CREATED, "metadata": {},
    }  # fmt: skip


def _conversation(_: ApiRequest) -> Json:
    return {"id": "conv_1", "object": "conversation", "created_at": CREATED, "metadata": {}}


def _message_batch(_: ApiRequest) -> Json:
    counts = {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    when = "2025-10-09T08:53:20Z"
    return {
        "id": "msgbatch_1", "type": "message_batch", "processing_status": "ended",
        "request_counts": counts, "created_at": when, "expires_at": when, "ended_at": when,
        "archived_at": None, "cancel_initiated_at": None, "results_url": None,
    }  # fmt: skip


def _their_file(_: ApiRequest) -> Json:
    return {
        "id": "file_011", "type": "file", "filename": "a.txt", "mime_type": "text/plain",
        "size_bytes": 2, "created_at": "2025-10-09T08:53:20Z", "downloadable": False,
    }  # fmt: skip


ROUTES: dict[tuple[str, str], Callable[[ApiRequest], Json | bytes]] = {
    ("GET", "/responses/resp_1"): _response,
    ("DELETE", "/responses/resp_1"): _deleted("response", "resp_1"),
    ("POST", "/responses/resp_1/cancel"): _response,
    ("GET", "/responses/resp_1/input_items"): lambda _: _list(),
    ("POST", "/responses/compact"): _compacted,
    ("POST", "/responses/input_tokens"): lambda _: {
        "object": "response.input_tokens", "input_tokens": 7
    },
    ("POST", "/conversations"): _conversation,
    ("GET", "/conversations/conv_1/items"): lambda _: _list(),
    ("POST", "/moderations"): _moderation,
    ("POST", "/completions"): _completion,
    ("POST", "/images/generations"): _images,
    ("POST", "/images/edits"): _images,
    ("POST", "/audio/transcriptions"): _transcription,
    ("POST", "/audio/speech"): lambda _: SPEECH,
    ("POST", "/files"): _file,
    ("GET", "/files"): lambda asked: _list(_file(asked)),
    ("GET", "/files/file-1"): _file,
    ("GET", "/files/file-1/content"): lambda _: CONTENT,
    ("DELETE", "/files/file-1"): _deleted("file", "file-1"),
    ("POST", "/uploads"): _upload,
    ("POST", "/uploads/upload_1/cancel"): _upload,
    ("POST", "/batches"): _batch,
    ("GET", "/batches"): lambda asked: _list(_batch(asked)),
    ("GET", "/batches/batch_1"): _batch,
    ("POST", "/batches/batch_1/cancel"): _batch,
    ("POST", "/vector_stores"): _vector_store,
    ("GET", "/vector_stores/vs_1"): _vector_store,
}  # fmt: skip
"""What OpenAI serves, below its base path."""
THEIRS: dict[tuple[str, str], Callable[[ApiRequest], Json | bytes]] = {
    ("POST", "/messages/batches"): _message_batch,
    ("GET", "/messages/batches"): lambda asked: _list(_message_batch(asked)),
    ("GET", "/messages/batches/msgbatch_1"): _message_batch,
    ("POST", "/messages/batches/msgbatch_1/cancel"): _message_batch,
    ("DELETE", "/messages/batches/msgbatch_1"): lambda _: {
        "id": "msgbatch_1", "type": "message_batch_deleted"
    },
    ("GET", "/messages/batches/msgbatch_1/results"): lambda _: CONTENT,
    ("POST", "/files"): _their_file,
    ("GET", "/files"): lambda asked: _list(_their_file(asked)),
}  # fmt: skip
"""What Anthropic serves."""


class ApiProvider:
    """Serves `ROUTES`, and to Anthropic's key `THEIRS`; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ApiRequest] = []
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ApiProvider]:
        """Bind a port of its own."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{any:.*}", self._serve)
        async with TestServer(app) as server:
            self.url = f"http://127.0.0.1:{server.port}"
            yield self

    async def _serve(self, request: web.Request) -> web.Response:
        asked = ApiRequest(request.method, request.path_qs, request.headers, await request.read())
        self.asked.append(asked)
        routes = THEIRS if "x-api-key" in request.headers else ROUTES
        if b'"model":"gone"' in asked.body:
            return web.json_response(MODEL_GONE, status=404)
        path = request.path.partition("/v1")[2]
        found = routes.get((request.method, path))
        if found is None:
            error = {"message": f"no such path: {request.path}", "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=404)
        said = found(asked)
        if isinstance(said, dict):
            return web.json_response(said)
        kind = "text/event-stream" if said.startswith(b"data:") else "application/octet-stream"
        return web.Response(body=said, content_type=kind)
