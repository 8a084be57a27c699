"""Both SDKs, each blocking and asynchronous, behind one way to call them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import anthropic
import openai

KINDS = ("sync", "async")
CLIENT_TIMEOUT_S = 20.0
_TRUST: Final = ssl.create_default_context()
"""Shared by all clients: each would read all the system's certificates, to call http:// URLs."""


class Sdks:
    """An OpenAI and an Anthropic client of one kind. No retries: what they see is what was
    answered.
    """

    def __init__(self, base_url: str, kind: str) -> None:
        self.is_sync = kind == "sync"
        options: dict[str, Any] = {
            "api_key": "sk-app",
            "max_retries": 0,
            "timeout": CLIENT_TIMEOUT_S,
        }
        self.openai: Any = (openai.OpenAI if self.is_sync else openai.AsyncOpenAI)(
            base_url=f"{base_url}/v1", http_client=self._http(openai), **options
        )
        self.anthropic: Any = (anthropic.Anthropic if self.is_sync else anthropic.AsyncAnthropic)(
            base_url=base_url, http_client=self._http(anthropic), **options
        )

    def method(self, path: str) -> Callable[..., Any]:
        """Return the SDK method that calls a path."""
        methods: dict[str, Callable[..., Any]] = {
            "/v1/chat/completions": self.openai.chat.completions.create,
            "/v1/responses": self.openai.responses.create,
            "/v1/messages": self.anthropic.messages.create,
        }
        return methods[path]

    def _http(self, module: Any) -> Any:
        """Return the HTTP client that an SDK would make for itself, but for its certificates."""
        make = module.DefaultHttpxClient if self.is_sync else module.DefaultAsyncHttpxClient
        return make(verify=_TRUST)

    async def call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Call an SDK method; a blocking one in a thread."""
        if self.is_sync:
            return await asyncio.to_thread(method, **arguments)
        return await method(**arguments)

    async def events(self, method: Callable[..., Any], **arguments: Any) -> list[Any]:
        """Call an SDK method with ``stream=True`` and read all its events."""
        if self.is_sync:
            return await asyncio.to_thread(lambda: list(method(stream=True, **arguments)))
        return [event async for event in await method(stream=True, **arguments)]

    async def pages(self, method: Callable[..., Any]) -> list[Any]:
        """Call a paginated SDK method and read all entries."""
        if self.is_sync:
            return await asyncio.to_thread(lambda: list(method()))
        return [entry async for entry in method()]

    async def final(self, helper: Callable[..., Any], getter: str, **arguments: Any) -> Any:
        """Use an SDK's accumulating stream helper to the end and return what its ``getter``
        gives.
        """
        if self.is_sync:

            def run() -> Any:
                with helper(**arguments) as stream:
                    return getattr(stream, getter)()

            return await asyncio.to_thread(run)
        async with helper(**arguments) as stream:
            return await getattr(stream, getter)()


@contextlib.asynccontextmanager
async def open_sdks(base_url: str, kind: str) -> AsyncIterator[Sdks]:
    """Clients of one kind, closed at the end."""
    sdks = Sdks(base_url, kind)
    try:
        yield sdks
    finally:
        for client in (sdks.openai, sdks.anthropic):
            if sdks.is_sync:
                client.close()
            else:
                await client.close()


def client_of(module: Any, status: int, kind: str, body: bytes) -> Any:
    """Return the client of openai or anthropic; every request of its gets this response."""
    http = sys.modules[module.DefaultHttpxClient.__mro__[1].__module__.split(".")[0]]

    def reply(_request: Any) -> Any:
        return http.Response(status, headers={"content-type": kind}, content=body)

    name = "OpenAI" if module.__name__ == "openai" else "Anthropic"
    return getattr(module, name)(
        api_key="k",
        base_url="http://sidecar",
        max_retries=0,
        http_client=http.Client(transport=http.MockTransport(reply)),
    )
