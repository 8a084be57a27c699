"""Rules in a hurry, and which alerts fired."""

from __future__ import annotations

import pytest
import yaml

from deploy.observe.prometheus import Series
from deploy.observe.rules import Firing, Rule, copy_rules, firings

FILE = """
groups:
  - name: g
    interval: 1m
    rules:
      - {record: "r:rate5m", expr: "sum(rate(x[5m])) / sum(rate(y[1d]))"}
      - alert: Down
        expr: up == 0
        for: 2m
        keep_firing_for: 10m
        annotations: {summary: It is down., runbook: Start it.}
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "rules.yaml").write_text(FILE)
    (folder / "prometheus.yml").write_text("rule_files: [rules.yaml]")
    return folder


def test_rules_are_copied_as_they_are(tmp_path, source):
    """But that they are evaluated as often as the server's own config says; other files are none."""
    rules = copy_rules(tmp_path, source=source)
    (group,) = yaml.safe_load((tmp_path / "rules.yaml").read_text())["groups"]

    assert [
        Rule("r:rate5m", "sum(rate(x[5m])) / sum(rate(y[1d]))", False),
        Rule("Down", "up == 0", True, "It is down.", "Start it."),
    ] == rules
    assert ("2m", "10m", False) == (
        group["rules"][1]["for"],
        group["rules"][1]["keep_firing_for"],
        "interval" in group,
    )
    assert not (tmp_path / "prometheus.yaml").exists()


def test_rules_in_a_hurry_have_short_ranges_and_waits(tmp_path, source):
    """No range is shorter than a rate needs at a scrape a second."""
    rules = copy_rules(tmp_path, faster=120, source=source)
    (group,) = yaml.safe_load((tmp_path / "rules.yaml").read_text())["groups"]

    assert "sum(rate(x[4s])) / sum(rate(y[720s]))" == rules[0].expr
    assert ("1s", "5s") == (group["rules"][1]["for"], group["rules"][1]["keep_firing_for"])


def test_alerts_are_told_from_when_to_when():
    """One that fires again is told again; the earliest comes first."""
    down = {"__name__": "ALERTS", "alertname": "Down", "alertstate": "firing", "pod": "a"}
    lag = {"__name__": "ALERTS", "alertname": "Lag", "alertstate": "firing"}
    series = [
        Series(down, [(at, 1.0) for at in (10, 11, 12, 20, 21)]),
        Series(lag, [(11, 1.0)]),
        Series(lag, []),
    ]

    assert [
        Firing("Down", {"pod": "a"}, "It is down.", 10, 12),
        Firing("Lag", {}, "", 11, 11),
        Firing("Down", {"pod": "a"}, "It is down.", 20, 21),
    ] == firings(series, [Rule("Down", "up == 0", True, "It is down.")])
