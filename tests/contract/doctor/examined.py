"""A check-up of a config, as the file would have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidecar.build.checks import check_up
from sidecar.config.load import load_config
from sidecar.doctor.checks import CheckOptions
from sidecar.doctor.findings import Finding, Reach


async def examined(
    folder: Path,
    entries: list[dict[str, Any]],
    *,
    timeout_s: float = 10.0,
    may_spend: bool = True,
    **config: Any,
) -> dict[str, Finding]:
    """Return the findings by name; ``config`` are more keys of the file."""
    file = folder / "config.yaml"
    file.write_text(json.dumps({"model_providers": entries, **config}))
    loaded = load_config(file, {})
    options = CheckOptions(timeout_s, may_spend=may_spend)
    return {each.name: each for each in await check_up(loaded, {}, options)}


def facts(finding: Finding) -> tuple[str, str | None, str | None]:
    """Return what a finding comes to, and what became of credential and model."""
    return finding.verdict, finding.credential, finding.model


def steps(finding: Finding) -> tuple[str | None, ...]:
    """Return how each step of the way went."""
    reach: Reach = finding.reach
    return reach.dns, reach.tcp, reach.tls, reach.http
