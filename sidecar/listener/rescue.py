"""From an error to a reply in the caller's dialect: the only place that picks a status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from sidecar.dialects.base import Dialect, Problem
from sidecar.domain.call import DialectName
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
from sidecar.wire.own_headers import refused_lines

_log = logging.getLogger("sidecar")

_CLOSING: Final = (
    BodyTooLarge,
    Draining,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    UpgradeNotServed,
)


class Refusal(msgspec.Struct, frozen=True):
    """A reply that the sidecar itself makes."""

    status: int
    code: str
    lines: list[bytes]
    body: bytes
    closes: bool = False
    """Whether the connection cannot be used again: the rest of the request was not read, or the
    process is ending.
    """


class Rescue:
    """Turns errors into refusals."""

    def __init__(self, dialects: Mapping[DialectName, Dialect]) -> None:
        self._dialects = dialects

    def refuse(self, error: Exception, dialect: DialectName, request_id: str) -> Refusal:
        """The reply to a call that ended with ``error`` before its first byte. An error that is not
        ours is our bug.
        """
        known = error if isinstance(error, SidecarError) else self._fault(error, request_id)
        problem = Problem(known.status, known.code, known.message, known.param, request_id)
        body = self._dialects[dialect].error_body(problem)
        return Refusal(
            known.status,
            known.code,
            refused_lines(known, request_id),
            body,
            isinstance(known, _CLOSING),
        )

    def _fault(self, error: Exception, request_id: str) -> SidecarError:
        _log.error("internal error, request id %s", request_id, exc_info=error)
        return InternalFault(
            f"the sidecar failed; its log has the cause under request id {request_id}"
        )
