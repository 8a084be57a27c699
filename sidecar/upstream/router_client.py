"""A question to a provider in the sidecar's own name: a JSON body there, a whole answer back."""

from __future__ import annotations

import dataclasses
from typing import Final
from urllib.parse import quote

from sidecar.domain.call import CHAT, Call
from sidecar.domain.errors import UpstreamMalformed
from sidecar.domain.ids import mint_span_id
from sidecar.upstream.client import ProviderClient
from sidecar.wire.headers import request_head
from sidecar.wire.trace_context import trace_lines

_ANSWER_BYTES: Final = 256 * 1024
"""The router model answers with a line."""
_FIXED: Final = (b"Content-Type: application/json\r\n", b"Accept-Encoding: identity\r\n")
_CREDENTIAL_REFUSED: Final = (401, 403)


class RouterClient:
    """Asks one provider's chat completions."""

    def __init__(self, link: ProviderClient, model: str) -> None:
        """Args: ``model`` is the bare id, for providers that have it in the path."""
        self._link = link
        self._model = model

    async def ask(self, body: bytes, call: Call) -> tuple[int, bytes]:
        """Send ``body`` with the call's request id and a child span of its trace; status and body
        of the answer.

        Raises: UpstreamError subclasses.
        """
        provider = self._link.provider
        lines = [*_FIXED, *self._link.own_lines, f"x-request-id: {call.request_id}\r\n".encode()]
        if provider.propagate_trace:
            lines.append(trace_lines(dataclasses.replace(call.trace, parent_id=mint_span_id())))
        path = provider.paths[CHAT].replace("{model}", quote(self._model, safe=""))
        head = request_head("POST", path, provider.http_host, lines, len(body))
        reply = await self._link.pool.send(head, [body], self._link.timeouts_of(is_stream=False))
        pieces: list[bytes] = []
        size = 0
        while piece := await reply.read():
            size += len(piece)
            if size > _ANSWER_BYTES:
                reply.abort()
                raise UpstreamMalformed("the router model's answer is too long")
            pieces.append(piece)
        if reply.status in _CREDENTIAL_REFUSED:
            await self._link.renew_credential()  # for the next question
        return reply.status, b"".join(pieces)
