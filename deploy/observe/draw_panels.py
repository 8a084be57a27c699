"""Draws each kind of panel into its place on the picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from deploy.observe.canvas import (
    DIM_TEXT,
    GRID,
    PALETTE,
    SMALL_PX,
    TEXT,
    Box,
    Canvas,
    clock,
    color_of,
    points,
)
from deploy.observe.dashboard import Panel, Style, series_name
from deploy.observe.prometheus import Series, Window
from deploy.observe.units import format_value

EMPTY: Final = "No data"
_CHARACTER: Final = 0.6
"""Mean width of a character, in font sizes."""
_LEGEND_PX: Final = 17
_LEGEND_LINES: Final = 3
_TICK_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_TICK_PX: Final = 76


class Named(NamedTuple):
    """A series with its name in the legend and its colour."""

    name: str
    color: str
    series: Series


def name_series(panel: Panel, results: Sequence[Sequence[Series]]) -> list[Named]:
    """Name and colour what a panel's queries returned, in the order of its queries."""
    palette = itertools.cycle(PALETTE)
    named = []
    for target, result in zip(panel.targets, results, strict=True):
        for series in result:
            name = series_name(target, series.labels)
            own = panel.style.colors.get(name)
            named.append(Named(name, color_of(own) if own else next(palette), series))
    return named


def draw_graph(canvas: Canvas, box: Box, panel: Panel, named: list[Named], window: Window) -> None:
    """Draw lines, or areas on top of each other, and the legend below them."""
    lines = _legend_lines(named, box.width)
    legend_px = len(lines) * _LEGEND_PX + 4
    left_px = 74
    inner = Box(box.x + left_px, box.y + 6, box.width - left_px - 10, box.height - legend_px - 30)
    axes = canvas.axes(inner)
    axes.set_xlim(window.start_s, window.end_s)
    _time_axis(axes, window, inner.width)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if panel.style.is_stacked:
        _areas(axes, named)
    else:
        for each in named:
            axes.plot(*_with_gaps(each.series), color=each.color, linewidth=1.4)
    _value_axis(axes, panel.style, named)
    for at, line in enumerate(lines):
        x = box.x + 8
        y = box.y + box.height - legend_px + (at + 0.5) * _LEGEND_PX
        for name, color in line:
            canvas.text(x, y, "━", SMALL_PX, color=color, weight="bold")
            canvas.text(x + 16, y, name, SMALL_PX, color=DIM_TEXT)
            x += _entry_px(name)


def draw_stat(canvas: Canvas, box: Box, panel: Panel, named: list[Named], window: Window) -> None:
    """Draw the value of each series, large, side by side."""
    if not named:
        return _draw_empty(canvas, box)
    width = box.width / len(named)
    for at, each in enumerate(named):
        value = _mean(each.series) if panel.style.is_mean else _last(each.series)
        color = threshold_color(panel.style, value)
        own = Box(box.x + at * width, box.y, width, box.height)
        if panel.style.has_sparkline:
            lower = Box(own.x + 4, own.y + own.height * 0.55, own.width - 8, own.height * 0.45 - 4)
            axes = canvas.axes(lower)
            axes.set_axis_off()
            axes.set_xlim(window.start_s, window.end_s)
            times, values = _with_gaps(each.series)
            axes.plot(times, values, color=color, linewidth=1.2)
        text = panel.style.mappings.get(f"{value:g}") or format_value(
            value, panel.style.unit, panel.style.decimals
        )
        size_px = min(34.0, own.height * 0.42, own.width / (_CHARACTER * max(len(text), 3)) * 0.9)
        middle = own.y + own.height * (0.34 if panel.style.has_sparkline else 0.46)
        canvas.text(own.x + own.width / 2, middle, text, size_px, color=color, ha="center")
        if len(named) > 1:
            canvas.text(own.x + own.width / 2, own.y + own.height - 12, each.name, SMALL_PX,
                        color=DIM_TEXT, ha="center")  # fmt: skip
    return None


def draw_table(canvas: Canvas, box: Box, panel: Panel, named: list[Named], window: Window) -> None:
    """Draw the labels and the last value of each series that has one at the end of the window."""
    now = [each for each in named if each.series.points and _is_current(each.series, window)]
    if not now:
        return _draw_empty(canvas, box)
    value_heading = panel.style.columns.get("Value", "Value")
    labels = [name for name in panel.style.columns if not name.startswith(("Value", "Time"))]
    labels = labels or sorted({name for each in now for name in each.series.labels} - {"__name__"})
    heads = [*(panel.style.columns.get(name, name) for name in labels), value_heading]
    rows = [
        (
            *(each.series.labels.get(name, "") for name in labels),
            panel.style.mappings.get(f"{_last(each.series):g}")
            or format_value(_last(each.series), panel.style.unit, panel.style.decimals),
        )
        for each in now
    ]
    room = int((box.height - 34) // _LEGEND_PX)
    widest = [max(map(len, column)) + 2 for column in zip(heads, *rows, strict=True)]
    scale = min(SMALL_PX * _CHARACTER, (box.width - 20) / sum(widest))
    starts = [sum(widest[:at]) * scale for at in range(len(widest))]
    for line, row in enumerate((tuple(heads), *rows[:room])):
        y = box.y + 16 + line * _LEGEND_PX
        for x, cell in zip(starts, row, strict=True):
            color = "#6e9fff" if line == 0 else TEXT
            canvas.text(box.x + 10 + x, y, cell, min(SMALL_PX, scale / _CHARACTER), color=color)
    if len(rows) > room:
        canvas.text(box.x + 10, box.y + box.height - 10, f"and {len(rows) - room} more",
                    SMALL_PX, color=DIM_TEXT)  # fmt: skip
    return None


def threshold_color(style: Style, value: float) -> str:
    """Return the colour of a value; that of text without thresholds."""
    color = TEXT
    for bound, name in style.thresholds:
        if value >= bound:
            color = color_of(name)
    return color


def _draw_empty(canvas: Canvas, box: Box) -> None:
    canvas.text(
        box.x + box.width / 2, box.y + box.height / 2, EMPTY, 14, color=DIM_TEXT, ha="center"
    )


def _is_current(series: Series, window: Window) -> bool:
    return series.points[-1][0] >= window.end_s - 2


def _last(series: Series) -> float:
    finite = [value for _, value in series.points if math.isfinite(value)]
    return finite[-1] if finite else math.nan


def _mean(series: Series) -> float:
    finite = [value for _, value in series.points if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _with_gaps(series: Series) -> tuple[list[float], list[float]]:
    """Return times and values, broken where a point is missing."""
    times: list[float] = []
    values: list[float] = []
    for at_s, value in series.points:
        if times and at_s - times[-1] > 1.5:
            times.append(times[-1] + 1)
            values.append(math.nan)
        times.append(at_s)
        values.append(value if math.isfinite(value) else math.nan)
    return times, values


def _areas(axes: Axes, named: list[Named]) -> None:
    times = sorted({at_s for each in named for at_s, _ in each.series.points})
    floor = dict.fromkeys(times, 0.0)
    for each in named:
        values = {at_s: value for at_s, value in each.series.points if math.isfinite(value)}
        top = {at_s: floor[at_s] + values.get(at_s, 0.0) for at_s in times}
        low, high = [floor[at_s] for at_s in times], [top[at_s] for at_s in times]
        axes.fill_between(times, low, high, color=each.color, alpha=0.55, linewidth=0)
        axes.plot(times, high, color=each.color, linewidth=1.0)
        floor = top


def _time_axis(axes: Axes, window: Window, width_px: float) -> None:
    most = max(2, width_px // _TICK_PX)
    length_s = window.end_s - window.start_s
    step_s = next((each for each in _TICK_STEPS_S if length_s / each <= most), length_s)
    first_s = math.ceil(window.start_s / step_s) * step_s
    # A time beside the right edge would be written over it.
    last_s = window.end_s - length_s * _TICK_PX / 3 / width_px
    ticks = [first_s + at * step_s for at in range(int((last_s - first_s) // step_s) + 1)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: clock(at_s)))


def _value_axis(axes: Axes, style: Style, named: list[Named]) -> None:
    if not named:
        axes.text(0.5, 0.5, EMPTY, transform=axes.transAxes, ha="center", va="center",
                  color=DIM_TEXT, fontsize=points(14))  # fmt: skip
        axes.yaxis.set_major_locator(NullLocator())
        return
    if style.is_logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        steps = (1.0,) if high > 300 * low else (1.0, 2.0, 5.0)
        axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=8))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        _limit(axes, style)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, style.unit)))
    if style.shows_thresholds:
        low, high = axes.get_ylim()
        for bound, name in style.thresholds:
            if low < bound < high:
                axes.axhline(bound, color=color_of(name), linewidth=1, linestyle="--")


def _limit(axes: Axes, style: Style) -> None:
    low, high = axes.get_ylim()
    if style.minimum is not None:
        low = style.minimum
    elif low > 0 or (low < 0 and not _goes_below_zero(axes)):
        low = 0.0
    if style.maximum is not None:
        high = style.maximum
    if high <= low:
        high = low + 1.0
    axes.set_ylim(low, high)


def _goes_below_zero(axes: Axes) -> bool:
    return any(min(line.get_ydata(), default=0.0) < 0 for line in axes.get_lines())  # type: ignore[type-var,arg-type,operator] # arrays of numbers


def _entry_px(name: str) -> float:
    return len(name) * SMALL_PX * _CHARACTER + 30


def _legend_lines(named: list[Named], width_px: float) -> list[list[tuple[str, str]]]:
    """Break a legend into lines; what has no room is counted."""
    unique = {each.name: each.color for each in named}
    lines: list[list[tuple[str, str]]] = [[]]
    used = 8.0
    for at, (name, color) in enumerate(unique.items()):
        if used + _entry_px(name) > width_px and lines[-1]:
            if len(lines) == _LEGEND_LINES:
                lines[-1][-1] = (f"and {len(unique) - at + 1} more", DIM_TEXT)
                break
            lines.append([])
            used = 8.0
        lines[-1].append((name, color))
        used += _entry_px(name)
    return lines
