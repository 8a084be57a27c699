"""Whether a stream said that it was over. A connection that ends well is no proof of it."""

from __future__ import annotations

import re
from typing import Final

from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName

_ENDS: Final = {
    CHAT: (),
    MESSAGES: (b"message_stop",),
    RESPONSES: (b"response.completed", b"response.failed", b"response.incomplete"),
    EMBEDDINGS: (),
}
"""The types of last events."""
_MARKERS: Final = {
    name: tuple(b"event:" + blank + end for end in ends for blank in (b" ", b""))
    for name, ends in _ENDS.items()
} | {CHAT: (b"data: [DONE]", b"data:[DONE]")}
"""How the last event of each dialect begins, at the start of a line, where no text of a model can
stand.
"""
_MEMBERS: Final = {
    name: tuple(b'"type":' + blank + b'"' + end + b'"' for end in ends for blank in (b"", b" "))
    for name, ends in _ENDS.items()
}
"""The same in an event's data, for providers that leave its name out. A model's text has its quotes
escaped.
"""
_WHOLE: Final = re.compile(rb"\}[\r\n]|\n\r?\n|\r\n?\r")
"""Where an event that has begun has all its data: JSON that is cut inside has yet to close its last
brace and line.
"""
_TAIL_BYTES: Final = 40
"""Longer than the longest marker and the line end before it."""


class TerminalWatch:
    """Watches a stream's bytes go by, in any pieces, for the dialect's terminal event. Keeps a few
    bytes only.
    """

    __slots__ = ("_has_begun", "_markers", "_members", "_tail", "_wants_whole", "is_seen")

    def __init__(self, dialect: DialectName) -> None:
        self._markers = _MARKERS[dialect]
        self._members = _MEMBERS[dialect]
        self._tail = b"\n"
        self._has_begun = False
        self._wants_whole = dialect == RESPONSES
        self.is_seen = not self._markers
        """Whether all that an app reads has come: the terminal event has begun, or is whole where
        it brings the answer once more (responses). True from the start for a dialect that has none.
        """

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self.is_seen:
            return
        window = self._tail + chunk
        if self._has_begun:
            self._look_for_end(window)
            return
        for marker in self._markers:
            at = window.find(marker, 1)
            while at > 0:
                if window[at - 1] in b"\r\n":
                    self._begin(window[at + len(marker) :])
                    return
                at = window.find(marker, at + 1)
        for member in self._members:
            if member in window:
                self._begin(window[window.index(member) + len(member) :])
                return
        self._tail = window[-_TAIL_BYTES:]

    def _begin(self, rest: bytes) -> None:
        """The terminal event is here, as far as its name or type."""
        self._has_begun = True
        if self._wants_whole:
            self._look_for_end(rest)
        else:
            self.is_seen = True

    def _look_for_end(self, window: bytes) -> None:
        self.is_seen = _WHOLE.search(window) is not None
        self._tail = window[-2:]
