"""Loads a text as a config file, for tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sidecar.config.load import LoadedConfig, load_config
from sidecar.domain.errors import ConfigError

ONE_PROVIDER = "model_providers: [{model: openai/gpt-4o, access_key: sk-1, default: true}]\n"


def load(text: str | bytes, **environ: str) -> LoadedConfig:
    """The loaded config. Raises: ConfigError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path, environ)


def problems(text: str | bytes, **environ: str) -> list[str]:
    """``LINE: path: message`` of every problem; empty where the config loads."""
    try:
        load(text, **environ)
    except ConfigError as error:
        return [problem.partition("c.yaml:")[2] for problem in error.problems]
    return []


def warnings(text: str, **environ: str) -> list[str]:
    """``LINE: path: message`` of every warning."""
    return [warning.partition("c.yaml:")[2] for warning in load(text, **environ).warnings]
