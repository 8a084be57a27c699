"""Nothing grows beyond what can be read at once. The limits are measured from httpcore, h11 and
linkerd2-proxy.
"""

from __future__ import annotations

import ast

from tests.architecture.tree import ROOT, Function, functions, modules

MODULE_LINES, FUNCTION_LINES, PARAMETERS = 300, 40, 6

EXCEPTIONS = {
    "sidecar/proxy.py:__init__": "the one module that knows the order of the rooms is given every room",
}
"""``path:function`` -> why it may have more than six parameters."""

TO_BE_PARTED = {
    "sidecar/telemetry/decisions.py:__init__",
    "sidecar/telemetry/metrics.py:__init__",
}
"""Grown by lines of 100 columns; each goes when its room is put in order."""


def _lines(function: Function) -> int:
    body = function.body
    has_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def _parameters(function: Function) -> int:
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def _constructors_of_values(tree: ast.Module) -> set[int]:
    """Those of ``@dataclass(init=False)`` name each field, as a struct's own would."""
    values = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any("init=False" in ast.unparse(each) for each in node.decorator_list)
    ]
    return {
        id(each)
        for value in values
        for each in value.body
        if getattr(each, "name", "") == "__init__"
    }


def test_modules_are_at_most_300_lines():
    """A module is one idea."""
    sizes = {path: len((ROOT / path).read_text().splitlines()) for path in modules()}

    assert {} == {
        path: size
        for path, size in sizes.items()
        if size > MODULE_LINES and path not in TO_BE_PARTED
    }


def test_functions_are_at_most_40_lines_long():
    """Without their docstring."""
    too_long = {
        f"{path}:{each.name}"
        for path, tree in modules().items()
        for each in functions(tree)
        if _lines(each) > FUNCTION_LINES
    }

    assert set() == too_long - TO_BE_PARTED


def test_functions_take_at_most_six_parameters():
    """Then it is time for a policy struct. An exception that is not needed any more has to go."""
    too_many = {
        f"{path}:{each.name}"
        for path, tree in modules().items()
        for each in functions(tree)
        if id(each) not in _constructors_of_values(tree) and _parameters(each) > PARAMETERS
    }

    assert set(EXCEPTIONS) == too_many
