"""Takes out of an event stream what it brings only since the sidecar asked for its usage."""

from __future__ import annotations

import re
from typing import Final, final

from sidecar.dialects.base import UsageOption
from sidecar.stream.tap import BOUNDARY_BYTES, ends_event

HELD_AT_MOST: Final = 16 * 1024
"""A longer event is not the one with the usage, which has some hundred bytes."""
_FIRST_BYTES: Final = b"deir"
"""Of ``data``, ``event``, ``id`` and ``retry``."""
_NO_FIELD: Final = b":\r\n"
"""First bytes of comments and of empty lines."""
_LINE_END: Final = re.compile(rb"[\r\n]")
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|[\r\n])")
"""The end of a line and an empty line behind it."""
_TAIL_BYTES: Final = 3
"""As much of that may have come before the rest."""


@final
class UsageCut:
    """Lets a stream go on as it comes, but for the event with nothing but the usage.

    Held back is only what may be the beginning of that event, so that no byte of any other waits
    longer than the app could use it: an app reads whole events. What is let go on does not depend
    on how chunks cut the stream.
    """

    __slots__ = ("_held", "_is_in_comment", "_is_passing", "_option", "_skips_lf", "_tail")

    def __init__(self, option: UsageOption) -> None:
        self._option = option
        self._held = b""
        """The beginning of an event that may be the one."""
        self._is_passing = False
        """Whether the beginning of an event has gone on."""
        self._tail = b""
        """The last bytes of that."""
        self._is_in_comment = False
        self._skips_lf = False
        """Whether the event that was taken out ended in half a CRLF."""

    def feed(self, chunk: bytes) -> bytes:
        """Return what goes on now, with the next bytes of the stream."""
        is_between = not (self._held or self._is_passing or self._is_in_comment or self._skips_lf)
        is_whole = is_between and ends_event(chunk[-BOUNDARY_BYTES:])
        if is_whole and self._option.sign.search(chunk) is None:
            return chunk
        data, self._held = self._held + chunk, b""
        at = 1 if self._skips_lf and data[:1] == b"\n" else 0
        self._skips_lf = False
        kept: list[bytes] = []
        while at < len(data):
            end, is_kept = self._end_of_rest(data, at), True
            if end == at:
                end, is_kept = self._event(data, at)
            if is_kept:
                kept.append(data[at:end])
            at = end
        return b"".join(kept)

    def finish(self) -> bytes:
        """Return what is still held: the stream has ended, or breaks off."""
        held, self._held = self._held, b""
        return b"" if self._is_cut(held) else held

    def _end_of_rest(self, data: bytes, at: int) -> int:
        """Return the end of what has begun to go on, or of what stands before an event; ``at``
        where an event begins.
        """
        if self._is_passing:
            window = self._tail + data[at:]
            found = _EVENT_END.search(window)
            self._is_passing = found is None
            if found is not None:
                return at + found.end() - len(self._tail)
            self._tail = window[-_TAIL_BYTES:]
            return len(data)
        if self._is_in_comment or data[at] in _NO_FIELD:
            line_end = _LINE_END.search(data, at)
            self._is_in_comment = line_end is None
            return len(data) if line_end is None else line_end.end()
        return at

    def _event(self, data: bytes, at: int) -> tuple[int, bool]:
        """Return the end of an event that begins, or of the data, and whether it goes on now: else
        it is taken out, or held.
        """
        found = _EVENT_END.search(data, at)
        if found is None:
            beginning = data[at:]
            if self._may_be_cut(beginning):
                self._held = beginning
                return len(data), False
            self._is_passing, self._tail = True, beginning[-_TAIL_BYTES:]
            return len(data), True
        end = found.end()
        is_cut = self._is_cut(data[at:end])
        self._skips_lf = is_cut and end == len(data) and data[-1:] == b"\r"
        return end, not is_cut

    def _may_be_cut(self, beginning: bytes) -> bool:
        """Return whether what has come of an event may be the beginning of the one."""
        if len(beginning) > HELD_AT_MOST or beginning[:1] not in _FIRST_BYTES:
            return False
        return self._option.not_this.search(beginning) is None

    def _is_cut(self, event: bytes) -> bool:
        """Return whether a whole event is the one."""
        if self._option.sign.search(event) is None or not self._may_be_cut(event):
            return False
        data = [line[5:] for line in event.splitlines() if line[:5] == b"data:"]
        return len(data) == 1 and self._option.is_beside(data[0])
