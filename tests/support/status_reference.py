"""Writes the reference of `/status`: every field, by the line below it in `telemetry.status`.

``python -m tests.support.status_reference`` puts it between the markers of
sidecar/telemetry/README.md.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sidecar.telemetry import status

README: Final = Path(__file__).parents[2] / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- status, written by tests/support/status_reference.py -->"
ENDS: Final = "<!-- /status -->"

TYPES: Final = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "Counts": "object of integers",
    "list[str]": "list of texts",
    "list[int]": "list of integers",
    "tuple[float, ...]": "list of numbers",
    "dict[str, list[int]]": "object of lists of integers",
    "Sequence[CallRecord]": "list of objects",
}
"""Annotation -> what it is in JSON."""


@functools.cache
def _classes() -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(status))
    return {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}


def fields(name: str = "Status", prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, type and meaning of every field, those of nested objects behind their own."""
    body = _classes()[name].body
    for at, node in enumerate(body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        below = body[at + 1] if at + 1 < len(body) else None
        kind = ast.unparse(node.annotation).removesuffix(" | None")
        is_list = kind.startswith("list[") and kind not in TYPES
        inner = kind[5:-1] if is_list else kind
        path = f"{prefix}{node.target.id}"
        meaning = _text(below)
        if inner in _classes():
            about = meaning or ast.get_docstring(_classes()[inner]) or ""
            yield path, "list of objects" if is_list else "object", " ".join(about.split())
            yield from fields(inner, f"{path}[]." if is_list else f"{path}.")
        else:
            yield path, TYPES[kind], meaning


def _text(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if not is_text:
        return ""
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Constant)
    return re.sub(r"``(.*?)``", r"`\1`", " ".join(str(node.value.value).split()))


def reference() -> str:
    """A table of all fields."""
    lines = ["| field | type | meaning |", "|---|---|---|"]
    lines += [f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in fields()]
    return "\n".join(lines)


def with_reference(text: str) -> str:
    """The README's text with the reference as it should be now."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
