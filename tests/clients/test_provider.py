"""The provider that clients are tried at does what a prompt says, in the form of each API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.provider import WORDS, ClientsProvider
from tests.support.net import exchange, json_request

CALL = '[[call look {"at": "sky", "then": "$RESULT"}]]'
HEADERS = {"anthropic-version": "2023-06-01"}
SAID = {"role": "user", "content": f"Look. {CALL}"}
CHAT_TOOL = {"type": "function", "function": {"name": "look"}}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ClientsProvider]:
    async with ClientsProvider() as provider:
        yield provider


async def _ask(provider: ClientsProvider, path: str, **body: Any) -> Any:
    port = int(provider.url.rpartition(":")[2])
    return (await exchange(port, json_request(path, {"model": "m", **body}, HEADERS))).json()


async def _chat(provider: ClientsProvider, *turns: Any, **more: Any) -> Any:
    reply = await _ask(provider, "/v1/chat/completions", messages=[*turns], **more)
    return reply["choices"][0]["message"]


async def test_a_prompt_names_the_call_that_it_gets(provider):
    """In each API, with the arguments as they stand there."""
    chat = await _chat(provider, SAID, tools=[CHAT_TOOL])
    tool = {"type": "function", "name": "look"}
    responses = await _ask(provider, "/v1/responses", input=[SAID], tools=[tool])
    other = {"name": "look", "input_schema": {}}
    messages = await _ask(provider, "/v1/messages", messages=[SAID], tools=[other], max_tokens=9)

    assert '{"at": "sky", "then": ""}' == chat["tool_calls"][0]["function"]["arguments"]
    assert '{"at": "sky", "then": ""}' == responses["output"][0]["arguments"]
    assert {"at": "sky", "then": ""} == messages["content"][0]["input"]


async def test_a_tools_result_is_said_again(provider):
    """So that who reads the end knows that the loop was whole."""
    result = {"role": "tool", "tool_call_id": "c", "content": "it is\nblue"}
    asked = {"role": "assistant", "tool_calls": [CHAT_CALL]}
    chat = await _chat(provider, SAID, asked, result, tools=[CHAT_TOOL])
    output = {"type": "function_call_output", "call_id": "c", "output": "it is blue"}
    responses = await _ask(provider, "/v1/responses", input=[SAID, output])
    block = {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [{"type": "text", "text": "it is blue"}],
    }
    turns = [SAID, {"role": "user", "content": [block]}]
    messages = await _ask(provider, "/v1/messages", messages=turns, max_tokens=9)

    said = "The tool said: it is blue"
    assert said == chat["content"]
    assert said == responses["output"][0]["content"][0]["text"]
    assert said == messages["content"][0]["text"]


async def test_the_next_call_may_have_the_result_of_the_one_before(provider):
    """Agents that end by a call of a tool want it there."""
    twice = {"role": "user", "content": f"{CALL} {CALL}"}
    result = {"role": "tool", "tool_call_id": "c", "content": 'a "blue" sky'}
    chat = await _chat(provider, twice, result, tools=[CHAT_TOOL])

    assert (
        r'{"at": "sky", "then": "a \"blue\" sky"}' == chat["tool_calls"][0]["function"]["arguments"]
    )


@pytest.mark.parametrize("more", [{}, {"tools": [{"type": "function", "function": {"name": "b"}}]}])
async def test_a_call_that_is_not_offered_gets_words(provider, more):
    """A side call for a title quotes the prompt, too."""
    assert WORDS == (await _chat(provider, SAID, **more))["content"]


async def test_json_that_is_asked_for_comes(provider):
    """By a schema, or by a tool that must be called."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    function = {"name": "look", "parameters": schema}
    tool = {"type": "function", "function": function}
    said = {"role": "user", "content": "Hello"}

    assert '{"n":1}' == (await _chat(provider, said, response_format=asked))["content"]
    forced = await _chat(provider, said, tools=[tool], tool_choice="required")
    assert '{"n":1}' == forced["tool_calls"][0]["function"]["arguments"]


async def test_it_remembers_what_came(provider):
    """Headers by their names in lower case, bodies decoded."""
    await _chat(provider, SAID)

    (seen,) = provider.requests
    assert ("POST", "/v1/chat/completions", 200) == (seen.method, seen.path, seen.status)
    assert "m" == seen.body["model"]
    assert "application/json" == seen.headers["content-type"]
