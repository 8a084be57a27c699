"""Watches an answer go by for what it says about itself. Delays nothing, alters nothing, keeps
little.
"""

from __future__ import annotations

from typing import Final

from sidecar.dialects.usage import (
    NOTHING,
    TAIL_BYTES,
    WHOLE_BYTES,
    merged,
    served_of_answer,
    served_of_event,
    served_of_tail,
)
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName
from sidecar.domain.outcome import Served

LINE_BYTES: Final = 1024 * 1024
"""A longer line of an event stream is not looked at; the ones after it are."""

_NEEDLES: Final = {
    CHAT: (b'"usage"', b'"finish_reason"'),
    EMBEDDINGS: (b'"usage"',),
    MESSAGES: (b'"message_start"', b'"message_delta"'),
    RESPONSES: (
        b'"response.completed"',
        b'"response.incomplete"',
        b'"response.failed"',
    ),
}
"""What stands in the events worth decoding. Text of a model cannot hold it: its quotes are
escaped.
"""
_NULLS: Final = (
    b'"usage":null',
    b'"usage": null',
    b'"finish_reason":null',
    b'"finish_reason": null',
)
"""What nearly every event of a chat stream says; an event that says nothing else is not decoded."""


_MODEL_WITHIN_EVENTS: Final = 4
"""Chat says the model in every event, but Azure leaves it empty in its first."""


class EventTap:
    """For event streams, in any chunking."""

    __slots__ = ("_dialect", "_is_skipping", "_model_tries", "_needles", "_rest", "served")

    def __init__(self, dialect: DialectName) -> None:
        self.served = NOTHING
        """What has been read so far."""
        self._dialect = dialect
        self._needles = _NEEDLES[dialect]
        self._rest = bytearray()
        self._is_skipping = False
        self._model_tries = _MODEL_WITHIN_EVENTS if dialect == CHAT else 0

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream."""
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if end == 0:
            self._keep(chunk)
            return
        lines = chunk[:end]
        if self._is_skipping:
            self._is_skipping = False
            lines = lines[
                len(lines.splitlines(keepends=True)[0]) :
            ]  # the line that was too long ends here
        elif self._rest:
            lines = bytes(self._rest) + lines
            self._rest.clear()
        if end < len(chunk):
            self._keep(chunk[end:])
        if self._model_tries or any(needle in lines for needle in self._needles):
            self._read(lines)

    def _keep(self, part: bytes) -> None:
        if self._is_skipping:
            return
        self._rest += part
        if len(self._rest) > LINE_BYTES:
            self._is_skipping = True
            self._rest.clear()

    def _read(self, lines: bytes) -> None:
        for line in lines.splitlines():
            if line[:5] != b"data:":
                continue
            if self._model_tries:
                self._model_tries -= 1
            elif not self._is_telling(line):
                continue
            self.served = merged(self.served, served_of_event(self._dialect, line[5:]))
            if self.served.served_model is not None:
                self._model_tries = 0

    def _is_telling(self, line: bytes) -> bool:
        nulls = sum(null in line for null in _NULLS) if self._dialect == CHAT else 0
        return sum(needle in line for needle in self._needles) > nulls


class AnswerTap:
    """For whole answers that arrive in pieces."""

    __slots__ = ("_dialect", "_held", "_is_long")

    def __init__(self, dialect: DialectName) -> None:
        self._dialect = dialect
        self._held = bytearray()
        self._is_long = False

    @property
    def served(self) -> Served:
        """What the answer said, once all of it was fed."""
        body = bytes(self._held)
        return (
            served_of_tail(self._dialect, body[-TAIL_BYTES:])
            if self._is_long
            else served_of_answer(self._dialect, body)
        )

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the body."""
        if not self._is_long:
            self._held += chunk
            self._is_long = len(self._held) > WHOLE_BYTES
        else:
            self._held += chunk[-TAIL_BYTES:]
        if self._is_long and len(self._held) > 2 * TAIL_BYTES:
            del self._held[:-TAIL_BYTES]
