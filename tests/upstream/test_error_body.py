"""Codes and messages are found in every shape of error body that providers use."""

from __future__ import annotations

import pytest

from sidecar.upstream.error_body import MODEL_GONE, QUOTA, ErrorBody, read_error_body


@pytest.mark.parametrize(
    ("body", "codes", "message", "status"),
    [
        (
            b'{"error":{"message":"No Way","type":"T","code":"C"}}',
            {"t", "c"},
            "no way",
            None,
        ),  # OpenAI
        (b'{"error":"Flat","code":"C"}', {"c"}, "flat", None),  # xAI
        (b'{"object":"error","message":"Bare","type":"T"}', {"t"}, "bare", None),  # vLLM
        (b'[{"error":{"message":"Listed","code":404}}]', set(), "listed", 404),  # Gemini
        (b'{"error":{"innererror":{"code":"I"}}}', {"i"}, "", None),  # Azure
        (b'{"error":{"metadata":{"flagged_input":"x"}}}', {"refusal"}, "", None),  # OpenRouter
    ],
)
def test_every_shape_is_read(body, codes, message, status):
    """In lower case, as the tables have them."""
    assert ErrorBody(frozenset(codes), message, status) == read_error_body(body)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[1]", b"3", b"null", b'{"a":' * 9999])
def test_what_is_no_error_object_says_nothing(body):
    """Its status has to do."""
    assert ErrorBody() == read_error_body(body)


def test_a_code_says_its_reason_and_so_does_the_beginning_of_a_sentence():
    """A sentence in the middle may echo a prompt."""
    code = ErrorBody(frozenset({"model_not_found"}))
    begins, echoes = ErrorBody(message="model: x"), ErrorBody(message="bad model: x")

    assert [True, True, False] == [each.says(MODEL_GONE) for each in (code, begins, echoes)]
    assert [True, False] == [each.has_code_of(MODEL_GONE) for each in (code, begins)]
    assert not code.says(QUOTA)
