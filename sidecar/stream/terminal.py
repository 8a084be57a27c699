"""Whether a stream said that it was over. A connection that ends well is no proof of it."""

from __future__ import annotations

from typing import Final

from sidecar.domain.call import DialectName

_MARKERS: Final = {
    DialectName.CHAT: (b"data: [DONE]", b"data:[DONE]"),
    DialectName.MESSAGES: (b"event: message_stop", b"event:message_stop"),
    DialectName.RESPONSES: tuple(
        b"event:" + blank + b"response." + end
        for blank in (b" ", b"")
        for end in (b"completed", b"failed", b"incomplete")
    ),
    DialectName.EMBEDDINGS: (),
}
"""How the last event of each dialect begins, at the start of a line, where no text of a model can stand."""
_TAIL_BYTES: Final = 32
"""Longer than the longest marker and the line end before it."""


class TerminalWatch:
    """Watches a stream's bytes go by, in any pieces, for the dialect's terminal event. Keeps a few bytes only."""

    __slots__ = ("_markers", "_tail", "is_seen")

    def __init__(self, dialect: DialectName) -> None:
        self._markers = _MARKERS[dialect]
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
        self._tail = window[-_TAIL_BYTES:]
