"""Writes the reference of the log's events and fields.

``python -m tests.support.log_reference`` puts it between the markers of sidecar/telemetry/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidecar.telemetry.log_events import LOG_EVENTS, LOG_FIELDS

README: Final = Path(__file__).parents[2] / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- log, written by tests/support/log_reference.py -->"
ENDS: Final = "<!-- /log -->"


def reference() -> str:
    """A table of events, and one of fields."""
    lines = ["## Log events", "", "| event | level | fields | meaning |", "|---|---|---|---|"]
    for each in LOG_EVENTS:
        fields = ", ".join(f"`{name}`" for name in each.fields)
        lines.append(f"| `{each.name}` | {each.level} | {fields} | {each.meaning} |")
    lines += ["", "## Log fields", "", "| field | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in LOG_FIELDS.items()]
    return "\n".join(lines)


def with_reference(text: str) -> str:
    """The README's text with the reference as it should be now."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
