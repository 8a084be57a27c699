"""The README's table of keys is the schema's."""

from __future__ import annotations

from pathlib import Path

from sidecar.config.reference import TABLE_BEGINS, TABLE_ENDS, config_reference

README = Path(__file__).parents[2] / "README.md"


def test_readme_holds_the_table():
    """Between its markers stands what `config_reference` writes, to the letter."""
    text = README.read_text(encoding="utf-8")
    assert [text.count(TABLE_BEGINS), text.count(TABLE_ENDS)] == [1, 1]
    written = text.partition(TABLE_BEGINS)[2].partition(TABLE_ENDS)[0]
    assert config_reference().strip() == written.strip()
