"""Hands facts to observers, which can never fail a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from sidecar.domain.events import Event, Observer

_log: Final = logging.getLogger("sidecar.domain.events")


class Observers:
    """Hands each event to the observers that hear its type, in the order in which they were given.

    Args: ``observers`` say by type what they hear, see `Observer.listeners`.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        listeners: dict[type[Event], tuple[Callable[[Any], None], ...]] = {}
        for observer in observers:
            for kind, listener in observer.listeners().items():
                listeners[kind] = (*listeners.get(kind, ()), listener)
        self._listeners = listeners
        self.heard: Final = frozenset(listeners)
        """The types that at least one observer hears; ask it before an event is constructed."""

    def emit(self, event: Event) -> None:
        """Call every listener of the event's type. An exception of a listener is logged and changes
        nothing, neither for the call nor for the other listeners.
        """
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - telemetry listens, never steers
                _log.exception("observer failed")
