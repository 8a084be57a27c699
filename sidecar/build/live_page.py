"""The live page, and the status that it shows."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.build.foundation import Foundation, scrape_snapshot
from sidecar.generation import Generation
from sidecar.listener.live_page import LivePage
from sidecar.listener.server import listener_path
from sidecar.telemetry.status_reader import RunningSnapshot, StatusReader


def build_live_page(foundation: Foundation, list_pages: Callable[[], str]) -> LivePage:
    """Make the page. Nothing is read for it before it is asked for.

    Args: as `LivePage`.
    """
    telemetry = foundation.telemetry
    reader = StatusReader(
        telemetry.metrics,
        foundation.clock,
        lambda: _running(foundation),
        telemetry.calls.feed.recent,
        telemetry.last_failures.of_entry,
        listener_path(),
    )
    return LivePage(reader.render, list_pages)


def _running(foundation: Foundation) -> RunningSnapshot:
    generation, latch = foundation.serving(), foundation.latch
    assert generation is not None  # no listener is open before there is one
    is_draining = latch.is_draining
    return RunningSnapshot(
        scrape=scrape_snapshot(foundation),
        state="draining" if is_draining else "ready" if latch.is_ready else "starting",
        in_flight_limit=foundation.drain.limit,
        loaded=generation.loaded,
        generation=generation.number,
        since_unix_s=generation.since_unix_s,
        reload=foundation.reloads.status,
        store_place=foundation.store_place,
        routes=_routes(generation),
        is_breaker_open=generation.is_breaker_open,
    )


def _routes(generation: Generation) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (route.name, [(each.provider, each.metric_model) for each in route.candidates])
        for route in generation.routes.in_effect
    ]
