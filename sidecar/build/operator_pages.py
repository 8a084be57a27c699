"""The table of the operators' pages: each of them is one row here."""

from __future__ import annotations

from sidecar.build.foundation import Foundation
from sidecar.listener.operators import OperatorPage
from sidecar.listener.pins_page import PinPages


def build_operator_pages(foundation: Foundation) -> list[OperatorPage]:
    """Return all pages, in the order in which the list shows them."""
    return [*PinPages(foundation.store.pins).pages()]
