"""The rules of the listener and of the wire."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler

from tests.architecture.tree import modules, names_in

ERROR_WORDS = {"refused_lines", "error_body", "Problem"}
"""What makes the reply of an error."""
OWN_HEADERS = re.compile(
    r"(x-plano-(model|route|source|attempts|error|upstream-request-id)|x-should-retry|server-timing)"
    r": ?",
    re.IGNORECASE,
)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def test_rescue_alone_turns_errors_into_replies():
    """In the listener; the relay's error event ends a response that has begun."""
    strays = {
        path
        for path, tree in modules().items()
        if path.startswith("sidecar/listener/") and names_in(tree) & ERROR_WORDS
    }

    assert {"sidecar/listener/rescue.py"} == strays


def test_private_names_of_aiohttp_stand_in_one_module():
    """Where its guard test looks (tests/listener/test_connection.py)."""
    private = {
        name
        for kind in (RequestHandler, StreamReader, web.BaseRequest, web.StreamResponse)
        for name in dir(kind)
        if name.startswith("_") and not name.startswith("__")
    }
    strays = {}
    for path, tree in modules().items():
        is_near = any(name.partition(".")[0] == "aiohttp" for name in _imports(tree))
        if not is_near and not path.startswith("sidecar/listener/"):
            continue
        own = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in private - own
        }
        used |= {name for name in names_in(tree) if name in ("_ErrInfo", "ERROR")}
        if used:
            strays[path] = used

    assert {"sidecar/listener/connection.py"} == set(strays), strays


def test_the_wire_knows_no_dialect_and_does_no_io():
    """It knows header families, which are of providers; bytes come from elsewhere."""
    strays = {
        (path, name)
        for path, tree in modules().items()
        if path.startswith("sidecar/wire/")
        for name in (*_imports(tree), *names_in(tree))
        if name.startswith("sidecar.dialects")
        or name in ("asyncio", "socket", "ssl", "DialectName", "CHAT", "RESPONSES", "MESSAGES")
    }

    assert set() == strays


def _texts(tree: ast.Module) -> Iterator[str]:
    """Every constant text and bytes but docstrings."""
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docs:
            if isinstance(node.value, bytes):
                yield node.value.decode("latin-1")
            elif isinstance(node.value, str):
                yield node.value


def test_headers_of_the_sidecars_own_are_written_in_the_wire():
    """A response header is one place to change."""
    strays = {
        path
        for path, tree in modules().items()
        if not path.startswith(("sidecar/wire/", "sidecar/demo/"))
        and any(OWN_HEADERS.match(text) for text in _texts(tree))
    }

    assert set() == strays
