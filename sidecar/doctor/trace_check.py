"""Asks whether the collector of traces takes spans, by sending it none in a proper request."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.doctor.advice import TRACING, advice_on
from sidecar.doctor.findings import Credential, Finding, Kind, Reach, StepState, Verdict
from sidecar.runtime.daemon_thread import run_in_daemon_thread
from sidecar.runtime.timers import Timeout

_STATUS: Final = re.compile(r"status (\d{3})$")
"""The cause where the collector has replied."""
_REFUSALS: Final = ("401", "403")
_OTHER_PATHS: Final = ("301", "302", "307", "308", "404", "405")
_GRPC: Final = ":4317"
_NOT_UNDERSTOOD: Final = ("no reply that is HTTP", "connection closed", "connection reset")
"""How a server that speaks gRPC alone takes HTTP/1.1."""

Export = Callable[[float], str | None]
"""Sends an export of no span within so many seconds, and blocks. Returns: why it failed, as a
phrase; None where the collector took it. Raises: nothing.
"""


class TraceCheck(msgspec.Struct, frozen=True):
    """What it takes to ask the collector."""

    place: str
    """``host:port``."""
    export: Export
    monotonic_s: Callable[[], float]

    async def run(self, timeout_s: float) -> Finding:
        """Return whether the collector takes spans. Raises: nothing."""
        began_s = self.monotonic_s()
        try:
            async with Timeout(timeout_s):
                cause = await run_in_daemon_thread(
                    lambda: self.export(timeout_s), name="export of no span"
                )
        except TimeoutError:
            cause = f"no reply within {timeout_s:g} s (--timeout)"
        return trace_finding(self.place, cause, self.monotonic_s() - began_s)


def trace_finding(place: str, cause: str | None, took_s: float) -> Finding:
    """Return what it means that the collector took an export, or why it did not."""
    status = None if cause is None else _STATUS.match(cause)
    has_replied = cause is None or status is not None
    is_refused = status is not None and status[1] in _REFUSALS
    return Finding(
        Kind.TRACING,
        "collector",
        Verdict.OK if cause is None else Verdict.WARNING,
        place=place,
        reach=Reach(http=StepState.OK if has_replied else StepState.FAILED),
        credential=Credential.REFUSED if is_refused else None,
        took_ms=round(took_s * 1e3, 1),
        cause=cause or "it takes spans",
        to_do=""
        if cause is None
        else f"{_advice(cause, place)} Until then spans are dropped and counted.",
    )


def _advice(cause: str, place: str) -> str:
    status = _STATUS.match(cause)
    if status is None:
        if place.endswith(_GRPC) and any(words in cause for words in _NOT_UNDERSTOOD):
            return (
                f"At 4317 collectors speak gRPC; spans go over HTTP: try 4318 in {TRACING.address}."
            )
        return advice_on(cause, place, TRACING)
    if status[1] in _REFUSALS:
        return "Put the credential that it wants into OTEL_EXPORTER_OTLP_HEADERS."
    if status[1] in _OTHER_PATHS:
        return f"Look at the path of {TRACING.address}: spans go to /v1/traces below it."
    return f"Look at the log of the server at {place}."
