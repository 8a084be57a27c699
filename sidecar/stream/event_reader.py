"""Reads the few events of a stream that say something about the response: who serves, how many
tokens, which choices have ended, and that the provider failed.
"""

from __future__ import annotations

from typing import Final, final

from sidecar.dialects.base import Dialect, EventKind, StreamRules
from sidecar.dialects.usage import NOTHING, TAIL_BYTES, merged, read_event, read_tail
from sidecar.domain.outcome import Served

_CHOICES_AT_MOST: Final = 1024
"""Of more choices than any API allows, the rest are not followed."""
WHOLE_EVENT_BYTES: Final = 128 * 1024
"""Of the data of a longer event only the end is read: to decode 1 MiB may take 80 ms."""
_NAMED_ERROR: Final = (b"event: error", b"event:error")


@final
class EventReader:
    """What a stream has said of itself so far."""

    __slots__ = (
        "_choices",
        "_dialect",
        "_is_error_named",
        "_model_tries",
        "_rules",
        "error",
        "served",
    )

    def __init__(self, dialect: Dialect) -> None:
        self.served: Served = NOTHING
        self.error: bytes | None = None
        """The data of the first event by which the provider said that it failed."""
        self._dialect = dialect
        self._choices: dict[int, bool] = {}
        """Of each choice that appeared, whether it has ended."""
        self._is_error_named = False
        """Whether the next data are those of an event that is named an error."""
        self._model_tries: int = dialect.stream.model_within
        self._rules: StreamRules = dialect.stream

    @property
    def has_ended(self) -> bool:
        """Whether a choice has appeared, and each that did has ended."""
        for has_ended in self._choices.values():
            if not has_ended:
                return False
        return bool(self._choices)

    def read(self, lines: bytes) -> EventKind | None:
        """Read the events in whole lines of the stream.

        Returns: the kind of the last of them by which the provider says that it failed.
        """
        if not self._model_tries and not self._is_error_named and not self._may_tell(lines):
            return None
        failed: EventKind | None = None
        for line in lines.splitlines():
            if line[:5] != b"data:":
                if line.rstrip() in _NAMED_ERROR:
                    self._is_error_named = True
                continue
            is_named, self._is_error_named = self._is_error_named, False
            if self._model_tries:
                self._model_tries -= 1
            elif not is_named and not self._is_telling(line):
                continue
            failed = self._read_data(line, is_error_named=is_named) or failed
        return failed

    def _may_tell(self, lines: bytes) -> bool:
        """Whether more members are named in the lines than are null in them; of nearly all chunks
        no more is looked at.
        """
        values = 0
        for needle in self._rules.telling:
            values += lines.count(needle)
        if values:
            for null in self._rules.nulls:
                values -= lines.count(null)
        return values > 0

    def _is_telling(self, line: bytes) -> bool:
        """Whether more members are named in the line than are null in it."""
        values = 0
        for needle in self._rules.telling:
            values += needle in line
        if values:
            for null in self._rules.nulls:
                values -= null in line
        return values > 0

    def _read_long_data(self, line: bytes, *, is_error_named: bool) -> EventKind | None:
        """Read the data of one event that is not worth decoding: its last ``usage``."""
        self.served = merged(self.served, read_tail(self._dialect, line[-TAIL_BYTES:]))
        if not is_error_named:
            return None
        self.error = self.error or line[5:].strip()
        return EventKind.ERROR

    def _read_data(self, line: bytes, *, is_error_named: bool) -> EventKind | None:
        """Read the data of one event; return its kind where it is an error."""
        rules, failed = self._rules, None
        if len(line) > WHOLE_EVENT_BYTES:
            return self._read_long_data(line, is_error_named=is_error_named)
        for sign in rules.failing:
            if is_error_named or sign in line:
                kind = rules.kind_of_event(b"error" if is_error_named else b"", line[5:])
                if kind is EventKind.ERROR or kind is EventKind.FAILED:
                    self.error = self.error or line[5:].strip()
                    failed = kind
                break
        self.served = merged(self.served, read_event(self._dialect, line[5:]))
        if self.served.served_model is not None:
            self._model_tries = 0
        for index, has_ended in rules.choices_of_event(line[5:]):
            if len(self._choices) < _CHOICES_AT_MOST or index in self._choices:
                self._choices[index] = has_ended or self._choices.get(index, False)
        return failed
