"""The log's lines about responses that break off: one at first, one a minute, one at the end.

Such a response is held against no candidate, since nothing can be sent elsewhere any more, and a
lost connection may be anybody's. Many of them are an incident all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from sidecar.domain.decision import Candidate
from sidecar.domain.events import Listeners, ResponseBrokeOff
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.bounded import BoundedMap
from sidecar.telemetry.looks import CallLater, Looks

_log: Final = logging.getLogger("sidecar.edges")

AT_LEAST: Final = 3
"""So many are an incident."""
APART_S: Final = 10.0
"""Of one incident; after so long without one it is over."""
SUMMARY_S: Final = 60.0
_KEPT_AT_MOST: Final = 256
"""Entries are the config's, which may change."""


class Breaks(msgspec.Struct):
    """Responses of one entry that broke off. Times are on the monotonic clock. Holds no call, hence
    no body.
    """

    candidate: Candidate
    """Whose response broke off last."""
    request_id: str
    """Of that call."""
    began_s: float
    last_s: float
    count: int = 0
    line_s: float | None = None
    """When the last line about them was written; None before the first."""
    count_in_lines: int = 0
    """How many the lines have told of."""


class BreakLog:
    """Hears of responses that broke off, and writes the lines.

    Args: ``call_later`` is the event loop's.
    """

    def __init__(
        self, monotonic_s: Callable[[], float], call_later: CallLater | None = None
    ) -> None:
        self._monotonic_s = monotonic_s
        self._looks = Looks(self._look, call_later)
        self._breaks: BoundedMap[str, Breaks] = BoundedMap(_KEPT_AT_MOST)

    def listeners(self) -> Listeners:
        """See `Observer.listeners`."""
        return {ResponseBrokeOff: self._broke_off}

    def _broke_off(self, event: ResponseBrokeOff) -> None:
        now_s = self._monotonic_s()
        breaks = self._breaks.get(event.candidate.provider)
        if breaks is None:
            breaks = Breaks(event.candidate, event.call.request_id, now_s, now_s)
            self._breaks.add(event.candidate.provider, breaks)
        breaks.candidate, breaks.request_id = event.candidate, event.call.request_id
        breaks.last_s = now_s
        breaks.count += 1
        self._looks.begin()

    def _look(self) -> bool:
        """Write the lines that are due. Return whether any incident is left."""
        now_s = self._monotonic_s()
        for key, breaks in list(self._breaks.items()):
            if now_s - breaks.last_s >= APART_S:
                del self._breaks[key]
                if breaks.line_s is not None:
                    _tell_end(breaks)
            elif _is_due(breaks, now_s):
                _tell(breaks)
                breaks.line_s, breaks.count_in_lines = now_s, breaks.count
        return bool(self._breaks)


def _is_due(breaks: Breaks, now_s: float) -> bool:
    if breaks.line_s is None:
        return breaks.count >= AT_LEAST
    return now_s - breaks.line_s >= SUMMARY_S and breaks.count > breaks.count_in_lines


def _tell(breaks: Breaks) -> None:
    count = breaks.count - breaks.count_in_lines
    since_s = breaks.began_s if breaks.line_s is None else breaks.line_s
    seconds = round(breaks.last_s - since_s, 1)
    fields = _what(breaks) | {
        "request_id": breaks.request_id,
        "calls": count,
        "seconds": seconds,
    }
    is_first = breaks.line_s is None
    name = "responses_break_off" if is_first else "responses_still_break_off"
    verb = "break off" if is_first else "still break off"
    text = f"responses of %s {verb} before their end: %d in %.0f s, which apps got a part of"
    values = (breaks.candidate.provider, count, seconds)
    _log.warning(text, *values, extra=event_fields(name, **fields))


def _tell_end(breaks: Breaks) -> None:
    seconds = round(breaks.last_s - breaks.began_s, 1)
    fields = _what(breaks) | {"calls": breaks.count, "seconds": seconds}
    text = "responses of %s are whole again: %d broke off in %.0f s"
    values = (breaks.candidate.provider, breaks.count, seconds)
    _log.info(text, *values, extra=event_fields("responses_are_whole_again", **fields))


def _what(breaks: Breaks) -> dict[str, object]:
    candidate = breaks.candidate
    return {"account": candidate.provider, "model": candidate.metric_model}
