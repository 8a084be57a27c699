"""The table of the operators' pages: each of them is one row here."""

from __future__ import annotations

import msgspec

from sidecar.build.foundation import Foundation
from sidecar.build.live_page import build_live_page
from sidecar.build.provider_entries import provider_entries
from sidecar.generation import Generation
from sidecar.listener.clusters_page import ClustersPage
from sidecar.listener.config_page import ConfigInEffect, ConfigPage, OlderConfig
from sidecar.listener.drain_page import DrainPage
from sidecar.listener.logging_page import LogControl, LoggingPage
from sidecar.listener.operators import OperatorPage, list_of_pages
from sidecar.listener.pins_page import PinPages
from sidecar.listener.tail_page import TailPage
from sidecar.telemetry.log_writer import log_level, set_log_level


def build_operator_pages(foundation: Foundation) -> list[OperatorPage]:
    """Return all pages, in the order in which the list shows them."""
    calls = foundation.telemetry.calls
    calls.lines.pin_of = foundation.store.get_nowait
    pages: list[OperatorPage] = []
    pages += [
        *build_live_page(foundation, lambda: list_of_pages(pages)).pages(),
        *ClustersPage(lambda: provider_entries(foundation, _serving(foundation))).pages(),
        *ConfigPage(lambda: _config_in_effect(foundation)).pages(),
        *LoggingPage(LogControl(log_level, set_log_level, calls.named)).pages(),
        *PinPages(foundation.store.pins).pages(),
        *TailPage(calls.feed.follow, calls.feed.unsubscribe).pages(),
        *DrainPage(foundation.shutdown).pages(),
    ]
    return pages


def _serving(foundation: Foundation) -> Generation:
    generation = foundation.serving()
    assert generation is not None  # a listener listens once there is one
    return generation


def _config_in_effect(foundation: Foundation) -> ConfigInEffect:
    generation, reloads = _serving(foundation), foundation.reloads
    older = [each for each in reloads.generations if each is not generation]
    return ConfigInEffect(
        generation.loaded,
        generation.number,
        generation.since_unix_s,
        older=[OlderConfig(each.number, each.loaded.hash, each.since_unix_s) for each in older],
        reload=msgspec.to_builtins(reloads.status),
    )
