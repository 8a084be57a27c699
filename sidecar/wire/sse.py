"""Where server-sent events end, told from the bytes as they pass.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5: a line ends in LF,
CRLF or CR, an empty line ends an event.
"""

from __future__ import annotations

from typing import Final

_CR: Final = 0x0D
_LF: Final = 0x0A


class SseBoundary:
    """Watches a stream of events and knows whether it stands between two of them.

    Keeps one number and one flag, never data. A CRLF may be split between chunks: at its CR the
    line is over, and the LF that follows ends no second one.
    """

    __slots__ = ("_after_cr", "_line_ends")

    def __init__(self) -> None:
        # since the last byte that was none; the start of a stream is as good as an empty line
        self._line_ends = 2
        self._after_cr = False

    @property
    def at_boundary(self) -> bool:
        """True while nothing but complete events (and empty lines) has been fed. A comment is part
        of an event.
        """
        return self._line_ends >= 2

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream, in any chunking."""
        if not chunk:
            return
        last = chunk[-1]
        if last not in (_LF, _CR):
            self._line_ends = 0
            self._after_cr = False
            return
        tail = chunk[len(chunk.rstrip(b"\r\n")) :]
        ends = len(tail) - tail.count(b"\r\n")
        if len(tail) < len(chunk):
            self._line_ends = ends
        else:
            if self._after_cr and chunk[0] == _LF:
                ends -= 1
            self._line_ends = min(self._line_ends + ends, 2)
        self._after_cr = last == _CR
