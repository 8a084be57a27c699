"""Reads Prometheus' rule files, and copies them for a run of minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

RULES: Final = Path(__file__).parents[1] / "prometheus"


class Rule(NamedTuple):
    """A recording rule or an alert."""

    name: str
    expr: str
    is_alert: bool


def copy_rules(folder: Path) -> list[Rule]:
    """Copy all rule files into ``folder``, to be evaluated as often as Prometheus' config says.

    Returns: what they define, in order.
    """
    rules: list[Rule] = []
    for path in sorted(RULES.glob("*.y*ml")):
        document = yaml.safe_load(path.read_text())
        if not isinstance(document, dict) or "groups" not in document:
            continue
        for group in document["groups"]:
            group.pop("interval", None)
            rules += [_rule(each) for each in group["rules"]]
        (folder / f"{path.stem}.yaml").write_text(yaml.safe_dump(document))
    return rules


def _rule(raw: dict[str, Any]) -> Rule:
    return Rule(raw.get("record") or raw["alert"], raw["expr"], "alert" in raw)
