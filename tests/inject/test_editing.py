"""Edits change what must change, and leave every other byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.inject.editing import edited
from sidecar.inject.nodes import UnreadableManifest, read_nodes

NAMES = st.text("abcxyz", min_size=1, max_size=4)
TEXTS = st.text("ab :#-'\"{}[],&*|>!%@\\\n\téü", max_size=8)
LEAVES = TEXTS | st.integers(0, 99) | st.booleans() | st.none()


def _named(inner):
    """A list of mappings with a name each."""
    items = st.dictionaries(NAMES, inner, max_size=3)
    return st.dictionaries(NAMES, items, max_size=3).map(
        lambda found: [{"name": name, **each} for name, each in found.items()]
    )


DATA = st.recursive(
    LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=4) | _named(inner), max_leaves=15
)
OBJECTS = st.dictionaries(NAMES, DATA, min_size=1, max_size=5)


def _as_block(data, dash):
    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow=False, indentless=False):
            return super().increase_indent(flow, indentless and not dash)

        def ignore_aliases(self, data):
            return True

    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=20)


STYLES: dict[str, Callable[[Any], str]] = {
    "block": lambda data: _as_block(data, dash=True),
    "block without indentation": lambda data: _as_block(data, dash=False),
    "wide": lambda data: yaml.safe_dump(data, sort_keys=False, indent=6),
    "mixed": lambda data: yaml.safe_dump(data, sort_keys=False, default_flow_style=None),
    "flow": lambda data: yaml.safe_dump(data, sort_keys=False, default_flow_style=True, width=30),
    "json": json.dumps,
    "json on lines": lambda data: json.dumps(data, indent=4),
    "json with tabs": lambda data: json.dumps(data, indent="\t"),
}


@st.composite
def _more(draw, data):
    """The same data with keys and named items added, in any place."""
    if isinstance(data, dict) and data:
        made: dict[str, Any] = {}
        for key, value in data.items():
            if draw(st.integers(0, 5)) == 0:
                made["new" + draw(NAMES) + str(len(made))] = draw(DATA)
            made[key] = draw(_more(value))
        if draw(st.booleans()):
            made["last" + draw(NAMES)] = draw(DATA)
        return made
    if isinstance(data, list) and data:
        items: list[Any] = []
        for value in data:
            if draw(st.integers(0, 3)) == 0:
                items.append({"name": f"New{len(items)}", "v": draw(DATA)})
            items.append({**draw(_more(value)), "name": value["name"]})
        return items
    return data


def _edited(text, wanted):
    root = read_nodes(text)
    assert root is not None
    return edited(text, root, wanted)


def _kept(old: str, new: str) -> bool:
    rest = iter(new)
    return all(character in rest for character in old)


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_additions_keep_every_byte_and_mean_what_is_wanted(style, data):
    """In every style that PyYAML and JSON write; a second edit has nothing to do."""
    before = data.draw(OBJECTS)
    text = STYLES[style](before)
    root = read_nodes(text)
    assert root is not None
    after = data.draw(_more(root.data))
    new = edited(text, root, after)

    assert _kept(text, new)
    again = read_nodes(new)
    assert again is not None
    assert after == again.data
    assert new == edited(new, again, after)


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=8, deadline=None)
@given(before=OBJECTS, after=OBJECTS)
def test_any_other_change_is_right_or_refused(style, before, after):
    """Whatever is asked for: what comes out means it, or nothing comes out."""
    text = STYLES[style](before)
    root, wanted = read_nodes(text), read_nodes(json.dumps(after))
    assert root is not None
    assert wanted is not None
    try:
        new = edited(text, root, wanted.data)
    except UnreadableManifest:
        return

    again = read_nodes(new)
    assert again is not None
    assert wanted.data == again.data


@pytest.mark.parametrize(
    ("text", "wanted", "new"),
    [
        ("a: 'it''s'\n", {"a": "it's not"}, "a: 'it''s not'\n"),
        ('a: "b" # c\n', {"a": "plain"}, 'a: "plain" # c\n'),
        ("a: b # c\n", {"a": "d"}, "a: d # c\n"),
        ("a:\n", {"a": "d"}, "a: d\n"),
        ("a: {b: c}\n", {"a": "d"}, 'a: "d"\n'),
        ("{a: 'b'}", {"a": 1}, "{a: 1}"),
        ("a: []\n", {"a": [1]}, "a:\n  - 1\n"),
        ("a:\n- 1\n- 2\n", {"a": [3]}, "a:\n- 3\n"),
        ("a:\n- 1\n- 2\n", {"a": [2, 1]}, "a:\n- 2\n- 1\n"),
        ("a: [1, 2]\n", {"a": [3]}, "a: [3]\n"),
        ("a:\n  b: 1\n  c: 2\n", {"a": {"c": 2}}, "a:\n  c: 2\n"),
        ("a: {b: 1, c: 2}\n", {"a": {"c": 2}}, "a: {c: 2}\n"),
        ("a: {b: 1, c: 2}\n", {"a": {"b": 1}}, "a: {b: 1}\n"),
        ("a: {b: {}, c: [1]}\n", {"a": {"b": {}, "c": [1, 2]}}, "a: {b: {}, c: [1, 2]}\n"),
        ("a:\n- 1\n- 2\n", {"a": [1]}, "a:\n- 1\n"),
        ("a:\n- 1\n- 2", {"a": [2]}, "a:\n- 2"),
        ("a: [1, 2, 3]\n", {"a": [1, 3]}, "a: [1, 3]\n"),
        ("a: [1, 2]\n", {"a": [1]}, "a: [1]\n"),
        ("a:\n-\n  name: x\n- name: y\n", {"a": [{"name": "y"}]}, "a:\n- name: y\n"),
        ("a: [1]\nb: {c: 1}\n", {"a": [1], "b": {}}, "a: [1]\nb: {}\n"),
        ("# c\na: 1\n", {"b": 2, "a": 1}, "b: 2\n# c\na: 1\n"),
        ("x:\n- # c\n  a: 1\n", {"x": [{"b": 2, "a": 1}]}, "x:\n- # c\n  b: 2\n  a: 1\n"),
        ("x:\n- a: 1\n", {"x": [{"b": 2, "a": 1}]}, "x:\n- a: 1\n  b: 2\n"),
        ("a: |\n  b\n\n# c\n", {"a": "b\n", "d": 1}, "a: |\n  b\nd: 1\n\n# c\n"),
        ("a: |+\n  b\n\n# c\n", {"a": "b\n\n", "d": 1}, "a: |+\n  b\n\nd: 1\n# c\n"),
        ("a:\n  b: 1\n  # of b\n", {"a": {"b": 1, "c": 2}}, "a:\n  b: 1\n  # of b\n  c: 2\n"),
        ("a:\n    b: {c: 1}\n", {"a": {"b": {"c": 1}, "d": {"e": 1}}},
         "a:\n    b: {c: 1}\n    d:\n        e: 1\n"),
        ("x: &x {a: 1}\ny: *x\n", {"x": {"a": 2}, "y": {"a": 2}}, "x: &x {a: 2}\ny: *x\n"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", {"x": {"a": 2}, "y": {"a": 2}},
         "x: &x {a: 2}\ny:\n  <<: *x\n"),
        ("x: &x {a: 1}\ny:\n  <<: [*x]\n", {"x": {"a": 1}, "y": {"a": 1, "b": 1}},
         "x: &x {a: 1}\ny:\n  <<: [*x]\n  b: 1\n"),
    ],
)  # fmt: skip
def test_small_edits_are_as_a_person_would_make_them(text, wanted, new):
    """Quotes stay, comments stay, and a list that is written anew stands where it stood."""
    assert new == _edited(text, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x: &x {a: 1}\ny: *x\n", {"x": {"a": 1}, "y": {"a": 2}}),
        ("x: &x {a: 1}\ny: *x\n", {"x": {"a": 2}, "y": {"a": 3}}),
        ("x: &x [{a: 1}]\ny: *x\n", {"x": [{"a": 3}], "y": [{"a": 2}]}),
        ("x: &x {a: 1}\ny: {<<: *x}\n", {"x": {"a": 1}, "y": {"a": 1, "b": 1}}),
        ("x: &x {a: 1}\ny: {<<: *x}\n", {"x": {"a": 1}, "y": {}}),
        ("a:\n  b: 1\n", {"a": {"c": 1}}),
        ("- a: 1\n  b: 2\n", [{"b": 2}]),
        ("a: &x [1, 2]\nb: *x\n", {"a": [3], "b": [1, 2]}),
        ("a: [{name: b}, {name: c}, {name: d}]\n", {"a": [{"name": "b"}]}),
    ],
)
def test_what_cannot_be_edited_alone_is_refused(text, wanted):
    """An error costs a minute, a wrong manifest a night."""
    with pytest.raises(UnreadableManifest, match="write it out"):
        _edited(text, wanted)


@pytest.mark.parametrize("text", ["? a\n: - b\n", "a: !x\n  - 1\n", "a:\n- - 1\n  - 2\n"])
def test_rare_ways_of_writing_are_right_or_refused(text):
    """Complex keys, tags, and lists that begin in the line of another one."""
    for wanted in ({"a": [1, 5]}, {"a": ["b", "c"], "z": 1}, {"a": [[1], [2]]}, {"a": [[1, 2, 3]]}):
        try:
            new = _edited(text, wanted)
        except UnreadableManifest:
            continue
        again = read_nodes(new)
        assert again is not None
        assert wanted == again.data
