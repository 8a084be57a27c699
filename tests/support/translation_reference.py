"""Writes what no other API has a place for into the translation's README.

``python -m tests.support.translation_reference`` writes it anew; a test holds it to the table.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from sidecar.domain.call import DialectName
from sidecar.translate.fields import TABLES, Fate, spelled
from sidecar.translate.losses import Weight

README: Final = Path(__file__).parents[2] / "sidecar" / "translate" / "README.md"
BEGINS: Final = "<!-- lost, written by tests/support/translation_reference.py -->"
ENDS: Final = "<!-- /lost -->"
_VERSION: Final = re.compile(r"_20\d\d_?\d\d_?\d\d$")


def names_lost(source: DialectName, weight: Weight) -> list[str]:
    """The fields of an API that reach no other one, of a weight, as `x-plano-lost` names them; all
    versions of a tool as one.
    """
    table = TABLES[source]
    rows = table.rows.items()  # of kinds of objects the names are below
    fates = [(spelled(path), fate) for path, fate in rows if not path.endswith("]")]
    for holder, labels in table.labels.items():
        fates += [(f"{spelled(holder)}.{label}", fate) for label, fate in labels.items()]
    names = {name for name, fate in fates if _is_lost(fate, weight)}
    return sorted({_VERSION.sub("_*", name) for name in names if not _is_inside(name, names)})


def _is_lost(fate: Fate, weight: Weight) -> bool:
    is_always = not fate.is_carried and not fate.is_shared and fate.harmless_values is not None
    return is_always and fate.weight is weight


def _is_inside(name: str, names: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts)))


def reference() -> str:
    """A table of weights and names for each API."""
    lines = []
    for source in TABLES:
        lines += [f"| {source} | |", "|---|---|"]
        for weight in sorted(Weight, reverse=True):
            names = ", ".join(f"`{each}`" for each in names_lost(source, weight))
            lines.append(f"| {weight.name.lower()} | {names} |")
        lines.append("")
    return "\n".join(lines).strip()


def with_reference(text: str) -> str:
    """The README's text with the reference as it should be now."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}"


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
