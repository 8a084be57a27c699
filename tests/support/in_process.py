"""A sidecar in this process, for tests that look inside or count what is left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from sidecar.app import App
from sidecar.config.load import load_config


@contextlib.asynccontextmanager
async def running_app(
    config: dict[str, Any], work: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[App]:
    """Start a sidecar from a config as the file would have it, on free ports; `app.ports` says
    which. Its page of metrics is written anew for each scrape.

    Args: ``environ`` says which proxies stand before providers.
    """
    admin = {"operator_address": "127.0.0.1:0", **config.get("admin", {})}
    if admin["operator_address"].startswith("127."):
        admin["operator_address"] = "127.0.0.1:0"
    free = {
        "listeners": [
            {"address": "127.0.0.1", **config.get("listeners", [{}])[0], "type": "model", "port": 0}
        ],
        "admin": {**admin, "address": "127.0.0.1", "port": 0},
    }
    file = work / "sidecar.yaml"
    file.write_text(json.dumps({**config, **free}))
    async with App(load_config(file, {}), environ) as app:
        app.foundation.telemetry.metrics.pages.kept_s = 0
        yield app
