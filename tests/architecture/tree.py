"""The package's modules, parsed once for the tests of this folder."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sidecar"


@cache
def modules() -> dict[str, ast.Module]:
    """Path from the repository's root -> syntax tree, for every module of the package."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def modules_of_tests() -> dict[str, ast.Module]:
    """The same for the tests."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for path in sorted((ROOT / "tests").rglob("*.py"))
    }


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[Function]:
    """Every function of a module, methods and inner ones included."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def names_in(tree: ast.Module) -> set[str]:
    """Every name that a module reads or imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {each.name for each in node.names}
    return found


def dotted(node: ast.AST) -> str:
    """``a.b.c`` for an attribute chain, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""
