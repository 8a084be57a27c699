"""Two sidecars, Redis and Prometheus for half a minute, in which one thing after another fails: every
panel of the dashboard has something to show.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.observe.incidents import SHORT
from deploy.observe.run import Findings, observe
from sidecar.telemetry.log_events import LOG_EVENTS
from tests.support.sidecar_process import REPOSITORY

MAY_BE_EMPTY: dict[tuple[str, str], str] = {}
"""(Title of a panel, refId) -> why half a minute may leave it without data."""
YOUNG_S = 8
"""Prometheus continues each counter to the edges of a rate's range by itself, and one that is near
zero less far: in a series' first seconds a part may seem larger than the whole.
"""
EXTRAPOLATED = 0.05
"""And a little larger later on."""
MAY_EXCEED_1 = {"CPU": "a share of one core, of which there are more"}
RULES_MAY_BE_EMPTY: dict[str, str] = {}
SERIES_OF_A_USUAL_POD = 500
LOGFMT = re.compile(r'(?:^| )(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
SECOND_ACCOUNT = 'account="openai-eu"'


def _require(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the run's logs are."""
    found: Path = tmp_path_factory.mktemp("observe")
    return found


@pytest.fixture(scope="module")
def findings(folder) -> Findings:
    """One short run for all tests."""
    for program in ("prometheus", "redis-server"):
        _require(program)
    return asyncio.run(observe(SHORT, folder, tell=print))


def _finite(findings: Findings) -> dict[tuple[str, str], list[float]]:
    """(Panel, refId) -> all finite values of its query."""
    found = {}
    for panel in findings.dashboard.panels:
        for target, result in zip(panel.targets, findings.panels.get(panel.title, []), strict=True):
            values = [value for series in result for _, value in series.points]
            found[panel.title, target.ref_id] = [each for each in values if math.isfinite(each)]
    return found


def test_every_query_of_every_panel_returns_data(findings):
    """An operator who opens the dashboard for the first time on a bad day sees no empty panel."""
    values = _finite(findings)
    empty = {each for each, found in values.items() if not found}

    assert set() == empty - set(MAY_BE_EMPTY)
    assert set() == set(MAY_BE_EMPTY) - set(values)


def test_no_value_is_infinite(findings):
    """A division by nothing would be."""
    infinite = {
        panel
        for panel, results in findings.panels.items()
        for result in results
        for series in result
        if any(math.isinf(value) for _, value in series.points)
    }

    assert set() == infinite


def test_ratios_are_between_0_and_1(findings):
    """All that is shown in percent is a share."""
    shares = {
        panel.title for panel in findings.dashboard.panels if panel.style.unit == "percentunit"
    }
    beyond = {
        panel: [
            value
            for result in findings.panels[panel]
            for series in result
            for at_s, value in series.points
            if math.isfinite(value)
            and at_s > series.points[0][0] + YOUNG_S
            and not 0 <= value <= 1 + EXTRAPOLATED
        ]
        for panel in shares - set(MAY_EXCEED_1)
    }

    assert {} == {panel: values for panel, values in beyond.items() if values}


def test_every_recording_rule_has_data_and_every_alert_evaluates(findings):
    """An alert that is silent has none; Prometheus takes the expression of each."""
    empty = {rule.name for rule, result in findings.rules if not result and not rule.is_alert}

    assert set() == empty - set(RULES_MAY_BE_EMPTY)


def test_promtool_finds_nothing_wrong_with_a_live_scrape(findings):
    """Names, types and help texts of all that a sidecar exported after all of this."""
    promtool = _require("promtool")
    for body in findings.metrics.values():
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=body.encode(), capture_output=True, check=False
        )
        assert (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr)


def test_a_usual_pod_has_fewer_than_500_series(findings):
    """Three models, two dialects, three routes, Redis, and every failure; the second account of one
    model, which a usual pod does not have, is not counted.
    """
    counts = {
        pod: sum(
            1
            for line in body.splitlines()
            if line and not line.startswith("#") and SECOND_ACCOUNT not in line
        )
        for pod, body in findings.metrics.items()
    }

    assert {} == {pod: count for pod, count in counts.items() if count >= SERIES_OF_A_USUAL_POD}


def test_every_event_of_the_log_has_the_fields_that_the_readme_lists(findings, folder):
    """Those among them that the code puts together only as it runs."""
    listed = {each.name: set(each.fields) for each in LOG_EVENTS}
    of_every_line = {"time", "level", "logger", "message", "event"}
    lines = [
        dict(LOGFMT.findall(line))
        for pod in findings.metrics
        for line in (folder / f"{pod}.log").read_text().splitlines()
    ]
    logged: dict[str, set[str]] = {}
    for line in lines:
        if "event" in line:
            logged.setdefault(line["event"], set()).update(line.keys() - of_every_line)

    assert {"ready", "provider_fails", "redis_gone", "redis_serves"} <= logged.keys()
    more = {name: fields - listed[name] for name, fields in logged.items()}
    assert set() == set().union(*more.values()), more


def test_most_calls_are_served_on_a_bad_day(findings):
    """The load is what it is thought to be: calls that succeed, and some that do not."""
    assert findings.statuses[200] > findings.statuses.total() / 2
    assert {0, 401, 404} < set(findings.statuses)


def _mentioned_by(folder: Path) -> list[str]:
    """The command lines of all processes that mention a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


async def test_ctrl_c_ends_all_that_was_started(tmp_path):
    """Also where it comes while things still start."""
    for program in ("prometheus", "redis-server"):
        _require(program)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.observe", "--short", "--out", str(tmp_path / "out")),
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        while len([line for line in _mentioned_by(tmp_path) if "sidecar run" in line]) < 2:
            await asyncio.sleep(0.05)  # sleep: processes of others tell nobody that they have begun
        process.send_signal(signal.SIGINT)
        code = await process.wait()

    assert (130, []) == (code, _mentioned_by(tmp_path))
