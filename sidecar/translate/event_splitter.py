"""Splits a stream of server-sent events into events, whatever the chunks.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
"""

from __future__ import annotations

from typing import Final

from sidecar.translate.bounds import LINE_BYTES, LINES_BYTES, Untranslatable
from sidecar.translate.value_count import SHORT_BYTES, ValueCount

_BOM: Final = b"\xef\xbb\xbf"
NamedData = tuple[bytes, bytes]
"""An event's name, empty where it has none, and its data."""
COMMENT: Final[NamedData] = (b":", b"")
"""Stands for a comment between events, by which a provider shows that it is still there."""


class EventSplitter:
    """Joins what chunks have cut, and holds one unfinished event at most."""

    __slots__ = ("_count", "_data", "_is_first_line", "_name", "_rest", "_size", "_skips_lf")

    def __init__(self) -> None:
        self._count: ValueCount | None = None
        """What the unfinished line has of values, once it is long."""
        self._data: list[bytes] = []
        self._is_first_line = True
        self._name = b""
        self._rest = bytearray()
        self._size = 0
        """Bytes of the unfinished event's data."""
        self._skips_lf = False
        """Whether a line has ended with a CR to which an LF may belong."""

    @property
    def kept_bytes(self) -> int:
        """How much is kept of an event that is not complete."""
        return len(self._rest) + self._size

    def feed(self, chunk: bytes) -> list[NamedData]:
        """Return the events that the next bytes complete. Raises: Untranslatable."""
        if self._skips_lf and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skips_lf = False
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if not end:
            self._keep(chunk)
            return []
        self._skips_lf = chunk[end - 1 : end] == b"\r" and end == len(chunk)
        if self._rest:
            self._rest += chunk[:end]
            lines = bytes(self._rest)
            self._rest.clear()
            self._count = None
        else:
            lines = chunk[:end]
        if end < len(chunk):
            self._keep(chunk[end:])
        return self._events_in(lines)

    def end(self) -> list[NamedData]:
        """Return the last event, where its empty line is missing, or the end of its last line."""
        return self._events_in(bytes(self._rest) + b"\n\n")

    def _keep(self, part: bytes) -> None:
        self._rest += part
        if len(self._rest) > LINE_BYTES:
            raise Untranslatable("a line of the provider's stream is too long")
        if self._count is not None:
            self._count.feed(part)
        elif len(self._rest) > SHORT_BYTES:
            self._count = ValueCount()
            self._count.feed(bytes(self._rest))

    def _events_in(self, lines: bytes) -> list[NamedData]:
        events: list[NamedData] = []
        if self._is_first_line:
            self._is_first_line = False
            lines = lines.removeprefix(_BOM)
        for line in lines.splitlines():
            if not line:
                if self._data:
                    events.append(self._event())
                self._name = b""
            elif line.startswith(b"data:"):
                self._add(line[6:] if line[5:6] == b" " else line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
            elif line.startswith(b":") and not self._data:
                events.append(COMMENT)
        return events

    def _add(self, data: bytes) -> None:
        self._size += len(data) + 1
        if self._size > (LINES_BYTES if self._data else LINE_BYTES):
            raise Untranslatable("an event of the provider's stream is too long")
        self._data.append(data)

    def _event(self) -> NamedData:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        return self._name, data
