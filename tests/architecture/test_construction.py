"""One room constructs services, and what stands above it knows telemetry."""

from __future__ import annotations

import ast

from tests.architecture.tree import dotted, modules

BUILDER = "sidecar/build/"
CONSTRUCTED_ELSEWHERE = {
    "Tasks": "whoever starts tasks owns them",
    "Observers": "one without observers hears nothing: for commands, and by default",
    "SystemClock": "commands have no foundation",
    "Dialer": "the default of pools that stand alone",
    "HostCheck": "the default lets every host call",
}
"""Class -> why others may construct it."""


def _builds(path: str) -> bool:
    """Whether a module may construct services: the room `build`, and the door of telemetry."""
    return path.startswith(BUILDER) or path == "sidecar/telemetry/telemetry.py"


def _calls(tree: ast.Module) -> set[str]:
    """Names of what is called, as far as they look like classes."""
    names = (
        dotted(node.func).rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )
    return {name for name in names if name.lstrip("_")[:1].isupper()}


def _values() -> set[str]:
    """Structs, dataclasses, errors and the like: anybody may make them."""
    return {
        node.name
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and (
            {"msgspec.Struct", "NamedTuple", "Exception"} & set(map(dotted, node.bases))
            or any("dataclass" in ast.unparse(each) for each in node.decorator_list)
        )
    }


def _classes(tree: ast.Module) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _services() -> set[str]:
    """The package's own classes of which `build` makes an object."""
    own = set().union(*map(_classes, modules().values()))
    built = set().union(*(_calls(tree) for path, tree in modules().items() if _builds(path)))
    return (built & own) - _values() - set(CONSTRUCTED_ELSEWHERE)


def test_only_build_constructs_services():
    """What a process consists of, and in which order it is made, stands in one place. The demo is
    another process.
    """
    services = _services()
    found = {
        (path, name)
        for path, tree in modules().items()
        if not _builds(path) and not path.startswith("sidecar/demo/")
        for name in _calls(tree) & services - _classes(tree)
    }

    assert {"ModelSelector", "Dispatcher", "DataHandler", "MemoryStore"} <= services
    assert set() == found


def test_only_the_composition_root_imports_telemetry():
    """Telemetry listens; who imports it could let it steer."""
    strays = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
        if name.startswith("sidecar.telemetry")
        and not path.startswith(("sidecar/telemetry/", BUILDER))
    }

    assert strays <= {"sidecar/app.py", "sidecar/process.py"}
