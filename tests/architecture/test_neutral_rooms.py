"""Two rooms know nothing of what they are used for: the HTTP client and the mechanisms."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.tree import ROOT, modules

MAY_IMPORT = {
    "http1": ("sidecar.http1", "sidecar.runtime", "sidecar.domain.errors"),
    "runtime": (
        *("sidecar.runtime", "sidecar.domain.errors", "sidecar.domain.clock"),
        "sidecar.domain.log_fields",
    ),
}
"""Room -> all that it imports of the package."""

LLM = (
    *("llm", "model", "prompt", "token", "dialect", "provider", "completion", "embedding", "chat"),
    *("anthropic", "openai", "gemini", "claude", "gpt", "assistant"),
)
PRODUCT = ("route", "router", "candidate", "pin", "session", "tenant", "lane", "affinity", "redis")


def strays(room: str, words: tuple[str, ...]) -> list[str]:
    """Where a room's source has one of the words, in code, docstrings, messages or comments; parts
    of a name are words.
    """
    pattern = re.compile(rf"(?:{'|'.join(words)})s?")
    found = []
    for path in modules():
        if path.startswith(f"sidecar/{room}/"):
            for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
                plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", line).lower()
                if any(pattern.fullmatch(word) for word in re.findall(r"[a-z]+", plain)):
                    found.append(f"{path}:{number}")
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_neutral_room_knows_no_word_of_the_domain(room):
    """Such a room could be published as it is."""
    assert [] == strays(room, (*LLM, *PRODUCT))


def test_the_search_for_words_can_fail():
    """Rooms of the domain are full of them."""
    assert strays("routing", ("model",))
    assert strays("affinity", PRODUCT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_neutral_room_imports_no_other(room):
    """But for the errors that it raises and, of runtime, the clock and the form of a line of the
    log; type hints count as well.
    """
    imported = {
        (path, name)
        for path, tree in modules().items()
        if path.startswith(f"sidecar/{room}/")
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if name.startswith("sidecar")
    }

    assert set() == {each for each in imported if not each[1].startswith(MAY_IMPORT[room])}


def test_http1_has_one_door():
    """Other rooms send by a pool; what else they import are its parts to be wired, and values."""
    doors = {"cause", "certificate", "dialer", "origin", "pool", "proxy_rules"}
    imported = {
        node.module
        for path, tree in modules().items()
        if not path.startswith("sidecar/http1/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sidecar.http1")
    }

    assert imported <= {f"sidecar.http1.{door}" for door in doors}
