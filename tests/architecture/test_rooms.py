"""Rules that single rooms have, each as its page says it."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.tree import modules, names_in

STORES = {"MemoryStore", "RedisStore"}
FAMILY_WORDS = {"FAMILIES", "Conventions", "CredentialStyle", "HeaderFamily", "conventions"}
"""What tells one provider family from another; ``conventions`` is a provider's row."""
CORE = ("sidecar/selection/steps.py", "sidecar/selection/decisions.py")


def _users(words: set[str]) -> set[str]:
    return {path for path, tree in modules().items() if names_in(tree) & words}


def test_nothing_asks_which_store_it_is():
    """Only the builder names a store's class; who uses one knows the port."""
    assert {"sidecar/build/foundation.py"} == _users(STORES)


def test_upstream_alone_knows_provider_families_at_run_time():
    """By the rows that the config has made of them."""
    strays = {
        path
        for path in _users(FAMILY_WORDS)
        if not path.startswith(("sidecar/config/", "sidecar/upstream/"))
    }

    assert set() == strays


@pytest.mark.parametrize("path", CORE)
def test_the_core_of_selection_never_waits(path):
    """Facts in, a step or a decision out: no coroutine, and nothing of asyncio."""
    tree = modules()[path]
    waits = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]

    assert ([], False) == (waits, "asyncio" in names_in(tree))


def test_the_demo_imports_nothing_of_the_sidecar():
    """It reaches one over HTTP only."""
    imported = {
        node.module
        for path, tree in modules().items()
        if path.startswith("sidecar/demo/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sidecar")
    }

    assert imported
    assert all((name or "").startswith("sidecar.demo") for name in imported)
