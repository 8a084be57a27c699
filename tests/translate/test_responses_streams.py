"""The responses API's event stream as servers really send it."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.bounds import KEPT_BYTES, Untranslatable
from sidecar.translate.completion import (
    ArgumentsDelta,
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
from sidecar.translate.lost_content import LostContent
from sidecar.translate.output_parts import OutputParts
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.response_frame import ResponseFrame
from sidecar.translate.responses_event_reader import ResponsesEventReader
from sidecar.translate.responses_event_writer import ResponsesEventWriter
from tests.translate.at_once import ResponseTranslator
from tests.translate.caller_view import view_of_stream

CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1")
STARTED = Started("resp_1", "m-1")
TEXT = {"type": "output_text", "text": "ab"}


def event(kind, **more):
    return {"type": f"response.{kind}", **more}


CREATED = event("created", response={"id": "resp_1", "model": "m-1", "status": "in_progress"})


def text(kind, **more):
    return event(f"output_text.{kind}", output_index=0, content_index=0, **more)


def item(kind, index, **more):
    return event(f"output_item.{kind}", output_index=index, item=more)


def call(kind, index=0, arguments="", **more):
    given = {"type": "function_call", "call_id": "c", "name": "now", "arguments": arguments, **more}
    return item(kind, index, **given)


def last(output=(), status="completed", **more):
    response = {"id": "resp_1", "status": status, "output": list(output), **more}
    return event(status, response=response)


def read(*events):
    """Return the neutral events of a stream, and what is lost."""
    names: set[str] = set()
    reader = ResponsesEventReader(LostContent(names))
    found: list[Event] = []
    for each in events:
        data = each if isinstance(each, bytes) else json.dumps(each).encode()
        found += reader.read(b"", data)
    found += reader.end()
    return found, names


def parts(*events):
    """Return the events of parts alone."""
    found, _ = read(CREATED, *events, last())
    assert (STARTED, ResponseFinished) == (found[0], type(found[-1]))
    return found[1:-1]


WHOLE_TEXT = [TextStarted(0), TextDelta(0, "ab"), PartEnded(0)]
PARTED_TEXT = [TextStarted(0), TextDelta(0, "a"), TextDelta(0, "b"), PartEnded(0)]
MESSAGE = {"type": "message", "content": [TEXT]}
TEXTS = {
    "all that the API has": (
        [
            item("added", 0, type="message", content=[]),
            event("content_part.added", output_index=0, content_index=0, part={**TEXT, "text": ""}),
            text("delta", delta="a"),
            text("delta", delta="b"),
            text("done", text="ab"),
            event("content_part.done", output_index=0, content_index=0, part=TEXT),
            item("done", 0, **MESSAGE),
        ],
        PARTED_TEXT,
    ),
    "deltas alone": ([text("delta", delta="a"), text("delta", delta="b")], PARTED_TEXT),
    "no deltas": ([text("done", text="ab"), item("done", 0, **MESSAGE)], WHOLE_TEXT),
    "a part that is done": (
        [event("content_part.done", output_index=0, content_index=0, part=TEXT)],
        WHOLE_TEXT,
    ),
    "an item that is done": ([item("done", 0, **MESSAGE)], WHOLE_TEXT),
    "no indices": (
        [event("output_text.delta", delta="ab"), event("output_text.done", text="ab")],
        WHOLE_TEXT,
    ),
    "an empty delta": (
        [text("delta", delta=""), text("delta"), text("done", text="ab")],
        WHOLE_TEXT,
    ),
}


@pytest.mark.parametrize(("events", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_once_from_whatever_brings_it(events, expected):
    """Servers that speak this API beside their own leave much of it out."""
    assert expected == parts(*events)


def test_a_response_that_comes_with_its_last_event_is_read_from_it():
    """Where nothing came before."""
    found, _ = read(
        CREATED, last([MESSAGE, {"type": "function_call", "call_id": "c", "name": "now"}])
    )

    called = [ToolCallStarted(1, "c", "now"), ArgumentsDelta(1, "{}"), PartEnded(1)]
    assert [STARTED, *WHOLE_TEXT, *called, ResponseFinished(Finish.TOOL_CALLS)] == found


CALL = ToolCallStarted(0, "c", "now")
PIECES = [ArgumentsDelta(0, '{"n"'), ArgumentsDelta(0, ":1}")]
DELTAS = [
    event("function_call_arguments.delta", output_index=0, delta=each.text) for each in PIECES
]
CALLS = {
    "all that the API has": (
        [
            call("added"),
            *DELTAS,
            event("function_call_arguments.done", output_index=0, arguments='{"n":1}'),
            call("done", arguments='{"n":1}'),
        ],
        [CALL, *PIECES, PartEnded(0)],
    ),
    "an empty delta": (
        [call("added"), event("function_call_arguments.delta", output_index=0, delta=""), *DELTAS],
        [CALL, *PIECES, PartEnded(0)],
    ),
    "no end": ([call("added"), *DELTAS], [CALL, *PIECES, PartEnded(0)]),
    "no deltas": (
        [call("added"), event("function_call_arguments.done", output_index=0, arguments="[]")],
        [CALL, ArgumentsDelta(0, "[]"), PartEnded(0)],
    ),
    "an item that is done": (
        [call("done", arguments='{"n":1}'), call("done", arguments='{"n":1}')],
        [CALL, ArgumentsDelta(0, '{"n":1}'), PartEnded(0)],
    ),
    "no arguments": ([call("added"), call("done")], [CALL, ArgumentsDelta(0, "{}"), PartEnded(0)]),
    "a tool without a schema": (
        [
            item("added", 0, type="custom_tool_call", call_id="c", name="now", input=""),
            event("custom_tool_call_input.delta", output_index=0, delta='a"'),
            event("custom_tool_call_input.done", output_index=0, input='a"'),
            item("done", 0, type="custom_tool_call", call_id="c", name="now", input='a"'),
        ],
        [
            CALL,
            ArgumentsDelta(0, '{"input":"'),
            ArgumentsDelta(0, 'a\\"'),
            ArgumentsDelta(0, '"}'),
            PartEnded(0),
        ],
    ),
    "a tool without a schema, done": (
        [item("done", 0, type="custom_tool_call", call_id="c", name="now", input="a")],
        [
            CALL,
            ArgumentsDelta(0, '{"input":"'),
            ArgumentsDelta(0, "a"),
            ArgumentsDelta(0, '"}'),
            PartEnded(0),
        ],
    ),
}


@pytest.mark.parametrize(("events", "expected"), CALLS.values(), ids=CALLS)
def test_a_call_is_read_once_from_whatever_brings_it(events, expected):
    """With its arguments whole."""
    assert expected == parts(*events)


def test_a_refusal_is_one():
    """From its deltas, or from what is done."""
    place = {"output_index": 0, "content_index": 0}
    done = event("refusal.done", **place, refusal="no")

    assert [TextStarted(0, is_refusal=True), TextDelta(0, "no"), PartEnded(0)] == parts(done)
    assert parts(done) == parts(event("refusal.delta", **place, delta="no"), done)


def test_items_may_grow_side_by_side():
    """By their places."""
    found = parts(
        call("added", 0, call_id="a"),
        call("added", 1, call_id="b"),
        event("function_call_arguments.delta", output_index=1, delta="{}"),
        event("function_call_arguments.delta", output_index=0, delta="{}"),
        call("done", 1, call_id="b"),
        call("done", 0, call_id="a"),
    )

    assert [0, 1, 1, 0, 1, 0] == [each.index for each in found]


def test_what_has_no_place_is_named():
    """Reasoning, server tools, annotations, phases, unknown events."""
    found, lost = read(
        CREATED,
        event("queued", response={}),
        event("in_progress", response={}),
        item("added", 0, type="reasoning"),
        event("reasoning_summary_text.delta", output_index=0, delta="hm"),
        item("done", 0, type="reasoning"),
        event("web_search_call.searching", output_index=1),
        event("output_text.annotation.added", output_index=2, annotation={}),
        item(
            "done", 2, type="message", phase="commentary", content=[{**TEXT, "annotations": [{}]}]
        ),
        item("done", 3, type="message", content=[{"type": "something"}, 4]),
        item("done", 4, type="message", content=[{"type": "something"}]),
        item("added", 5),
        {"type": "something.new"},
        last(),
    )

    named = {"reasoning", "web_search_call", "annotations", "phase", "something", "unknown"}
    assert named == lost
    assert [STARTED, *WHOLE_TEXT] == found[:4]


@pytest.mark.parametrize(
    ("status", "details", "finish"),
    [
        ("completed", None, Finish.STOP),
        ("incomplete", {"reason": "max_output_tokens"}, Finish.LENGTH),
        ("incomplete", {"reason": "content_filter"}, Finish.REFUSAL),
        ("incomplete", {"reason": "steered"}, Finish.LENGTH),
        ("incomplete", None, Finish.LENGTH),
    ],
)
def test_why_it_ended_is_told(status, details, finish):
    """What is not complete never counts as such."""
    usage = {
        "input_tokens": 9,
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    found, _ = read(
        CREATED, last((), status, incomplete_details=details, usage=usage, service_tier="flex")
    )

    assert ResponseFinished(finish, None, TokenUsage(9, None, None, 4, 1), "flex") == found[-1]


def test_a_ping_is_passed_on():
    """Also before the beginning."""
    found, _ = read({"type": "keepalive"}, CREATED, {"type": "ping"})

    assert [Ping(), STARTED, Ping()] == found


def test_an_event_is_known_by_its_name_where_its_data_do_not_say():
    """Some servers leave the type out."""
    reader = ResponsesEventReader(LostContent(set()))

    assert [Started("", "")] == reader.read(b"response.created", b'{"response":{}}')


def test_only_the_last_event_ends_a_stream():
    """Without it nothing is complete; behind it nothing is read."""
    cut, _ = read(CREATED, item("done", 0, **MESSAGE))
    whole, _ = read(CREATED, item("done", 0, **MESSAGE), last(), item("done", 1, **MESSAGE))

    assert [STARTED, *WHOLE_TEXT] == cut
    assert [*cut, ResponseFinished(Finish.STOP)] == whole


@pytest.mark.parametrize("kind", ["failed", "cancelled"])
def test_a_response_that_failed_is_an_error(kind):
    """With the provider's text and code."""
    error = {"code": "rate_limit_exceeded", "message": "Slow down."}
    found, _ = read(CREATED, event(kind, response={"error": error}))

    assert ("Slow down.", "rate_limit_exceeded", 429) == (
        found[-1].message,
        found[-1].kind,
        found[-1].status,
    )


@pytest.mark.parametrize(
    "events",
    [
        [text("delta", delta="a")],
        [item("done", 0, **MESSAGE)],
        [CREATED, event("function_call_arguments.delta", output_index=0, delta="a")],
        [CREATED, call("done"), event("function_call_arguments.delta", output_index=0, delta="a")],
        [CREATED, text("done", text="a"), text("delta", delta="b")],
        [CREATED, event("refusal.delta", delta="a"), event("output_text.delta", delta="b")],
        [CREATED, call("added", name="")],
        [CREATED, {"type": "response.output_item.added", "item": 4}],
        [CREATED, {"type": 4}],
        [b"{]"],
    ],
    ids=[
        "no beginning",
        "an item without a beginning",
        "arguments of no call",
        "arguments behind the end",
        "a text behind its end",
        "a refusal that becomes a text",
        "a call without a name",
        "a wrong type",
        "a type of a wrong type",
        "no JSON",
    ],
)
def test_what_is_no_stream_of_this_api_is_refused(events):
    """Rather than passed on as something that it is not."""
    with pytest.raises(Untranslatable):
        read(*events)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"output":4}',
        b'{"output":[],"status":"in_progress"}',
        b'{"output":[],"status":{}}',
    ],
)
@pytest.mark.parametrize("source", [CHAT, MESSAGES])
def test_what_is_no_response_is_refused(body, source):
    """One that works in the background has not ended."""
    with pytest.raises(Untranslatable):
        ResponseTranslator(source, RESPONSES, CONTEXT).whole(body)


def test_a_part_without_a_place_is_named():
    """Whole as streamed."""
    output = [{"type": "message", "content": [TEXT, {"type": "something"}]}]
    translator = ResponseTranslator(CHAT, RESPONSES, CONTEXT)
    body = json.loads(translator.whole(json.dumps({"output": output}).encode()))

    assert ("ab", {"something"}) == (body["choices"][0]["message"]["content"], translator.lost)


def test_a_response_of_too_many_parts_is_refused():
    """Whole and streamed."""
    output = [{"type": "message", "content": [TEXT] * 5000}]

    with pytest.raises(Untranslatable):
        ResponseTranslator(CHAT, RESPONSES, CONTEXT).whole(json.dumps({"output": output}).encode())
    with pytest.raises(Untranslatable):
        read(CREATED, last(output))


def test_a_stream_is_empty_before_its_first_part():
    """Then it is read part by part."""
    output = OutputParts(LostContent(set()))
    before = output.is_empty
    list(output.add_text(0, 0, "a", is_refusal=False))

    assert (True, False) == (before, output.is_empty)


def written(*events):
    writer = ResponsesEventWriter(CONTEXT)
    pieces = map(writer.write, events)
    return b"".join(each if isinstance(each, bytes) else b"".join(each) for each in pieces)


def test_items_of_a_caller_may_grow_side_by_side():
    """And stand in the response in the order of their beginnings."""
    stream = written(
        STARTED,
        ToolCallStarted(0, "a", "now"),
        ToolCallStarted(1, "b", "then"),
        ArgumentsDelta(1, '{"n":2}'),
        ArgumentsDelta(0, '{"n":1}'),
        PartEnded(1),
        PartEnded(0),
        ResponseFinished(Finish.TOOL_CALLS),
    )

    view = view_of_stream(RESPONSES, stream)
    assert [("a", "now", {"n": 1}), ("b", "then", {"n": 2})] == view["calls"]


def test_a_response_that_is_too_long_to_be_repeated_is_refused():
    """Its last events would be its text once more."""
    piece = TextDelta(0, "x" * (KEPT_BYTES // 4))

    with pytest.raises(Untranslatable):
        written(STARTED, TextStarted(0), *[piece] * 4)


def test_ids_of_items_are_the_responses_own():
    """The same each time that it is read; OpenAI takes them back, by their beginnings."""
    one, other = (ResponseFrame(name, "m", CONTEXT) for name in ("r-1", "r-2"))

    assert one.item_id("msg", 0) == ResponseFrame("r-1", "m", CONTEXT).item_id("msg", 0)
    assert 4 == len({frame.item_id("fc", at) for frame in (one, other) for at in range(2)})
    assert one.item_id("msg", 0).startswith("msg_")
    assert len(one.item_id("msg", 0)) <= 64


def test_what_is_repeated_of_the_request_stands_on_one_line():
    """Events are made of lines; a null becomes what the API says in its place."""
    echoed = {"tools": b'[{\r\n"type": "function"}\n]', "metadata": b"null", "top_p": b"0.5"}
    frame = ResponseFrame("r", "m", ReplyContext(1, "req", echoed=echoed))
    body = json.loads(frame.begun())

    assert b"\n" not in frame.begun()
    assert b"\r" not in frame.begun()
    assert ([{"type": "function"}], {}, 0.5) == (body["tools"], body["metadata"], body["top_p"])
