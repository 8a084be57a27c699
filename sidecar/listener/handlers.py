"""The data port's handler: every request gets a reply, whatever goes wrong. Nothing is decided
here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sidecar.domain.call import Call, Endpoint, Operation
from sidecar.domain.errors import Draining
from sidecar.domain.outcome import Outcome
from sidecar.domain.ports import Downstream
from sidecar.listener.admission import Admission, RequestHead
from sidecar.listener.body_reader import parse_error_of
from sidecar.listener.cors import is_preflight
from sidecar.listener.own_replies import OwnReplies
from sidecar.listener.paths import PROBES, Paths, check_method, is_models, refuse_tunnels
from sidecar.listener.request import Request
from sidecar.listener.rescue import Rescue
from sidecar.listener.response_writer import ResponseWriter
from sidecar.listener.wrong_paths import path_not_found


class ProxyPort(Protocol):
    """The proxy, as far as the listener needs it."""

    async def handle(self, call: Call, down: Downstream) -> Outcome:
        """Carry a call to a provider and its response back."""
        ...


class DataHandler:
    """The data port's handler.

    Args: ``write`` sends bytes at the end of the event loop's turn; None: at once.
    """

    def __init__(
        self,
        proxy: ProxyPort,
        replies: OwnReplies,
        admission: Admission,
        rescue: Rescue,
        paths: Paths,
        write: Callable[[asyncio.Transport, bytes], None] | None = None,
    ) -> None:
        self._proxy = proxy
        self._replies = replies
        self._admission = admission
        self._rescue = rescue
        self._paths = paths
        self._write = write

    async def handle(self, request: Request) -> ResponseWriter:
        """Serve one request: its response is written before this returns. Raises only
        CancelledError.
        """
        down = ResponseWriter(request, self._write)
        head: RequestHead | None = None
        try:
            head = self._admission.read_head(request, down)
            endpoint = self._paths.calls.get(head.path)
            if endpoint is not None and request.method == "POST":
                await self._admission.serve(head, endpoint, None, down, self._proxy.handle)
            else:
                await self._serve_other(head, down)
        except Exception as error:  # noqa: BLE001 - every error becomes a reply here
            self._reply_error(error, head, down)
        except asyncio.CancelledError:
            if self._admission.has_ended and not down.is_started:
                # The app is still there and waits: not it has left, but the grace is spent.
                ended = Draining(
                    "this sidecar has shut down before the response came", retry_after_s=1
                )
                self._reply_error(ended, head, down)
            raise
        return down

    def handle_parse_error(self, request: Request, error: BaseException | None) -> ResponseWriter:
        """Reply to bytes that were not a request. The reply does not repeat them: they may hold a
        credential.
        """
        down = ResponseWriter(request)
        self._rescue.reply(parse_error_of(error), down, None, "")
        return down

    def _reply_error(
        self, error: Exception, head: RequestHead | None, down: ResponseWriter
    ) -> None:
        path = down.request.target.partition("?")[0]
        request_id = "" if head is None else head.request_id
        self._rescue.reply(error, down, self._paths.endpoint_of(path), request_id)

    async def _serve_other(self, head: RequestHead, down: ResponseWriter) -> None:
        """Serve what is no call to a model: lists, probes, passthrough, and mistakes."""
        path, method, paths = head.path, head.request.method, self._paths
        provider, serve = paths.provider_of(path), self._admission.serve
        if head.headers.has_origin and is_preflight(head.request):
            down.send_whole(204, [], b"")
            return
        refuse_tunnels(method, path)
        if path in paths.calls:
            check_method(method, path, "POST")
        elif path in paths.decisions:
            check_method(method, path, "POST")
            decided = paths.decisions[path]
            await serve(head, decided, None, down, self._replies.send_decision)
        elif is_models(path):
            check_method(method, path, "GET, HEAD")
            self._replies.send_models(head, down)
        elif provider is not None:
            caller = self._rescue.dialect_of(head.request)
            configured = Endpoint(path, caller, Operation.PASSTHROUGH)
            await serve(head, configured, provider, down, self._proxy.handle)
        elif path in PROBES:
            check_method(method, path, "GET, HEAD")
            self._replies.send_probe(head, down)
        elif (endpoint := self._api_endpoint(head)) is not None:
            await serve(head, endpoint, None, down, self._proxy.handle)
        else:
            raise path_not_found(path, paths.calls, head.request.transport, paths.unserved)

    def _api_endpoint(self, head: RequestHead) -> Endpoint | None:
        """Return the endpoint of a path of a provider's API that no config has to name."""
        request = head.request
        kinds = request.header_values("Content-Type") if request.method == "POST" else []
        return self._paths.api_endpoint(head.path, self._rescue.dialect_of(request), kinds)
