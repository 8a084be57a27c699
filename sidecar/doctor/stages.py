"""How far a connection came, by the error that ended it. Pure."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import msgspec

from sidecar.doctor.findings import Reach, StepState
from sidecar.domain.errors import ConnectFailed, ConnectStage, ConnectTimeout, UpstreamError
from sidecar.http1.dialer import ProxyRefused

_LINKS: Final = 5


def reached(*, is_tls: bool) -> Reach:
    """Return the reach of a connection that was made."""
    return Reach(dns=StepState.OK, tcp=StepState.OK, tls=StepState.OK if is_tls else None)


def reach_of(error: BaseException, *, is_tls: bool) -> Reach:
    """Return how far an exchange came that ended with an error."""
    if isinstance(error, UpstreamError) and not isinstance(error, ConnectFailed):
        return msgspec.structs.replace(reached(is_tls=is_tls), http=StepState.FAILED)
    stage = error.stage if isinstance(error, ConnectTimeout) else _stage_of(error)
    if stage is ConnectStage.NAME:
        return Reach(dns=StepState.FAILED)
    if stage in (ConnectStage.TCP, ConnectStage.PROXY):
        return Reach(dns=StepState.OK, tcp=StepState.FAILED)
    if stage is ConnectStage.TLS:
        return Reach(dns=StepState.OK, tcp=StepState.OK, tls=StepState.FAILED)
    return Reach(dns=StepState.UNKNOWN, tcp=StepState.FAILED)


def _stage_of(error: BaseException) -> ConnectStage | None:
    link: BaseException | None = error
    for _ in range(_LINKS):
        if isinstance(link, ProxyRefused):
            return ConnectStage.PROXY
        if isinstance(link, ssl.SSLError):
            return ConnectStage.TLS
        if isinstance(link, socket.gaierror | UnicodeError):
            return ConnectStage.NAME
        if isinstance(link, OSError):
            return ConnectStage.TCP
        if link is None:
            break
        link = link.__cause__ or link.__context__
    return None
