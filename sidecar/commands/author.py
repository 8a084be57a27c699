"""The commands that write a config: `init` a first one, `convert` one from another tool's."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sidecar.commands.shell import FAILED, OK
from sidecar.domain.errors import ConfigError
from sidecar.runtime.file_watch import FileReader


def init(arguments: argparse.Namespace) -> int:
    """Write a commented config for the API keys in the environment. A file that is there already
    stays as it is.
    """
    from sidecar.config.starter import starter_config

    return _write(starter_config(os.environ), arguments.file)


def convert(arguments: argparse.Namespace) -> int:
    """Print a config made of another tool's, and on stderr what of it is not carried over.

    Raises: ConfigError where the file cannot be read, or is of another kind.
    """
    import yaml

    from sidecar.config.convert import convert as converted_from
    from sidecar.config.load import read_yaml
    from sidecar.config.yaml_nodes import Mapping

    file: Path = arguments.file
    root = read_yaml(file, FileReader(), accepts_pipe=True)[1].root
    made = converted_from(root) if isinstance(root, Mapping) else None
    if made is None:
        raise ConfigError([f"{file}: holds neither LiteLLM's model_list nor plano's llm_providers"])
    if not made.config:
        raise ConfigError([f"{file}: needs no conversion: `plano-sidecar check {file}` reads it"])
    for note in made.notes:
        print(f"{file}: {note}", file=sys.stderr)
    return _write(yaml.safe_dump(made.config, sort_keys=False, width=100), arguments.out)


def _write(text: str, file: Path | None) -> int:
    """Write to a new file, or to stdout where none is named."""
    if file is None:
        print(text, end="")
        return OK
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return FAILED
    print(f"written to {file}", file=sys.stderr)
    return OK
