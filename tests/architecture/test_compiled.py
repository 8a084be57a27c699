"""What is compiled can be compiled, and means the same then."""

from __future__ import annotations

import ast
import tomllib

from tests.architecture.tree import ROOT, modules


def listed() -> list[str]:
    """The modules that the build compiles."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names: list[str] = project["tool"]["plano-sidecar"]["compiled"]
    return names


def test_compiled_modules_are_there_and_define_no_struct():
    """Mypyc drops the keywords of a class and the defaults of its fields: frozen structs would
    thaw, others not decode.
    """
    known = modules()
    assert [] == [path for path in listed() if path not in known]
    thawed = [
        f"{path}:{node.name}"
        for path in listed()
        for node in ast.walk(known[path])
        if isinstance(node, ast.ClassDef)
        and (node.keywords or "msgspec.Struct" in map(ast.unparse, node.bases))
    ]

    assert [] == thawed


def test_no_compiled_handler_of_an_exception_awaits():
    """A coroutine that mypyc compiled loses the exception over the await: the process crashes where
    it is raised again.
    """
    known = modules()
    waiting = [
        f"{path}:{node.lineno}"
        for path in listed()
        for node in ast.walk(known[path])
        if isinstance(node, ast.ExceptHandler)
        and any(isinstance(each, ast.Await) for each in ast.walk(node))
    ]

    assert [] == waiting
