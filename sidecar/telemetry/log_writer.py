"""Lines to a file descriptor that may be read slowly, or by nothing at all.

A container's log driver that stalls leaves a full pipe behind, in which a write waits for ever.
Lines are therefore written in a thread of their own, from a queue with an end; whatever finds the
queue full is dropped and counted, and a line tells how many were once the pipe is read again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Final

from sidecar.domain.log_fields import event_fields
from sidecar.telemetry.log_format import LogFormatter

QUEUED_LINES: Final = 1024
FLUSH_S: Final = 0.5
"""How long the end of the process waits for lines that are still queued."""

_log: Final = logging.getLogger("sidecar.log")


class LineWriter:
    """Writes lines to a file descriptor in a thread of its own. Nothing here waits for a write."""

    def __init__(self, descriptor: int, stream: str = "stderr") -> None:
        """Args: ``stream`` is the descriptor's name, for the line that tells of lost ones."""
        self.dropped = 0
        """Lines that found the queue full, or that could not be written."""
        self._descriptor, self._stream = descriptor, stream
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        # A daemon: a write that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue a line, its end included; drop it where the queue is full."""
        if self._queue.qsize() >= QUEUED_LINES:
            self.dropped += 1
        else:
            self._queue.put(line)

    def close(self) -> None:
        """Write what is queued, for `FLUSH_S` at most. What is put afterwards is lost."""
        self._queue.put(None)
        self._thread.join(FLUSH_S)

    def _run(self) -> None:
        reported, is_closed = 0, False
        while not is_closed or not self._queue.empty():
            line = self._queue.get()
            if line is None:
                is_closed = True
                continue
            try:
                self._write(line)
            except OSError:
                self.dropped += 1
                continue
            # Once the queue is short again, so that this line is not dropped too.
            if self.dropped > reported and self._queue.qsize() < QUEUED_LINES // 2:
                lost, reported = self.dropped - reported, self.dropped
                extra = event_fields("log_lines_dropped", lines=lost, stream=self._stream)
                text = "%d line(s) of %s were dropped: nothing read them"
                _log.warning(text, lost, self._stream, extra=extra)

    def _write(self, line: bytes) -> None:
        """Write a whole line. Raises: OSError where the descriptor cannot be written to."""
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # its other owner has made it non-blocking
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()


class _Handler(logging.Handler):
    """Formats records and hands them to a writer."""

    def __init__(self, writer: LineWriter, form: str) -> None:
        super().__init__()
        self._writer = writer
        self.setFormatter(LogFormatter(form))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a log call never fails its caller
            self._writer.dropped += 1
        else:
            self._writer.put(line.encode("utf-8", "backslashreplace") + b"\n")


def log_level() -> str:
    """Return the least severe level of the sidecar's own that is written."""
    return logging.getLevelName(logging.getLogger("sidecar").getEffectiveLevel()).lower()


def set_log_level(level: str) -> None:
    """Write lines of the sidecar's own from another level on: debug, info, warning or error."""
    logging.getLogger("sidecar").setLevel(level.upper())


@contextlib.contextmanager
def logging_to(descriptor: int, form: str | None, level: str) -> Iterator[LineWriter]:
    """Let all loggers write to a descriptor, until the block ends.

    Args: ``form`` as `LogFormatter` has it; None is ``json``, and ``plain`` on a terminal.
        ``level`` is the sidecar's own least severe one; libraries are heard from WARNING on.
    """
    writer = LineWriter(descriptor)
    handler = _Handler(writer, form or ("plain" if os.isatty(descriptor) else "json"))
    root, own = logging.getLogger(), logging.getLogger("sidecar")
    before = root.level, own.level
    own.setLevel(level.upper())
    root.setLevel(max(own.level, logging.WARNING))
    root.addHandler(handler)
    try:
        yield writer
    finally:
        writer.close()  # while it is heard: it may still have to tell of lines that were dropped
        root.removeHandler(handler)
        root.setLevel(before[0])
        own.setLevel(before[1])
