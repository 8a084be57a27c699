"""A provider that needs no key: OpenAI's and Anthropic's APIs on a loopback port."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from sidecar.demo.completion import DemoCompletion, make_completion
from sidecar.demo.replies import (
    HttpReply,
    HttpRequest,
    good_reply,
    read_body,
    refusal,
    wished_failure,
)
from sidecar.demo.request import DemoRequest, read_request

DEFAULT_MODELS: Final = (
    "gpt-4o-mini",
    "gpt-4o",
    "text-embedding-3-small",
    "claude-sonnet-5",
    "claude-haiku-4-5",
)
_BODY_BYTES: Final = 256 << 20
_HEAD_BYTES: Final = 1 << 20


class DemoProvider:
    """One provider on one port. It speaks chat completions, responses, messages, embeddings,
    count_tokens and models, under any path prefix (``/v1``, ``/openai/v1``, ``/anthropic/v1``).
    """

    fails_on_request = True
    """Whether a call that asks for an error status gets it."""

    def __init__(
        self,
        *,
        name: str = "demo",
        token_gap_s: float = 0.0,
        models: tuple[str, ...] = DEFAULT_MODELS,
    ) -> None:
        """Args: ``name`` appears in what it says; ``token_gap_s`` seconds pass between the events
        of a stream; ``models`` are the ids that it lists (it takes any).
        """
        self.name = name
        self.models = models
        self.url = ""
        """``http://127.0.0.1:port`` once started."""
        self.seen = 0
        """Number of requests read so far."""
        self._token_gap_s = token_gap_s
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Bind and serve; port 0 takes a free one. Raises: OSError if the port is taken."""
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            auto_decompress=False,
            shutdown_timeout=1.0,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
            max_headers=4096,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.aclose()
            raise
        bound = self._runner.addresses[0]
        literal = f"[{host}]" if ":" in host else host
        self.url = f"http://{literal}:{bound[1]}"
        return self

    async def aclose(self) -> None:
        """Close every connection and the port. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start() if self._runner is None else self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def complete(self, request: DemoRequest) -> DemoCompletion:
        """Return what the provider says to a request."""
        return make_completion(request, provider=self.name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        body = await request.read()
        self.seen += 1
        http = HttpRequest(
            request.method, request.raw_path.partition("?")[0], request.headers, body, self.seen
        )
        try:
            return await self._send(request, http, self._reply_to(http))
        except ConnectionError as error:
            # aiohttp logs a caller that leaves while it is written to with a traceback; it takes a
            # cancellation quietly.
            raise asyncio.CancelledError from error

    def _reply_to(self, http: HttpRequest) -> HttpReply:
        body, problem = read_body(http)
        request = read_request(body)
        wished = wished_failure(http, request) if self.fails_on_request else None
        failure = wished or problem or refusal(http, request)
        return failure or good_reply(http, body, self.models, self.complete)

    async def _send(
        self, request: web.Request, http: HttpRequest, reply: HttpReply
    ) -> web.StreamResponse:
        headers = {"request-id" if http.is_anthropic else "x-request-id": http.request_id}
        if reply.events is None:
            return web.Response(
                status=reply.status,
                body=reply.body,
                headers=headers,
                content_type="application/json",
            )
        headers |= {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for number, event in enumerate(reply.events):
            if number and self._token_gap_s:
                await asyncio.sleep(self._token_gap_s)
            await response.write(event)
        await response.write_eof()
        return response
