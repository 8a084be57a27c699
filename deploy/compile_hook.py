"""Compiles the hot path when the wheel is built: the same modules, through mypyc, as extension
modules beside them.

SIDECAR_COMPILE=1 compiles or fails. SIDECAR_COMPILE=auto compiles where that is possible, and
builds a plain wheel with a warning where it is not. Without it, and in editable installs, nothing
is compiled. pyproject.toml lists the modules: [tool.plano-sidecar] compiled.

The work is done on a copy, so that no stale extension stands before a module that was edited.
Whatever was compiled is imported by a new interpreter before it becomes part of the wheel.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SWITCH = "SIDECAR_COMPILE"
_MYPYC = "mypy[mypyc]>=1.19,<3"
_SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX")
_TICK_S = 15.0
"""How often a line says that the compiler is still at work: about as often as a person wonders."""
_LAST_LINES = 20
"""Lines of a failed compilation that a warning repeats; an error repeats all."""

_COMPILE = """
import os, sys
from setuptools import setup
from mypyc.build import mypycify
level = os.environ.get("MYPYC_OPT_LEVEL", "3")  # the name that mypyc's own command line reads
made = mypycify(["--ignore-missing-imports", *sys.argv[1:]], opt_level=level, debug_level="0")
setup(name="compiled", packages=[], ext_modules=made, script_args=["-q", "build_ext", "--inplace"])
"""
_IMPORT = """
import importlib, sys
sys.path.insert(0, ".")
for name in sys.argv[2:]:
    file = importlib.import_module(name).__file__
    assert file.endswith(sys.argv[1]), f"{name} came from {file}"
"""


class _CompileError(Exception):
    """The hot path cannot be compiled here, or cannot be imported once it is."""


class CompileHook(BuildHookInterface[Any]):
    """The hook that hatchling calls."""

    PLUGIN_NAME = "custom"
    _work: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Return what the build needs beside hatchling.

        mypyc checks types across the package and the result is imported, so what the package
        depends on has to be there too.
        """
        if os.environ.get(_SWITCH, "") in ("", "0"):
            return []
        project = self._pyproject()["project"]
        return [_MYPYC, *project["dependencies"], *project["optional-dependencies"]["redis"]]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the extension modules into the wheel.

        Raises: RuntimeError where SIDECAR_COMPILE=1 and the hot path cannot be compiled.
        """
        switch = os.environ.get(_SWITCH, "")
        if self.target_name != "wheel" or version == "editable" or switch in ("", "0"):
            return
        try:
            _require_tools()
            extensions = self._compile()
        except _CompileError as error:
            self._clean()
            if switch != "auto":
                raise RuntimeError(f"the hot path cannot be compiled: {error}") from error
            last = "\n".join(str(error).splitlines()[-_LAST_LINES:])
            self.app.display_warning(f"the hot path stays plain Python, which works too: {last}")
            return
        build_data["force_include"].update(extensions)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, *_: object) -> None:
        """Clean up, once the wheel is written."""
        self._clean()

    def _clean(self) -> None:
        if self._work is not None:
            self._work.cleanup()

    def _compile(self) -> dict[str, str]:
        """Return the extension modules: where each one is, and its path in the wheel."""
        modules: list[str] = self._pyproject()["tool"]["plano-sidecar"]["compiled"]
        self._work = tempfile.TemporaryDirectory()
        work = Path(self._work.name)
        shutil.copytree(
            Path(self.root) / "sidecar",
            work / "sidecar",
            ignore=shutil.ignore_patterns("*.so", "__pycache__"),
        )
        _say(f"{len(modules)} modules of the hot path; takes one to three minutes")
        _run(work, _COMPILE, *modules)
        _say("importing each of them in a new interpreter")
        _run(work, _IMPORT, _SUFFIX, *(name[:-3].replace("/", ".") for name in modules))
        made = [path.relative_to(work) for path in work.rglob(f"*{_SUFFIX}")]
        return {str(work / path): str(path) for path in made if path.parts[0] != "build"}

    def _pyproject(self) -> dict[str, Any]:
        return tomllib.loads((Path(self.root) / "pyproject.toml").read_text(encoding="utf-8"))


def _require_tools() -> None:
    """Raises: _CompileError where a tool is missing, before minutes are spent."""
    compiler = os.environ.get("CC", sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        raise _CompileError(f"no C compiler ({compiler})")
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        raise _CompileError("no Python.h (Debian's package is python3-dev)")
    for module in ("mypyc", "setuptools"):
        if importlib.util.find_spec(module) is None:
            raise _CompileError(f"no {module} (pip install '{_MYPYC}')")


def _run(work: Path, program: str, *arguments: str) -> None:
    """Run a Python program in the folder ``work``; say every `_TICK_S` what it is doing.

    Raises: _CompileError with all that it printed, where it fails.
    """
    begun_s = time.monotonic()
    with (work / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=work,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while True:
            try:
                failed = process.wait(_TICK_S)
                break
            except subprocess.TimeoutExpired:
                # mypyc writes the C files when it is done.
                step = "C compiler" if any(work.glob("build/*.c")) else "mypyc"
                _say(f"{step}, {time.monotonic() - begun_s:.0f} s")
        if failed:
            output.seek(0)
            raise _CompileError(output.read().strip() or f"exit code {failed}")


def _say(text: str) -> None:
    """Print to stderr: what a build backend prints to stdout is not always shown."""
    print(f"compile: {text}", file=sys.stderr, flush=True)
