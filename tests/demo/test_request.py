"""What the demo provider reads in a request body, and what it makes up."""

from __future__ import annotations

import pytest

from sidecar.demo.completion import DemoCompletion, make_completion
from sidecar.demo.request import IMAGE_TOKENS, DemoRequest, Tool, read_request

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}
TOOL = Tool("weather", SCHEMA)


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ({"messages": HELLO}, "Hello"),
        ({"input": "Hello"}, "Hello"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "Yes?"}]}, "Hello"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}]}, "a\nb"),
        ({"input": ["left", "right"]}, "right"),
        ({"messages": [{"role": "user", "content": []}]}, ""),
        ({"messages": 7}, ""),
        ({}, ""),
    ],
)
def test_the_prompt_is_the_newest_user_message(body, prompt):
    """In the words of every API; what is missing or of a wrong type is empty."""
    assert prompt == read_request(body).prompt


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]},
        {"tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}]},
        {"tools": [{"name": "weather", "input_schema": SCHEMA}]},
        {
            "tools": [{"name": "other"}, {"name": "weather", "input_schema": SCHEMA}],
            "tool_choice": {"type": "tool", "name": "weather"},
        },
    ],
)
def test_an_offered_function_is_called(body):
    """In the words of every API; ``tool_choice`` names one of several."""
    request = read_request({"messages": HELLO, **body})
    completion = make_completion(request, provider="demo")

    assert request.tool == completion.tool == TOOL
    assert '{"city":"demo","n":1}' == completion.arguments_text


@pytest.mark.parametrize(
    "more",
    [
        {"tool_choice": "none"},
        {"messages": [*HELLO, {"role": "tool", "content": "sunny"}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "sunny"}]}]},
        {"tools": "weather"},
    ],
)
def test_a_function_is_not_called_where_it_was_or_must_not_be(more):
    """A conversation that ends with a result is answered in words."""
    body = {"messages": HELLO, "tools": [{"name": "weather"}], **more}

    assert read_request(body).tool is None


def test_images_are_counted_and_cost_tokens():
    """Their data is no text."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9999}}
    turns = [{"role": "user", "content": [image, {"type": "text", "text": "Look"}]}]
    request = read_request({"messages": turns})

    assert (1, 1 + IMAGE_TOKENS) == (request.images, request.input_tokens)
    assert "and sent 1 image" in make_completion(request, provider="demo").text


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_limit_cuts_the_completion_off(key):
    """After so many tokens, in the words of every API."""
    request = read_request({"messages": HELLO, key: 3})
    completion = make_completion(request, provider="demo")

    assert (3, 3, True) == (
        len(completion.pieces),
        completion.output_tokens,
        completion.is_cut_off,
    )


def test_the_same_request_gets_the_same_words():
    """The provider's name and the question, which is shortened, are in them."""
    request = DemoRequest(model="m", prompt="word " * 40)
    first, second = (make_completion(request, provider="demo") for _ in range(2))

    assert first == second
    assert first.text.startswith('This is m at the demo provider. You said "word word')
    assert '..."' in first.text


def test_a_completion_without_words_counts_as_one_token():
    """No provider bills nothing."""
    assert 1 == DemoCompletion(()).output_tokens
