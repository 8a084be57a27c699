"""A dialect is one module and one row: nothing else in the house names one."""

from __future__ import annotations

import ast
import inspect

from sidecar.dialects import base, registry
from sidecar.domain import call
from tests.architecture.tree import ROOT, modules

MAY_NAME = ("sidecar/dialects/", "sidecar/translate/", "sidecar/domain/call.py", "sidecar/config/")
"""Where dialects are known apart; a config's conventions say which provider serves which of
them.
"""
SHARED = {"__init__", "base", "guess", "registry", "request", "usage"}
"""Modules of dialects/ that are true of every API."""
NAMES = frozenset(registry.DIALECTS.by_name)
CONSTANTS = {name for name, value in vars(call).items() if name.isupper() and value in NAMES}
"""In domain/call.py, since config/ names dialects too; another dialect's may stand in its module.
"""


def _strangers() -> dict[str, ast.Module]:
    return {path: tree for path, tree in modules().items() if not path.startswith(MAY_NAME)}


def _names_in(keys: list[ast.expr | None]) -> list[object]:
    return [key.value for key in keys if isinstance(key, ast.Constant) and key.value in NAMES]


def test_no_other_module_names_a_dialect():
    """Neither by a constant of domain/call.py nor by its module in dialects/."""
    strays = [
        f"{path}:{node.lineno} {alias.name}"
        for path, tree in _strangers().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (node.module == "sidecar.domain.call" and alias.name in CONSTANTS)
        or (node.module == "sidecar.dialects" and alias.name not in SHARED)
        or (
            (node.module or "").startswith("sidecar.dialects.")
            and (node.module or "").rpartition(".")[2] not in SHARED
        )
    ]

    assert CONSTANTS
    assert [] == strays


def test_no_other_module_compares_a_dialect_or_keeps_a_table_by_it():
    """Not with the text of its name either."""
    strays = []
    for path, tree in _strangers().items():
        if path.startswith("sidecar/demo/"):
            continue  # a provider of its own, which knows its paths
        for node in ast.walk(tree):
            keys: list[ast.expr | None] = []
            if isinstance(node, ast.Compare):
                keys = [node.left, *node.comparators]
            elif isinstance(node, ast.Dict) and len(_names_in(node.keys)) > 1:
                keys = [*node.keys]  # one may be a member of a body: ``messages``
            elif isinstance(node, ast.Subscript):
                keys = [node.slice]
            strays += [f"{path}:{getattr(node, 'lineno', 0)}" for _ in _names_in(keys)]

    assert [] == strays


def test_every_module_of_a_dialect_is_a_row():
    """One that nobody registered would serve nothing."""
    folder = ROOT / "sidecar" / "dialects"
    registered = {type(each).__module__ for each in registry.DIALECTS.by_name.values()}
    defined = {
        f"sidecar.dialects.{path.stem}"
        for path in folder.glob("*.py")
        if path.stem not in SHARED and "endpoints: Final" in path.read_text()
    }

    assert defined == registered


def test_every_dialect_says_all_that_the_protocol_asks():
    """Nothing more that is public, either: what only one dialect has, the house cannot use."""
    asked = {name for name, _ in inspect.getmembers(base.Dialect) if not name.startswith("_")}

    assert dict.fromkeys(registry.DIALECTS.by_name, asked) == {
        name: {each for each in dir(dialect) if not each.startswith("_")}
        for name, dialect in registry.DIALECTS.by_name.items()
    }
