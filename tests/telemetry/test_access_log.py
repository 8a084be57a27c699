"""Which calls have a line, and what is written of them."""

from __future__ import annotations

import json

import pytest

from sidecar.telemetry.access_log import AccessLogWriter
from tests.telemetry.test_call_feed import a_record


@pytest.mark.parametrize(
    ("mode", "errors", "share"),
    [("all", True, 1.0), ("errors", True, 0.25), ("off", False, 0.0)],
)
def test_the_config_says_which_calls_have_a_line(mode, errors, share):
    """Without a writer none has."""
    log = AccessLogWriter()
    log.configure(mode, 0.25)
    assert (False, 0.0) == (log.errors, log.share)
    log.write(a_record())
    log.write_to(list[bytes]().append)
    assert (errors, share) == (log.errors, log.share)
    log.write_to(None)

    assert (False, 0.0) == (log.errors, log.share)


def test_a_call_is_one_line_of_json():
    """With its end; `debug` is left out where nobody asked for it."""
    lines: list[bytes] = []
    log = AccessLogWriter()
    log.write_to(lines.append)
    log.write(a_record("r1"))
    (line,) = lines

    assert (b"\n", 1, 1, "r1") == (
        line[-1:],
        line.count(b"\n"),
        json.loads(line)["schema"],
        json.loads(line)["request_id"],
    )
    assert "debug" not in json.loads(line)
