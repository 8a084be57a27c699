"""Writes the rules: recorded series and alerts, and their runbooks.

``python -m deploy.prometheus.rules`` writes rules.yaml and RUNBOOKS.md beside this file, and the
chart's copy of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.prometheus import burn_rate
from deploy.prometheus.alert import INTERVAL_S, Alert, Recording
from deploy.prometheus.objectives import OBJECTIVES, RECORDED
from deploy.prometheus.symptoms import SYMPTOMS

RULES: Final = Path(__file__).with_name("rules.yaml")
RUNBOOKS: Final = Path(__file__).with_name("RUNBOOKS.md")
IN_CHART: Final = Path(__file__).parents[2] / "helm/plano-sidecar/files/rules.yaml"

_HEAD: Final = "# Written by `python -m deploy.prometheus.rules`; change what it is written from.\n"
_INTRODUCTION: Final = """\
# Runbooks

What each alert of [rules.yaml](rules.yaml) means, and what to do. The same text comes with the
alert, as its annotation `runbook`. Titles in code letters are panels of the
[dashboard](../grafana/plano-sidecar.json). `critical` wakes somebody: apps cannot work. `warning`
is for the day.

Where to look, in this order. What is named like `provider_fails` is the `event` of a line of the
log.

```
kubectl logs POD -c plano-sidecar           # what failed, since when, why, and what to do
kubectl port-forward POD 9902               # the live page: http://localhost:9902/
kubectl exec POD -c plano-sidecar -- plano-sidecar tail         # calls as they end
kubectl exec POD -c plano-sidecar -- plano-sidecar doctor --config /etc/plano-sidecar/config.yaml
```

The last one asks each provider entry, the router model and Redis whether they would serve.
"""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def alerts() -> list[Alert]:
    """Return all alerts."""
    burns = [alert for slo in OBJECTIVES for alert in burn_rate.alerts(slo)]
    return [*burns, *SYMPTOMS]


def groups(chosen: list[Alert]) -> dict[str, Any]:
    """Return a rules file with these alerts, as data. What others read is recorded before them."""
    objectives = [each for slo in OBJECTIVES for each in burn_rate.recordings(slo)]
    parts: dict[str, Sequence[Recording | Alert]] = {
        "plano-sidecar.recorded": [*RECORDED, *objectives],
        "plano-sidecar.alerts": chosen,
    }
    return {
        "groups": [
            {
                "name": name,
                "interval": f"{INTERVAL_S}s",
                "rules": [each.as_rule() for each in rules],
            }
            for name, rules in parts.items()
        ]
    }


def rules_text(chosen: list[Alert]) -> str:
    """Return the text of a rules file with these alerts."""
    dumped = yaml.dump(
        groups(chosen), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )
    return _HEAD + dumped


def _runbook_lines() -> Iterator[str]:
    yield from (_INTRODUCTION, "| alert | severity | summary |", "|---|---|---|")
    by_name: dict[str, list[Alert]] = {}
    for alert in alerts():
        by_name.setdefault(alert.name, []).append(alert)
    for name, same in by_name.items():
        severities = ", ".join(dict.fromkeys(f"`{alert.severity}`" for alert in same))
        yield f"| [{name}](#{name.lower()}) | {severities} | {same[0].summary} |"
    for name, same in by_name.items():
        yield from ("", f"## {name}", "", same[0].summary, "")
        for alert in same:
            window = alert.labels.get("window")
            within = f" (window {window})" if window else ""
            yield from (f"`{alert.severity}`{within}, after {alert.waits}:", "")
            yield from ("```promql", alert.expr, "```", "")
        book = same[0].runbook
        yield from (f"- **What happened:** {book.happened}", f"- **What to look at:** {book.look}")
        yield f"- **What to do:** {book.do}"


def runbooks_text() -> str:
    """Return the text of RUNBOOKS.md."""
    return "\n".join(_runbook_lines()) + "\n"


def main() -> None:
    """Write rules and runbooks."""
    for file in (RULES, IN_CHART):
        file.write_text(rules_text(alerts()), encoding="utf-8")
    RUNBOOKS.write_text(runbooks_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
