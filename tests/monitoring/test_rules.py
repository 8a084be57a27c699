"""The rules are what their code says, ask only for what sidecars export, and say what to do."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest
import yaml

from deploy.prometheus.alert import Alert
from deploy.prometheus.rules import (
    IN_CHART,
    RULES,
    RUNBOOKS,
    alerts,
    groups,
    rules_text,
    runbooks_text,
)
from tests.support.promql import catalogue, names_in, problems, recorded
from tests.support.promtool import promtool

FOLDER = RULES.parent
CONFIG_README = FOLDER.parents[1] / "sidecar" / "config" / "README.md"
SETTING = re.compile(
    r"\b(?:limits|routing|timeouts|overrides|tracing|access_log|drain)\.[a-z_]+(?:\.[a-z_]+)*"
)
"""A key of the config file, in a text."""
RULES_IN_FILE: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
RECORDED = [rule for rule in RULES_IN_FILE if "record" in rule]
KNOWN = recorded(RECORDED, catalogue())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (RULES, rules_text(alerts())),
        (IN_CHART, rules_text(alerts())),
        (RUNBOOKS, runbooks_text()),
    ],
    ids=["rules", "chart", "runbooks"],
)
def test_the_committed_files_are_what_the_code_writes(file, text):
    """To the byte; ``python -m deploy.prometheus.rules`` writes them anew."""
    assert text == file.read_text(encoding="utf-8")


def test_promtool_finds_nothing_wrong_with_the_rules():
    """Templates of annotations are parsed too."""
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))

    assert (0, "") == (done.returncode, done.stderr)
    assert f"SUCCESS: {len(RULES_IN_FILE)} rules found" in done.stdout


def test_promtool_finds_nothing_wrong_with_the_scrape_config(tmp_path):
    """The rules that it names are found and read. Debian's Prometheus is built without discovery in
    Kubernetes: that part is replaced for it.
    """
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    (job,) = config["scrape_configs"]
    assert [{"role": "pod"}] == job.pop("kubernetes_sd_configs")
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copy(RULES, tmp_path)
    done = promtool("check", "config", str(file))

    assert (0, "") == (done.returncode, done.stderr)
    assert "1 rule files found" in done.stdout


@pytest.mark.parametrize(
    "rule", RULES_IN_FILE, ids=lambda rule: rule.get("record", rule.get("alert"))
)
def test_a_rule_asks_for_what_a_sidecar_exports(rule):
    """Or for what another rule records."""
    assert [] == problems(rule["expr"], KNOWN)


@pytest.mark.parametrize("rule", RECORDED, ids=lambda rule: rule["record"])
def test_a_recorded_name_says_level_metric_and_operation(rule):
    """Its level is the labels that are left; pods are not among them."""
    level, metric, operation = rule["record"].split(":")

    assert metric.startswith("plano_sidecar_")
    assert re.fullmatch(r"(rate|ratio)\d+[mhd]", operation)
    assert level.startswith("namespace_app")
    assert "pod" not in level
    if "slo" not in metric:
        (by,) = re.findall(r"sum by \(([^)]*)\)", rule["expr"])
        assert level == "_".join(by.split(", "))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert.name} {alert.waits}")
def test_an_alert_says_what_happened_and_what_to_do(alert: Alert):
    """A summary without numbers, a description with the value, and a runbook in three parts."""
    assert alert.name.startswith("PlanoSidecar")
    assert alert.severity in ("critical", "warning")
    assert "{{" not in alert.summary
    assert alert.summary.endswith(".")
    assert "$value" in alert.description
    for part in (alert.runbook.happened, alert.runbook.look, alert.runbook.do):
        assert len(part.split()) > 8


def test_alerts_of_one_name_differ_in_their_window():
    """Two alerts with the same labels would be one to Alertmanager."""
    labels = [(alert.name, *sorted(alert.labels.items())) for alert in alerts()]

    assert len(labels) == len(set(labels))


def test_what_is_recorded_stands_before_what_reads_it():
    """Rules of a group are evaluated in order, and the group of alerts comes last."""
    known: set[str] = set()
    for group in groups(alerts())["groups"]:
        for rule in group["rules"]:
            asked = {name for name in names_in(rule["expr"]) if ":" in name}
            assert asked <= known, rule
            known.add(rule.get("record", ""))


def _relabelings(scrape: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Relabelings of the operator in the words of Prometheus, those of ``app`` alone."""
    words = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    renamed = [{words.get(key, key): value for key, value in each.items()} for each in scrape]
    return [each for each in renamed if each.get("target_label") == "app"]


def _scrape_config() -> dict[str, Any]:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    assert isinstance(job, dict)
    return job


def test_the_operators_monitor_makes_the_same_labels():
    """A dashboard does not care which of the two scrapes."""
    monitor = yaml.safe_load((FOLDER / "podmonitor.yaml").read_text(encoding="utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    job = _scrape_config()

    assert _relabelings(job["relabel_configs"]) == _relabelings(endpoint["relabelings"])
    assert "plano-admin" == endpoint["port"]


def test_all_that_scrapes_does_so_as_often_as_grafana_expects():
    """Its data source's default is 15 s, and its rates are taken over four of them: at a longer
    interval one lost scrape is a gap in every graph.
    """
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    monitor = yaml.safe_load((FOLDER / "podmonitor.yaml").read_text("utf-8"))
    chart = yaml.safe_load((IN_CHART.parents[1] / "values.yaml").read_text("utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

    assert ["15s"] * 3 == [
        config["global"]["scrape_interval"],
        endpoint["interval"],
        chart["podMonitor"]["interval"],
    ]


@pytest.mark.parametrize(
    ("kind", "name", "app"),
    [
        ("ReplicaSet", "shop-web-7d9f8b6c5", "shop-web"),
        ("StatefulSet", "shop-db", "shop-db"),
        ("DaemonSet", "agent-2", "agent-2"),
        ("Job", "import-28391823", "import"),
        ("Job", "migrate", "migrate"),
        ("", "", None),
    ],
)
def test_the_app_is_the_workload_that_owns_the_pod(kind, name, app):
    """A pod that nothing owns keeps its own name."""
    (*_, rule) = _relabelings(_scrape_config()["relabel_configs"])
    found = re.fullmatch(rule["regex"], f"{kind};{name}")

    assert app == (None if found is None else "".join(each or "" for each in found.groups()))


def test_the_runbooks_have_all_alerts():
    """Each with what happened, what to look at, and what to do."""
    text = RUNBOOKS.read_text(encoding="utf-8")
    names = {alert.name for alert in alerts()}

    assert sorted(names) == sorted(re.findall(r"^## (\w+)$", text, re.MULTILINE))
    for part in ("What happened", "What to look at", "What to do"):
        assert len(names) == text.count(f"**{part}:**")


def test_a_runbook_names_panels_that_are_there():
    """Who looks for one at night finds it by its title."""
    board = json.loads((FOLDER.parent / "grafana" / "plano-sidecar.json").read_text("utf-8"))
    titles = {panel["title"] for panel in board["panels"]}
    named = {title for alert in alerts() for title in re.findall(r"`([^`]+)`", alert.runbook.look)}

    assert len(named) > 8
    assert named <= titles


def test_a_runbook_names_config_keys_that_are_there():
    """What it says to change can be changed."""
    keys = set(re.findall(r"^\| `([\w.\[\]<>]+)`", CONFIG_README.read_text("utf-8"), re.MULTILINE))
    named = set(SETTING.findall(" ".join(alert.runbook.text() for alert in alerts())))

    assert len(named) > 4
    assert named <= keys
