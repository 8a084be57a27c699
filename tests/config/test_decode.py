"""Nodes become structs; a value that cannot be used is reported, and its key keeps its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sidecar.config.decode import BAD, Decoder
from sidecar.config.expand import Expander
from sidecar.config.report import Report
from sidecar.config.schema_providers import (
    DialectEntry,
    ModelPrice,
    ModelProvider,
    ProviderTimeouts,
)
from sidecar.config.secret import Secret
from sidecar.config.yaml_nodes import read_document


def decode(text: str, kind: Any, **environ: str) -> tuple[Any, list[str]]:
    """The value and the problems of a text that is read as a type of the schema."""
    root, report = read_document(text).root, Report("f")
    assert root is not None
    decoder = Decoder(Expander(environ, Path()), report)
    return decoder.read(root, msgspec.inspect.type_info(kind)), report.problems


def test_a_struct_is_read_with_its_values_and_defaults():
    """Numbers, booleans, secrets, lists and maps of the schema, under their YAML names."""
    entry, problems = decode(
        "{model: openai/a, access_key: $KEY, optional: true, price: {input: 1}, fallbacks: [x],"
        " dialects: {chat: {path: /c}}}",
        ModelProvider,
        KEY="k",
    )

    assert [] == problems
    assert ("openai/a", Secret("k"), True, ModelPrice(1.0), ("x",)) == (
        entry.model,
        entry.access_key,
        entry.optional,
        entry.price,
        entry.fallbacks,
    )
    assert {"chat": DialectEntry("/c")} == entry.dialects
    assert ProviderTimeouts() == entry.timeouts


def test_a_key_that_cannot_be_used_keeps_its_default():
    """And every such key is reported."""
    entry, problems = decode("{model: openai/a, optional: 3, propagate_trace: x}", ModelProvider)

    assert (False, True) == (entry.optional, entry.propagate_trace)
    assert 2 == len(problems)


@pytest.mark.parametrize("text", ["{name: n}", "{model: [x]}", "[x]", "x"])
def test_without_a_required_key_there_is_no_struct(text):
    """One problem says why."""
    entry, problems = decode(text, ModelProvider)

    assert (True, 1) == (entry is BAD, len(problems))


def test_a_key_without_a_value_means_the_default_of_a_section():
    """All of its keys may be commented out; for a text it is a problem."""
    entry, problems = decode("{model: openai/a, timeouts: , fallbacks: ~}", ModelProvider)

    assert (ProviderTimeouts(), (), []) == (entry.timeouts, entry.fallbacks, problems)
    assert ["f:1: model: has no value"] == decode("{model: }", ModelProvider)[1]
