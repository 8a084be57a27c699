"""Our own errors in each API's words, by status. That the SDKs read them is tested in contract/."""

from __future__ import annotations

import json

import pytest

from sidecar.dialects.base import Problem
from sidecar.dialects.chat import Chat
from sidecar.dialects.embeddings import Embeddings
from sidecar.dialects.messages import Messages
from sidecar.dialects.openai import OpenAIError, openai_error
from sidecar.dialects.responses import Responses

OPENAI = [Chat(), Responses(), Embeddings()]
PROBLEM = Problem(400, "invalid_body", 'no "model"', "model", "req-1")


@pytest.mark.parametrize("dialect", OPENAI)
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
def test_openais_errors_have_type_param_and_our_code(dialect, status, expected):
    """The type follows from the status alone."""
    problem = Problem(status=status, code="invalid_body", message='no "model"', param="model")
    assert json.loads(dialect.error_body(problem)) == {
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
    """The documented types by status, and one for the rest of each hundred."""
    problem = Problem(status=status, code="c", message="m", request_id="req-1")
    assert json.loads(Messages().error_body(problem)) == {
        "type": "error",
        "error": {"type": expected, "message": "m"},
        "request_id": "req-1",
    }


@pytest.mark.parametrize("dialect", [Chat(), Embeddings()])
def test_chats_events_have_no_name(dialect):
    """The data alone, as in the body of an error."""
    assert dialect.error_event(PROBLEM) == b"data: " + dialect.error_body(PROBLEM) + b"\n\n"


def test_the_responses_event_has_the_documented_fields_too():
    """For readers that follow the documentation: flat code, message, param beside the SDKs' error
    member.
    """
    event = Responses().error_event(PROBLEM)
    kind, data = event.decode().strip().split("\n")
    assert kind == "event: error"
    body = json.loads(data.removeprefix("data: "))
    assert {
        "type": "error",
        "code": "invalid_body",
        "message": 'no "model"',
        "param": "model",
    }.items() <= body.items()


def test_an_error_of_openais_apis_is_one_value():
    """That bodies and events are made from."""
    expected = OpenAIError('no "model"', "invalid_request_error", "model", "invalid_body")

    assert expected == openai_error(PROBLEM)
