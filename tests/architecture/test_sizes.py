"""Nothing grows beyond what can be read at once. The limits are measured from httpcore, h11 and
linkerd2-proxy.
"""

from __future__ import annotations

import ast

from tests.architecture.tree import ROOT, Function, dotted, functions, modules

MODULE_LINES, FUNCTION_LINES, PARAMETERS = 300, 40, 6
MOST_FUNCTIONS_LINES = 17
"""Nine functions of ten are at most so long, their signature counted, their docstring not."""
ATTRIBUTES, LARGE_SERVICES = 7, 12
"""A service with more attributes is two services, and there are at most so many of them still."""

EXCEPTIONS = {
    "sidecar/proxy.py:__init__": "the one module that knows the order of the rooms is given every room",
}
"""``path:function`` -> why it may have more than six parameters."""


def _lines(function: Function) -> int:
    body = function.body
    has_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def _signature_lines(function: Function) -> int:
    return function.body[0].lineno - function.lineno


def _attributes(service: ast.ClassDef) -> set[str]:
    """What an instance holds: annotated members, and what ``__init__`` assigns."""
    held = {
        each.target.id
        for each in service.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    makers = [each for each in functions(service) if each.name == "__init__"]
    return held | {
        node.attr
        for maker in makers
        for node in ast.walk(maker)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and dotted(node.value) == "self"
    }


def _is_value(each: ast.ClassDef) -> bool:
    """Structs, enums, named tuples and dataclasses hold fields: that is what they are for."""
    kinds = " ".join(map(ast.unparse, (*each.bases, *each.decorator_list)))
    return any(
        kind in kinds
        for kind in ("Struct", "Section", "NamedTuple", "Enum", "dataclass", "Protocol")
    )


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

    assert {} == {path: size for path, size in sizes.items() if size > MODULE_LINES}


def test_functions_are_at_most_40_lines_long():
    """Their signature counted, their docstring not."""
    too_long = {
        f"{path}:{each.name}"
        for path, tree in modules().items()
        for each in functions(tree)
        if _lines(each) + _signature_lines(each) > FUNCTION_LINES
    }

    assert set() == too_long


def test_functions_take_at_most_six_parameters():
    """Then it is time for a policy struct. An exception that is not needed any more has to go."""
    too_many = {
        f"{path}:{each.name}"
        for path, tree in modules().items()
        for each in functions(tree)
        if _parameters(each) > PARAMETERS and id(each) not in _constructors_of_values(tree)
    }

    assert set(EXCEPTIONS) == too_many


def test_most_functions_are_short():
    """One that needs no scrolling and no second reading is the rule, not the exception."""
    sizes = sorted(
        _lines(each) + _signature_lines(each)
        for tree in modules().values()
        for each in functions(tree)
    )

    assert sizes[round(0.9 * (len(sizes) - 1))] <= MOST_FUNCTIONS_LINES


def test_few_services_have_many_attributes():
    """Each new one is a service that should have been parted."""
    large = [
        f"{path}:{node.name}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and not _is_value(node)
        and len(_attributes(node)) > ATTRIBUTES
    ]

    assert len(large) <= LARGE_SERVICES, large
