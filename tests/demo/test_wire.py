"""The demo provider writes what the APIs write: the SDKs' own types read all of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from sidecar.demo import anthropic_wire, openai_wire, responses_wire
from sidecar.demo.completion import make_completion
from sidecar.demo.replies import HttpRequest, good_reply, refusal
from sidecar.demo.request import DemoRequest, Tool

WORDS = DemoRequest(model="m", prompt="Hello", wants_usage=True)
CALL = DemoRequest(model="m", prompt="Hello", tool=Tool("weather", {"type": "object"}))
SHORT = DemoRequest(model="m", prompt="Hello", output_limit=2)
APIS: dict[str, tuple[Any, Any, Any]] = {
    "chat": (openai_wire, ChatCompletion, ChatCompletionChunk),
    "responses": (responses_wire, Response, ResponseStreamEvent),
    "messages": (anthropic_wire, Message, RawMessageStreamEvent),
}


@pytest.mark.parametrize("request_", [WORDS, CALL, SHORT], ids=["words", "call", "cut off"])
@pytest.mark.parametrize("api", APIS)
def test_the_sdks_types_read_what_is_written(api, request_):
    """A reply in one piece, and every event of a stream; Anthropic's ping has no type of its own."""
    wire, whole_type, event_type = APIS[api]
    completion = make_completion(request_, provider="demo")
    whole = TypeAdapter(whole_type).validate_json(wire.buffered(request_, completion, 1))
    datas = [
        json.loads(event.partition(b"data: ")[2])
        for event in wire.events(request_, completion, 1)
        if not event.endswith(b"data: [DONE]\n\n")
    ]
    events = [
        TypeAdapter(event_type).validate_python(data)
        for data in datas
        if data.get("type") != "ping"
    ]

    assert "m" == whole.model
    assert len(events) > 3


def test_embeddings_are_unit_vectors_and_the_same_for_the_same_input():
    """One for each input; token ids are one input."""
    body = {"input": ["a", "b", "a"], "dimensions": 8}
    request = DemoRequest(model="e", prompt="")
    written = CreateEmbeddingResponse.model_validate_json(openai_wire.embeddings(body, request))
    vectors = [each.embedding for each in written.data]
    ids = json.loads(openai_wire.embeddings({"input": [1, 2, 3]}, request))["data"]

    assert vectors[0] == vectors[2] != vectors[1]
    assert 1.0 == pytest.approx(math.sqrt(sum(x * x for x in vectors[0])), abs=1e-6)
    assert [openai_wire.DEFAULT_DIMENSIONS] == [len(each["embedding"]) for each in ids]


@pytest.mark.parametrize("is_anthropic", [False, True])
def test_models_are_listed_in_the_callers_words(is_anthropic):
    """Anthropic's callers are known by the header that their API requires."""
    headers = {"anthropic-version": "2023-06-01"} if is_anthropic else {}
    http = HttpRequest("GET", "/v1/models", headers, b"", 1)
    reply = good_reply(http, {}, ("a", "b"), lambda _: pytest.fail("nothing is generated"))
    listed = json.loads(reply.body)["data"]

    assert refusal(http, DemoRequest(model="", prompt="")) is None
    assert ["a", "b"] == [each["id"] for each in listed]
    if not is_anthropic:
        assert ["a", "b"] == [Model.model_validate(each).id for each in listed]
