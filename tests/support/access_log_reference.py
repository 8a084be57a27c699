"""Writes the reference of the access log: fields and flags.

``python -m tests.support.access_log_reference`` puts it between the markers of
sidecar/telemetry/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidecar.telemetry.call_flags import FLAGS
from sidecar.telemetry.record_reference import RECORD_FIELDS

README: Final = Path(__file__).parents[2] / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- access log, written by tests/support/access_log_reference.py -->"
ENDS: Final = "<!-- /access log -->"


def reference() -> str:
    """A table of fields, and one of flags."""
    lines = ["## Access log fields", "", "| field | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in RECORD_FIELDS.items()]
    lines += ["", "## Access log flags", "", "| flag | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in FLAGS.items()]
    return "\n".join(lines)


def with_reference(text: str) -> str:
    """The README's text with the reference as it should be now."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
