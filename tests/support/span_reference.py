"""Writes the reference of the spans' attributes.

``python -m tests.support.span_reference`` puts it between the markers of sidecar/telemetry/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidecar.telemetry.span_names import ATTRIBUTES

README: Final = Path(__file__).parents[2] / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- spans, written by tests/support/span_reference.py -->"
ENDS: Final = "<!-- /spans -->"


def reference() -> str:
    """A table of attributes."""
    lines = ["## Attributes of spans", "", "| attribute | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in ATTRIBUTES.items()]
    return "\n".join(lines)


def with_reference(text: str) -> str:
    """The README's text with the reference as it should be now."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
