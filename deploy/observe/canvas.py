"""The picture in pixels, and Grafana's colours."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

TEXT: Final = "#d5d6e0"
DIM_TEXT: Final = "#8e909c"
GRID: Final = "#2b2d35"
PANEL: Final = "#181b1f"
BACKGROUND: Final = "#111217"
PALETTE: Final = (
    *("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9"),
    *("#37872d", "#fade2a", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#a352cc", "#c8c8d0"),
)
"""Grafana's classic one."""
_HUES: Final = {
    "green": "#73bf69",
    "red": "#f2495c",
    "orange": "#ff9830",
    "yellow": "#fade2a",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "gray": "#8e909c",
    "grey": "#8e909c",
    "text": TEXT,
    "transparent": PANEL,
}
_SHADES: Final = {"light": 1.25, "super-light": 1.5, "semi-dark": 0.85, "dark": 0.65}


SMALL_PX: Final = 11


class Box(NamedTuple):
    """A rectangle of the picture in pixels; ``y`` counts from the top."""

    x: float
    y: float
    width: float
    height: float


class Canvas:
    """The picture, addressed in pixels from its upper left corner."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self.figure = figure
        self.width = width
        self.height = height

    def axes(self, box: Box) -> Axes:
        """Make axes that fill a box, without frame or ticks."""
        rectangle = (
            box.x / self.width,
            1 - (box.y + box.height) / self.height,
            box.width / self.width,
            box.height / self.height,
        )
        axes = self.figure.add_axes(rectangle, facecolor=PANEL)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, labelsize=points(SMALL_PX), colors=DIM_TEXT, pad=4)
        return axes

    def text(self, x: float, y: float, text: str, size_px: float, **style: Any) -> None:  # noqa: ANN401 # matplotlib's
        """Write a text whose middle is at ``y``."""
        style = {"color": TEXT, "ha": "left", "va": "center"} | style
        at = x / self.width, 1 - y / self.height
        self.figure.text(*at, text, fontsize=points(size_px), **style)

    def fill(self, box: Box, color: str) -> None:
        """Fill a box."""
        axes = self.axes(box)
        axes.set_facecolor(color)
        axes.xaxis.set_major_locator(NullLocator())
        axes.yaxis.set_major_locator(NullLocator())


def points(pixels: float) -> float:
    """Return a font size in points, at 100 dots an inch."""
    return pixels * 0.72


def color_of(name: str) -> str:
    """Return Grafana's colour as matplotlib takes it."""
    shade, _, hue = name.rpartition("-")
    if hue not in _HUES:
        return name if name.startswith("#") else TEXT
    channels = _channels(_HUES[hue])
    factor = _SHADES.get(shade, 1.0)
    return "#" + "".join(f"{min(255, round(channel * factor)):02x}" for channel in channels)


def picture_colors() -> list[tuple[int, int, int]]:
    """Return all colours of a picture: hues, and what they are on a panel where they are thin or
    translucent.
    """
    ground = _channels(PANEL)
    found = [_channels(BACKGROUND), ground, _channels(GRID)]
    for hue in (*PALETTE, *_HUES.values(), TEXT, DIM_TEXT):
        for share in (1.0, 0.7, 0.55, 0.3):
            red, green, blue = (
                round(low + (high - low) * share)
                for low, high in zip(ground, _channels(hue), strict=True)
            )
            found.append((red, green, blue))
    return list(dict.fromkeys(found))


def _channels(color: str) -> tuple[int, int, int]:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def clock(unix_s: float) -> str:
    """Return the time of day in UTC."""
    day_s = int(unix_s) % 86400
    return f"{day_s // 3600:02}:{day_s // 60 % 60:02}:{day_s % 60:02}"
