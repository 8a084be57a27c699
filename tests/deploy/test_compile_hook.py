"""The wheel holds a hot path that was imported once, or the plain one and a word why."""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMPILED_OK = "def double(number: int) -> int:\n    return 2 * number\n"
FAILS_ONCE_COMPILED = (
    f'{COMPILED_OK}\nif not __file__.endswith(".py"):\n    raise TypeError("not like this")\n'
)
CANNOT_COMPILE = "def double(number: int) -> str:\n    return 2 * number\n"
PROJECT = """
[project]
dependencies = ["msgspec>=0.20,<1"]
[project.optional-dependencies]
redis = ["redis[hiredis]>=8.1,<9"]
[tool.plano-sidecar]
compiled = ["sidecar/module.py"]
"""


class _App:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)


def _module() -> Any:
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    spec = importlib.util.spec_from_file_location("compile_hook", ROOT / "deploy/compile_hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _hook(root: Path, source: str = COMPILED_OK, target: str = "wheel") -> Any:
    (root / "sidecar").mkdir()
    (root / "sidecar/__init__.py").touch()
    (root / "sidecar/module.py").write_text(source)
    (root / "pyproject.toml").write_text(PROJECT)
    hook = _module().CompileHook(str(root), {}, None, None, str(root), target)
    hook._HookInterface__app = hook._BuildHookInterface__app = _App()
    return hook


def _build(hook: Any, version: str = "standard") -> dict[str, Any]:
    data: dict[str, Any] = {"force_include": {}}
    hook.initialize(version, data)
    return data


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What is compiled here runs once."""
    monkeypatch.setenv("MYPYC_OPT_LEVEL", "0")


@pytest.fixture
def tools():
    """A C compiler and mypyc."""
    try:
        _module()._require_tools()
    except Exception as error:
        pytest.skip(str(error))


def test_extension_modules_go_into_the_wheel(tmp_path, monkeypatch, tools):
    """Beside the sources; the wheel is then one of this Python and platform."""
    monkeypatch.setenv("SIDECAR_COMPILE", "auto")
    hook = _hook(tmp_path)
    data = _build(hook)

    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert f"sidecar/module{suffix}" in data["force_include"].values()
    assert all(Path(made).is_file() for made in data["force_include"])
    assert (False, True) == (data["pure_python"], data["infer_tag"])
    assert [] == hook.app.warnings
    hook.finalize("standard", data, "the.whl")
    assert [] == [made for made in data["force_include"] if Path(made).exists()]


@pytest.mark.parametrize(
    ("source", "reason"), [(FAILS_ONCE_COMPILED, "not like this"), (CANNOT_COMPILE, "expected")]
)
def test_auto_builds_a_plain_wheel_where_compiling_fails(
    source, reason, tmp_path, monkeypatch, tools
):
    """Also where it is the import of what was compiled that fails; and says so."""
    monkeypatch.setenv("SIDECAR_COMPILE", "auto")
    hook = _hook(tmp_path, source)

    assert {"force_include": {}} == _build(hook)
    (warning,) = hook.app.warnings
    assert reason in warning


def test_a_demanded_compilation_that_fails_is_an_error(tmp_path, monkeypatch, tools):
    """SIDECAR_COMPILE=1 never yields a plain wheel."""
    monkeypatch.setenv("SIDECAR_COMPILE", "1")

    with pytest.raises(RuntimeError, match="not like this"):
        _build(_hook(tmp_path, FAILS_ONCE_COMPILED))


def test_auto_says_which_tool_is_missing(tmp_path, monkeypatch):
    """Before minutes are spent."""
    monkeypatch.setenv("SIDECAR_COMPILE", "auto")
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    hook = _hook(tmp_path)

    assert {"force_include": {}} == _build(hook)
    (warning,) = hook.app.warnings
    assert "no C compiler (no-such-compiler)" in warning


@pytest.mark.parametrize(
    ("switch", "target", "version"),
    [
        ("", "wheel", "standard"),
        ("0", "wheel", "standard"),
        ("1", "sdist", "standard"),
        ("1", "wheel", "editable"),
    ],
)
def test_nothing_is_compiled_unasked(switch, target, version, tmp_path, monkeypatch):
    """Nor into a source distribution, nor beside sources that are being edited."""
    monkeypatch.setenv("SIDECAR_COMPILE", switch)

    assert {"force_include": {}} == _build(_hook(tmp_path, target=target), version)


@pytest.mark.parametrize("switch", ["1", "auto"])
def test_the_build_gets_what_mypyc_has_to_see(switch, tmp_path, monkeypatch):
    """Build isolation hides what is installed: the package's dependencies come with mypyc."""
    monkeypatch.setenv("SIDECAR_COMPILE", switch)
    mypyc, *rest = _hook(tmp_path).dependencies()

    assert mypyc.startswith("mypy[mypyc]>=")
    assert ["msgspec>=0.20,<1", "redis[hiredis]>=8.1,<9"] == rest


def test_a_plain_build_needs_no_more_than_its_backend(tmp_path, monkeypatch):
    """Nobody who does not compile installs a compiler."""
    monkeypatch.delenv("SIDECAR_COMPILE", raising=False)

    assert [] == _hook(tmp_path).dependencies()
