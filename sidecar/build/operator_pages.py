"""The table of the operators' pages: each of them is one row here."""

from __future__ import annotations

from sidecar.build.foundation import Foundation
from sidecar.listener.operators import OperatorPage
from sidecar.listener.pins_page import PinPages
from sidecar.listener.tail_page import TailPage


def build_operator_pages(foundation: Foundation) -> list[OperatorPage]:
    """Return all pages, in the order in which the list shows them."""
    feed = foundation.telemetry.feed
    return [
        *PinPages(foundation.store.pins).pages(),
        *TailPage(feed.follow, feed.unsubscribe).pages(),
    ]
