"""The real SDKs read what is written, whole and by their own accumulators of streams: the texts,
ids, arguments and reasons that come out are those that a provider sent.
"""

from __future__ import annotations

import itertools
import json
import ssl
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.completion import Completion, Finish, TokenUsage
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall
from sidecar.translate.responses import ReplyContext
from tests.translate import provider_wire
from tests.translate.at_once import ResponseTranslator
from tests.translate.provider_wire import APIS

DIRECTIONS = list(itertools.permutations(APIS, 2))
"""Caller's and provider's API."""
USAGE = TokenUsage(1200, 800, 150, 42, 17)
TEXT = TextPart('Grüezi – “Zürich” \U0001f326\r\n\u2028 {"a": 1}')
CALLS = (
    ToolCall("call_9fT", "get_weather", '{"city":"Zürich","at":[1,{"b":null}]}'),
    ToolCall("toolu_01", "note", '{"text":"\\"usage\\": none\\n"}'),
    ToolCall("functions.note:2", "note", "{}"),
)
COMPLETIONS = {
    "text": Completion("r-1", "m-1", (TEXT,), Finish.STOP, None, USAGE),
    "cut": Completion("r-2", "m-1", (TEXT,), Finish.LENGTH, None, USAGE),
    "filtered": Completion("r-3", "m-1", (TEXT,), Finish.REFUSAL, None, USAGE),
    "calls": Completion("r-4", "m-1", CALLS, Finish.TOOL_CALLS, None, USAGE),
    "text and calls": Completion("r-5", "m-1", (TEXT, *CALLS), Finish.TOOL_CALLS, None, USAGE),
    "nothing": Completion("r-6", "m-1", (), Finish.STOP, None, USAGE),
}
_TRUST = ssl.create_default_context()
_TOOL = {"type": "object", "properties": {}}
CHAT_TOOLS = [{"type": "function", "function": {"name": "note", "parameters": _TOOL}}]
ECHOED = {
    "instructions": b'"Be brief."',
    "tools": b'[{"type":"function","name":"note",\n "parameters":{"type":"object"},"strict":true}]',
    "tool_choice": b'{"type":"function","name":"note"}',
    "temperature": b"0.2",
    "metadata": b'{"a": "b"}',
}
CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1", echoed=ECHOED)


def chat_client(respond):
    transport = httpx2.MockTransport(respond)
    http = httpx2.Client(transport=transport, verify=_TRUST)
    return openai.OpenAI(api_key="sk", base_url="http://s/v1", max_retries=0, http_client=http)


def messages_client(respond):
    transport = httpx2.MockTransport(respond)
    http = httpx2.Client(transport=transport, verify=_TRUST)
    return anthropic.Anthropic(api_key="sk", base_url="http://s", max_retries=0, http_client=http)


def sends(source, target, completion):
    """Return who responds to the SDK of ``source`` with what a provider of ``target`` says."""

    def respond(request):
        translator = ResponseTranslator(source, target, CONTEXT)
        if not json.loads(request.content).get("stream"):
            body = translator.whole(provider_wire.whole(target, completion))
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=body)
        stream = translator.stream()
        written = stream.feed(provider_wire.stream(target, completion)) + stream.end()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=written)

    return respond


def call_sdk(source, respond):
    """Return what the SDK of an API makes of a response, whole and streamed."""
    if source == CHAT:
        arguments = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        create = chat_client(respond).chat.completions
        options = {"stream_options": {"include_usage": True}}
        with create.stream(**arguments, **options) as stream:
            list(stream)
        # A final completion that was cut, or filtered, it refuses to hand out.
        return create.create(**arguments), stream.current_completion_snapshot
    if source == RESPONSES:
        responses = chat_client(respond).responses
        with responses.stream(model="m", input="hi") as stream:
            events = list(stream)
        whole = responses.create(model="m", input="hi")
        return whole, next(e.response for e in events if e.type in LAST)
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    messages: Any = messages_client(respond).messages
    with messages.stream(**asked) as stream:
        return messages.create(**asked), stream.get_final_message()


LAST = ("response.completed", "response.incomplete")
REASONS: dict[str, Any] = {
    CHAT: provider_wire.CHAT_WORDS,
    MESSAGES: provider_wire.MESSAGES_WORDS,
    RESPONSES: {
        Finish.STOP: ("completed", None),
        Finish.TOOL_CALLS: ("completed", None),
        Finish.LENGTH: ("incomplete", "max_output_tokens"),
        Finish.REFUSAL: ("incomplete", "content_filter"),
    },
}
MAPPED = {MESSAGES: "cx_ZnVuY3Rpb25zLm5vdGU6Mg"}
"""The id that the alphabet of an API does not have."""


def said(source, response):
    """Return texts, calls, reason and counts of what an SDK has read."""
    if source == CHAT:
        [choice] = response.choices
        calls = [
            (call.id, call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls or ()
        ]
        usage = response.usage
        counts = (
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens,
            usage.prompt_tokens_details.cache_write_tokens,
            usage.completion_tokens,
            usage.completion_tokens_details.reasoning_tokens,
        )
        return choice.message.content or "", calls, choice.finish_reason, counts
    if source == RESPONSES:
        calls = [
            (item.call_id, item.name, json.loads(item.arguments))
            for item in response.output
            if item.type == "function_call"
        ]
        reason = response.incomplete_details and response.incomplete_details.reason
        usage = response.usage
        counts = (
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.input_tokens_details.cache_write_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )
        return response.output_text, calls, (response.status, reason), counts
    texts = "".join(block.text for block in response.content if block.type == "text")
    calls = [
        (block.id, block.name, block.input)
        for block in response.content
        if block.type == "tool_use"
    ]
    usage = response.usage
    apart = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    thinking = usage.output_tokens_details.thinking_tokens
    counts = (usage.input_tokens + sum(apart), *apart, usage.output_tokens, thinking)
    return texts, calls, response.stop_reason, counts


@pytest.mark.parametrize("name", COMPLETIONS)
@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_the_sdk_reads_what_the_provider_said(source, target, name):
    """Whole and streamed alike."""
    completion = COMPLETIONS[name]
    calls = [part for part in completion.parts if isinstance(part, ToolCall)]
    expected = (
        "".join(part.text for part in completion.parts if isinstance(part, TextPart)),
        [
            (
                MAPPED.get(source, call.id) if "." in call.id else call.id,
                call.name,
                json.loads(call.arguments),
            )
            for call in calls
        ],
        REASONS[source][completion.finish],
        (1200, 800, 150, 42, 17),
    )

    whole, streamed = call_sdk(source, sends(source, target, completion))

    assert expected == said(source, whole)
    assert expected == said(source, streamed)
    assert (completion.id, "m-1") == (whole.id, whole.model) == (streamed.id, streamed.model)


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
def test_anthropics_beta_client_reads_it_too(target):
    """It has types and an accumulator of its own."""
    completion = COMPLETIONS["text and calls"]
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    messages: Any = messages_client(sends(MESSAGES, target, completion)).beta.messages
    with messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    whole = messages.create(**asked)

    assert said(MESSAGES, whole) == said(MESSAGES, streamed)
    assert ("tool_use", 3) == (whole.stop_reason, len(said(MESSAGES, whole)[1]))
    type(whole).model_validate(whole.model_dump(by_alias=True, exclude_unset=True))


@pytest.mark.parametrize(("source", "target"), [(CHAT, RESPONSES), (RESPONSES, CHAT)])
def test_a_refusal_is_read_as_one(source, target):
    """Both of OpenAI's APIs have a place for it."""
    completion = Completion("r-1", "m-1", (RefusalPart("I will not."),), Finish.STOP, None, USAGE)

    whole, streamed = call_sdk(source, sends(source, target, completion))

    for response in (whole, streamed):
        if source == CHAT:
            message = response.choices[0].message
            assert (None, "I will not.") == (message.content, message.refusal)
        else:
            assert "I will not." == response.output[0].content[0].refusal


class Sum(BaseModel):
    """What an app asks for by its type."""

    n: int


@pytest.mark.parametrize("target", APIS)
def test_structured_output_is_a_text_that_the_sdk_parses(target):
    """Into the app's own type, by the helpers of all SDKs."""
    completion = Completion("r-1", "m-1", (TextPart('{"n": 4}'),), Finish.STOP, None, USAGE)
    messages = [{"role": "user", "content": "2 + 2"}]

    chat = chat_client(sends(CHAT, target, completion)).chat.completions
    parsed = chat.parse(model="m", messages=messages, response_format=Sum)
    responses = chat_client(sends(RESPONSES, target, completion)).responses
    asked = messages_client(sends(MESSAGES, target, completion)).messages
    message = asked.parse(model="m", max_tokens=9, messages=messages, output_format=Sum)

    assert Sum(n=4) == parsed.choices[0].message.parsed
    assert Sum(n=4) == responses.parse(model="m", input="2 + 2", text_format=Sum).output_parsed
    assert Sum(n=4) == message.parsed_output


@pytest.mark.parametrize("target", [CHAT, RESPONSES])
def test_a_refusal_is_a_text_that_messages_end_for(target):
    """They have no other place for it."""
    completion = Completion("r-1", "m-1", (RefusalPart("I will not."),), Finish.STOP, None, USAGE)

    for message in call_sdk(MESSAGES, sends(MESSAGES, target, completion)):
        assert ("I will not.", [], "refusal") == said(MESSAGES, message)[:3]


def test_a_response_repeats_what_was_asked_for():
    """The type of the responses API requires it."""
    for response in call_sdk(RESPONSES, sends(RESPONSES, MESSAGES, COMPLETIONS["text"])):
        assert "Be brief." == response.instructions
        assert ["note"] == [tool.name for tool in response.tools]
        assert ("function", "note") == (response.tool_choice.type, response.tool_choice.name)
        assert (0.2, 1.0, True) == (
            response.temperature,
            response.top_p,
            response.parallel_tool_calls,
        )
        assert {"a": "b"} == response.metadata


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_the_sdks_types_hold_what_is_written(source, target):
    """Not only built without validation, as the SDKs do, but validated."""
    for response in call_sdk(source, sends(source, target, COMPLETIONS["text and calls"])):
        type(response).model_validate(response.model_dump(by_alias=True, exclude_unset=True))


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_pings_are_read_past(source, target):
    """A comment, or the API's own event, is no part of what an SDK hands out."""

    def respond(request):
        stream = ResponseTranslator(source, target, CONTEXT).stream()
        sent = provider_wire.stream(target, COMPLETIONS["text"])
        written = b"".join(
            stream.feed(b": alive\n\n" + event + b"\n\n") for event in sent.split(b"\n\n")
        )
        assert written.count(b"ping") > 4
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=written)

    if source == CHAT:
        with chat_client(respond).chat.completions.stream(model="m", messages=[]) as stream:
            read = stream.get_final_completion()
    elif source == RESPONSES:
        with chat_client(respond).responses.stream(model="m", input="hi") as stream:
            read = stream.get_final_response()
    else:
        with messages_client(respond).messages.stream(
            model="m", max_tokens=1, messages=[]
        ) as stream:
            read = stream.get_final_message()

    assert TEXT.text == said(source, read)[0] if source != CHAT else read.choices[0].message.content


ERROR_EVENTS = {
    CHAT: b'data: {"error":{"message":"It is full.","type":"server_error","code":"overloaded"}}\n\n',
    RESPONSES: b'event: error\ndata: {"type":"error","code":"server_error","message":"It is full."}\n\n',
    MESSAGES: b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"It is full."}}\n\n',
}


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_an_error_in_mid_stream_is_raised_with_the_providers_text(source, target):
    """By the SDK of the caller's API, as that API's own error."""

    def respond(request):
        stream = ResponseTranslator(source, target, CONTEXT).stream()
        sent = provider_wire.stream(target, COMPLETIONS["text"])
        first = sent[: len(sent) // 2].rpartition(b"\n\n")[0] + b"\n\n"
        written = stream.feed(first + ERROR_EVENTS[target]) + stream.end()
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=written)

    with pytest.raises((openai.APIError, anthropic.APIStatusError), match="It is full"):
        call_sdk(source, respond)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 529])
def test_an_error_status_is_raised_with_the_providers_text(source, target, status):
    """As the class that the SDK has for the status."""
    error = {"type": "some_error", "message": "It is full."}
    sent = json.dumps({"error": error, "type": "error"}).encode()

    def respond(request):
        body = ResponseTranslator(source, target, CONTEXT).error(status, sent)
        return httpx2.Response(status, headers={"content-type": "application/json"}, content=body)

    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as raised:
        call_sdk(source, respond)

    error_raised: Any = raised.value
    assert status == error_raised.status_code
    read = error_raised.body["error"] if source == MESSAGES else error_raised.body
    assert "It is full." == read["message"]
