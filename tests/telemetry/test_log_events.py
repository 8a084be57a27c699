"""The reference of the log lists what the code writes, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import sidecar
from sidecar.telemetry.log_events import LOG_EVENTS, LOG_FIELDS
from tests.support.log_reference import README, with_reference

PACKAGE = Path(sidecar.__file__).parent
BY_NAME = {each.name: each for each in LOG_EVENTS}


def _logged() -> dict[str, set[str]]:
    """Each event that a log call names by a literal, with the fields that it names so too."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id == "event_fields":
                fields = {each.arg for each in node.keywords if each.arg is not None}
                for name in ast.walk(node.args[0]):
                    if isinstance(name, ast.Constant):
                        found.setdefault(str(name.value), set()).update(fields)
    return found


def _named_strings() -> set[str]:
    """Every literal of the package outside the reference itself."""
    return {
        node.value
        for path in PACKAGE.rglob("*.py")
        if path.name != "log_events.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_event_that_is_logged_is_listed_with_its_fields():
    """And every event that is listed stands in the code."""
    logged = _logged()

    assert set() == logged.keys() - BY_NAME.keys()
    assert all(fields <= set(BY_NAME[name].fields) for name, fields in logged.items())
    assert set() == BY_NAME.keys() - _named_strings()


def test_every_field_has_a_meaning():
    """And no meaning is left without a field."""
    assert {name for each in LOG_EVENTS for name in each.fields} == LOG_FIELDS.keys()


def test_the_reference_is_up_to_date():
    """``python -m tests.support.log_reference`` writes it."""
    text = README.read_text(encoding="utf-8")

    assert with_reference(text) == text
