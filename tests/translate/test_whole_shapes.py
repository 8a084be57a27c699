"""Whole responses as providers send them, and what a caller of each other API is given.

``data/whole_*.jsonl`` has a line for each: what the provider says, what it becomes, and what of it is
named as lost.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.responses import ReplyContext
from tests.translate.at_once import ResponseTranslator
from tests.translate.provider_wire import APIS

CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1")
OF_THE_REQUEST = frozenset({
    "background", "created_at", "error", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "object",
    "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "prompt_cache_retention", "reasoning",
    "safety_identifier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation",
    "user",
})  # fmt: skip
"""Members of a ``response`` object that no provider's response changes."""


def _shapes():
    for api in APIS:
        path = Path(__file__).parent / f"data/whole_{api}.jsonl"
        for line in path.read_text().rstrip("\n").split("\n"):
            shape = json.loads(line)
            for source in APIS:
                if source != api:
                    yield pytest.param(source, api, shape, id=f"{api}>{source}: {shape['name']}")


SHAPES = list(_shapes())


@pytest.mark.parametrize(("source", "target", "shape"), SHAPES)
def test_a_response_becomes_what_the_callers_api_says(source, target, shape):
    """Content, reasons and counts; what has no place is named."""
    translator = ResponseTranslator(source, target, CONTEXT)

    written = json.loads(translator.whole(json.dumps(shape["says"]).encode()))

    if source == RESPONSES:
        assert set(written) >= OF_THE_REQUEST
        written = {name: value for name, value in written.items() if name not in OF_THE_REQUEST}
    assert shape[source] == written
    assert shape["lost"] == sorted(translator.lost)


def test_there_are_enough_shapes():
    """More than one hundred and fifty pairs, each API's own quirks among them."""
    assert len(SHAPES) > 150
    assert {CHAT, MESSAGES, RESPONSES} == {shape.values[1] for shape in SHAPES}
