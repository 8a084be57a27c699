"""Asks whether the collector of traces takes spans, by sending it none in a proper request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from sidecar.doctor.advice import TRACING, advice_on
from sidecar.doctor.findings import Finding, Kind, Reach, StepState, Verdict
from sidecar.runtime.daemon_thread import run_in_daemon_thread

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
            async with asyncio.timeout(timeout_s):
                cause = await run_in_daemon_thread(
                    lambda: self.export(timeout_s), name="export of no span"
                )
        except TimeoutError:
            cause = f"no reply within {timeout_s:g} s (--timeout)"
        return trace_finding(self.place, cause, self.monotonic_s() - began_s)


def trace_finding(place: str, cause: str | None, took_s: float) -> Finding:
    """Return what it means that the collector took an export, or why it did not."""
    is_taken = cause is None
    return Finding(
        Kind.TRACING,
        "collector",
        Verdict.OK if is_taken else Verdict.WARNING,
        place=place,
        reach=Reach(http=StepState.OK if is_taken else StepState.FAILED),
        took_ms=round(took_s * 1e3, 1),
        cause=cause or "it takes spans",
        to_do=""
        if cause is None
        else f"{advice_on(cause, place, TRACING)} Until then spans are dropped and counted.",
    )
