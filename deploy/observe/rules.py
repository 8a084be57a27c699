"""Reads Prometheus' rule files, copies them for a run of minutes, and tells which alerts fired."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from deploy.observe.prometheus import STEP_S, Series

RULES: Final = Path(__file__).parents[1] / "prometheus"
FIRING: Final = 'ALERTS{alertstate="firing"}'
_RANGE: Final = re.compile(r"\[(\d+)([smhd])\]")
_WAIT: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHORTEST_RANGE_S: Final = 4
"""Of a rate, at a scrape a second."""
_OWN_LABELS: Final = ("__name__", "alertname", "alertstate")


class Rule(NamedTuple):
    """A recording rule or an alert."""

    name: str
    expr: str
    is_alert: bool
    summary: str = ""
    runbook: str = ""


class Firing(NamedTuple):
    """One alert from when it fired to when it was resolved, in Unix seconds."""

    name: str
    labels: dict[str, str]
    summary: str
    began_s: float
    ended_s: float


def copy_rules(folder: Path, *, faster: int = 1, source: Path = RULES) -> list[Rule]:
    """Copy all rule files into ``folder``, to be evaluated as often as Prometheus' config says.

    Args: ``faster`` is by how much the rules' ranges and waits are shortened.
    Returns: what the copies define, in order.
    """
    rules: list[Rule] = []
    for path in sorted(source.glob("*.y*ml")):
        document = yaml.safe_load(path.read_text())
        if not isinstance(document, dict) or "groups" not in document:
            continue
        for group in document["groups"]:
            group.pop("interval", None)
            for raw in group["rules"]:
                _hasten(raw, faster)
                rules.append(_rule(raw))
        (folder / f"{path.stem}.yaml").write_text(yaml.safe_dump(document))
    return rules


def _hasten(raw: dict[str, Any], faster: int) -> None:
    def shortened(found: re.Match[str]) -> str:
        seconds = int(found[1]) * _SECONDS[found[2]] / faster
        return f"[{max(_SHORTEST_RANGE_S, round(seconds))}s]"

    if faster != 1:
        raw["expr"] = _RANGE.sub(shortened, raw["expr"])
        for name in ("for", "keep_firing_for"):
            wait = _WAIT.fullmatch(str(raw.get(name, "")))
            if wait is not None:
                raw[name] = f"{max(1, round(int(wait[1]) * _SECONDS[wait[2]] / faster))}s"


def _rule(raw: dict[str, Any]) -> Rule:
    told = raw.get("annotations", {})
    name, texts = raw.get("record") or raw["alert"], (told.get("summary"), told.get("runbook"))
    return Rule(name, raw["expr"], "alert" in raw, *(text or "" for text in texts))


def firings(series: Iterable[Series], rules: Iterable[Rule]) -> list[Firing]:
    """Return which alerts fired, and when: what the query ``FIRING`` returned, in spans."""
    summaries = {rule.name: rule.summary for rule in rules}
    found = []
    for each in series:
        labels = {name: text for name, text in each.labels.items() if name not in _OWN_LABELS}
        name = each.labels["alertname"]
        for began_s, ended_s in _spans([at_s for at_s, _ in each.points]):
            found.append(Firing(name, labels, summaries.get(name, ""), began_s, ended_s))
    return sorted(found, key=lambda each: each.began_s)


def _spans(times: list[float]) -> Iterator[tuple[float, float]]:
    """Split moments into spans without a gap."""
    began_s = previous_s = None
    for at_s in times:
        if previous_s is None or at_s - previous_s > 1.5 * STEP_S:
            if began_s is not None and previous_s is not None:
                yield began_s, previous_s
            began_s = at_s
        previous_s = at_s
    if began_s is not None and previous_s is not None:
        yield began_s, previous_s
