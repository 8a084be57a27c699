"""What is known at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Gauges(msgspec.Struct, frozen=True):
    """What is held at the moment of a scrape."""

    in_flight: int
    connections: Sequence[tuple[str, int, int]] = ()
    """(provider, active, idle)."""


class ScrapeSnapshot(msgspec.Struct, frozen=True):
    """What is known at the moment of a scrape."""

    ejected: Sequence[tuple[str, str]] = ()
    """(provider, model as the config names it), each once."""
    price_ages_s: Sequence[tuple[str, float]] = ()
    """(source, seconds since its numbers were last read)."""


class StoreSnapshot(msgspec.Struct, frozen=True):
    """What the store holds at the moment of a scrape."""

    near_entries: int
    shadow_entries: int
    is_up: bool
    is_tracking: bool
