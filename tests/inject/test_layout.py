"""Plain data as YAML text."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.inject.layout import Layout, block_lines, flow_text, scalar_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
LAYOUTS = [Layout(), Layout(step=4, dash=4), Layout(dash=0)]


@settings(max_examples=50, deadline=None)
@given(VALUES, st.sampled_from(LAYOUTS))
def test_a_block_reads_as_what_was_written(value, layout):
    """By PyYAML, which reads YAML 1.1 and so takes `no` and `on` for booleans."""
    assert value == yaml.safe_load("\n".join(block_lines(value, layout)))


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_one_line_is_json_and_yaml(value):
    """What is put into a JSON manifest leaves it JSON."""
    text = flow_text(value)

    assert "\n" not in text
    assert value == json.loads(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ["Always", "/etc/plano", "http://127.0.0.1:12000/v1", "192Mi", "--config"]
)
def test_words_need_no_quotes(text):
    """As a person would write them."""
    assert text == scalar_text(text)


@pytest.mark.parametrize("text", ["true", "No", "65532", "", "a: b", "a #b", "1e3", "- a", "a:"])
def test_what_looks_like_something_else_is_quoted(text):
    """A port in an annotation stays a text."""
    assert f'"{text}"' == scalar_text(text)


def test_indentation_is_the_manifests_own():
    """Lists may stand below their key without any, as many manifests have them."""
    value = {"env": [{"name": "A", "valueFrom": {"fieldRef": 1}}]}

    assert ["env:", "- name: A", "  valueFrom:", "      fieldRef: 1"] == block_lines(
        value, Layout(step=4, dash=0)
    )
