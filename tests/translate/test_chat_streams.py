"""Chat's event stream as servers really send it."""

from __future__ import annotations

import collections
import json

import msgspec
import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.bounds import OPEN_AT_MOST, PARTS_AT_MOST, Untranslatable
from sidecar.translate.chat_calls import CallDelta, ChatCalls
from sidecar.translate.chat_event_reader import ChatEventReader
from sidecar.translate.chat_event_writer import ChatEventWriter
from sidecar.translate.completion import (
    ArgumentsDelta,
    Event,
    Finish,
    PartEnded,
    ResponseFinished,
    Started,
    TextDelta,
    TextStarted,
    TokenUsage,
    ToolCallStarted,
)
from sidecar.translate.lost_content import LostContent
from sidecar.translate.part_count import PartCount
from sidecar.translate.responses import ReplyContext
from tests.translate.at_once import ResponseTranslator
from tests.translate.caller_view import events_of, view_of_stream
from tests.translate.provider_wire import data_event

CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1")
DONE = b"data: [DONE]\n\n"
STARTED = Started("c-1", "m-1")


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return data_event({"id": "c-1", "model": "m-1", "choices": [choice], **more})


def call(index, call_id=None, name=None, arguments=None):
    delta = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in delta.items() if value is not None}


def calls(*deltas):
    return chunk({"tool_calls": list(deltas)})


def read(*events):
    """Return the neutral events of a stream, and what is lost."""
    names: set[str] = set()
    reader = ChatEventReader(LostContent(names))
    found: list[Event] = []
    for event in events:
        data = event.removeprefix(b"data: ").strip()
        found += reader.read(b"", data)
    found += reader.end()
    return found, names


def parts(*events):
    """Return the events of parts alone."""
    found, _ = read(*events, chunk({}, "stop"), DONE)
    assert found[0] == STARTED
    return found[1:-1]


def messages_of(*events):
    """Return what an Anthropic caller is sent."""
    translator = ResponseTranslator(MESSAGES, CHAT, CONTEXT).stream()
    return b"".join(map(translator.feed, events)) + translator.end()


def test_text_goes_on_until_a_call_begins():
    """Then it has ended; text behind the call is a part of its own."""
    first = [TextStarted(0), TextDelta(0, "a"), TextDelta(0, "b"), PartEnded(0)]
    called = [ToolCallStarted(1, "call_1", "now"), ArgumentsDelta(1, "{}")]
    last = [TextStarted(2), TextDelta(2, "c"), PartEnded(2), PartEnded(1)]
    said = (chunk({"content": "a"}), chunk({"content": "b"}), calls(call(0, "call_1", "now", "{}")))

    assert first + called + last == parts(*said, chunk({"content": "c"}))


def test_a_call_ends_where_the_next_begins_if_its_arguments_are_complete():
    """So that an Anthropic caller gets both as they come."""
    begun = (calls(call(0, "call_1", "now", '{"a":')), calls(call(0, None, None, '"}"}')))
    expected = [
        ToolCallStarted(0, "call_1", "now"),
        ArgumentsDelta(0, '{"a":'),
        ArgumentsDelta(0, '"}"}'),
        PartEnded(0),
        ToolCallStarted(1, "call_2", "now"),
        ArgumentsDelta(1, "{}"),
        PartEnded(1),
    ]

    assert expected == parts(*begun, calls(call(1, "call_2", "now", "{}")))


def test_calls_that_grow_side_by_side_become_blocks_in_a_row():
    """Each with its own arguments; only the later one waits."""
    stream = messages_of(
        calls(call(0, "call_1", "now", ""), call(1, "call_2", "then", "")),
        calls(call(1, None, None, '{"b":')),
        calls(call(0, None, None, '{"a":')),
        calls(call(1, None, None, "2}"), call(0, None, None, "1}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    view = view_of_stream(MESSAGES, stream)
    assert [("call_1", "now", {"a": 1}), ("call_2", "then", {"b": 2})] == view["calls"]
    assert ("tool_use", None) == view["finish"]


def test_the_first_of_calls_side_by_side_does_not_wait():
    """Its arguments go out with the event that brings them."""
    translator = ResponseTranslator(MESSAGES, CHAT, CONTEXT).stream()
    translator.feed(calls(call(0, "call_1", "now", ""), call(1, "call_2", "now", "")))

    assert b'{\\"a\\"' in translator.feed(calls(call(0, None, None, '{"a"')))
    assert b"" == translator.feed(calls(call(1, None, None, '{"b"')))
    assert b"1}" in translator.feed(calls(call(0, None, None, ":1}")))


def test_the_next_of_calls_side_by_side_waits_for_the_first_ones_last_byte():
    """Not for the response's end: what is complete JSON has ended."""
    translator = ResponseTranslator(MESSAGES, CHAT, CONTEXT).stream()
    translator.feed(calls(call(0, "call_1", "now", ""), call(1, "call_2", "now", '{"b"')))
    translator.feed(calls(call(0, None, None, "{}")))

    after = translator.feed(calls(call(1, None, None, ":2}")))
    assert [b"content_block_stop", b"content_block_start", b':2}"'] == [
        word for word in (b"content_block_stop", b"content_block_start", b':2}"') if word in after
    ]


QUIRKS = {
    "all at the same index, with ids of their own (Gemini)": [
        calls(call(0, "a", "now", '{"n":1}'), call(0, "b", "then", '{"n":2}')),
    ],
    "without an index": [
        calls({"id": "a", "function": {"name": "now", "arguments": '{"n":1}'}}),
        calls({"id": "b", "function": {"name": "then", "arguments": ""}}),
        calls({"function": {"arguments": '{"n":2}'}}),
    ],
    "with indices that jump": [
        calls(call(7, "a", "now", '{"n":1}'), call(1_000_000, "b", "then", '{"n":2}')),
    ],
    "with id and name in each event": [
        calls(call(0, "a", "now", '{"n":')),
        calls(call(0, "a", "now", "1}")),
        calls(call(1, "b", "then", '{"n":2}')),
    ],
    "with arguments as an object": [
        calls({"index": 0, "id": "a", "function": {"name": "now", "arguments": {"n": 1}}}),
        calls({"index": 1, "id": "b", "function": {"name": "then", "arguments": {"n": 2}}}),
    ],
    "with white space behind the arguments": [
        calls(call(0, "a", "now", '{"n":1}')),
        calls(call(1, "b", "then", '{"n":2}')),
        calls(call(0, None, None, "\n")),
    ],
}


@pytest.mark.parametrize("source", [MESSAGES, RESPONSES])
@pytest.mark.parametrize("events", QUIRKS.values(), ids=QUIRKS)
def test_parallel_calls_of_other_servers_are_told_apart(events, source):
    """As the servers' own callers tell them apart."""
    translator = ResponseTranslator(source, CHAT, CONTEXT).stream()
    stream = b"".join(map(translator.feed, [*events, chunk({}, "tool_calls"), DONE]))

    view = view_of_stream(source, stream)
    assert [("a", "now", {"n": 1}), ("b", "then", {"n": 2})] == view["calls"]


def test_a_call_without_arguments_has_an_empty_object():
    """Apps parse them."""
    assert ArgumentsDelta(0, "{}") in parts(calls(call(0, "a", "now", "")))


def test_a_call_without_an_id_is_given_one():
    """The same whole and streamed; another request's is another."""
    said = {"choices": [{"message": {"tool_calls": [{"function": {"name": "now"}}]}}]}
    streamed = view_of_stream(
        MESSAGES, messages_of(calls(call(0, None, "now")), chunk({}, "stop"), DONE)
    )
    whole = json.loads(ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(json.dumps(said).encode()))

    assert whole["content"][0]["id"] == streamed["calls"][0][0]


@pytest.mark.parametrize(
    "events",
    [
        [calls(call(0, "a"))],
        [calls(call(0, "a", "now", "{}"), call(1, "b", "now"), call(0, None, None, "{}"))],
        [calls(*(call(at, f"c{at}", "now") for at in range(OPEN_AT_MOST + 1)))],
        [chunk({"content": "a", "tool_calls": {}})],
        [b"data: {]\n\n"],
        [DONE],
    ],
    ids=["no name", "goes on after its end", "too many open", "a wrong type", "no JSON", "nothing"],
)
def test_what_is_no_stream_of_chat_is_refused(events):
    """Rather than passed on as something that it is not."""
    with pytest.raises(Untranslatable):
        read(*events)


def test_a_stream_of_too_many_calls_is_refused():
    """Each would be kept."""
    reader = ChatCalls(PartCount())

    deltas = (json.dumps(call(at, f"c{at}", "now", "{}")) for at in range(PARTS_AT_MOST + 1))
    decoded = (msgspec.json.decode(delta, type=CallDelta) for delta in deltas)

    with pytest.raises(Untranslatable):
        collections.deque(map(list, map(reader.read, decoded)), maxlen=0)


def test_a_stop_sequence_is_told_where_the_server_names_it():
    """VLLM does."""
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "###"}
    found, _ = read(chunk({"content": "a"}), data_event({"choices": [choice]}), DONE)

    assert ResponseFinished(Finish.STOP_SEQUENCE, "###") == found[-1]


def test_usage_may_come_in_any_event():
    """The last count that is told holds."""
    first = {"prompt_tokens": 5, "completion_tokens": 1}
    last = {"prompt_tokens": 5, "completion_tokens": 9}
    found, _ = read(chunk({"content": "a"}, usage=first), chunk({}, "stop", usage=last), DONE)

    assert TokenUsage(input_tokens=5, output_tokens=9) == found[-1].usage


def test_the_tier_is_told_with_the_first_event_that_has_it():
    """And at the end."""
    found, _ = read(chunk({"content": "a"}, service_tier="priority"), chunk({}, "stop"), DONE)

    assert ("priority", "priority") == (found[0].service_tier, found[-1].service_tier)


def test_a_choice_may_have_nothing_to_add():
    """A reason alone ends the response."""
    found, _ = read(data_event({"choices": [{"finish_reason": "length"}]}), DONE)

    assert [Started("", ""), ResponseFinished(Finish.LENGTH)] == found


def test_a_response_of_too_many_calls_is_refused():
    """Each becomes a value."""
    message = {"tool_calls": [{"function": {"name": "now"}}] * (PARTS_AT_MOST + 1)}
    body = json.dumps({"choices": [{"message": message}]}).encode()

    with pytest.raises(Untranslatable):
        ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(body)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"x", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":4}']
)
@pytest.mark.parametrize("source", [MESSAGES, RESPONSES])
def test_what_is_no_completion_is_refused(body, source):
    """Whole ones too."""
    with pytest.raises(Untranslatable):
        ResponseTranslator(source, CHAT, CONTEXT).whole(body)


def test_as_many_names_are_told_as_a_log_line_bears():
    """A provider may invent any number; what could not stand in a header is ``unknown``."""
    names: set[str] = set()
    lost = LostContent(names)
    for name in ("a b", "x" * 65, "", None, *map(str, range(99))):
        lost.add(name)

    assert 32 == len(names)
    assert "unknown" in names


def test_what_has_no_place_is_named():
    """Other choices, thinking, audio, probabilities."""
    other = {"index": 1, "delta": {"content": "b"}}
    likely = {"index": 0, "delta": {"reasoning_content": "hm"}, "logprobs": {"content": []}}
    parts_of_content = chunk({"content": [{"type": "thinking"}, {"type": "text", "text": "a"}, 4]})
    found, lost = read(data_event({"choices": [other, likely]}), parts_of_content, DONE)

    assert {"choices", "logprobs", "reasoning_content", "thinking", "unknown"} == lost
    assert TextDelta(0, "a") in found


def test_members_of_wrong_types_do_no_harm():
    """They are taken as absent."""
    odd = {"content": 4, "refusal": [], "role": 3}
    found, _ = read(chunk(odd, 7, id=4, model=[], usage="many", service_tier=1), DONE)

    assert [Started("", ""), ResponseFinished(Finish.STOP)] == found


def test_lone_halves_of_characters_are_replaced():
    """JavaScript servers cut emoji in half."""
    found, _ = read(b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}', DONE)

    assert TextDelta(0, "a\ufffd") in found


def test_nothing_is_read_behind_the_end():
    """Whatever a server still says."""
    found, _ = read(chunk({"content": "a"}), chunk({}, "stop"), DONE, chunk({"content": "b"}), DONE)

    assert 1 == sum(isinstance(event, ResponseFinished) for event in found)
    assert TextDelta(0, "b") not in found


def test_the_last_event_may_be_missing_behind_a_reason():
    """The connection's end then counts as well as it; without a reason it does not."""
    found, _ = read(chunk({"content": "a"}), chunk({}, "stop"))
    cut, _ = read(chunk({"content": "a"}))

    assert isinstance(found[-1], ResponseFinished)
    assert [Started("c-1", "m-1"), TextStarted(0), TextDelta(0, "a")] == cut


def test_a_failure_behind_the_gateway_is_an_error():
    """OpenRouter says so by the reason to finish."""
    found, _ = read(chunk({"content": "a"}), chunk({}, "error"), DONE)

    assert "error" in found[-1].message
    body = {"choices": [{"message": {"content": "a"}, "finish_reason": "error"}]}
    with pytest.raises(Untranslatable):
        ResponseTranslator(MESSAGES, CHAT, CONTEXT).whole(json.dumps(body).encode())


def test_calls_that_grow_side_by_side_stay_so_for_a_caller_of_chat():
    """Each delta goes out with the index of its call."""
    writer = ChatEventWriter(CONTEXT)
    events: list[Event] = [
        STARTED,
        ToolCallStarted(0, "a", "now"),
        ToolCallStarted(1, "b", "then"),
        ArgumentsDelta(1, '{"n":2}'),
        ArgumentsDelta(0, '{"n":1}'),
        PartEnded(0),
        PartEnded(1),
        ResponseFinished(Finish.TOOL_CALLS),
    ]
    view = view_of_stream(CHAT, b"".join(map(writer.write, events)))

    assert [("a", "now", {"n": 1}), ("b", "then", {"n": 2})] == view["calls"]


@pytest.mark.parametrize("wants_usage", [True, False])
def test_usage_is_told_where_the_caller_asked_for_it(wants_usage):
    """In a chunk of its own, before the last event."""
    writer = ChatEventWriter(ReplyContext(1, "r", wants_usage=wants_usage))
    events: list[Event] = [STARTED, TextStarted(0), TextDelta(0, "a"), PartEnded(0)]
    events.append(ResponseFinished(Finish.STOP, usage=TokenUsage(3, None, None, 4)))
    chunks = [data for _, data in events_of(b"".join(map(writer.write, events)))][:-1]

    written = [data["usage"] for data in chunks if data.get("usage")]
    asked = [{"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}]
    assert written == (asked if wants_usage else [])
    assert wants_usage == ([] == chunks[-1]["choices"])
    assert wants_usage == all("usage" in data for data in chunks)
