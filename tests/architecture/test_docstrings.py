"""Docstrings are sentences that a stranger understands where they stand."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

import pytest

from tests.architecture.tree import PACKAGE, ROOT, modules

_Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
PAGE_LINES = range(5, 61)
ROOM_PAGES = sorted(str(path.relative_to(ROOT)) for path in PACKAGE.glob("*/__init__.py"))


@functools.cache
def _docstrings() -> tuple[tuple[str, str], ...]:
    """``path:name`` and docstring of every module, class and function that has one."""
    return tuple(_read_docstrings())


def _read_docstrings() -> Iterator[tuple[str, str]]:
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, _Documented) and (text := ast.get_docstring(node)):
                yield f"{path}:{getattr(node, 'name', '')}", text


def _names_its_interface(where: str, text: str) -> bool:
    """Whether a docstring is a reference to the interface's method of the same name."""
    found = re.match(r"See `(?:\w+\.)*([A-Z]\w*)\.(\w+)`", text)
    return found is not None and found[2] == where.partition(":")[2] and found[1] in _classes()


@functools.cache
def _classes() -> frozenset[str]:
    return frozenset(
        node.name
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )


def test_every_module_says_what_it_is():
    """A reader who opens a module learns from its first lines whether it is the right one."""
    assert [] == [path for path, tree in modules().items() if not ast.get_docstring(tree)]


def test_a_docstring_has_a_subject_and_a_verb():
    """One or two words repeat the name; which interface a class or method implements is said in
    two.
    """
    short = {
        where
        for where, text in _docstrings()
        if len(text.split()) < 3
        and not text.startswith("Implements ")
        and not _names_its_interface(where, text)
    }

    assert set() == short


def test_a_docstring_sends_nobody_elsewhere():
    """`See X` makes the reader open another module for one sentence, unless X is the interface's
    method that this one implements: a second wording of one contract would part from the first.
    """
    elsewhere = {
        where
        for where, text in _docstrings()
        if text.startswith("See ") and not _names_its_interface(where, text)
    }

    assert set() == elsewhere


def test_every_room_has_its_page():
    """Its `__init__` says the room's rule, its words and its flow."""
    pages = {path: ast.get_docstring(modules()[path]) or "" for path in ROOM_PAGES}
    wrong = {path for path, text in pages.items() if len(text.splitlines()) not in PAGE_LINES}

    assert set() == wrong


@pytest.mark.parametrize("path", ROOM_PAGES)
def test_a_page_holds_no_code(path):
    """Whoever opens it reads, and importing a room imports nothing else."""
    tree = modules()[path]

    assert [] == [
        node for node in tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom)
    ]
