"""The helm program, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

CHART = Path(__file__).parents[2] / "helm" / "plano-sidecar"


class HelmFailed(Exception):
    """It ended with another status than 0; the message is what it printed."""


class Helm:
    """One version of it, with caches of its own, before one cluster or none."""

    def __init__(self, program: Path, folder: Path, kubeconfig: Path | None = None) -> None:
        self.name = program.name
        self._program = program
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig or folder / "no-kubeconfig"),
        }

    def run(self, *arguments: str) -> str:
        """What it prints; raises HelmFailed where it fails."""
        done = subprocess.run(
            [self._program, *arguments],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        if done.returncode:
            raise HelmFailed(f"{self.name} {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def values(self, values: dict[str, Any]) -> list[str]:
        """The option that gives these values."""
        file = self._folder / "values.json"
        file.write_text(json.dumps(values))
        return ["--values", str(file)]
