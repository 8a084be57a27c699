"""Every fact is constructed behind the question whether somebody hears it, and is emitted; every
error is raised.
"""

from __future__ import annotations

import ast

from sidecar.domain.events import Event
from tests.architecture.tree import functions, modules

EVENTS = {kind.__name__ for kind in Event.__subclasses__()}
DEFINED_IN = "sidecar/domain/events.py"


def _constructed(node: ast.AST) -> list[str]:
    """The events that a syntax tree constructs."""
    calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
    return [
        each.func.id for each in calls if isinstance(each.func, ast.Name) and each.func.id in EVENTS
    ]


def test_each_event_is_emitted_somewhere():
    """A fact that no room reports is a promise without a keeper."""
    made = {
        name
        for path, tree in modules().items()
        if path != DEFINED_IN
        for name in _constructed(tree)
    }

    assert EVENTS == made


def test_each_error_is_raised_somewhere():
    """One that nothing raises is a row of the listener's README that no app ever sees. A base class
    is named by those derived from it.
    """
    trees = modules()
    defined = {
        node.name
        for node in trees["sidecar/domain/errors.py"].body
        if isinstance(node, ast.ClassDef)
    }
    named = {
        node.id for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Name)
    }

    assert set() == defined - named


def test_a_function_asks_whether_an_event_is_heard_before_it_constructs_it():
    """Constants of a module are made once, and need no question."""
    unasked = [
        f"{path}:{function.name}: {name}"
        for path, tree in modules().items()
        for function in functions(tree)
        for name in _constructed(function)
        if f"{name} in self._observers.heard" not in (source := ast.unparse(function))
        and f"{name} not in self._observers.heard" not in source
    ]

    assert [] == unasked
