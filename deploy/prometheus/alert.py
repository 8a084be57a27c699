"""What an alert and a recorded series are, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

BY: Final = "namespace, app"
"""What rules keep apart: the apps, not their pods."""
INTERVAL_S: Final = 60
"""Of all groups."""


@dataclass(frozen=True)
class Recording:
    """A series that Prometheus computes once, over all pods of an app."""

    name: str
    """``level:metric:operation``: the labels that are left, the metric, and what was done to it."""
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_rule(self) -> dict[str, Any]:
        """Return it as a rules file has it."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.name, "expr": self.expr, **labels}


@dataclass(frozen=True)
class Runbook:
    """What a person needs at three in the morning, in this order."""

    happened: str
    look: str
    do: str

    def text(self) -> str:
        """Return it as one annotation."""
        return (
            f"What happened: {self.happened}\nWhat to look at: {self.look}\nWhat to do: {self.do}"
        )


@dataclass(frozen=True)
class Alert:
    """A condition that somebody has to know of."""

    name: str
    expr: str
    waits: str
    """How long the condition holds before it fires."""
    severity: str
    """``critical``: apps cannot work, wake somebody. ``warning``: look at it today."""
    summary: str
    """Without numbers, so that notifications of one alert look alike."""
    description: str
    """With the alert's labels and its value."""
    runbook: Runbook
    labels: Mapping[str, str] = field(default_factory=dict)
    keeps: str = ""
    """How long it goes on to fire when the condition is gone, for one that comes and goes."""

    def as_rule(self) -> dict[str, Any]:
        """Return it as a rules file has it."""
        keeps = {"keep_firing_for": self.keeps} if self.keeps else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.waits,
            **keeps,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook": self.runbook.text(),
            },
        }
