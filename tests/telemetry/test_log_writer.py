"""Lines to a descriptor that is read slowly, or not at all."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading

import pytest

from sidecar.telemetry.log_writer import (
    QUEUED_LINES,
    LineWriter,
    log_level,
    logging_to,
    set_log_level,
)


@pytest.fixture
def pipe():
    """A pipe's two ends; the test may close them."""
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        with contextlib.suppress(OSError):
            os.close(end)


def _fill(write):
    os.set_blocking(write, False)
    try:
        while os.write(write, b"x" * 4096):
            pass
    except BlockingIOError:
        pass


def _read_all(read, into):
    while piece := os.read(read, 65536):
        into.append(piece)


def test_lines_arrive_whole_and_in_order(pipe):
    """Closing waits for what is queued."""
    read, write = pipe
    writer = LineWriter(write)
    for number in range(100):
        writer.put(b"%d\n" % number)
    writer.close()

    assert b"".join(b"%d\n" % number for number in range(100)) == os.read(read, 65536)
    assert 0 == writer.dropped


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_full_pipe_costs_lines_and_nothing_else(pipe, is_blocking):
    """They are counted; once the pipe is read again, a line says how many they were. Whoever else
    has the descriptor may have made it non-blocking.
    """
    read, write = pipe
    _fill(write)
    os.set_blocking(write, is_blocking)
    log = logging.getLogger("sidecar.test")
    with logging_to(write, "json", "info") as writer:
        for number in range(QUEUED_LINES + 100):
            log.info("line %d", number)
        dropped = writer.dropped
        pieces: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(read, pieces))
        reader.start()
    os.close(write)
    reader.join()
    lines = [json.loads(line) for line in b"".join(pieces).lstrip(b"x").splitlines()]

    assert 98 <= dropped <= 100
    assert [dropped] == [
        each["lines"] for each in lines if each.get("event") == "log_lines_dropped"
    ]
    assert QUEUED_LINES + 101 - dropped == len(lines)


def test_the_end_of_the_process_does_not_wait_for_a_full_pipe(pipe):
    """The thread is left behind, and dies with the process."""
    read, write = pipe
    _fill(write)
    os.set_blocking(write, True)
    writer = LineWriter(write)
    writer.put(b"never read\n")
    writer.close()
    is_alive = writer._thread.is_alive()
    pieces: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(read, pieces), daemon=True)
    reader.start()
    writer._thread.join()

    assert is_alive
    os.close(write)
    reader.join()


def test_a_descriptor_that_is_gone_costs_lines_and_nothing_else(pipe):
    """The reader of a pipe may have ended."""
    read, write = pipe
    os.close(read)
    writer = LineWriter(write)
    writer.put(b"1\n")
    writer.put(b"2\n")
    writer.close()

    assert 2 == writer.dropped


def test_a_record_that_cannot_be_formatted_is_dropped(pipe):
    """A log call never fails its caller."""
    _, write = pipe
    with logging_to(write, "json", "info") as writer:
        record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%d", ("no number",), None)
        logging.getLogger().handlers[-1].emit(record)

    assert 1 == writer.dropped


@pytest.mark.parametrize(("level", "heard"), [("info", 2), ("warning", 1), ("error", 0)])
def test_a_level_is_the_sidecars_own(pipe, level, heard):
    """Libraries are heard from WARNING on, or less."""
    read, write = pipe
    with logging_to(write, None, level):
        logging.getLogger("sidecar.test").info("one")
        logging.getLogger("library").info("never")
        logging.getLogger("library").warning("two")
    os.close(write)

    assert heard == len(os.read(read, 65536).splitlines())


def test_the_level_can_be_changed_while_lines_are_written(pipe):
    """And is back to what it was afterwards."""
    read, write = pipe
    log = logging.getLogger("sidecar.test")
    with logging_to(write, None, "warning"):
        before = log_level()
        log.info("never")
        set_log_level("debug")
        log.debug("one")
        after = log_level()
    os.close(write)

    assert ("warning", "debug") == (before, after)
    assert 1 == len(os.read(read, 65536).splitlines())
