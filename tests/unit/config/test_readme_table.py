"""The README's table of keys is the schema's."""

from __future__ import annotations

from pathlib import Path

from sidecar.config.table import TABLE_BEGINS, TABLE_ENDS, schema_table

README = Path(__file__).parents[3] / "README.md"


def test_readme_holds_the_table():
    """Between its markers stands what `schema_table` writes, to the letter."""
    text = README.read_text(encoding="utf-8")
    assert [text.count(TABLE_BEGINS), text.count(TABLE_ENDS)] == [1, 1]
    written = text.partition(TABLE_BEGINS)[2].partition(TABLE_ENDS)[0]
    assert schema_table().strip() == written.strip()
