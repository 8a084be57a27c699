"""What is read of Grafana's JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.observe.dashboard import (
    DashboardUnreadable,
    Place,
    Target,
    load_dashboard,
    read_dashboard,
    series_name,
)

SMALL = Path(__file__).parent / "small_dashboard.json"
COMMITTED = Path(__file__).parents[2] / "deploy/grafana/plano-sidecar.json"


def test_panels_stand_where_the_grid_says():
    """Rows among them, and what a folded row holds."""
    places = {panel.title or panel.kind: panel.place for panel in load_dashboard(SMALL).panels}

    assert {
        "Golden signals": Place(0, 0, 24, 1),
        "Success": Place(0, 1, 6, 4),
        "Requests by outcome": Place(6, 1, 18, 8),
        "Folded": Place(0, 9, 24, 1),
        "State": Place(0, 10, 12, 6),
        "text": Place(12, 10, 12, 6),
        "Duration": Place(0, 16, 24, 6),
    } == places


def test_a_hidden_query_is_not_run():
    """Grafana does not run it either."""
    queries = [(panel.title, target.ref_id) for panel, target in load_dashboard(SMALL).queries()]

    assert [
        ("Success", "A"),
        ("Requests by outcome", "A"),
        ("State", "A"),
        ("Duration", "A"),
    ] == queries


def test_variables_stand_for_their_value_or_for_all():
    """Also Grafana's own ones, and in braces with a format."""
    dashboard = load_dashboard(SMALL)
    expr = 'rate(x{a="$namespace", b=~"${pod:regex}", c="$datasource"}[$__rate_interval]) + y[$__range]'

    assert 'rate(x{a=".*", b=~".+", c="prometheus"}[5s]) + y[90s]' == dashboard.expand(
        expr, rate_interval_s=5, range_s=90
    )


def test_a_variable_that_is_not_defined_is_refused():
    """In Grafana it would stay as it is, and the query fail or return nothing."""
    with pytest.raises(DashboardUnreadable, match="tenant is no variable"):
        load_dashboard(SMALL).expand("x{a='$tenant'}", rate_interval_s=5, range_s=90)


def test_what_is_no_dashboard_is_refused():
    """With a sentence."""
    with pytest.raises(DashboardUnreadable, match="not a dashboard's JSON"):
        read_dashboard({"title": "x", "panels": [{"type": "stat"}]})


@pytest.mark.parametrize(
    ("legend", "labels", "name"),
    [
        ("{{model}} at {{ account }}", {"model": "m", "account": "a"}, "m at a"),
        ("{{model}}", {}, ""),
        ("p99", {"le": "1"}, "p99"),
        ("", {"model": "m"}, "m"),
        ("__auto", {"__name__": "up", "b": "2", "a": "1"}, 'up{a="1", b="2"}'),
        ("", {}, "some(query)"),
    ],
)
def test_series_are_named_as_in_grafana(legend, labels, name):
    """By the template, or by Grafana's own choice."""
    assert name == series_name(Target("A", "some(query)", legend), labels)


def test_large_numbers_are_the_mean_of_the_time_shown():
    """A minute after an outage the newest value alone would be green."""
    panels = [each for each in load_dashboard(COMMITTED).panels if each.kind == "stat"]

    assert panels
    assert {True} == {each.style.is_mean for each in panels}


def test_a_panels_style_is_that_of_its_field_config():
    """Units, thresholds, colours, mappings, columns."""
    styles = {panel.title: panel.style for panel in load_dashboard(SMALL).panels}

    assert ((float("-inf"), "red"), (0.99, "green")) == styles["Success"].thresholds
    assert styles["Success"].has_sparkline
    assert not styles["Success"].is_mean
    assert ({"ok": "dark-green"}, True) == (
        styles["Requests by outcome"].colors,
        styles["Requests by outcome"].is_stacked,
    )
    assert ({"account": "Account", "model": "model", "Value": "Now"}, {"1": "yes"}) == (
        styles["State"].columns,
        styles["State"].mappings,
    )
    assert ("s", True, True) == (
        styles["Duration"].unit,
        styles["Duration"].is_logarithmic,
        styles["Duration"].shows_thresholds,
    )
