"""Whether a stream said that it was over. A connection that ends well is no proof of it."""

from __future__ import annotations

from typing import Final

from sidecar.domain.call import DialectName

_ENDS: Final = {
    DialectName.CHAT: (),
    DialectName.MESSAGES: (b"message_stop",),
    DialectName.RESPONSES: (b"response.completed", b"response.failed", b"response.incomplete"),
    DialectName.EMBEDDINGS: (),
}
"""The types of last events."""
_MARKERS: Final = {
    name: tuple(b"event:" + blank + end for end in ends for blank in (b" ", b"")) for name, ends in _ENDS.items()
} | {DialectName.CHAT: (b"data: [DONE]", b"data:[DONE]")}
"""How the last event of each dialect begins, at the start of a line, where no text of a model can stand."""
_MEMBERS: Final = {
    name: tuple(b'"type":' + blank + b'"' + end + b'"' for end in ends for blank in (b"", b" "))
    for name, ends in _ENDS.items()
}
"""The same in an event's data, for providers that leave its name out. A model's text has its quotes escaped."""
_TAIL_BYTES: Final = 40
"""Longer than the longest marker and the line end before it."""


class TerminalWatch:
    """Watches a stream's bytes go by, in any pieces, for the dialect's terminal event. Keeps a few bytes only."""

    __slots__ = ("_markers", "_members", "_tail", "is_seen")

    def __init__(self, dialect: DialectName) -> None:
        self._markers = _MARKERS[dialect]
        self._members = _MEMBERS[dialect]
        self._tail = b"\n"
        self.is_seen = not self._markers
        """Whether the terminal event has begun; True from the start for a dialect that has none."""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self.is_seen:
            return
        window = self._tail + chunk
        for marker in self._markers:
            at = window.find(marker, 1)
            while at > 0:
                if window[at - 1] in b"\r\n":
                    self.is_seen = True
                    self._tail = b""
                    return
                at = window.find(marker, at + 1)
        for member in self._members:
            if member in window:
                self.is_seen = True
                return
        self._tail = window[-_TAIL_BYTES:]
