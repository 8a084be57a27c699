"""Lets the parts of a stream through one at a time, for an API that has one open at a time.

The first part goes through as it comes. What belongs to another waits until that part has ended,
and no longer: where parts come one after the other, nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.translate.bounds import KEPT_BYTES, Untranslatable
from sidecar.translate.completion import (
    ArgumentsDelta,
    PartEnded,
    TextDelta,
    TextStarted,
    ToolCallStarted,
)

PartEvent = TextStarted | TextDelta | ToolCallStarted | ArgumentsDelta | PartEnded

_EVENT_BYTES = 128
"""What an event that waits costs beside its text, about."""


class PartQueue:
    """Orders the events of parts that are open side by side."""

    __slots__ = ("_open", "_waiting", "size")

    def __init__(self) -> None:
        self._open: int | None = None
        self.size = 0
        """Bytes that wait, about."""
        self._waiting: dict[int, list[PartEvent]] = {}
        """By part, in the order in which they began."""

    def put(self, event: PartEvent) -> Iterator[PartEvent]:
        """Return the events whose turn has come, the given one included unless it has to wait.

        Raises: Untranslatable, once more waits than may be kept.
        """
        if self._open is None:
            self._open = event.index
        if event.index != self._open:
            self._keep(event)
            return
        yield event
        if isinstance(event, PartEnded):
            self._open = None
            yield from self._next_parts()

    def _next_parts(self) -> Iterator[PartEvent]:
        """Return what waits of the next part; where that has ended, of the one behind it, too."""
        while self._waiting:
            index = next(iter(self._waiting))
            events = self._waiting.pop(index)
            self.size -= sum(map(_size, events))
            yield from events
            if not isinstance(events[-1], PartEnded):
                self._open = index
                return

    def _keep(self, event: PartEvent) -> None:
        self.size += _size(event)
        if self.size > KEPT_BYTES:
            raise Untranslatable("too much of the provider's stream has to wait for one part's end")
        self._waiting.setdefault(event.index, []).append(event)


def _size(event: PartEvent) -> int:
    if isinstance(event, TextDelta | ArgumentsDelta):
        return len(event.text) + _EVENT_BYTES
    return _EVENT_BYTES
