"""Lays a dashboard's panels out as Grafana does, and writes one PNG: an approximation."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from deploy.observe.canvas import (
    BACKGROUND,
    DIM_TEXT,
    PANEL,
    TEXT,
    Box,
    Canvas,
    clock,
    picture_colors,
)
from deploy.observe.dashboard import GRID_COLUMNS, Dashboard, Panel, Place
from deploy.observe.draw_panels import draw_graph, draw_stat, draw_table, name_series
from deploy.observe.prometheus import Series, Window

_WIDTH_PX: Final = 1680
_ROW_PX: Final = 31
"""Height of one unit of Grafana's grid, its gap included."""
_GAP_PX: Final = 8
_HEAD_PX: Final = 46
_TITLE_PX: Final = 26
_DRAWN: Final = {"stat": draw_stat, "table": draw_table}

Results = Mapping[str, Sequence[Sequence[Series]]]
"""Title of a panel -> what each of its queries returned."""


def draw_dashboard(dashboard: Dashboard, results: Results, window: Window, path: Path) -> None:
    """Draw all panels and write the picture.

    Args: ``results`` has an entry for each panel that has queries.
    """
    rows = max(panel.place.y + panel.place.height for panel in dashboard.panels)
    height_px = _HEAD_PX + rows * _ROW_PX + _GAP_PX
    mpl.rcParams["font.family"] = "DejaVu Sans"
    figure = Figure(figsize=(_WIDTH_PX / 100, height_px / 100), dpi=100, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    canvas = Canvas(figure, _WIDTH_PX, height_px)
    _head(canvas, dashboard, window)
    for panel in dashboard.panels:
        _draw(canvas, panel, results.get(panel.title, ()), window)
    written = io.BytesIO()
    figure.savefig(written, format="png", facecolor=BACKGROUND)
    image = Image.open(written).convert("RGB")
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for color in picture_colors() for channel in color])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def _head(canvas: Canvas, dashboard: Dashboard, window: Window) -> None:
    middle = _HEAD_PX / 2
    day = time.strftime("%Y-%m-%d", time.gmtime(window.start_s))
    span = f"{day}  {clock(window.start_s)} to {clock(window.end_s)} UTC"
    note = "drawn by make observe from Grafana's JSON and a real Prometheus: an approximation"
    canvas.text(14, middle, dashboard.title, 18, weight="bold")
    canvas.text(_WIDTH_PX - 12, middle - 8, span, 12, ha="right")
    canvas.text(_WIDTH_PX - 12, middle + 9, note, 11, ha="right", color=DIM_TEXT)


def _draw(
    canvas: Canvas, panel: Panel, results: Sequence[Sequence[Series]], window: Window
) -> None:
    box = _box(panel.place)
    if panel.kind == "row":
        canvas.text(box.x + 6, box.y + box.height / 2, f"▾  {panel.title}", 15, weight="bold")
        return
    canvas.fill(box, PANEL)
    canvas.text(box.x + 10, box.y + _TITLE_PX / 2 + 1, panel.title, 12, weight="bold", color=TEXT)
    inner = Box(box.x, box.y + _TITLE_PX, box.width, box.height - _TITLE_PX)
    if panel.kind == "text":
        canvas.text(inner.x + 10, inner.y + 12, panel.text, 12, va="top")
        return
    draw = _DRAWN.get(panel.kind, draw_graph)
    draw(canvas, inner, panel, name_series(panel, results), window)


def _box(place: Place) -> Box:
    column_px = (_WIDTH_PX - _GAP_PX) / GRID_COLUMNS
    return Box(
        _GAP_PX + place.x * column_px,
        _HEAD_PX + place.y * _ROW_PX,
        place.width * column_px - _GAP_PX,
        place.height * _ROW_PX - _GAP_PX,
    )
