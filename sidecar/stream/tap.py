"""Watches a response go by. Alters nothing and delays nothing: bytes are looked at once they have
been sent on.

`EventTap` watches an event stream, `BodyTap` any other body. Both are right whatever the chunking,
and hold little whatever the length.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from sidecar.dialects.base import Dialect, EventKind
from sidecar.dialects.usage import (
    TAIL_BYTES,
    WHOLE_BYTES,
    read_response,
    read_tail,
)
from sidecar.domain.outcome import Served
from sidecar.stream.event_reader import EventReader

LINE_BYTES: Final = 1024 * 1024
"""A longer line of an event stream is not looked at; the ones after it are."""
_LAST_EVENT_BYTES: Final = 40
"""The longest beginning of a last event (`StreamRules.last_event`), which chunks may cut."""
_EVENT_END: Final = re.compile(rb"\}[\r\n]|\n\r?\n|\r\n?\r")
"""Where an event that has begun has all its data: JSON that is cut inside has yet to close its last
brace and line.
"""


class _LastEvent(enum.Enum):
    """How far the search for a stream's last event has come."""

    AHEAD = "ahead"
    BEGUN = "begun"
    COMPLETE = "complete"
    NEVER = "never"
    """An error event has taken its place."""


_AHEAD: Final = _LastEvent.AHEAD
_BEGUN: Final = _LastEvent.BEGUN
_COMPLETE: Final = _LastEvent.COMPLETE
_NEVER: Final = _LastEvent.NEVER


class EventTap:
    """Follows an event stream: whether it stands between two events, whether it is complete or has
    failed, and what it says about itself.
    """

    __slots__ = ("_last_event", "_lines", "_reader", "_rules", "_tail")

    def __init__(self, dialect: Dialect) -> None:
        self._reader = EventReader(dialect)
        self._rules = dialect.stream
        self._last_event = _AHEAD if self._rules.last_words else _COMPLETE
        self._tail = b"\n\n"  # the start of a stream is as good as an empty line
        self._lines = LineBuffer()

    @property
    def served(self) -> Served:
        """What the stream has said about the response so far."""
        return self._reader.served

    @property
    def error(self) -> bytes | None:
        """The data of the event by which the provider said that it failed; None where it did
        not.
        """
        return self._reader.error

    @property
    def is_complete(self) -> bool:
        """Whether all that an app reads has come, whatever the connection does from now on; true at
        once where no event is the last.
        """
        return self._last_event is _COMPLETE

    @property
    def may_end(self) -> bool:
        """Whether the stream is complete if it ends properly now: its last event has come, or each
        of its choices has ended and nothing is left of an event.
        """
        if self._last_event is _COMPLETE or self._last_event is _NEVER:
            return self._last_event is _COMPLETE
        return self._reader.has_ended and self.is_between_events

    @property
    def is_between_events(self) -> bool:
        """Whether nothing but whole events has come, so that one more may follow."""
        return ends_event(self._tail)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream."""
        if self._last_event is _COMPLETE or self._last_event is _NEVER:
            self._tail = (self._tail + chunk[-BOUNDARY_BYTES:])[-BOUNDARY_BYTES:]
        else:
            self._tail = self._after_search(self._tail + chunk)[-_LAST_EVENT_BYTES:]
        failed = self._reader.read(self._lines.completed_by(chunk))
        if failed is not None:
            # What OpenAI's ``response.failed`` ends is over; any other error is out of turn.
            self._last_event = _COMPLETE if failed is EventKind.FAILED else _NEVER

    def _after_search(self, window: bytes) -> bytes:
        """Search for the last event. Return the bytes in which its end has to be searched for next:
        ``window``, or what follows the event's beginning.
        """
        if self._last_event is _AHEAD:
            for word in self._rules.last_words:
                if word in window:
                    break
            else:
                return window
            beginning = self._rules.last_event.search(window)
            if beginning is None:
                return window  # a model wrote the word
            self._last_event = _BEGUN
            window = window[beginning.end() :]
        if not self._rules.is_last_event_whole or _EVENT_END.search(window) is not None:
            self._last_event = _COMPLETE
        return window


class LineBuffer:
    """Joins the lines of a stream that chunks have cut, and leaves out those that are too long."""

    __slots__ = ("_is_skipping", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._is_skipping = False

    def completed_by(self, chunk: bytes) -> bytes:
        """Return the lines that end in the next bytes of the stream, with their ends."""
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if end == 0:
            self._keep(chunk)
            return b""
        lines = chunk[:end]
        if self._is_skipping:
            self._is_skipping = False
            # The line that was too long ends here.
            lines = lines[len(lines.splitlines(keepends=True)[0]) :]
        elif self._rest:
            lines = bytes(self._rest) + lines
            self._rest.clear()
        if end < len(chunk):
            self._keep(chunk[end:])
        return lines

    def _keep(self, part: bytes) -> None:
        if self._is_skipping:
            return
        self._rest += part
        if len(self._rest) > LINE_BYTES:
            self._is_skipping = True
            self._rest.clear()


class BodyTap:
    """Reads a body that arrives in pieces and is no event stream."""

    __slots__ = ("_dialect", "_is_long", "_kept")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kept = bytearray()
        self._is_long = False

    @property
    def served(self) -> Served:
        """What the response said, once all of it was fed."""
        body = bytes(self._kept)
        if self._is_long:
            return read_tail(self._dialect, body[-TAIL_BYTES:])
        return read_response(self._dialect, body)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the body."""
        if not self._is_long:
            self._kept += chunk
            self._is_long = len(self._kept) > WHOLE_BYTES
        else:
            self._kept += chunk[-TAIL_BYTES:]
        if self._is_long and len(self._kept) > 2 * TAIL_BYTES:
            del self._kept[:-TAIL_BYTES]


BOUNDARY_BYTES: Final = 4
"""As many last bytes of a stream say whether an empty line ends it: two CRLF."""


def ends_event(tail: bytes) -> bool:
    r"""Tell whether a stream stands between two events: whether an empty line is its end.

    Args: ``tail`` is the end of the stream, at least `BOUNDARY_BYTES` of it. A stream that has not
        begun counts as ending in an empty line: start it with ``\n\n``.
    """
    line_ends = tail[len(tail.rstrip(b"\r\n")) :]
    return len(line_ends) - line_ends.count(b"\r\n") >= 2
