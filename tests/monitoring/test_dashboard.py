"""The dashboard is what its code says, asks only for what sidecars export, and tells what to do."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from deploy.grafana.dashboard import IN_CHART, JSON, ROWS, written
from tests.monitoring.test_rules import CONFIG_README, SETTING
from tests.support.promql import catalogue, names_in, problems, selectors

DASHBOARD: dict[str, Any] = json.loads(JSON.read_text(encoding="utf-8"))
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
TARGETS = [
    pytest.param(panel, target, id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
EXPORTED = catalogue()
UNITS = {"reqps", "ops", "percentunit", "s", "bytes", "currencyUSD", "short"}
STABLE_KINDS = {"timeseries", "stat", "table"}
"""Panels that Grafana has had, unchanged, for years."""
VARIABLES = ["datasource", "namespace", "app", "pod"]


@pytest.mark.parametrize("file", [JSON, IN_CHART], ids=["deploy", "chart"])
def test_the_committed_dashboard_is_what_the_code_writes(file):
    """To the byte; ``python -m deploy.grafana.dashboard`` writes both anew."""
    assert written() == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_a_query_asks_for_what_a_sidecar_exports(panel, target):
    """Names, labels and label values are those of the code's own registry."""
    assert [] == problems(target["expr"], EXPORTED)


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_a_query_counts_the_chosen_pods_alone(panel, target):
    """Every selector of every query has the dashboard's variables."""
    chosen = {("namespace", "$namespace"), ("app", "$app"), ("pod", "$pod")}
    asked = re.findall(r"(?:plano_sidecar|process)_\w+\{([^}]*)\}", target["expr"])

    assert len(asked) == len(selectors(target["expr"]))
    assert all(chosen <= set(re.findall(r'(\w+)=~"([^"]*)"', each)) for each in asked)


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_a_query_fits_any_scrape_interval_and_has_a_legend(panel, target):
    """A range is Grafana's to choose; a series without a name is a riddle."""
    ranges = re.findall(r"\[([^\]]*)\]", target["expr"])

    assert set(ranges) <= {"$__rate_interval"}
    assert target["legendFormat"]
    assert {"type": "prometheus", "uid": "${datasource}"} == target["datasource"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_is_and_what_to_do(panel):
    """Title, a description of more than a phrase, and a unit; kinds that any Grafana knows."""
    assert panel["title"]
    assert len(panel["description"].split()) > 10
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["type"] in STABLE_KINDS
    assert {"type": "prometheus", "uid": "${datasource}"} == panel["datasource"]


def test_nothing_is_there_twice():
    """Ids of panels, their titles, and the letters of the queries of a panel."""
    ids = [each["id"] for each in DASHBOARD["panels"]]
    titles = [each["title"] for each in DASHBOARD["panels"]]

    assert len(ids) == len(set(ids))
    assert len(titles) == len(set(titles))
    for panel in PANELS:
        letters = [each["refId"] for each in panel["targets"]]
        assert list("ABCDEF"[: len(letters)]) == letters


def test_no_panel_covers_another_or_leaves_the_grid():
    """Grafana would shift what overlaps, differently in each version."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_line_of_panels_is_full():
    """No holes: the eye goes from left to right."""
    for y, panels in itertools.groupby(PANELS, lambda panel: panel["gridPos"]["y"]):
        assert 24 == sum(each["gridPos"]["w"] for each in panels), y


def test_the_dashboard_can_be_imported_again_and_again():
    """Its uid stays, its id is Grafana's to give."""
    assert ("plano-sidecar", None) == (DASHBOARD["uid"], DASHBOARD["id"])


def test_variables_choose_namespace_app_and_pod():
    """Each is asked from the chosen data source; "All" matches pods without an app, too."""
    variables = DASHBOARD["templating"]["list"]

    assert VARIABLES == [each["name"] for each in variables]
    for each in variables[1:]:
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", each["query"])
        assert asked is not None
        assert each["name"] == asked[2]
        assert [] == problems(asked[1], EXPORTED)
        assert (".*", True, True) == (each["allValue"], each["includeAll"], each["multi"])
        assert "${datasource}" == each["datasource"]["uid"]


def test_rows_are_those_of_a_runbook():
    """From the app's view down to the process."""
    rows = [each["title"] for each in DASHBOARD["panels"] if each["type"] == "row"]

    assert [
        "Golden signals", "Routing", "Affinity", "Upstreams", "Tokens and cost", "Sidecar",
    ] == rows  # fmt: skip
    assert rows == [row.title for row in ROWS]


def test_descriptions_name_rows_and_config_keys_that_are_there():
    """Who follows one arrives."""
    text = " ".join(panel["description"] for panel in PANELS)
    keys = set(re.findall(r"^\| `([\w.\[\]<>]+)`", CONFIG_README.read_text("utf-8"), re.MULTILINE))
    settings = set(SETTING.findall(text))
    rows = set(re.findall(r"\brow ([A-Z]\w+)", text))

    assert len(settings) > 3
    assert settings <= keys
    assert rows
    assert rows <= {row.title for row in ROWS}


def test_every_metric_of_the_sidecar_is_shown_somewhere():
    """What is exported and never looked at costs every pod; each exception has its reason."""
    unseen = {
        "plano_sidecar_upstream_duration_seconds": "the first byte tells slow models apart",
        "plano_sidecar_spans_exported_total": "what is dropped matters",
        "plano_sidecar_usage_refused_total": "the log says it, once for each model",
        "plano_sidecar_config_last_reload_success_timestamp_seconds": "asked of one pod, by hand",
    }
    shown = set().union(*(names_in(target.values[1]["expr"]) for target in TARGETS))  # type: ignore[index]
    stems = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for name in EXPORTED
        if name.startswith("plano_sidecar_")
    }

    seen = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}

    assert set() == stems - seen - set(unseen)
