"""Each alert fires and is silent when it should be, as a real Prometheus evaluates it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from deploy.prometheus.alert import Alert
from deploy.prometheus.burn_rate import BURNS
from deploy.prometheus.objectives import OBJECTIVES
from deploy.prometheus.rules import alerts, groups, rules_text
from deploy.prometheus.symptoms import SYMPTOMS
from tests.monitoring.alert_cases import APP, CASES, PREFIX, A, B, Case, Series
from tests.support.promtool import promtool

BY_NAME = {alert.name: alert for alert in SYMPTOMS}
HOURS = 78
"""Of a test on objectives, whose longest window is three days, with a wait of three hours."""
AT = f"{HOURS}h"
CALLS = 100_000
"""A minute."""


class Rules:
    """Rules in a file, those among them that wait for their metrics."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def test(self, *tests: dict[str, Any], interval: str = "1m") -> None:
        """Run promtool's own tests. It says what it expected and what it got.

        The file holds all that is recorded, and the alerts that are asked for: evaluating the
        others takes half the time.

        Args: ``interval`` is between evaluations.
        """
        asked = {each["alertname"] for test in tests for each in test["alert_rule_test"]}
        chosen = [alert for alert in alerts() if alert.name in asked]
        (self._folder / "rules.yaml").write_text(rules_text(chosen), encoding="utf-8")
        file = self._folder / "tests.yaml"
        content = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": interval,
            # Else promtool's order is by chance, and alerts read what was recorded the time before.
            "group_eval_order": [group["name"] for group in groups(chosen)["groups"]],
            "tests": tests,
        }
        # JSON is YAML.
        file.write_text(json.dumps(content), encoding="utf-8")
        done = promtool("test", "rules", str(file))
        assert 0 == done.returncode, done.stdout + done.stderr


@pytest.fixture
def rules(tmp_path):
    """Rules, for promtool."""
    return Rules(tmp_path)


def _test(series: Iterable[Series], at: str, *expected: tuple[str, list[Any]]) -> dict[str, Any]:
    """Args: ``expected`` are alerts' names and what of each fires."""
    return {
        "interval": "1m",
        "input_series": [{"series": selector, "values": values} for selector, values in series],
        "alert_rule_test": [
            {"eval_time": at, "alertname": name, "exp_alerts": firing} for name, firing in expected
        ],
    }


def _firing(alert: Alert, labels: dict[str, str], says: str) -> dict[str, Any]:
    return {
        "exp_labels": {"severity": alert.severity, **alert.labels, **labels},
        "exp_annotations": {
            "summary": alert.summary,
            "description": says,
            "runbook": alert.runbook.text(),
        },
    }


def _test_that_fires(
    series: Iterable[Series], at: str, name: str, *fires: dict[str, str]
) -> dict[str, Any]:
    """Of an alert's instances these fire, whatever they say."""
    # promtool's own tests of alerts compare what they say, too.
    asked = _test(series, "0m", (name, []))
    return {**asked, "promql_expr_test": [_fires_at(at, name, *fires)]}


def _fires_at(at: str, name: str, *fires: dict[str, str]) -> dict[str, Any]:
    state = f'alertname="{name}", alertstate="firing"'
    samples = []
    for labels in fires:
        rest = ", ".join(f'{label}="{value}"' for label, value in labels.items())
        samples.append({"labels": f"ALERTS{{{state}, {rest}}}", "value": 1})
    return {"expr": f"ALERTS{{{state}}}", "eval_time": at, "exp_samples": samples}


def test_every_alert_has_its_case():
    """One that cannot be made to fire is no alert."""
    assert [alert.name for alert in SYMPTOMS] == [
        case.alert for case in sorted(CASES, key=lambda case: list(BY_NAME).index(case.alert))
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires(rules: Rules, case: Case):
    """With its labels, and a description that has them and the value."""
    firing = _firing(BY_NAME[case.alert], case.labels, case.says)

    rules.test(_test(case.fires, case.at, (case.alert, [firing])))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_is_silent_where_nothing_is_wrong(rules: Rules, case: Case):
    """And where something else is."""
    rules.test(*(_test(series, case.at, (case.alert, [])) for series in case.silent))


def test_an_alert_waits_and_stays_as_long_as_it_says(rules: Rules):
    """An ejected candidate is tried again every five minutes: the alert does not flap."""
    alert = BY_NAME["PlanoSidecarCredentialRefused"]
    state = 'account="eu", model="m", state="ejected", reason="our_credential"'
    ejected = f'{PREFIX}candidate_state{{namespace="prod", app="shop", pod="a", {state}}}'
    says = "The key of account eu is refused in 1 sidecars of prod/shop; its models go last."
    firing = _firing(alert, {**APP, "account": "eu"}, says)
    moments = {"5m": [], "6m": [], "7m": [firing], "14m": [firing], "30m": []}

    rules.test(
        *(
            _test([(ejected, "0+0x5 1+0x3 0+0x60")], at, (alert.name, expected))
            for at, expected in moments.items()
        )
    )


def test_a_pod_that_never_served_is_down_where_others_of_its_app_did(rules: Rules):
    """A rollout of a config that cannot be used: Prometheus has no metric of the new pod."""
    series = [
        (f'up{{{A}, job="pods"}}', "1+0x60"),
        (f'{PREFIX}build_info{{{A}, job="pods"}}', "1+0x60"),
        (f'up{{{B}, job="pods"}}', "_x5 0+0x60"),
    ]
    down = {**APP, "pod": "b", "instance": "10.0.0.2:9901", "job": "pods"}
    says = (
        "The sidecar of prod/b (10.0.0.2:9901) has not answered its scrapes for 5 minutes (up is"
        " 0): its app cannot call any model."
    )
    alert = BY_NAME["PlanoSidecarDown"]

    rules.test(_test(series, "20m", (alert.name, [_firing(alert, down, says)])))


def _requests(app: str, bad: int, good: int = CALLS) -> list[Series]:
    """Failures of all three kinds, and as many again that do not count."""
    counts = {
        "ok": good - bad,
        "upstream_error": bad // 4,
        "sidecar_error": bad // 4,
        "incomplete": bad - 2 * (bad // 4),
        "client_error": good,
        "cancelled": good,
    }
    return [
        (f'{PREFIX}requests_total{{{app}, outcome="{outcome}"}}', f"0+{by}x{HOURS * 60}")
        for outcome, by in counts.items()
    ]


def _decisions(app: str, sources: list[str], le: str, bad: int) -> list[Series]:
    name = f"{PREFIX}routing_duration_seconds_bucket"
    share = len(sources)
    return [
        (f'{name}{{{app}, source="{source}", le="{bound}"}}', f"0+{by // share}x{HOURS * 60}")
        for source in sources
        for bound, by in ((le, CALLS - bad), ("+Inf", CALLS))
    ]


def _failing(slo: str, app: str, bad: int) -> list[Series]:
    """Series of an app of which so many in `CALLS` a minute count as failures of an objective."""
    labels = f'namespace="prod", app="{app}", pod="a"'
    if slo == "success":
        return _requests(labels, bad)
    if slo == "pinned_latency":
        return _decisions(labels, ["pinned"], "0.001", bad)
    return _decisions(labels, ["routed", "fallback"], "1.0", bad)


@pytest.mark.parametrize("slo", OBJECTIVES, ids=lambda slo: slo.slo)
def test_a_burn_fires_from_its_own_speed_on(rules: Rules, slo):
    """Apps that spend their budget a fifth faster than each of the four speeds, and one that spends
    it a fifth slower than allowed.
    """
    speeds = [1.2 * burn.factor for burn in BURNS] + [0.8]
    bads = {
        f"app-{at}": 2 * round(speed * (1 - slo.objective) * CALLS / 2)
        for at, speed in enumerate(speeds)
    }
    by_window = {each.labels["window"]: each for each in alerts() if each.name == slo.alert}
    allowed = {"success": "0.1%"}.get(slo.slo, "1%")
    days = {"1h": 2, "6h": 5, "1d": 10, "3d": 30}
    firing = [
        _firing(
            by_window[burn.long],
            {"namespace": "prod", "app": app, "slo": slo.slo},
            f"{100 * bad / CALLS:.4g}% {slo.bad_share} of prod/{app} in the last {burn.long}; the"
            f" objective allows {allowed}. At this rate the budget of 30 days is spent in"
            f" {days[burn.long]} days.",
        )
        for (app, bad), speed in zip(bads.items(), speeds, strict=True)
        for burn in BURNS
        if speed > burn.factor
    ]
    series = [each for app, bad in bads.items() for each in _failing(slo.slo, app, bad)]

    assert 4 + 3 + 2 + 1 == len(firing)
    # Rates are constant: evaluations need not be as dense as a real Prometheus has them.
    rules.test(_test(series, AT, (slo.alert, firing)), interval="15m")


@pytest.mark.parametrize(("failures", "firing_windows"), [(9, []), (12, ["1h"])])
def test_a_burn_is_silent_where_little_is_called(rules: Rules, failures, firing_windows):
    """All calls of a quiet hour fail: below ten of them that may be an accident."""
    name = f'{PREFIX}requests_total{{namespace="prod", app="shop", outcome="upstream_error"}}'
    counted = " ".join(f"{count}+0x4" for count in range(failures + 1))
    same = {**APP, "slo": "success", "severity": "critical"}
    fires = [{**same, "window": window} for window in firing_windows]
    series = [(name, f"{counted} {failures}+0x60")]

    rules.test(_test_that_fires(series, "63m", "PlanoSidecarRequestsFail", *fires))


def test_a_burn_is_silent_when_it_is_over(rules: Rules):
    """Many failures, the last of them seven hours ago: every short window is clean."""
    labels = f'{PREFIX}requests_total{{namespace="prod", app="shop", outcome='
    ended = HOURS * 60 - 420
    series = [
        (f'{labels}"upstream_error"}}', f"0+100x{ended} {100 * ended}+0x420"),
        (f'{labels}"ok"}}', f"0+100x{HOURS * 60}"),
    ]

    rules.test(_test(series, AT, (OBJECTIVES[0].alert, [])), interval="15m")


def test_a_route_is_down_whose_candidates_are_tried_again_now_and_then(rules: Rules):
    """Each time a cooldown ends, the candidate counts as serving until the next call fails."""
    name = f"{PREFIX}route_candidates_serving{{{A}, route="
    series = [(f'{name}"code"}}', " ".join(["0 0 0 0 1"] * 10))]
    fires = {**APP, "route": "code", "severity": "critical"}

    rules.test(_test_that_fires(series, "20m", "PlanoSidecarRouteDown", fires))
