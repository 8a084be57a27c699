"""The router model's provider, asked in the sidecar's own name: a JSON body there, a whole reply
back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from sidecar.config.conventions import ROUTER_DIALECT
from sidecar.domain.call import Call
from sidecar.domain.ids import ROUTER_SPAN, mint_span_id
from sidecar.upstream.buffered_reply import read_whole
from sidecar.upstream.client import ProviderClient
from sidecar.wire.headers import request_head
from sidecar.wire.trace_context import trace_lines

_REPLY_BYTES: Final = 256 * 1024
"""The router model replies with a line; what is longer cannot be read."""
_FIXED: Final = (b"Content-Type: application/json\r\n", b"Accept-Encoding: identity\r\n")
_CREDENTIAL_REFUSED: Final = (401, 403)

ReadAgain = Callable[[str], Awaitable[object]]
"""Takes an entry's name, and has the files of its key read again; short, also where they cannot be.
"""


class RouterClient:
    """Asks one provider in `ROUTER_DIALECT`."""

    def __init__(
        self,
        client: ProviderClient,
        model: str,
        read_again: ReadAgain | None = None,
        *,
        asks_decisions: bool = False,
    ) -> None:
        """Args: ``model`` is the bare id, for providers that have it in the path; without
        ``read_again`` a key that is refused stays in use; ``asks_decisions`` is whether the model
        is a decision model.
        """
        self._client = client
        self._read_again = read_again
        paths = client.provider.paths
        # An entry that does not serve apps in it may serve the short question all the same.
        usual = client.provider.conventions.paths(paths.base, "").by_dialect
        path = paths.by_dialect.get(ROUTER_DIALECT) or usual[ROUTER_DIALECT]
        if asks_decisions:
            path = client.provider.conventions.decisions_path or f"{paths.base}/systemone"
        self._path = path.replace("{model}", quote(model, safe=""))

    async def ask(self, body: bytes, call: Call) -> tuple[int, bytes]:
        """Send ``body`` with the call's request id and a child span of its trace; once more where
        the key is refused and its file holds another one.

        Returns: status and body of the reply, without any body where that is too long.
        Raises: UpstreamError subclasses.
        """
        client, own_lines = self._client, self._client.header_lines.own
        status, text = await self._ask(body, call, own_lines)
        if status in _CREDENTIAL_REFUSED and self._read_again is not None:
            await self._read_again(client.provider.name)
            renewed = client.header_lines.own
            if renewed != own_lines:
                return await self._ask(body, call, renewed)
        return status, text

    async def _ask(
        self, body: bytes, call: Call, own_lines: tuple[bytes, ...]
    ) -> tuple[int, bytes]:
        client = self._client
        provider = client.provider
        lines = [*_FIXED, *own_lines, f"x-request-id: {call.request_id}\r\n".encode()]
        if client.header_lines.via:
            lines += call.headers.get("via", ())
        if provider.propagate_trace:
            trace = call.trace
            if not trace.span_id:  # a second request of the call, also while tracing is off
                trace = dataclasses.replace(trace, parent_id=mint_span_id())
            lines.append(trace_lines(trace, ROUTER_SPAN))
        head = request_head("POST", self._path, provider.server.http_host, lines, len(body))
        reply = await client.pool.send(head, [body], client.timeouts(is_stream=False))
        text = reply.read_nowait()
        if text is None:
            text = await read_whole(reply, _REPLY_BYTES)
        return reply.status, text
