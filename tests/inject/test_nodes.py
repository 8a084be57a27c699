"""Nodes know where in the text they stand, and what they mean."""

from __future__ import annotations

import pytest

from sidecar.inject.nodes import MappingNode, SequenceNode, UnreadableManifest, read_nodes


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("a: 1\nb: -2\nc: '3'\n", {"a": 1, "b": -2, "c": "3"}),
        ("a: yes\nb: Off\nc: ~\nd:\n", {"a": True, "b": False, "c": None, "d": None}),
        ("a: !!str 1\nb: !x 2\n", {"a": "1", "b": "2"}),
        ("a: 1.5\nb: 2024-01-01\nc: 0x10\n", {"a": "1.5", "b": "2024-01-01", "c": "0x10"}),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": 1, "b": 2, "c": 2}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("a: {<<: [{k: 1}, {k: 2, l: 3}]}\n", {"a": {"k": 1, "l": 3}}),
        ("a: {<<: {}}\nb: {'<<': 1}\n", {"a": {}, "b": {"<<": 1}}),
        ("a: {<<: {<<: {k: 1}}}\n", {"a": {"k": 1}}),
        ('{"a":\t"\\ud83d\\ude00"}', {"a": "\ufffd\ufffd"}),
        ("1: a\n", {"1": "a"}),
    ],
)
def test_a_document_means_what_kubernetes_reads(text, data):
    """YAML 1.1's booleans, aliases, merge keys; JSON with its tabs and pairs of escapes."""
    root = read_nodes(text)

    assert data == (None if root is None else root.data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? [a]\n: b\n", "a key is not a single value"),
        ("{<<: {}, <<: {}}", "stands twice"),
        ("{<<: [1]}", "a merge key needs a mapping"),
        ("a: b: c", "not YAML: mapping values"),
        ("a\n---\nb\n", "not YAML"),
        ("\x01", "control characters"),
    ],
)
def test_what_means_nothing_is_refused(text, message):
    """With the line at which it stops."""
    with pytest.raises(UnreadableManifest, match=message.replace("[", r"\[")):
        read_nodes(text)


def test_places_are_those_of_the_text():
    """Characters, not bytes; a block ends with its last content, or with its blanks if it says
    so.
    """
    text = "é: 'x'\nb: |\n  one\n\n\nc: |+\n  two\n\nd:\n  - 1\n"
    root = read_nodes(text)
    assert isinstance(root, MappingNode)
    found = {key: text[entry.value.start : entry.value.end] for key, entry in root.entries.items()}

    assert {"é": "'x'", "b": "|\n  one", "c": "|+\n  two\n\n", "d": "- 1"} == found


@pytest.mark.parametrize(
    ("text", "dash"),
    [
        ("a:\n- 1\n", 0),
        ("a:\n    - 1\n", 4),
        ("a: &x\n  - 1\n", 2),
        ("a: !y # c - d\n   # e\n   - 1\n", 3),
        ("a: [1]\n", None),
    ],
)
def test_the_dashes_column_is_known(text, dash):
    """Behind an anchor, a tag and comments too."""
    root = read_nodes(text)
    assert isinstance(root, MappingNode)

    value = root.entries["a"].value
    assert isinstance(value, SequenceNode)
    assert dash == value.dash
