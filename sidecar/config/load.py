"""From a file and an environment to a config that can be used, or to all of its problems."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from sidecar.config import yaml_nodes
from sidecar.config.address import is_header_value
from sidecar.config.checks import check
from sidecar.config.decode import BAD, Decoder
from sidecar.config.expand import Expander, text_of
from sidecar.config.families import FAMILIES
from sidecar.config.migrate import migrate, warn_of_unserved
from sidecar.config.providers import Provider, resolve_providers
from sidecar.config.report import Place, Report
from sidecar.config.schema import Config
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.secret import Secret, plain, redacted
from sidecar.config.tracing import TracingSettings, tracing_settings
from sidecar.config.yaml_nodes import (
    Node,
    Scalar,
    Sequence,
    Unreadable,
    is_null,
    read_document,
    to_bool,
)
from sidecar.domain.errors import ConfigError
from sidecar.runtime.file_watch import FileReader

_ENVIRONMENT: Final = "environment"


class LoadedConfig(msgspec.Struct, frozen=True):
    """A config that passed every check."""

    config: Config
    providers: tuple[Provider, ...]
    """In config order, without optional entries whose key is missing."""
    warnings: list[str]
    """One line each, ``FILE:LINE: path: message``."""
    files: tuple[Path, ...] = ()
    """The file itself and those that it names by ``${file:...}``: a reload watches them."""
    digests: dict[Path, bytes] = {}
    """What each of the files held, as `FileReader.digests` has it."""
    hash: str = ""
    """The first 12 hex digits of the file's SHA-256; empty where there is no file."""
    is_zero_config: bool = False
    """Whether it was made from the environment alone."""
    shown: dict[str, Any] = {}
    """The config as `secret.redacted` shows it."""
    tracing: TracingSettings | None = None
    """None where calls are not traced."""


def load_config(
    path: Path | None, environ: Mapping[str, str], reader: FileReader | None = None
) -> LoadedConfig:
    """Read, expand and check a config file; with None, make a config from the provider keys in the
    environment.

    Args: ``reader`` reads the files, and knows them also where the config is not usable. Without
        one the file may also be a pipe.
    Raises: ConfigError with every problem, one line each: ``FILE:LINE: path.to.key: message``.
    """
    if path is None:
        return zero_config(environ)
    report, accepts_pipe = Report(str(path)), reader is None
    reader = reader or FileReader()
    content, read = read_yaml(path, reader, accepts_pipe=accepts_pipe)
    root = _root_of(path, read, report)
    expander = Expander(environ, path.parent, reader)
    tree = _without_missing_optional_keys(migrate(root, report), expander)
    marked = config = Decoder(expander, report).read(tree, _types())
    providers: tuple[Provider, ...] = ()
    if config is not BAD:
        config = plain(config)
        providers = resolve_providers(config, report)
        check(config, report)
    if report.problems:
        raise ConfigError(report.problems)
    warn_of_unserved(report)
    config = _with_reachable_passthrough(config, providers, report)
    kept = tuple(entry for entry in marked.passthrough if entry in config.passthrough)
    shown = redacted(msgspec.structs.replace(marked, passthrough=kept))
    tracing, warned = _tracing_settings(config, environ)
    return LoadedConfig(
        config,
        providers,
        warnings=[*report.warnings, *warned],
        files=tuple(reader.digests),
        digests=dict(reader.digests),
        hash=hashlib.sha256(content).hexdigest()[:12],
        shown=shown,
        tracing=tracing,
    )


@functools.cache
def _types() -> msgspec.inspect.Type:
    """Return the types of all keys, which take longer to find out than a config to read."""
    return msgspec.inspect.type_info(Config)


def zero_config(environ: Mapping[str, str]) -> LoadedConfig:
    """Return a config with a wildcard entry for every provider family whose key is in the
    environment, and everything else at its default.

    Raises: ConfigError where no key is found.
    """
    variables = {
        row.key_variable: prefix for prefix, row in FAMILIES.items() if row.key_variable is not None
    }
    found = {variable: key for variable in variables if (key := environ.get(variable))}
    if not found:
        names = ", ".join(variables)
        problem = f"no config file and no provider key: give --config FILE or set one of {names}"
        raise ConfigError([problem])
    unusable = [
        f"environment variable {variable} holds a line break, a control character or blanks"
        for variable, key in found.items()
        if not is_header_value(key)
    ]
    if unusable:
        raise ConfigError(unusable)
    entries = tuple(
        ModelProvider(model=f"{variables[variable]}/*", access_key=Secret(key))
        for variable, key in found.items()
    )
    config = Config(model_providers=entries)
    report = Report(_ENVIRONMENT)
    providers = resolve_providers(config, report)
    tracing, warned = _tracing_settings(config, environ)
    warnings = [*report.warnings, *warned]
    shown = redacted(config)
    return LoadedConfig(
        config, providers, warnings, is_zero_config=True, shown=shown, tracing=tracing
    )


def _tracing_settings(
    config: Config, environ: Mapping[str, str]
) -> tuple[TracingSettings | None, list[str]]:
    """Return them, and a warning for each variable that cannot be used."""
    warned: list[str] = []

    def warn(variable: str, why: str) -> None:
        warned.append(f"{_ENVIRONMENT}: {variable} {why}")

    return tracing_settings(config.tracing, environ, warn), warned


def _with_reachable_passthrough(
    config: Config, providers: tuple[Provider, ...], report: Report
) -> Config:
    """Return the config without passthrough paths whose provider was left out or is a router
    model, with a warning for each.
    """
    reachable = {
        name for each in providers if not each.is_router for name in (each.name, each.prefix)
    }
    kept = []
    for at, entry in report.entries(("passthrough",), config.passthrough):
        if entry.provider in reachable:
            kept.append(entry)
        else:
            report.warn(at, "is not served: its provider is left out, or is a router model")
    return msgspec.structs.replace(config, passthrough=tuple(kept))


def read_yaml(
    path: Path, reader: FileReader, *, accepts_pipe: bool
) -> tuple[bytes, yaml_nodes.Document]:
    """Return a file's content, and what it says as YAML, of whatever kind. Raises: ConfigError."""
    try:
        content = reader.read(path, accepts_pipe=accepts_pipe)
        return content, read_document(text_of(content))
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    except Unreadable as error:
        raise ConfigError([f"{path}:{error.line}: {error.message}"]) from None


def _root_of(path: Path, read: yaml_nodes.Document, report: Report) -> yaml_nodes.Mapping:
    """Return the mapping of a config of ours. Problems of single keys are reported; what ends the
    reading is raised.

    Raises: ConfigError.
    """
    root = read.root
    if root is None or (isinstance(root, Scalar) and is_null(root.text)):
        raise ConfigError([f"{path}:1: the file is empty"])
    if not isinstance(root, yaml_nodes.Mapping):
        raise ConfigError(
            [f"{path}:{root.line}: expected a mapping of keys such as model_providers"]
        )
    if root.get("model_providers") is None:
        from sidecar.config.hints import other_tools_file  # of no config that can be used

        foreign = other_tools_file(root)
        if foreign is not None:
            raise ConfigError([f"{path}:{root.line}: {foreign}"])
    report.note_place((), Place(root.line))
    for line, message in read.problems:
        report.problem((), message, line=line)
    return root


def _without_missing_optional_keys(
    root: yaml_nodes.Mapping, expander: Expander
) -> yaml_nodes.Mapping:
    """Return the document with an empty ``access_key`` in every optional entry whose key cannot be
    expanded.
    """
    providers = root.get("model_providers")
    if providers is None or not isinstance(providers.value, Sequence):
        return root
    items = tuple(_with_known_key(item, expander) for item in providers.value.items)
    return root.with_value("model_providers", Sequence(providers.value.line, items))


def _with_known_key(item: Node, expander: Expander) -> Node:
    if not isinstance(item, yaml_nodes.Mapping):
        return item
    key, optional = item.get("access_key"), item.get("optional")
    if (
        key is None
        or optional is None
        or not isinstance(key.value, Scalar)
        or not isinstance(optional.value, Scalar)
    ):
        return item
    is_optional = to_bool(expander.expand(optional.value.text).text)
    if not is_optional or not expander.expand(key.value.text).problems:
        return item
    return item.with_value("access_key", Scalar(key.line, "", is_plain=False))
