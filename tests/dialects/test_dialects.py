"""Our own words in each dialect, read back by the SDKs that will read them."""

from __future__ import annotations

import json
import sys
from typing import Any

import anthropic
import openai
import pytest

from sidecar.dialects.base import Problem
from sidecar.dialects.models import ModelInfo, model_body, models_body
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName

PROBLEM = Problem(
    status=400, code="invalid_body", message='no "model"', param="model", request_id="req-1"
)
OPENAI = [CHAT, RESPONSES, EMBEDDINGS]
INCOMPLETE = Problem(
    status=502, code="stream_incomplete", message="the provider ended", request_id="req-1"
)


@pytest.mark.parametrize("name", DIALECTS.by_name)
def test_a_dialect_knows_its_name(name):
    """One for each name that configs and metrics know."""
    assert name == DIALECTS.by_name[name].name


@pytest.mark.parametrize("name", OPENAI)
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (404, "invalid_request_error"),
        (431, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
        (504, "server_error"),
    ],
)
def test_openais_errors_have_type_param_and_our_code(name, status, expected):
    """The type follows from the status alone."""
    problem = Problem(status=status, code="invalid_body", message='no "model"', param="model")
    assert json.loads(DIALECTS.by_name[name].error_body(problem)) == {
        "error": {
            "message": 'no "model"',
            "type": expected,
            "param": "model",
            "code": "invalid_body",
        }
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
    ]
    + [
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ]
    + [(504, "timeout_error"), (502, "api_error"), (529, "overloaded_error")]
    + [(status, "invalid_request_error") for status in (405, 408, 415, 426, 431)],
)
def test_anthropics_errors_have_a_type_and_the_request_id(status, expected):
    """The contract's table, and what stands for the rest of each hundred."""
    problem = Problem(status=status, code="c", message="m", request_id="req-1")
    assert json.loads(DIALECTS.by_name[MESSAGES].error_body(problem)) == {
        "type": "error",
        "error": {"type": expected, "message": "m"},
        "request_id": "req-1",
    }


@pytest.mark.parametrize("name", DIALECTS.by_name)
def test_an_error_event_is_one_whole_event(name):
    """Whatever the message holds: JSON keeps line ends inside the data line."""
    event = DIALECTS.by_name[name].error_event(
        Problem(status=502, code="c", message="a\n\ndata: b\r\n")
    )
    assert event.endswith(b"\n\n")
    assert (event.count(b"\n\n"), event.count(b"\r")) == (1, 0)


@pytest.mark.parametrize("name", [CHAT, EMBEDDINGS])
def test_chats_events_have_no_name(name):
    """The data alone, as in the body of an error."""
    dialect = DIALECTS.by_name[name]
    assert dialect.error_event(PROBLEM) == b"data: " + dialect.error_body(PROBLEM) + b"\n\n"


def test_the_responses_event_has_the_documented_fields_too():
    """For readers that follow the documentation: flat code, message, param beside the SDKs' error
    member.
    """
    event = DIALECTS.by_name[RESPONSES].error_event(PROBLEM)
    kind, data = event.decode().strip().split("\n")
    assert kind == "event: error"
    body = json.loads(data.removeprefix("data: "))
    assert {
        "type": "error",
        "code": "invalid_body",
        "message": 'no "model"',
        "param": "model",
    }.items() <= body.items()


def client_of(module: Any, status: int, kind: str, body: bytes) -> Any:
    """The SDK's real client over a transport that always answers the same."""
    http = sys.modules[module.DefaultHttpxClient.__mro__[1].__module__.split(".")[0]]

    def answer(_request: Any) -> Any:
        return http.Response(status, headers={"content-type": kind}, content=body)

    name = "OpenAI" if module is openai else "Anthropic"
    return getattr(module, name)(
        api_key="k",
        base_url="http://sidecar",
        max_retries=0,
        http_client=http.Client(transport=http.MockTransport(answer)),
    )


def stream(client: Any, name: DialectName) -> Any:
    if name == CHAT:
        return client.chat.completions.create(model="m", messages=[], stream=True)
    if name == RESPONSES:
        return client.responses.create(model="m", input="x", stream=True)
    return client.messages.create(model="m", messages=[], max_tokens=1, stream=True)


STARTS = {
    CHAT: b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n',
    RESPONSES: b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,'
    b'"item_id":"i","output_index":0,"content_index":0,"delta":"a","logprobs":[]}\n\n',
    MESSAGES: b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
}


@pytest.mark.parametrize(("name", "start"), STARTS.items())
def test_the_sdk_raises_what_an_error_event_says(name, start):
    """A stream that began well ends in the SDK's own exception with our message and code, not in
    silence.
    """
    module: Any = anthropic if name == MESSAGES else openai
    client = client_of(
        module, 200, "text/event-stream", start + DIALECTS.by_name[name].error_event(INCOMPLETE)
    )
    seen = []
    with pytest.raises(module.APIError, match="the provider ended") as caught:
        seen.extend(stream(client, name))
    assert len(seen) == 1
    if module is openai:
        assert (caught.value.code, caught.value.type) == ("stream_incomplete", "server_error")
    else:
        assert caught.value.body == {
            "type": "error",
            "error": {"type": "api_error", "message": "the provider ended"},
            "request_id": "req-1",
        }


@pytest.mark.parametrize(("name", "start"), STARTS.items())
def test_the_sdk_raises_what_an_error_body_says(name, start):
    """The status decides the class, the body is at hand."""
    module: Any = anthropic if name == MESSAGES else openai
    client = client_of(module, 400, "application/json", DIALECTS.by_name[name].error_body(PROBLEM))
    with pytest.raises(module.BadRequestError, match="model") as caught:
        stream(client, name)
    if module is openai:
        assert (caught.value.code, caught.value.param) == ("invalid_body", "model")


MODELS = [ModelInfo("openai/gpt-4o", "openai"), ModelInfo("fast", "openai", "Fast one")]


@pytest.mark.parametrize("module", [openai, anthropic])
def test_both_sdks_list_the_models(module):
    """In order, each by its id, on one page."""
    models = client_of(module, 200, "application/json", models_body(MODELS)).models.list()
    assert [model.id for model in models] == ["openai/gpt-4o", "fast"]


@pytest.mark.parametrize("module", [openai, anthropic])
def test_both_sdks_retrieve_a_model(module):
    """With the fields that each documents."""
    model = client_of(module, 200, "application/json", model_body(MODELS[1])).models.retrieve(
        "fast"
    )
    if module is openai:
        assert (model.id, model.object, model.created, model.owned_by) == (
            "fast",
            "model",
            0,
            "openai",
        )
    else:
        assert (
            model.id,
            model.type,
            model.display_name,
            model.created_at.timestamp(),
        ) == ("fast", "model", "Fast one", 0)


def test_an_empty_list_is_a_list():
    """No models, no first and no last."""
    assert json.loads(models_body([])) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_a_list_has_the_fields_of_both_apis():
    """One object for each model."""
    body = json.loads(models_body(MODELS))
    assert (body["first_id"], body["last_id"], body["has_more"]) == ("openai/gpt-4o", "fast", False)
    assert body["data"][0] == {
        "id": "openai/gpt-4o",
        "object": "model",
        "created": 0,
        "owned_by": "openai",
        "type": "model",
        "display_name": "openai/gpt-4o",
        "created_at": "1970-01-01T00:00:00Z",
    }
