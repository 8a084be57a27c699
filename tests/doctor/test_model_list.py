"""Lists of models, as providers write them, and as anybody else might."""

from __future__ import annotations

import json

import pytest

from sidecar.doctor.model_list import is_listed, read_model_list


@pytest.mark.parametrize(
    ("body", "listed"),
    [
        ({"data": [{"id": "a"}, {"id": "b"}]}, ("a", "b")),
        ({"models": [{"name": "llama:latest"}]}, ("llama:latest",)),
        ({"data": [{"id": "models/gemini-x"}]}, ("gemini-x",)),
        ([{"id": "a"}], ("a",)),
        ({"data": []}, ()),
        ({"data": [{"id": "a\x1b[2J"}, {"id": 3}, "b", {}, {"id": "x" * 300}]}, ()),
        ({"data": "none"}, None),
        ({"error": {}}, None),
        ("text", None),
    ],
)
def test_the_ids_of_a_list_are_read(body, listed):
    """What cannot be an id, or could drive a terminal, is left out."""
    assert listed == read_model_list(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_no_body_raises(body):
    """It is another server's."""
    assert read_model_list(body) is None


@pytest.mark.parametrize(
    ("model", "is_there"),
    [("gpt-4o", True), ("claude-x", True), ("gpt", False), ("gpt-4", False), ("Claude-x", False)],
)
def test_a_dated_id_stands_for_its_undated_one(model, is_there):
    """As Anthropic lists `claude-x-20260901` for `claude-x`, and nothing else is guessed."""
    assert is_there == is_listed(model, ["gpt-4o", "gpt-4o-mini", "claude-x-20260901"])
