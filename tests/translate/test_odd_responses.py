"""What servers send that speak an API beside their own: odd, and yet it can be told."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.bounds import Untranslatable
from sidecar.translate.completion import Completion, Finish, Started, TextStarted, TokenUsage
from sidecar.translate.completion_events import events_of
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.responses import ResponseTranslator
from tests.support.steps import finished
from tests.translate import at_once, provider_wire
from tests.translate.caller_view import view_of_stream, view_of_whole
from tests.translate.provider_wire import APIS, data_event

CONTEXT = ReplyContext(created_unix_s=1, request_id="req-1", wants_usage=True)
SAID = Completion(
    "r-1",
    "m-1",
    (TextPart("Let me see."), ToolCall("c", "now", '{"a": 1}')),
    Finish.TOOL_CALLS,
    usage=TokenUsage(20, 10, 0, 5, 1),
)


@pytest.mark.parametrize(
    ("source", "target"), [(each, other) for each in APIS for other in APIS if each != other]
)
def test_a_whole_response_becomes_a_stream_where_one_is_wanted(source, target):
    """Some servers do not stream where tools are offered; an SDK that waits for events reads none
    of a whole response.
    """
    body = provider_wire.whole(target, SAID)
    door = ResponseTranslator(source, target, CONTEXT)
    streamed = finished(door.whole_in_steps(body, is_stream_wanted=True))
    whole = at_once.ResponseTranslator(source, target, CONTEXT).whole(body)

    assert view_of_whole(source, whole) == view_of_stream(source, streamed)


def test_a_refusal_becomes_one_in_a_stream():
    """Its kind is not lost."""
    started, refusal, *_ = events_of(Completion("r", "m", (RefusalPart("no"),), Finish.STOP))

    assert isinstance(started, Started)
    assert TextStarted(0, is_refusal=True) == refusal


def stream(api, *events):
    """What a caller of messages is told of a stream."""
    translator = at_once.ResponseTranslator(MESSAGES, api, CONTEXT).stream()
    return view_of_stream(MESSAGES, b"".join(map(translator.feed, events)) + translator.end())


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("content_filter: PROHIBITED_CONTENT", "refusal"),
        ("STOP", "end_turn"),
        ("MAX_TOKENS", "max_tokens"),
        ("SAFETY", "refusal"),
    ],
)
def test_a_reason_may_have_more_words_or_capitals(reason, finish):
    """A response that was filtered must not look whole."""
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": reason}
    body = json.dumps({"choices": [choice]}).encode()
    whole = at_once.ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(body)

    assert finish == json.loads(whole)["stop_reason"]


def test_of_several_choices_the_first_by_index_counts():
    """As of a stream."""
    choices = [{"index": at, "message": {"content": str(at)}} for at in (1, 0)]
    body = json.dumps({"choices": choices}).encode()
    whole = at_once.ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(body)

    assert "0" == json.loads(whole)["content"][0]["text"]


def test_a_message_may_stand_where_its_delta_should():
    """Where a server writes a whole response as one event."""
    message = {"role": "assistant", "content": "whole"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}

    assert ["whole"] == stream(CHAT, data_event({"choices": [choice]}))["texts"]


def test_an_event_without_data_shows_that_the_server_is_still_there():
    """Some servers write such ones while they think."""
    chunk = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
    translator = at_once.ResponseTranslator(MESSAGES, CHAT, CONTEXT).stream()
    translator.feed(data_event({"choices": [chunk]}))

    assert b'event: ping\ndata: {"type":"ping"}\n\n' == translator.feed(b"event: wait\ndata:\n\n")


def test_images_are_left_out_and_named():
    """No other API has a place for them."""
    message = {"content": "a", "images": [{"type": "image_url"}]}
    translator = at_once.ResponseTranslator(MESSAGES, CHAT, CONTEXT)
    translator.whole(json.dumps({"choices": [{"message": message}]}).encode())

    assert {"images"} == translator.lost


CREATED = data_event({"type": "response.created", "response": {"id": "r"}})
DELTA = data_event({"type": "response.output_text.delta", "delta": "a"})


def ended(status="completed", *output):
    response = {"id": "r", "status": status, "output": output}
    return data_event({"type": "response.completed", "response": response})


def call(call_id):
    return {"type": "function_call", "call_id": call_id, "name": "now", "arguments": "{}"}


def test_a_call_that_only_the_whole_response_has_is_told():
    """Once, whatever the places of the items are."""
    done = data_event({"type": "response.output_item.done", "item": call("c1")})
    view = stream(RESPONSES, CREATED, DELTA, done, ended("completed", call("c1"), call("c2")))

    assert ["c1", "c2"] == [each[0] for each in view["calls"]]


def test_a_call_without_an_id_is_told_once():
    """It is the one that was streamed."""
    done = data_event({"type": "response.output_item.done", "item": call(None)})
    view = stream(RESPONSES, CREATED, DELTA, done, ended("completed", call([])))

    assert 1 == len(view["calls"])


def test_a_response_that_failed_is_not_complete_whatever_its_event_is_called():
    """A fragment must not look like the whole."""
    with pytest.raises(Untranslatable):
        stream(RESPONSES, CREATED, DELTA, ended("failed"))
