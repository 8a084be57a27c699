"""Metrics that panels and alerts are ready for, and that the sidecar does not export yet.

What names one of them is left out of the dashboard and of the rules. Once a metric is exported, its
line here goes, and what waits for it appears: a test compares this list with the code.
"""

from __future__ import annotations

from typing import Final

NOT_EXPORTED: Final = frozenset({
    "plano_sidecar_config_last_reload_successful",
    "plano_sidecar_config_last_reload_success_timestamp_seconds",
})  # fmt: skip


def is_ready(*expressions: str) -> bool:
    """Return whether all metrics that PromQL expressions name are exported."""
    return not any(name in expression for expression in expressions for name in NOT_EXPORTED)
