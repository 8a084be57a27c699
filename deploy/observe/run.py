"""One run from its beginning to its picture."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.observe.callers import Callers
from deploy.observe.canvas import clock
from deploy.observe.dashboard import Dashboard, load_dashboard
from deploy.observe.draw import draw_dashboard
from deploy.observe.incidents import Script, play
from deploy.observe.prometheus import Series, Window
from deploy.observe.rules import FIRING, Firing, Rule, copy_rules, firings
from deploy.observe.scene import Scene, running_scene

DASHBOARD: Final = Path(__file__).parents[1] / "grafana" / "plano-sidecar.json"
_RATE_INTERVAL_S: Final = 5.0
"""What Grafana takes at one scrape a second: four of them, and one more."""
_LAST_SCRAPES_S: Final = 2.0


@dataclass
class Findings:
    """What a run came to."""

    dashboard: Dashboard
    window: Window
    statuses: Counter[int]
    """What the apps got, by HTTP status; 0: the call broke off."""
    panels: dict[str, list[list[Series]]] = field(default_factory=dict)
    """Title of a panel -> what each of its queries returned."""
    rules: list[tuple[Rule, list[Series]]] = field(default_factory=list)
    alerts: list[Firing] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)
    """Pod -> its last scrape, in the text format."""


async def observe(
    script: Script,
    folder: Path,
    *,
    tell: Callable[[str], None],
    dashboard: Path = DASHBOARD,
) -> Findings:
    """Play a script, then run every query of the dashboard and every rule's expression.

    Args: ``folder`` is for configs, logs and data; it must be empty.
    Raises: ProgramMissing, QueryRefused, DashboardUnreadable.
    """
    shown = load_dashboard(dashboard)
    rules_folder = folder / "rules"
    rules_folder.mkdir()
    rules = copy_rules(rules_folder, faster=script.rules_faster)
    async with running_scene(folder, rules_folder) as scene:
        callers = Callers(scene.data_urls, calls_a_second=script.calls_a_second)
        start_s = time.time()
        async with _running(callers):
            await play(script, scene, lambda what: tell(f"{_clock()}  {what}"))
            await asyncio.sleep(_LAST_SCRAPES_S)
            window = Window(start_s, time.time())
            findings = Findings(shown, window, callers.statuses)
            await _ask(scene, findings, rules)
    return findings


def draw(findings: Findings, path: Path) -> None:
    """Write the picture of the dashboard."""
    draw_dashboard(findings.dashboard, findings.panels, findings.window, path)


def alert_lines(findings: Findings) -> list[str]:
    """Return lines about each alert that fired: when, which, where, and its summary; and behind
    them the runbook of each.
    """
    lines = []
    for each in findings.alerts:
        is_over = each.ended_s < findings.window.end_s - _LAST_SCRAPES_S
        until = f"to {clock(each.ended_s)}" if is_over else "and still "
        where = " ".join(f"{name}={value}" for name, value in sorted(each.labels.items()))
        lines.append(f"{clock(each.began_s)} {until}  {each.name}  {where}\n    {each.summary}")
    fired = {each.name for each in findings.alerts}
    runbooks = {rule.name: rule.runbook for rule, _ in findings.rules if rule.name in fired}
    return [*lines, *(f"\n{name}\n{text}" for name, text in runbooks.items())]


async def _ask(scene: Scene, findings: Findings, rules: list[Rule]) -> None:
    window, prometheus = findings.window, scene.prometheus
    for panel, target in findings.dashboard.queries():
        query = findings.dashboard.expand(
            target.expr,
            rate_interval_s=_RATE_INTERVAL_S,
            range_s=window.end_s - window.start_s,
        )
        result = await prometheus.query_range(query, window)
        findings.panels.setdefault(panel.title, []).append(result)
    findings.rules = [(rule, await prometheus.query_range(rule.expr, window)) for rule in rules]
    findings.alerts = firings(await prometheus.query_range(FIRING, window), rules)
    for pod in scene.admin_urls:
        findings.metrics[pod] = await scene.scrape(pod)


@contextlib.asynccontextmanager
async def _running(callers: Callers) -> AsyncIterator[None]:
    """The apps call while the context lasts."""
    task = asyncio.get_running_loop().create_task(callers.run(), name="callers")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _clock() -> str:
    return time.strftime("%H:%M:%S", time.gmtime())
