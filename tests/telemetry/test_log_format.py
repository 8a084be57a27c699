"""One event is one line, whatever its values hold."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.log_fields import event_fields
from sidecar.telemetry.log_format import (
    ITEMS,
    VALUE_CHARS,
    LogFormatter,
    exception_text,
)

FORMS = ("json", "logfmt", "plain")


def _record(message="told", *, error=None, **extra):
    level, info = logging.WARNING, None if error is None else (type(error), error, None)
    record = logging.LogRecord("sidecar.x", level, "x.py", 1, message, None, info)
    record.created = 1_764_316_800.25
    record.__dict__.update(extra)
    return record


def _failed():
    try:
        raise KeyError("the prompt") from OSError("sk-secret")
    except KeyError as error:
        return error


def test_json_has_stable_names_in_a_stable_order():
    """Time in UTC, level, logger, event, message, then the event's own fields."""
    record = _record(**event_fields("failed", calls=12, models=["a", "b"], router=None, up=False))

    assert json.loads(LogFormatter("json").format(record)) == {
        "time": "2025-11-28T08:00:00.250Z",
        "level": "warning",
        "logger": "sidecar.x",
        "event": "failed",
        "message": "told",
        "calls": 12,
        "models": ["a", "b"],
        "router": None,
        "up": False,
    }


def test_logfmt_quotes_what_is_not_one_word():
    """Its readers split at blanks and at the first equals sign."""
    record = _record("two words", **event_fields("e", list=["a", "b"], none=None, yes=True, eq="="))

    assert LogFormatter("logfmt").format(record) == (
        "time=2025-11-28T08:00:00.250Z level=warning logger=sidecar.x event=e "
        'message="two words" list=a,b none="" yes=true eq="="'
    )


def test_plain_text_is_for_a_person():
    """The event's name and the logger's are left out."""
    formatter = LogFormatter("plain")

    assert formatter.format(_record()) == "2025-11-28T08:00:00.250Z WARNING told"
    assert formatter.format(_record(**event_fields("e", calls=1))).endswith("told | calls=1")


def test_plain_text_leaves_out_what_says_nothing():
    """A line of fields without values is hard to read; a zero and a no are values."""
    formatter = LogFormatter("plain")
    fields = event_fields("e", none=None, empty="", nobody=[], zero=0, no=False)

    assert formatter.format(_record(**fields)).endswith("told | zero=0 no=false")
    assert formatter.format(_record(**event_fields("e", none=None))).endswith("told")


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(), value=st.text())
def test_no_value_makes_a_second_line(form, text, value):
    """Nor moves a terminal's cursor: a provider or an app may have written it."""
    line = LogFormatter(form).format(_record(text.replace("%", ""), **event_fields("e", v=value)))

    assert ([line], True) == (line.splitlines(), line.isprintable())
    line.encode()


@pytest.mark.parametrize("form", FORMS)
def test_a_line_has_an_end(form):
    """Long values and long lists are cut."""
    fields = event_fields("e", long="x" * 10**6, many=["y"] * 10**5)

    assert len(LogFormatter(form).format(_record(**fields))) < VALUE_CHARS + 10 * ITEMS


@pytest.mark.parametrize("form", FORMS)
def test_an_exception_is_told_without_its_message(form):
    """Which may hold what a call carried."""
    line = LogFormatter(form).format(_record(error=_failed()))

    assert ("KeyError at " in line, "because of OSError" in line) == (True, True)
    assert "telemetry/test_log_format.py:" in line
    assert ("the prompt" in line, "sk-secret" in line) == (False, False)


def test_a_chain_of_exceptions_has_an_end():
    """Some libraries wrap their errors without end."""
    first = error = ValueError()
    for _ in range(20):
        error.__cause__ = ValueError()
        error = error.__cause__

    assert exception_text(first).count("ValueError") == 5
