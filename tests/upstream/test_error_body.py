"""Codes and messages are found in every shape of error body that providers use."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.upstream.error_body import ErrorBody, normalized, read_error_body, read_text


def read(value: object) -> ErrorBody:
    return read_error_body(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("body", "codes", "text", "status"),
    [
        ({"error": {"message": "No Way", "type": "T", "code": "C"}}, {"t", "c"}, "no way", None),  # OpenAI
        ({"type": "error", "error": {"type": "T", "message": "No"}}, {"error", "t"}, "no", None),  # Anthropic
        ({"code": "C", "error": "Flat"}, {"c"}, "flat", None),  # xAI
        ({"error": "Flat", "error_type": "T"}, {"t"}, "flat", None),  # TGI
        ({"error": "Flat"}, set(), "flat", None),  # Ollama, LM Studio
        ({"error": "Bad", "message": "Why"}, set(), "bad\nwhy", None),
        ({"object": "error", "message": "Bare", "type": "T", "code": 400}, {"t"}, "bare", 400),  # vLLM
        ({"detail": "Not for you"}, set(), "not for you", None),  # vLLM behind FastAPI
        ({"detail": {"error": {"message": "Deep"}}}, set(), "deep", None),
        ({"detail": [{"type": "missing", "msg": "Field required", "input": {"code": "no"}}]}, {"missing"}, "field required", None),
        ([{"error": {"message": "Listed", "code": 404, "status": "S"}}], {"s"}, "listed", 404),  # Gemini
        ({"error": {"code": "C", "innererror": {"code": "I"}}}, {"c", "i"}, "", None),  # Azure
        ({"error": {"code": "401", "message": "No"}}, {"401"}, "no", 401),  # Azure
        ({"error": {"metadata": {"flagged_input": "x", "code": 3}}}, {"refusal"}, "", None),  # OpenRouter
        ({"error": {"message": "M", "code": 400, "metadata": {"raw": '{"error":{"type":"T"}}'}}}, {"t"}, 'm\n{error:{type:t}}', 400),  # OpenRouter
        ({"error": {"details": [{"reason": "R"}]}}, {"r"}, "", None),  # Google
        ({"base_resp": {"status_code": 2049, "status_msg": "No"}}, set(), "no", None),  # MiniMax
        ({"status": 404, "title": "Not Found", "detail": "F"}, set(), "f", 404),  # NVIDIA
        ({"__type": "com.amazon#ThrottlingException:http://x"}, {"throttlingexception"}, "", None),  # Amazon
        ({"type": "response.failed", "response": {"error": {"code": "C"}}}, {"response.failed", "c"}, "", None),
        ({"error": {"code": "C"}, "message": "of the request", "metadata": {"code": "D"}}, {"c"}, "", None),
        ({"error": None, "metadata": {"code": "D"}, "message": "of the request"}, set(), "", None),
        ({"code": True, "status": 99, "http_code": "529"}, set(), "", 529),
    ],
)  # fmt: skip
def test_every_shape_is_read(body, codes, text, status):
    """In lower case, as the tables have them; what a caller's request is echoed in is not read."""
    error = read(body)

    assert (codes, text, status) == (error.codes, error.text, error.status)


@pytest.mark.parametrize("body", [b"[]", b"[1]", b"3", b"null", b"{}", b'{"error":[[[]]]}'])
def test_what_is_no_error_object_says_nothing(body):
    """Its status has to do."""
    assert ErrorBody() == read_error_body(body)


@pytest.mark.parametrize(
    "message",
    [
        "Wrong Key",
        "Wrong `Key`",
        "'Wrong key'",
        ' "Wrong key. See there."',
        "Error code: 401 - Wrong key",
        "litellm.AuthenticationError: GeminiException - Wrong key. Received Model Group=x",
        'litellm.BadRequestError: VertexAIException BadRequestError - b\'{\\n  "error": {\\n    "code": 400,\\n    "message": "Wrong key',
        "An error occurred (ValidationException) when calling the ConverseStream operation: Wrong key",
        "Error code: 400 - {'error': {'code': 400, 'message': 'Wrong key', 'status': 'X'}}",
        "data: {'error': {'message': 'Wrong key'}}",
        'Provider returned error: {"error": {"message": "Wrong key"}}',
        '{"type":"error","error":{"type":"t","message":"Wrong key"}} trailing text',
        "https response error StatusCode: 400, RequestID: 9f83dbec-9a43-41a3, Exception: Wrong key",
    ],
)
def test_a_message_begins_behind_what_wraps_it(message):
    """Gateways put another server's message behind names of exceptions, statuses, parts of JSON."""
    openings = read({"error": {"message": message}}).openings

    assert any(opening.startswith("wrong key") for opening in openings)


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value: 'wrong key'",
        "messages.0.content: {'error': {'message': 'wrong key'}}",
        'Unexpected role {"error": {"message": "wrong key"}}',
        "Error: I said wrong key",
        "error " * 33 + "wrong key",
        "'wrong key' is not one of ['user', 'system'] - 'messages.0.role'",
        "wrong key is not of type 'object' - 'messages.0'",
        "litellm.BadRequestError: OpenAIException - {'message': 'wrong key'} is not valid under any of",
        "`wrong key` cannot be a `role`",
        " " * 10 + "x" * 400 + "error: wrong key",
    ],
)
def test_no_message_begins_within_what_a_caller_wrote(message):
    """What stands behind a word of the server's own may be an echo of the request."""
    error = read({"error": {"message": message}})

    assert not any(opening.startswith("wrong key") for opening in error.openings)
    assert "wrong key" in error.text


def test_json_inside_a_text_is_read_where_the_text_is_nothing_else():
    """A code in JSON that an echo contains is not the server's."""
    body = '{"error":{"code":"c"}}'
    wrapped, echoed, broken, listed = (
        set(read({"error": message}).codes)
        for message in (f"Error code: 400 - {body}", f"Bad value {body}", body[:-1], f"[{body}]")
    )

    assert ({"c"}, set(), set(), {"c"}) == (wrapped, echoed, broken, listed)


def test_an_exceptions_name_before_a_message_is_a_code():
    """LiteLLM and botocore name the class; a word of the message is none."""
    error = read({"error": {"message": "litellm.AuthenticationError: x. A ServerError followed"}})

    assert {"authenticationerror"} == error.codes


def test_an_event_stream_in_the_place_of_json_is_read():
    """Some gateways send an error as an event, whatever the status."""
    error = read_error_body(b'event: error\ndata: {"error":{"code":"C","message":"M"}}\n\n')

    assert error.codes == {"c"}
    assert "m" in error.text.split("\n")


def test_a_page_is_a_text():
    """HTML, or what was cut short."""
    assert "<html>no" == read_error_body(b"<html>No\xff").text.rstrip("\ufffd")
    assert {"{error: {message: cut"} == {read_error_body(b'{"error": {"message": "Cut').text}


def test_a_body_is_read_as_one_text_where_its_shape_does_not_matter():
    """Within the same bound."""
    assert ErrorBody(text="{error: {message: no way}}") == read_text(
        b'{"error": {"message":  "No Way"}}'
    )
    assert ErrorBody() == read_text(b" " * 65_536 + b"late")


def test_reading_is_bounded():
    """In bytes, in depth, in number."""
    deep: object = "bottom"
    for _ in range(20):
        deep = {"error": deep}
    many = [{"error": {"message": str(number)}} for number in range(9)]
    late = read_error_body(b" " * 65_536 + b'{"error":"late"}')

    assert ["", "0\n1\n2\n3", ""] == [read(deep).text, read(many).text, late.text]
    wide: object = {"message": "leaf"}
    for _ in range(5):
        wide = {"detail": [wide, wide, wide, wide]}
    assert read(wide).text.count("leaf") <= 64


@pytest.mark.parametrize(
    "body", [b'{"a":' * 9999, b'{"error":"' + b"{" * 5000, b'"' + b"[" * 60_000 + b'"']
)
def test_what_is_nested_too_deeply_is_a_text(body):
    """It says nothing that is looked for."""
    assert frozenset() == read_error_body(body).codes


def test_texts_are_compared_without_quotation_marks_and_breaks():
    """Each server quotes in its own way."""
    assert "the models x is y" == normalized("The\\nmodel\u2019s  `x` \n \"is\" 'y'")


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(body):
    """Raises: nothing."""
    read_error_body(body)
    read_error_body(b'{"error":{"message":"' + body)
