"""sidecar/telemetry/README.md lists every metric that a registry has, as the registry has it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.metrics_reference import (
    BEGINS,
    BY_ENUM,
    ENDS,
    IN_WORDS,
    PREFIX,
    README,
    families,
    labels_of,
    meanings,
    reference,
    vocabulary_of,
)

FAMILIES = families()


def test_the_readme_holds_the_reference():
    """To the letter; ``python -m tests.support.metrics_reference`` writes it anew."""
    text = README.read_text(encoding="utf-8")
    assert [1, 1] == [text.count(BEGINS), text.count(ENDS)]
    written = text.partition(BEGINS)[2].partition(ENDS)[0]

    assert reference().strip() == written.strip()


def test_the_table_has_exactly_the_metrics_of_a_registry():
    """With their types and labels, read back from the page."""
    rows = re.findall(
        rf"^\| `({PREFIX}\w+)` \| (\w+) \| (.*?) \| .+ \|$", README.read_text("utf-8"), re.MULTILINE
    )
    suffix = {"counter": "_total", "info": "_info"}
    real = [
        (
            family.name + suffix.get(family.type, ""),
            family.type,
            ", ".join(f"`{label}`" for label in labels_of(family)),
        )
        for family in FAMILIES
    ]

    assert real == [row for row in rows if row[1] in ("counter", "gauge", "histogram", "info")]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_label_has_the_values_of_its_enum(family: Any):
    """No more where everything has happened once, and no fewer."""
    for label, values in labels_of(family).items():
        vocabulary = vocabulary_of(family, label)
        if not isinstance(vocabulary, str):
            assert {each.value for each in vocabulary} == values


def test_nothing_is_described_that_no_metric_has():
    """A label that goes takes its line along."""
    used = {
        key
        for family in FAMILIES
        for label in labels_of(family)
        for key in (f"{family.name.removeprefix(PREFIX)} {label}", label)
    }

    assert set() == (BY_ENUM.keys() | IN_WORDS.keys()) - used


@pytest.mark.parametrize("vocabulary", BY_ENUM.values(), ids=lambda each: each.__name__)
def test_each_member_says_in_one_line_what_it_means(vocabulary: Any):
    """The line below it, which the reference shows."""
    said = meanings(vocabulary)

    assert [each.value for each in vocabulary] == list(said)
    assert all(text.endswith(".") for text in said.values())
