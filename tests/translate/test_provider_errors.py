"""A provider's error, in the words of the caller's API, with the provider's text inside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.completion import StreamError
from sidecar.translate.provider_error import (
    ProviderError,
    caller_problem,
    error_body,
    error_event,
    read_provider_error,
    stream_error,
    stream_error_of,
)
from sidecar.translate.responses import ReplyContext
from tests.translate.at_once import ResponseTranslator
from tests.translate.provider_wire import APIS

CONTEXT = ReplyContext(created_unix_s=1, request_id="req-1")
RECORDED = [
    json.loads(line)
    for path in sorted(Path("tests/support/refusal_bodies").glob("*.jsonl"))
    for line in path.read_text().splitlines()
]
TOO_LONG = [
    json.loads(line)
    for line in Path("tests/support/refusal_bodies/too_long.jsonl").read_text().splitlines()
]


def message_of(source, body):
    error = json.loads(body)["error"]
    return error["message"], error["type"], error.get("code")


SHAPES = {
    "OpenAI's": (
        {"error": {"message": "Full.", "type": "server_error", "param": None, "code": None}},
        ProviderError("Full.", "server_error"),
    ),
    "OpenAI's, with a code": (
        {"error": {"message": "Full.", "type": "tokens", "code": "rate_limit_exceeded"}},
        ProviderError("Full.", "rate_limit_exceeded"),
    ),
    "Anthropic's": (
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Full."},
            "request_id": "r",
        },
        ProviderError("Full.", "overloaded_error"),
    ),
    "Gemini's list": (
        [
            {
                "error": {
                    "code": 400,
                    "message": "Full.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"@type": "x"}],
                }
            }
        ],
        ProviderError("Full.", "INVALID_ARGUMENT", 400),
    ),
    "vLLM's": (
        {"object": "error", "message": "Full.", "type": "BadRequestError", "code": 400},
        ProviderError("Full.", "BadRequestError", 400),
    ),
    "FastAPI's": ({"detail": "Full."}, ProviderError("Full.")),
    "FastAPI's list": (
        {"detail": [{"loc": ["body"], "msg": "Full.", "type": "missing"}]},
        ProviderError("Full.", "missing"),
    ),
    "Cloudflare's": (
        {"errors": [{"message": "Full.", "code": 5021}], "success": False},
        ProviderError("Full."),
    ),
    "Amazon's": ({"Message": "Full."}, ProviderError("Full.")),
    "Ollama's text": ({"error": "Full."}, ProviderError("Full.")),
    "OpenRouter's": (
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"raw": "Full."},
            }
        },
        ProviderError("Provider returned error: Full.", None, 429),
    ),
    "a gateway's raw text alone": ({"metadata": {"raw": "Full."}}, ProviderError("Full.")),
    "a failed response's": (
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_error", "message": "Full."}},
        },
        ProviderError("Full.", "server_error"),
    ),
    "a status as text": (
        {"error": {"message": "Full.", "code": "429"}},
        ProviderError("Full.", None, 429),
    ),
    "a message in an object": (
        {"error": {"message": {"message": "Full."}}},
        ProviderError("Full."),
    ),
    "a list of texts": ({"errors": ["Full."]}, ProviderError("Full.")),
    "a JSON text": ("Full.", ProviderError("Full.")),
    "a word alone": (
        {"error": {"code": "usage_not_included"}},
        ProviderError("", "usage_not_included"),
    ),
    "another server's, inside": (
        {
            "error": {
                "type": "request_fail",
                "upstream_error": {"error": {"type": "api_error", "message": "Full."}},
            }
        },
        ProviderError("Full.", "api_error"),
    ),
    "nothing": ({}, ProviderError("")),
    "an empty list": ([], ProviderError("")),
    "numbers": ([4], ProviderError("")),
    "wrong types": (
        {"error": {"message": 4, "type": [], "code": {}}, "metadata": {"raw": 4}},
        ProviderError(""),
    ),
}


@pytest.mark.parametrize(("body", "expected"), SHAPES.values(), ids=SHAPES)
def test_an_error_is_read_from_any_shape(body, expected):
    """Its text, its most telling word, the status that it gives itself."""
    assert expected == read_provider_error(json.dumps(body).encode())


PAGES = {
    "a page": (
        b"<html><head><title>502 Bad\n Gateway</title></head><body>x</body></html>",
        "502 Bad Gateway",
    ),
    "a page without a title": (
        b"<style>p{}</style><p>It is <b>full</b>.</p><!-- x -->",
        "It is full .",
    ),
    "words": (b"upstream connect error", "upstream connect error"),
    "no words": (b" \n", ""),
    "nothing": (b"", ""),
    "other bytes": (b"\xff\xfe", "\ufffd\ufffd"),
    "cut JSON": (b'{"error":', '{"error":'),
}


@pytest.mark.parametrize(("body", "message"), PAGES.values(), ids=PAGES)
def test_an_error_that_is_no_json_is_read_as_words(body, message):
    """What a proxy on the way says, without its markup."""
    assert ProviderError(message) == read_provider_error(body)


def test_long_and_deep_errors_are_cut():
    """Little of a provider's bytes goes on."""
    deep = b'{"error":' * 30 + b'{"message":"Full."}' + b"}" * 30
    long = json.dumps({"error": {"message": "x " * 100_000}}).encode()

    assert "" == read_provider_error(deep).message
    assert 8192 == len(read_provider_error(long).message)
    assert 8192 == len(read_provider_error(b"x" * 10_000_000).message)
    assert 8192 == len(read_provider_error(b"[" * 200_000).message)


@pytest.mark.parametrize("source", APIS)
def test_the_text_of_every_recorded_error_is_inside(source):
    """Of all servers, as they were recorded."""
    for recorded in RECORDED:
        text = read_provider_error(json.dumps(recorded["body"]).encode()).message
        body = error_body(recorded["status"], json.dumps(recorded["body"]).encode(), source, "r")
        assert text or recorded["body"] == "" or recorded["server"] == "openai's codex"
        assert text in message_of(source, body)[0]


@pytest.mark.parametrize("source", APIS)
@pytest.mark.parametrize("body", [b"", b"{}", b"<html></html>"])
def test_an_error_without_a_text_says_its_status(source, body):
    """An app's developer reads at least that."""
    assert "status 418" in message_of(source, error_body(418, body, source, "r"))[0]


def test_types_follow_the_status():
    """As each API has them; the provider's own code is OpenAI's ``code``."""
    body = json.dumps({"error": {"message": "Full.", "type": "overloaded_error"}}).encode()
    written = {source: message_of(source, error_body(529, body, source, "r")) for source in APIS}

    assert ("Full.", "overloaded_error", None) == written[MESSAGES]
    assert ("Full.", "server_error", "overloaded_error") == written[CHAT] == written[RESPONSES]
    assert "upstream_error" == message_of(CHAT, error_body(500, b"Full.", CHAT, "r"))[2]
    assert "req-9" == json.loads(error_body(500, b"", MESSAGES, "req-9"))["request_id"]


def test_a_prompt_that_is_too_long_is_said_so_that_agents_know_it():
    """By OpenAI's code and Anthropic's words: then they make their conversation shorter."""
    known = 0
    for recorded in TOO_LONG:
        body = json.dumps(recorded["body"]).encode()
        text, _, code = message_of(CHAT, error_body(recorded["status"], body, CHAT, "r"))
        words, _, _ = message_of(MESSAGES, error_body(recorded["status"], body, MESSAGES, "r"))
        is_known = code == "context_length_exceeded"
        assert is_known == ("prompt is too long" in words)
        assert text in words
        known += is_known

    assert known > len(TOO_LONG) / 2


def test_other_errors_are_not_said_to_be_of_the_prompt():
    """Or agents would drop their conversation for nothing."""
    others = [each for each in RECORDED if each not in TOO_LONG]
    wrong = [
        each
        for each in others
        if caller_problem(
            stream_error(read_provider_error(json.dumps(each["body"]).encode())), CHAT, "r"
        ).code
        == "context_length_exceeded"
    ]

    assert len(wrong) < len(others) / 50, wrong


EVENTS = {
    "OpenAI's": (
        b"",
        b'{"error":{"message":"Full.","type":"server_error"}}',
        StreamError("Full.", "server_error", 500),
    ),
    "Anthropic's": (
        b"error",
        b'{"type":"error","error":{"type":"overloaded_error","message":"Full."}}',
        StreamError("Full.", "overloaded_error", 529),
    ),
    "the responses API's": (
        b"error",
        b'{"type":"error","code":"rate_limit_exceeded","message":"Full."}',
        StreamError("Full.", "rate_limit_exceeded", 429),
    ),
    "Gemini's list": (
        b"",
        b'[{"error":{"code":503,"message":"Full.","status":"UNAVAILABLE"}}]',
        StreamError("Full.", "UNAVAILABLE", 503),
    ),
    "a named event of words": (b"error", b"Full.", StreamError("Full.", None, 500)),
    "without a text": (
        b"error",
        b"{}",
        StreamError(
            "the provider ended the stream with an error that it does not explain", None, 500
        ),
    ),
}


@pytest.mark.parametrize(("name", "data", "expected"), EVENTS.values(), ids=EVENTS)
def test_an_error_event_is_read(name, data, expected):
    """Its status follows from its word, where it has no other."""
    assert expected == stream_error_of(name, data)


@pytest.mark.parametrize("data", [b'{"choices":[]}', b"x", b'{"type":"ping"}', b'{"error":null}'])
def test_other_events_are_no_errors(data):
    """Whatever they are."""
    assert stream_error_of(b"", data) is None


@pytest.mark.parametrize("target", APIS)
@pytest.mark.parametrize("source", APIS)
@pytest.mark.parametrize(("name", "data", "expected"), EVENTS.values(), ids=EVENTS)
def test_an_error_event_is_the_last_one(source, target, name, data, expected):
    """In the caller's API, with the provider's text, and nothing behind it."""
    stream = ResponseTranslator(source, target, CONTEXT).stream()
    event = b"event: " + name + b"\ndata: " + data + b"\n\n"

    assert (
        error_event(expected, source, "req-1")
        == stream.feed(event + b": alive\n\n" + event) + stream.end()
    )


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda value: json.dumps(value).encode(),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["error", "message", "detail", "code", "type", "metadata", "raw", "status"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
        ),
    ),
    st.integers(100, 999),
)
def test_whatever_the_provider_sends_is_an_error_of_the_callers_api(body, status):
    """Nothing raises."""
    for source in APIS:
        message, kind, _ = message_of(
            source, ResponseTranslator(source, MESSAGES, CONTEXT).error(status, body)
        )
        assert message
        assert kind
