"""A check-up for machines: one JSON object. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from sidecar.doctor.findings import Finding, worst

SCHEMA: Final = 1
"""Members are only ever added to it."""


def json_report(config: str, findings: Sequence[Finding]) -> str:
    """Return the findings as JSON.

    Args: ``config`` is the file that was checked.
    """
    report = {
        "schema": SCHEMA,
        "config": config,
        "verdict": worst(findings),
        "findings": [_members(each) for each in findings],
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _members(finding: Finding) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(finding)
    members["reachable"] = finding.reach.is_reached
    return members
