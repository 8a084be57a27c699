"""Reads the JSON of a Grafana dashboard: rows, panels, their places and their queries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

GRID_COLUMNS: Final = 24


class DashboardUnreadable(Exception):
    """The JSON is not that of a dashboard that can be drawn."""


@dataclass(frozen=True)
class Place:
    """Where a panel stands on Grafana's grid, which is 24 columns wide."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    ref_id: str
    expr: str
    legend: str
    """Grafana's template of a series' name: ``{{label}}``; empty for its own choice."""


@dataclass(frozen=True)
class Style:
    """How a panel's values are shown."""

    unit: str = "short"
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    is_stacked: bool = False
    is_logarithmic: bool = False
    has_sparkline: bool = False
    is_mean: bool = False
    """Whether a large number is the mean of the time shown; else it is the last value."""
    thresholds: tuple[tuple[float, str], ...] = ()
    """(lower bound, Grafana's colour), ascending."""
    shows_thresholds: bool = False
    """Whether a graph shows them as lines."""
    colors: Mapping[str, str] = field(default_factory=dict)
    """Name of a series -> its colour."""
    mappings: Mapping[str, str] = field(default_factory=dict)
    """A value -> the text that stands for it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Of a table: label -> heading, in order; empty: all labels."""


@dataclass(frozen=True)
class Panel:
    """One panel, or the heading of a row."""

    title: str
    kind: str
    """Grafana's: ``timeseries``, ``stat``, ``table``, ``row``, ``text``."""
    place: Place
    targets: tuple[Target, ...] = ()
    style: Style = field(default_factory=Style)
    text: str = ""


@dataclass(frozen=True)
class Dashboard:
    """A dashboard as it is drawn."""

    title: str
    panels: tuple[Panel, ...]
    """In the order of the file, rows among them."""
    variables: Mapping[str, str]
    """Name -> what it stands for in a query: its current value, or all values."""

    def queries(self) -> Iterator[tuple[Panel, Target]]:
        """Return each panel with each of its queries."""
        for panel in self.panels:
            for target in panel.targets:
                yield panel, target

    def expand(self, expr: str, *, rate_interval_s: float, range_s: float) -> str:
        """Return a query as Grafana would send it.

        Raises: DashboardUnreadable for a variable that is not known.
        """
        known = {
            **self.variables,
            "__rate_interval": f"{rate_interval_s:g}s",
            "__interval": "1s",
            "__range": f"{range_s:.0f}s",
            "__range_s": f"{range_s:.0f}",
        }

        def value_of(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if name not in known:
                raise DashboardUnreadable(f"${name} is no variable of the dashboard: {expr}")
            return known[name]

        return _VARIABLE.sub(value_of, expr)


_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")


def load_dashboard(path: Path) -> Dashboard:
    """Read a dashboard's file. Raises: DashboardUnreadable, OSError."""
    return read_dashboard(json.loads(path.read_text()))


def read_dashboard(document: dict[str, Any]) -> Dashboard:
    """Read a dashboard's JSON. Raises: DashboardUnreadable."""
    try:
        panels = [
            panel
            for entry in document["panels"]
            # A row that is folded holds its panels itself.
            for panel in (entry, *(entry.get("panels") or ()))
        ]
        return Dashboard(
            document["title"],
            tuple(_panel(each) for each in panels),
            dict(_variable(each) for each in document.get("templating", {}).get("list", [])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DashboardUnreadable(f"not a dashboard's JSON: {error!r}") from error


def _panel(raw: dict[str, Any]) -> Panel:
    grid = raw["gridPos"]
    return Panel(
        title=raw.get("title", ""),
        kind=raw["type"],
        place=Place(grid["x"], grid["y"], grid["w"], grid["h"]),
        targets=tuple(
            Target(each["refId"], each["expr"], each.get("legendFormat") or "")
            for each in raw.get("targets") or ()
            if not each.get("hide")
        ),
        style=_style(raw),
        text=(raw.get("options") or {}).get("content", "") if raw["type"] == "text" else "",
    )


def _style(raw: dict[str, Any]) -> Style:
    config = raw.get("fieldConfig") or {}
    defaults, options = config.get("defaults") or {}, raw.get("options") or {}
    custom = defaults.get("custom") or {}
    steps = (defaults.get("thresholds") or {}).get("steps") or ()
    return Style(
        unit=defaults.get("unit", "short"),
        decimals=defaults.get("decimals"),
        minimum=defaults.get("min"),
        maximum=defaults.get("max"),
        is_stacked=(custom.get("stacking") or {}).get("mode", "none") != "none",
        is_logarithmic=(custom.get("scaleDistribution") or {}).get("type") == "log",
        has_sparkline=options.get("graphMode") == "area",
        is_mean=options.get("reduceOptions", {}).get("calcs") == ["mean"],
        thresholds=tuple(
            (float("-inf") if step.get("value") is None else float(step["value"]), step["color"])
            for step in steps
        ),
        shows_thresholds=(custom.get("thresholdsStyle") or {}).get("mode", "off") != "off",
        colors=_colors(config.get("overrides") or []),
        mappings=_mappings(defaults.get("mappings") or []),
        columns=_columns(raw.get("transformations") or []),
    )


def _colors(overrides: list[dict[str, Any]]) -> dict[str, str]:
    return {
        override["matcher"]["options"]: each["value"]["fixedColor"]
        for override in overrides
        if override["matcher"]["id"] == "byName"
        for each in override["properties"]
        if each["id"] == "color" and "fixedColor" in each["value"]
    }


def _mappings(mappings: list[dict[str, Any]]) -> dict[str, str]:
    return {
        value: shown["text"]
        for mapping in mappings
        if mapping["type"] == "value"
        for value, shown in mapping["options"].items()
        if "text" in shown
    }


def _columns(transformations: list[dict[str, Any]]) -> dict[str, str]:
    for each in transformations:
        if each["id"] == "organize":
            options = each["options"]
            names, hidden = options.get("renameByName") or {}, options.get("excludeByName") or {}
            order = options.get("indexByName") or {}
            shown = [name for name in {**order, **names} if not hidden.get(name)]
            shown.sort(key=lambda name: order.get(name, len(order)))
            return {name: names.get(name) or name for name in shown}
    return {}


def _variable(raw: dict[str, Any]) -> tuple[str, str]:
    current = (raw.get("current") or {}).get("value")
    is_all = raw.get("includeAll") and current in (None, "", [], ["$__all"], "$__all")
    if raw["type"] == "query" and (is_all or not current):
        return raw["name"], raw.get("allValue") or ".*"
    if isinstance(current, list):
        return raw["name"], "|".join(map(str, current))
    return raw["name"], str(current or raw.get("query") or "")


def series_name(target: Target, labels: Mapping[str, str]) -> str:
    """Return the name of a series in a legend, as Grafana writes it."""
    if target.legend and target.legend != "__auto":
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), target.legend)
    shown = {name: value for name, value in labels.items() if name != "__name__"}
    if len(shown) == 1:
        return next(iter(shown.values()))
    inner = ", ".join(f'{name}="{value}"' for name, value in sorted(shown.items()))
    return labels.get("__name__", "") + (f"{{{inner}}}" if inner else "") or target.expr
