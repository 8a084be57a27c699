"""The page `/config_dump`: the config in effect, without its secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from sidecar.config.load import LoadedConfig
from sidecar.listener.operators import OperatorPage

PATH = "/config_dump"


class OlderConfig(msgspec.Struct, frozen=True):
    """A config that was replaced, and by which calls that began with it are still served."""

    generation: int
    hash: str
    since_unix_s: float


class ConfigInEffect(msgspec.Struct, frozen=True):
    """The config that serves new calls."""

    loaded: LoadedConfig
    generation: int
    """1 for the first config of the process, one more for each that replaced it."""
    since_unix_s: float
    older: Sequence[OlderConfig] = ()
    reload: Mapping[str, Any] = {}
    """How the last reload ended, as `/status` has it."""


class ConfigPage:
    """Shows the config, masked.

    Args: ``config`` returns the one in effect.
    """

    def __init__(self, config: Callable[[], ConfigInEffect]) -> None:
        self._config = config

    def pages(self) -> tuple[OperatorPage]:
        """Return the page."""
        text = "the config in effect, secrets masked; its hash, files, warnings and last reload"
        return (OperatorPage(PATH, ("GET",), self._serve, text),)

    async def _serve(self, request: web.BaseRequest) -> web.Response:  # noqa: ARG002 - a page's signature
        text = msgspec.json.format(msgspec.json.encode(config_facts(self._config())), indent=2)
        return web.Response(body=text + b"\n", content_type="application/json")


def config_facts(config: ConfigInEffect) -> dict[str, Any]:
    """Return what the page shows. No secret is in it, nor a text that came out of an environment
    variable or a file.
    """
    loaded = config.loaded
    return {
        "hash": loaded.hash,
        "generation": config.generation,
        "since_unix_s": config.since_unix_s,
        "reload": config.reload,
        "older": [msgspec.structs.asdict(each) for each in config.older],
        "files": [str(path) for path in loaded.files],
        "is_zero_config": loaded.is_zero_config,
        "warnings": loaded.warnings,
        "config": loaded.shown,
    }
