"""Compiles the hot path when the wheel is built: the same modules, through mypyc, as extension
modules beside them.

SIDECAR_COMPILE=1 compiles or fails; SIDECAR_COMPILE=auto compiles where a C compiler and mypyc are
at hand; without it, and in editable installs, nothing is compiled. The modules are named in
pyproject.toml, [tool.plano-sidecar] compiled. The work is done on a copy, so that no stale
extension can ever stand before a module that was edited.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SWITCH = "SIDECAR_COMPILE"
_NEEDS = "mypy[mypyc]>=1.19"
_FLAGS = ("--strict", "--ignore-missing-imports", "--python-version=3.11")
_SETUP = """
import sys
from setuptools import setup
from mypyc.build import mypycify
setup(name="compiled", ext_modules=mypycify(sys.argv[1].split(), opt_level="3", debug_level="0"),
      script_args=["-q", "build_ext", "--inplace"])
"""


class CompileHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What must be there to build, beside hatchling."""
        return [_NEEDS] if os.environ.get(_SWITCH) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the extension modules into the wheel."""
        wish = os.environ.get(_SWITCH, "")
        if self.target_name != "wheel" or version == "editable" or wish in ("", "0"):
            return
        if wish == "auto" and not _can_compile():
            self.app.display_warning("no C compiler, or no mypyc: the hot path is not compiled")
            return
        self._work = tempfile.TemporaryDirectory()
        work = Path(self._work.name)
        shutil.copytree(
            Path(self.root) / "sidecar",
            work / "sidecar",
            ignore=shutil.ignore_patterns("*.so", "__pycache__"),
        )
        done = subprocess.run(
            [sys.executable, "-c", _SETUP, " ".join((*_FLAGS, *self._modules()))],
            cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"mypyc failed:\n{done.stdout}")
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for made in work.rglob(f"*{suffix}"):
            if "build" not in made.relative_to(work).parts:
                build_data["force_include"][str(made)] = str(made.relative_to(work))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _modules(self) -> list[str]:
        project = tomllib.loads((Path(self.root) / "pyproject.toml").read_text(encoding="utf-8"))
        modules: list[str] = project["tool"]["plano-sidecar"]["compiled"]
        return modules


def _can_compile() -> bool:
    compiler = os.environ.get("CC", sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and importlib.util.find_spec("mypyc") is not None
