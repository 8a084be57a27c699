"""sidecar/telemetry/README.md lists every panel, alert and recorded series."""

from __future__ import annotations

import re

from tests.monitoring.test_dashboard import PANELS
from tests.monitoring.test_rules import RULES_IN_FILE
from tests.support.monitoring_reference import BEGINS, ENDS, README, reference


def test_the_readme_holds_the_reference_of_panels_and_alerts():
    """To the letter; ``python -m tests.support.monitoring_reference`` writes it anew."""
    text = README.read_text(encoding="utf-8")
    assert [1, 1] == [text.count(BEGINS), text.count(ENDS)]

    assert reference().strip() == text.partition(BEGINS)[2].partition(ENDS)[0].strip()


def test_the_tables_have_exactly_what_dashboard_and_rules_have():
    """Read back from the page."""
    written = README.read_text(encoding="utf-8").partition(BEGINS)[2].partition(ENDS)[0]
    panels = re.findall(r"^\| ([^|*`\[]+) \| `\w+` \|", written, re.MULTILINE)
    alerts = re.findall(r"^\| \[(\w+)\]", written, re.MULTILINE)
    recorded = re.findall(r"^\| `(\w+:\w+:\w+)`", written, re.MULTILINE)

    assert panels == [panel["title"] for panel in PANELS]
    assert alerts == [rule["alert"] for rule in RULES_IN_FILE if "alert" in rule]
    assert recorded == [rule["record"] for rule in RULES_IN_FILE if "record" in rule]
