"""Watches a response go by. Alters nothing and delays nothing: bytes are looked at once they have
been sent on.

`EventTap` watches an event stream, `BodyTap` any other body. Both are right whatever the chunking,
and hold little whatever the length.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.dialects.base import Dialect
from sidecar.dialects.usage import (
    NOTHING,
    TAIL_BYTES,
    WHOLE_BYTES,
    merged,
    read_event,
    read_response,
    read_tail,
)
from sidecar.domain.outcome import Served
from sidecar.wire.sse import BOUNDARY_BYTES, ends_event

LINE_BYTES: Final = 1024 * 1024
"""A longer line of an event stream is not looked at; the ones after it are."""
_LAST_EVENT_BYTES: Final = 40
"""The longest beginning of a last event (`StreamRules.last_event`), which chunks may cut."""
_EVENT_END: Final = re.compile(rb"\}[\r\n]|\n\r?\n|\r\n?\r")
"""Where an event that has begun has all its data: JSON that is cut inside has yet to close its last
brace and line.
"""


class EventTap:
    """Follows an event stream: whether it stands between two events, whether its last event came,
    and what it says about itself.
    """

    __slots__ = (
        "_dialect",
        "_has_last_begun",
        "_is_skipping",
        "_line",
        "_model_tries",
        "_rules",
        "_tail",
        "_telling",
        "is_complete",
        "served",
    )

    def __init__(self, dialect: Dialect) -> None:
        self.served = NOTHING
        """What the stream has said so far."""
        self._dialect = dialect
        self._rules = dialect.stream
        self._telling: tuple[bytes, ...] = self._rules.telling
        self._model_tries: int = self._rules.model_within
        self.is_complete = not self._rules.last_words
        """Whether all that an app reads has come; true at once where no event is the last."""
        self._has_last_begun = False
        self._tail = b"\n\n"  # the start of a stream is as good as an empty line
        self._line = bytearray()
        self._is_skipping = False

    @property
    def is_between_events(self) -> bool:
        """Whether nothing but whole events has come, so that one more may follow."""
        return ends_event(self._tail)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream."""
        if self.is_complete:
            self._tail = (self._tail + chunk[-BOUNDARY_BYTES:])[-BOUNDARY_BYTES:]
        else:
            self._tail = self._after_search(self._tail + chunk)[-_LAST_EVENT_BYTES:]
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if end == 0:
            self._keep(chunk)
            return
        lines = chunk[:end]
        if self._is_skipping:
            self._is_skipping = False
            # The line that was too long ends here.
            lines = lines[len(lines.splitlines(keepends=True)[0]) :]
        elif self._line:
            lines = bytes(self._line) + lines
            self._line.clear()
        if end < len(chunk):
            self._keep(chunk[end:])
        self._read(lines)

    def _after_search(self, window: bytes) -> bytes:
        """Search for the last event. Return the bytes in which its end has to be searched for next:
        ``window``, or what follows the event's beginning.
        """
        if not self._has_last_begun:
            for word in self._rules.last_words:
                if word in window:
                    break
            else:
                return window
            begun = self._rules.last_event.search(window)
            if begun is None:
                return window  # the word is a model's
            self._has_last_begun = True
            window = window[begun.end() :]
        if not self._rules.is_last_event_whole or _EVENT_END.search(window) is not None:
            self.is_complete = True
        return window

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a line whose end has not come."""
        if self._is_skipping:
            return
        self._line += part
        if len(self._line) > LINE_BYTES:
            self._is_skipping = True
            self._line.clear()

    def _read(self, lines: bytes) -> None:
        """Read the events in whole lines."""
        if not self._model_tries:
            for needle in self._telling:
                if needle in lines:
                    break
            else:
                return
        for line in lines.splitlines():
            if line[:5] != b"data:":
                continue
            if self._model_tries:
                self._model_tries -= 1
            elif not self._is_telling(line):
                continue
            self.served = merged(self.served, read_event(self._dialect, line[5:]))
            if self.served.served_model is not None:
                self._model_tries = 0

    def _is_telling(self, line: bytes) -> bool:
        told = 0
        for needle in self._telling:
            told += needle in line
        if told:
            for null in self._rules.nulls:
                told -= null in line
        return told > 0


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
