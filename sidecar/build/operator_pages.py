"""The table of the operators' pages: each of them is one row here."""

from __future__ import annotations

from sidecar.build.foundation import Foundation
from sidecar.build.live_page import build_live_page
from sidecar.listener.operators import OperatorPage, list_of_pages
from sidecar.listener.pins_page import PinPages


def build_operator_pages(foundation: Foundation) -> list[OperatorPage]:
    """Return all pages, in the order in which the list shows them."""
    pages: list[OperatorPage] = []
    live_page = build_live_page(foundation, lambda: list_of_pages(pages))
    pages += [*live_page.pages(), *PinPages(foundation.store.pins).pages()]
    return pages
