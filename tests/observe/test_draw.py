"""The picture of a dashboard."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from deploy.observe.canvas import clock, color_of
from deploy.observe.dashboard import Style, load_dashboard
from deploy.observe.draw import draw_dashboard
from deploy.observe.draw_panels import name_series, threshold_color
from deploy.observe.prometheus import Series, Window
from tests.support.sidecar_process import REPOSITORY

SMALL = load_dashboard(Path(__file__).parent / "small_dashboard.json")
WINDOW = Window(1_760_000_000.0, 1_760_000_090.0)
NAN = float("nan")


def _series(value: float, **labels: str) -> Series:
    """A minute and a half without its middle, and with a moment that has no number."""
    points = [
        (WINDOW.start_s + at, NAN if at == 7 else value + at % 5)
        for at in range(91)
        if not 40 < at < 50
    ]
    return Series(labels, points)


RESULTS: dict[str, list[list[Series]]] = {
    "Success": [[_series(0.99)]],
    "Requests by outcome": [
        [
            _series(3.0, outcome="ok"),
            *(_series(1.0, outcome=f"a long outcome {n}") for n in range(40)),
        ]
    ],
    "State": [[_series(1.0, account=f"a{n}", model="m") for n in range(30)]],
    "Duration": [[]],
}


def test_every_panel_of_a_dashboard_is_drawn(tmp_path):
    """With many series, with gaps, and with none; the picture is as high as the dashboard's grid."""
    path = tmp_path / "small.png"
    draw_dashboard(SMALL, RESULTS, WINDOW, path)
    with Image.open(path) as picture:
        size, colors = picture.size, picture.getcolors(256) or ()

    assert (1680, 46 + 22 * 31 + 8) == size
    assert len(colors) > 20


def test_a_series_has_the_colour_of_its_override():
    """Others take those of Grafana's palette, in their order."""
    (panel,) = [each for each in SMALL.panels if each.title == "Requests by outcome"]
    named = name_series(panel, RESULTS["Requests by outcome"])

    assert [("ok", color_of("dark-green")), ("a long outcome 0", "#73bf69")] == [
        (each.name, each.color) for each in named[:2]
    ]


def test_the_last_threshold_that_a_value_reaches_colours_it():
    """Below the first one it has the first colour."""
    style = Style(thresholds=((float("-inf"), "red"), (0.9, "orange"), (0.99, "green")))

    assert [color_of("red"), color_of("orange"), color_of("green")] == [
        threshold_color(style, value) for value in (0.1, 0.9, 1.0)
    ]


def test_times_are_in_utc():
    """As those of the log are."""
    assert "08:53:20" == clock(1_760_000_000.0)


def test_the_readmes_picture_is_one_of_these():
    """As wide, and small enough to be shown."""
    path = REPOSITORY / "deploy" / "pictures" / "dashboard.png"
    with Image.open(path) as picture:
        width, _ = picture.size

    assert (1680, True) == (width, path.stat().st_size < 400_000)
    assert "(deploy/pictures/dashboard.png)" in (REPOSITORY / "README.md").read_text()
