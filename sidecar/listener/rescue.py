"""From an error to a reply in the caller's dialect: the only place that picks a status."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from sidecar.dialects.base import Problem
from sidecar.dialects.registry import DialectRegistry
from sidecar.domain.call import DialectName, Endpoint
from sidecar.domain.errors import (
    BodyTooLarge,
    Draining,
    HeadersTooLarge,
    InternalFault,
    MalformedRequest,
    RequestTimeout,
    SidecarError,
    UpgradeNotServed,
)
from sidecar.domain.events import RequestRefused
from sidecar.domain.observers import Observers
from sidecar.listener.request import Request
from sidecar.listener.response_writer import ResponseWriter
from sidecar.wire.own_headers import refused_lines
from sidecar.wire.request_headers import request_id_of

_log: Final = logging.getLogger("sidecar")

_CLOSING: Final = (
    BodyTooLarge,
    Draining,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    UpgradeNotServed,
)


class Refusal(msgspec.Struct, frozen=True):
    """A reply that tells an error of the sidecar's own."""

    status: int
    code: str
    lines: list[bytes]
    body: bytes
    closes: bool = False
    """Whether the connection cannot be used again: the rest of the request was not read, or the
    process is ending.
    """


class Rescue:
    """Turns errors into replies, and reports those of requests that never became a call."""

    def __init__(self, dialects: DialectRegistry, observers: Observers) -> None:
        self._dialects = dialects
        self._observers = observers

    def reply(
        self, error: Exception, down: ResponseWriter, endpoint: Endpoint | None, request_id: str
    ) -> None:
        """Write the reply, or break the connection where a response has begun already.

        Args: ``endpoint`` is None where the path does not tell the dialect; ``request_id`` is empty
            where the head could not be read.
        """
        request_id = request_id or _request_id_of(down.request)
        dialect = self.dialect_of(down.request) if endpoint is None else endpoint.dialect
        refusal = self.refuse(error, dialect, request_id)
        if not down.is_call and RequestRefused in self._observers.heard:
            refused, path = down.request, down.request.target.partition("?")[0]
            self._observers.emit(
                RequestRefused(
                    dialect, refusal.status, refusal.code, request_id, refused.method, path
                )
            )
        if down.is_started:
            down.abort()
            return
        if refusal.closes or not down.request.content.is_eof():
            down.close_after()
        down.send_whole(refusal.status, refusal.lines, refusal.body)

    def refuse(self, error: Exception, dialect: DialectName, request_id: str) -> Refusal:
        """Return the reply to a request that ended with ``error`` before its first byte. An error
        that is not one of `domain.errors` is a bug of the sidecar's, and is logged.
        """
        known = error if isinstance(error, SidecarError) else self._fault(error, request_id)
        problem = Problem(known.status, known.code, known.message, known.param, request_id)
        body = self._dialects.by_name[dialect].error_body(problem)
        lines = refused_lines(known, request_id)
        return Refusal(known.status, known.code, lines, body, isinstance(known, _CLOSING))

    def dialect_of(self, request: Request) -> DialectName:
        """Return the dialect that the caller of an unknown path reads, as its headers tell."""
        return self._dialects.of_headers(request.header_values).name

    def _fault(self, error: Exception, request_id: str) -> SidecarError:
        _log.error("internal error, request id %s", request_id, exc_info=error)
        return InternalFault(
            f"the sidecar failed; its log has the cause under request id {request_id}"
        )


def _request_id_of(request: Request) -> str:
    """The id of a request whose header fields could not all be read."""
    values = [
        value.encode(errors="surrogateescape") for value in request.header_values("x-request-id")
    ]
    return request_id_of(values)
