"""Builds the dashboard with Grafana's own builders, for Grafana 11 and later.

``python -m deploy.grafana.dashboard`` writes plano-sidecar.json beside this file, and the chart's
copy of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.panel import Panel, Query
from deploy.grafana.rows.affinity import AFFINITY
from deploy.grafana.rows.cost import COST
from deploy.grafana.rows.golden_signals import GOLDEN
from deploy.grafana.rows.routing import ROUTING
from deploy.grafana.rows.sidecar import SIDECAR
from deploy.grafana.rows.upstreams import UPSTREAMS

ROWS: Final = (GOLDEN, ROUTING, AFFINITY, UPSTREAMS, COST, SIDECAR)
JSON: Final = Path(__file__).with_name("plano-sidecar.json")
IN_CHART: Final = Path(__file__).parents[2] / "helm/plano-sidecar/files/plano-sidecar.json"

_GRID_COLUMNS: Final = 24
_DATASOURCE: Final = dashboard.DataSourceRef("prometheus", "${datasource}")
_DESCRIPTION: Final = (
    "What plano-sidecar sees and does beside your apps: how calls to language models end, which"
    " models serve them and why, whether sessions keep theirs, what providers do, and what it"
    " costs. Every panel's description says what to do when it looks bad."
)
_VARIABLES: Final = (
    ("namespace", ""),
    ("app", 'namespace=~"$namespace"'),
    ("pod", 'namespace=~"$namespace", app=~"$app"'),
)
"""(label, matchers of the variables before it)."""


def _variables() -> Iterator[Any]:
    yield (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus that scrapes the sidecars.")
        .type("prometheus")
    )
    for label, matchers in _VARIABLES:
        chosen = f"plano_sidecar_build_info{{{matchers}}}"
        yield (
            builders.QueryVariable(label)
            .label(label.capitalize())
            .description(f"The label {label} of the scrape.")
            .datasource(_DATASOURCE)
            .query(f"label_values({chosen}, {label})")
            .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            # Matches what has no such label, too: plain pod scrapes have no app.
            .all_value(".*")
            .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
        )


def _target(query: Query, ref_id: str, panel: Panel) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id(ref_id)
        .datasource(_DATASOURCE)
    )
    if panel.kind == "table":
        return target.instant().format(PromQueryFormat.TABLE)
    # Where calls are sampled, points beside the lines lead to their traces.
    return target.range().exemplar("histogram_quantile" in query.expr)


def _timeseries(panel: Panel) -> timeseries.Panel:
    stacking = common.StackingMode.NORMAL if panel.stacked else common.StackingMode.NONE
    built = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(40 if panel.stacked else 0)
        .show_points(common.VisibilityMode.NEVER)
        .stacking(common_builders.StackingConfig().mode(stacking).group("A"))
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    if panel.thresholds:
        built.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(
                common.GraphThresholdsStyleMode.DASHED
            )
        )
    if panel.logarithmic:
        scale = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
        return built.scale_distribution(scale)
    return built.min(0)


def _stat() -> stat.Panel:
    # Of the time shown: the newest value alone would be green a minute after an outage.
    return (
        stat.Panel()
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .text_mode(common.BigValueTextMode.VALUE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["mean"]))
        .no_value("no traffic")
    )


def _table(panel: Panel) -> table.Panel:
    """Show the labels in their order, then the value, and leave out the time."""
    columns = (*panel.columns, "Value")
    organize = {
        "excludeByName": {"Time": True},
        "includeByName": {},
        "indexByName": {name: index for index, name in enumerate(columns)},
        "renameByName": {"Value": panel.value},
    }
    texts = {
        text: dashboard.ValueMappingResult(color=color, index=index)
        for index, (text, color) in enumerate(panel.colors)
    }
    return (
        table.Panel()
        .show_header(True)
        .with_transformation(dashboard.DataTransformerConfig("organize", options=organize))
        .mappings([dashboard.ValueMap(texts)] if texts else [])
        .cell_options(common.TableColorTextCellOptions())
        .no_value("none")
    )


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    steps = [dashboard.Threshold(bound, color) for bound, color in panel.thresholds]
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps(steps or [dashboard.Threshold(None, "green")])
    )


def _panel(panel: Panel, panel_id: int, x: int, y: int) -> Builder[dashboard.Panel]:
    kinds: dict[str, Any] = {
        "timeseries": lambda: _timeseries(panel),
        "stat": _stat,
        "table": lambda: _table(panel),
    }
    built = kinds[panel.kind]()
    built.id(panel_id).title(panel.title).description(panel.description).unit(panel.unit)
    built.datasource(_DATASOURCE).thresholds(_thresholds(panel))
    built.grid_pos(dashboard.GridPos(panel.height, panel.width, x, y))
    if panel.maximum is not None:
        built.max(panel.maximum)
    for query, ref_id in zip(panel.queries, "ABCDEF", strict=False):
        built.with_target(_target(query, ref_id, panel))
    for name, color in () if panel.kind == "table" else panel.colors:
        fixed = {"mode": "fixed", "fixedColor": color}
        built.override_by_name(name, [dashboard.DynamicConfigValue("color", fixed)])
    made: Builder[dashboard.Panel] = built
    return made


def build() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON. A row has the ids from its hundred on."""
    board = (
        builders.Dashboard("plano-sidecar")
        .uid("plano-sidecar")
        .description(_DESCRIPTION)
        .tags(["plano-sidecar", "llm"])
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-1h", "now")
        .editable()
        .variables(list(_variables()))
    )
    y = 0
    for row_id, row in zip(itertools.count(100, 100), ROWS, strict=False):
        place = dashboard.GridPos(1, _GRID_COLUMNS, 0, y)
        board.with_row(builders.Row(row.title).id(row_id).grid_pos(place))
        x, y, height = 0, y + 1, 0
        for panel_id, panel in enumerate(row.panels, row_id + 1):
            if x + panel.width > _GRID_COLUMNS:
                x, y, height = 0, y + height, 0
            board.with_panel(_panel(panel, panel_id, x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    encoded = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    # An id is Grafana's to give; a list of annotations that is missing, older Grafanas mind.
    return {**encoded, "id": None, "annotations": {"list": []}}


def written() -> str:
    """Return the text of the JSON files."""
    return json.dumps(build(), indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write the dashboard, and the chart's copy of it."""
    for file in (JSON, IN_CHART):
        file.parent.mkdir(exist_ok=True)
        file.write_text(written(), encoding="utf-8")


if __name__ == "__main__":
    main()
