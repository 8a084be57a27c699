"""Writes the reference of the dashboard's panels, the alerts and the recorded series.

``python -m tests.support.monitoring_reference`` puts it between the markers of
sidecar/telemetry/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- monitoring, written by tests/support/monitoring_reference.py -->"
ENDS: Final = "<!-- /monitoring -->"
_RUNBOOKS: Final = "../../deploy/prometheus/RUNBOOKS.md"


def _rules() -> list[dict[str, Any]]:
    text = (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def _panels() -> Iterator[str]:
    text = (ROOT / "deploy" / "grafana" / "plano-sidecar.json").read_text(encoding="utf-8")
    yield from ("## Panels", "", "| panel | unit | what it says, and what to do |", "|---|---|---|")
    for panel in json.loads(text)["panels"]:
        if panel["type"] == "row":
            yield f"| **{panel['title']}** | | |"
            continue
        unit = panel["fieldConfig"]["defaults"]["unit"]
        yield f"| {panel['title']} | `{unit}` | {panel['description']} |"


def _alerts() -> Iterator[str]:
    yield from ("## Alerts", "", "| alert | severity | after | meaning |", "|---|---|---|---|")
    for rule in _rules():
        if "alert" not in rule:
            continue
        name, window = rule["alert"], rule["labels"].get("window")
        linked = f"[{name}]({_RUNBOOKS}#{name.lower()})" + (f", window {window}" if window else "")
        summary = rule["annotations"]["summary"]
        yield f"| {linked} | `{rule['labels']['severity']}` | {rule['for']} | {summary} |"


def _recorded() -> Iterator[str]:
    yield from ("## Recorded series", "", "| series | of |", "|---|---|")
    for rule in _rules():
        if "record" in rule:
            labels = "".join(
                f' {label}="{value}"' for label, value in rule.get("labels", {}).items()
            )
            expr = " ".join(rule["expr"].split()).replace("|", "\\|")
            yield f"| `{rule['record']}`{labels} | `{expr}` |"


def reference() -> str:
    """The reference: a table of panels, one of alerts, one of recorded series."""
    return "\n".join((*_panels(), "", *_alerts(), "", *_recorded()))


def main() -> None:
    """Rewrite what stands between the markers."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    README.write_text(f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
