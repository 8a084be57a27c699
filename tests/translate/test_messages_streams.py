"""Messages' event stream as servers really send it."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.bounds import OPEN_AT_MOST, Untranslatable
from sidecar.translate.completion import (
    ArgumentsDelta,
    Completion,
    Event,
    Finish,
    PartEnded,
    Ping,
    ResponseFinished,
    Started,
    TextDelta,
    TextStarted,
    TokenUsage,
    ToolCallStarted,
)
from sidecar.translate.conversation import RefusalPart, TextPart
from sidecar.translate.lost_content import LostContent
from sidecar.translate.messages_event_reader import MessagesEventReader
from sidecar.translate.messages_event_writer import MessagesEventWriter
from sidecar.translate.messages_whole import read_messages, write_messages
from sidecar.translate.reply_context import ReplyContext
from tests.translate.at_once import ResponseTranslator
from tests.translate.caller_view import events_of

CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1")
STOP = {"type": "message_stop"}
STARTED = Started("msg_1", "m-1")


def start(**message):
    return {"type": "message_start", "message": {"id": "msg_1", "model": "m-1", **message}}


def block(index, kind, **more):
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def delta(index, kind, **more):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stop(index):
    return {"type": "content_block_stop", "index": index}


def ending(reason="end_turn", sequence=None, usage=None, **more):
    reasons = {"stop_reason": reason, "stop_sequence": sequence, **more}
    return {"type": "message_delta", "delta": reasons, "usage": usage or {"output_tokens": 4}}


def read(*events):
    """Return the neutral events of a stream, and what is lost."""
    names: set[str] = set()
    reader = MessagesEventReader(LostContent(names))
    found: list[Event] = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        found += reader.read(b"", data)
    found += reader.end()
    return found, names


def test_a_block_that_begins_with_its_content_has_it():
    """Compatible servers send no delta for it."""
    found, _ = read(
        start(),
        block(0, "text", text="a"),
        stop(0),
        block(1, "tool_use", id="t", name="now", input={"n": 1}),
        stop(1),
        ending("tool_use"),
        STOP,
    )

    assert [TextStarted(0), TextDelta(0, "a"), PartEnded(0)] == found[1:4]
    assert ["now", '{"n": 1}'] == [found[4].name, found[5].text]


def test_a_call_without_input_has_an_empty_object():
    """Apps of OpenAI's parse arguments."""
    call = [
        block(0, "tool_use", id="t", name="now", input={}),
        delta(0, "input_json_delta", partial_json=""),
    ]
    found, _ = read(start(), *call, stop(0), STOP)

    assert [ToolCallStarted(0, "t", "now"), ArgumentsDelta(0, "{}"), PartEnded(0)] == found[1:4]


def test_input_that_is_no_object_is_read_as_it_can_be():
    """A text as arguments, anything else as none."""
    texts = []
    for given in ('{"a":1}', [1], None):
        found, _ = read(start(), block(0, "tool_use", name="now", input=given), stop(0), STOP)
        texts.append(found[2].text)

    assert ['{"a":1}', "{}", "{}"] == texts


def test_blocks_that_are_left_out_are_named_and_their_deltas_are_not_read():
    """Thinking, server tools and what comes in the future; unknown events too."""
    found, lost = read(
        start(),
        block(0, "thinking", thinking=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="E"),
        stop(0),
        block(1, "text", text=""),
        delta(1, "citations_delta", citation={}),
        delta(1, "text_delta", text=4),
        delta(1, 4),
        stop(1),
        {"type": "something_new"},
        ending(),
        STOP,
    )

    assert {"thinking", "citations", "text", "unknown", "something_new"} == lost
    assert [Started, TextStarted, PartEnded, ResponseFinished] == [type(event) for event in found]


def test_usage_of_the_beginning_and_of_the_end_are_one():
    """What the end does not tell holds from the beginning; the prompt is all of its parts."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30}
    found, _ = read(
        start(usage={**usage, "output_tokens": 1, "service_tier": "priority"}), ending(), STOP
    )

    assert TokenUsage(240, 200, 30, 1) == found[0].usage
    assert ResponseFinished(Finish.STOP, None, TokenUsage(240, 200, 30, 4), "priority") == found[-1]


def test_usage_may_come_at_the_end_alone():
    """Compatible servers know no count before it."""
    found, _ = read(start(), ending(usage={"input_tokens": 5, "output_tokens": 4}), STOP)

    assert TokenUsage(5, None, None, 4) == found[-1].usage


def test_usage_may_be_told_without_a_reason():
    """Once more before the end."""
    found, _ = read(start(), ending(None, usage={"output_tokens": 2}), ending(), STOP)

    assert [STARTED, ResponseFinished(Finish.STOP, usage=TokenUsage(output_tokens=4))] == found


def test_the_stop_sequence_is_told():
    """Only where it ended the message."""
    found, _ = read(start(), ending("stop_sequence", "###"), STOP)
    other, _ = read(start(), ending("end_turn", "###"), STOP)

    assert (Finish.STOP_SEQUENCE, "###") == (found[-1].finish, found[-1].stop_sequence)
    assert (Finish.STOP, None) == (other[-1].finish, other[-1].stop_sequence)


def test_why_the_model_would_not_go_on_is_a_refusal():
    """OpenAI's APIs have a place for what is said of it."""
    details = {"type": "refusal", "category": "bio", "explanation": "It could do harm."}
    found, _ = read(start(), ending("refusal", stop_details=details), STOP)
    whole = {"content": [], "stop_reason": "refusal", "stop_details": details}
    completion = read_messages(json.dumps(whole).encode(), LostContent(set()))

    assert [
        TextStarted(0, is_refusal=True),
        TextDelta(0, "It could do harm."),
        PartEnded(0),
    ] == found[1:4]
    assert ((RefusalPart("It could do harm."),), Finish.REFUSAL) == (
        completion.parts,
        completion.finish,
    )


def test_a_ping_is_passed_on():
    """Whatever has begun."""
    found, _ = read({"type": "ping"}, start(), {"type": "ping"})

    assert [Ping(), Started("msg_1", "m-1"), Ping()] == found


def test_an_event_is_known_by_its_name_where_its_data_do_not_say():
    """Some servers leave the type out."""
    reader = MessagesEventReader(LostContent(set()))

    assert [Started("", "")] == reader.read(b"message_start", b'{"message":{}}')


def test_a_reason_to_stop_ends_a_stream_as_well_as_its_last_event():
    """Blocks that are open end with it."""
    found, _ = read(start(), block(0, "text", text="a"), ending("max_tokens"))
    cut, _ = read(start(), block(0, "text", text="a"))

    assert [
        PartEnded(0),
        ResponseFinished(Finish.LENGTH, usage=TokenUsage(output_tokens=4)),
    ] == found[-2:]
    assert [Started("msg_1", "m-1"), TextStarted(0), TextDelta(0, "a")] == cut


def test_nothing_is_read_behind_the_end():
    """Whatever a server still says."""
    found, _ = read(start(), ending(), STOP, {"type": "ping"}, STOP, ending())

    assert [Started, ResponseFinished] == [type(event) for event in found]


@pytest.mark.parametrize(
    "events",
    [
        [block(0, "text")],
        [start(), start()],
        [start(), block(0, "text"), block(0, "text")],
        [start(), block("0", "text")],
        [start(), delta(0, "text_delta", text="a")],
        [start(), delta([], "text_delta", text="a")],
        [start(), stop(0)],
        [start(), block(0, "tool_use", id="t")],
        [start(), *(block(at, "text") for at in range(OPEN_AT_MOST + 1))],
        [start(), {"type": "content_block_start", "index": 0, "content_block": 4}],
        [b"{]"],
        [STOP],
    ],
    ids=[
        "no beginning",
        "two beginnings",
        "a block twice",
        "an index of a wrong type",
        "a delta of no block",
        "a delta of an index of a wrong type",
        "an end of no block",
        "a call without a name",
        "too many open",
        "a wrong type",
        "no JSON",
        "nothing but the end",
    ],
)
def test_what_is_no_stream_of_messages_is_refused(events):
    """Rather than passed on as something that it is not."""
    with pytest.raises(Untranslatable):
        read(*events)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"x", b'{"content":4}', b'{"content":[{"type":"tool_use"}]}']
)
@pytest.mark.parametrize("source", [CHAT, RESPONSES])
def test_what_is_no_message_is_refused(body, source):
    """Whole ones too."""
    with pytest.raises(Untranslatable):
        ResponseTranslator(source, MESSAGES, CONTEXT).whole(body)


def test_a_message_of_too_many_blocks_is_refused():
    """Each becomes a value."""
    body = json.dumps({"content": [{"type": "text", "text": "a"}] * 5000}).encode()

    with pytest.raises(Untranslatable):
        ResponseTranslator(CHAT, MESSAGES, CONTEXT).whole(body)


def test_a_writer_tells_the_tier_where_the_api_has_a_word_for_it():
    """At the beginning of a stream, since the end has no place for it."""
    tiers = []
    for tier in ("default", "priority", "flex", None):
        begun = MessagesEventWriter(CONTEXT).write(Started("r", "m", service_tier=tier))
        assert isinstance(begun, bytes)
        [(_, data)] = events_of(begun)
        whole = write_messages(
            Completion("r", "m", (TextPart("a"),), Finish.STOP, service_tier=tier), CONTEXT
        )
        tiers.append(data["message"]["usage"].get("service_tier"))
        assert tiers[-1] == json.loads(whole)["usage"].get("service_tier")

    assert ["standard", "priority", None, None] == tiers
