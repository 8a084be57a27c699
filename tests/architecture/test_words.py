"""One thing has one word, one class name names one thing, and what a comment cites is there."""

from __future__ import annotations

import ast
import collections
import re
import subprocess

import pytest

from tests.architecture.tree import ROOT, modules, modules_of_tests

OLD_CLASSES = frozenset({
    "AppEnd", "Arrival", "Asked", "Asker", "BodyBudget", "Book", "Carrier", "Chooser", "Cluster", "Deaf", "Decider",
    "Door", "Edges", "Endless", "Exchange", "Follower", "Gauges", "HeldReply", "Holdings", "Intake", "Link", "Measures",
    "Numbers", "Outbox", "Patience", "RedisAsker", "RedisPages", "Renewal", "SourceBook", "TooLate", "Walker",
})  # fmt: skip
OLD_NAMES = frozenset({
    "app_end", "arrival", "asker", "carrier", "chooser", "cluster", "decider", "doubted", "follower", "give_way", "heed",
    "intake", "is_owed", "outbox", "pardon", "patience", "patience_s", "soil", "strange", "stumble", "told", "vacate",
})  # fmt: skip
"""Variables, attributes, parameters and functions, without the underscores around them."""

CITATION = re.compile(r"\b(?:contract|house|affinity|routing|telemetry)\.md\b|\bissue #?\d+\b")
"""Design documents and issues that a clone of the repository does not have."""


def _name_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.arg if isinstance(node, ast.arg) else None


def _classes() -> dict[str, list[str]]:
    """Class name -> the modules that define it."""
    found = collections.defaultdict(list)
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path)
    return found


def test_a_class_name_stands_once_in_the_package():
    """Whoever searches for a class finds it."""
    public = {name: paths for name, paths in _classes().items() if not name.startswith("_")}

    twice = {
        f"{path}: {name}" for name, paths in public.items() if len(paths) > 1 for path in paths
    }

    assert set() == twice


def test_no_class_has_one_of_the_old_names():
    """They needed a smile or a dictionary to be understood."""
    found = {f"{paths}: {name}" for name, paths in _classes().items() if name in OLD_CLASSES}

    assert set() == found


def test_nothing_else_has_one_of_the_old_names():
    """A variable that keeps the old word keeps the riddle."""
    found = {
        f"{path}: {name}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if (name := _name_of(node)) is not None and name.strip("_") in OLD_NAMES
    }

    assert set() == found


def test_nothing_cites_a_document_that_is_not_there():
    """A reader of a clone can look up all that the code, the tests and the pages point to."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "*.yaml", "*.ini", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    own = "tests/architecture/test_words.py"
    found = {
        f"{path}:{number}: {line.strip()}"
        for path in listed.stdout.splitlines()
        if path != own and (ROOT / path).is_file()
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if CITATION.search(line)
    }

    assert set() == found


def test_tests_use_the_new_names_too():
    """A test is read beside the code."""
    found = {
        f"{path}: {name}"
        for path, tree in modules_of_tests().items()
        for node in ast.walk(tree)
        if (name := _name_of(node)) is not None
        and (name.strip("_") in OLD_CLASSES or name.strip("_") in OLD_NAMES)
    }

    assert set() == found
