"""A mounted ConfigMap, and configs to put into it, good and broken ones."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

MODELS = "openai/gpt-4o", "openai/gpt-4o-mini"


class ConfigMap:
    """A folder that changes as a mounted ConfigMap does: a link is moved, and all files with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self.file = folder / "c.yaml"
        self.file.symlink_to("..data/c.yaml")

    def mount(self, text: str) -> None:
        """Put another config in the place of the one before, whose folder goes."""
        data = self._folder / f"..{next(self._numbers)}"
        data.mkdir()
        (data / "c.yaml").write_text(text)
        link = self._folder / "..data"
        before = link.resolve()
        (self._folder / "..data_tmp").symlink_to(data.name)
        (self._folder / "..data_tmp").rename(link)
        if before != link:
            (before / "c.yaml").unlink()
            before.rmdir()


def config_text(url: str, number: int) -> str:
    """A config that differs from the ones before and after it in all that a reload swaps."""
    entries = [
        {"model": model, "access_key": f"sk-{number}", "base_url": url, "price": {"input": number}}
        for model in MODELS
    ]
    config = {
        "listeners": [{"address": "127.0.0.1", "port": 0}],
        "admin": {"address": "127.0.0.1", "port": 0, "operator_address": "off"},
        "model_providers": entries if number % 2 else entries[::-1],
        "model_aliases": {"fast": {"target": MODELS[number % 2]}},
        "limits": {"in_flight": 100 + number},
        "routing_preferences": [{"name": f"r{number}", "description": "d", "models": [MODELS[0]]}],
    }
    return json.dumps(config, indent=1)


def broken(text: str, number: int) -> str:
    """Spoil a config: cut in half, of an unknown key, empty, naming a file that is not there."""
    return (
        text[: len(text) // 2],
        text.replace('"limits"', '"limit"'),
        "",
        text.replace('"sk-', '"${file:none}-'),
    )[number % 4]
