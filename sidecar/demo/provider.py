"""A provider that needs no key: OpenAI's and Anthropic's APIs on a loopback port, with failures on
demand.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from sidecar.demo.ask import Answer, Ask, make_answer
from sidecar.demo.exchange import Exchange, Persona
from sidecar.demo.faults import Script
from sidecar.demo.record import RecordedRequest
from sidecar.demo.sending import Holds

_BODY_BYTES: Final = 256 << 20
_HEAD_BYTES: Final = 1 << 20
DEFAULT_MODELS: Final = (
    "gpt-4o-mini",
    "gpt-4o",
    "text-embedding-3-small",
    "claude-sonnet-5",
    "claude-haiku-4-5",
)


class DemoProvider:
    """One provider on one port. Speaks chat, responses, embeddings, messages, count_tokens, models
    and files, under any path prefix (``/v1``, ``/openai/v1``, ``/anthropic/v1``, ...).

    Args: ``token_gap_s`` seconds between the events of a stream; ``name`` stands in its answers;
        ``record`` how many requests to remember (None for all); ``keys`` the credentials it takes
        (None for any).
    """

    directive = "fail"
    """A user message that holds ``[[fail:429]]`` asks for that failure."""

    def __init__(
        self,
        *,
        token_gap_s: float = 0.0,
        name: str = "demo",
        record: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        keys: frozenset[str] | None = None,
    ) -> None:
        self.name = name
        self.token_gap_s = token_gap_s
        self.keys = keys
        self.models: tuple[str, ...] = DEFAULT_MODELS
        self.script = Script()
        self.requests: deque[RecordedRequest] = deque(maxlen=record)
        self.url = ""
        """``http://127.0.0.1:port`` once started."""
        self._ssl_context = ssl_context
        self._runner: web.AppRunner | None = None
        self._holds = Holds()
        self._arrived = asyncio.Condition()
        self.seen = 0
        """Requests read so far, remembered or not."""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Bind and serve; port 0 takes a free one. Raises: OSError if the port is taken."""
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._holds = Holds()
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
            await web.TCPSite(self._runner, host, port, ssl_context=self._ssl_context).start()
        except OSError:
            await self.aclose()
            raise
        bound = self._runner.addresses[0]
        literal = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if self._ssl_context else 'http'}://{literal}:{bound[1]}"
        return self

    async def aclose(self) -> None:
        """Let go of what hangs, close every connection and the port. Idempotent."""
        self._holds.let_go()
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

    async def wait_for_requests(self, count: int) -> None:
        """Wait until ``count`` requests have been read since the start."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.seen >= count)

    def make_answer(self, ask: Ask) -> Answer:
        """What it says to a request."""
        return make_answer(ask, provider=self.name)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path, mark, query = request.raw_path.partition("?")
        body = await request.read()
        record = RecordedRequest(
            method=request.method,
            path=path,
            query=mark + query,
            headers=list(request.raw_headers),
            body=body,
        )
        record.peer = (
            request.transport.get_extra_info("peername")[:2] if request.transport else None
        )
        self.requests.append(record)
        self.seen += 1
        async with self._arrived:
            self._arrived.notify_all()
        try:
            return await self._exchange(request, record).answer(self._holds)
        except (asyncio.CancelledError, ConnectionError) as error:
            if not record.when_done.is_set() and not self._holds.is_closing:
                record.when_closed.set()
            # To aiohttp a caller that left while it is written to is an error worth a traceback; a
            # cancellation is not.
            raise asyncio.CancelledError from error

    def _exchange(self, request: web.Request, record: RecordedRequest) -> Exchange:
        persona = Persona(
            self.name,
            self.token_gap_s,
            self.keys,
            self.models,
            self.script,
            self.make_answer,
            self.directive,
        )
        return Exchange(persona, request, record, self.seen)
