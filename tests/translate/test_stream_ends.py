"""A fragment never looks like the whole: what ends a caller's stream is written where the provider's
own end was seen, and nowhere else. The relay's own tap says so.
"""

from __future__ import annotations

import collections
import itertools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.domain.outcome import Served
from sidecar.stream.tap import EventTap
from sidecar.translate import responses
from sidecar.translate.bounds import KEPT_BYTES, Untranslatable
from sidecar.translate.completion import Completion, Finish, TokenUsage
from sidecar.translate.conversation import TextPart, ToolCall
from sidecar.translate.responses import ReplyContext
from sidecar.translate.token_usage import NO_USAGE, chat_usage, later_usage, with_cache_inside
from tests.translate import provider_wire
from tests.translate.at_once import ResponseTranslator
from tests.translate.caller_view import view_of_stream
from tests.translate.provider_wire import APIS, data_event

CONTEXT = ReplyContext(created_unix_s=1, request_id="req-1")
DIRECTIONS = list(itertools.permutations(APIS, 2))
SAID = Completion(
    "r-1",
    "m-1",
    (
        TextPart('Grüezi, "response.completed" [DONE] message_stop'),
        ToolCall("c", "now", '{"a": 1}'),
    ),
    Finish.TOOL_CALLS,
    usage=TokenUsage(20, 10, 0, 5, 1),
)
LAST_LINES = {
    CHAT: b'"finish_reason": "tool_calls"',
    RESPONSES: b"response.completed",
    MESSAGES: b"message_delta",
}
"""What of a provider's stream says that it is complete."""


def tapped(source, stream):
    tap = EventTap(DIALECTS.by_name[source])
    tap.feed(stream)
    return tap


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_stream_that_was_cut_is_not_complete(source, target):
    """Wherever it was cut: its last event has not been written, and an error event may follow."""
    stream = provider_wire.stream(target, SAID)
    said_at = stream.rindex(LAST_LINES[target])
    for at in range(0, len(stream), 7):
        translator = ResponseTranslator(source, target, CONTEXT).stream()
        tap = tapped(source, translator.feed(stream[:at]) + translator.end())

        assert tap.is_between_events
        if at < said_at:
            assert not tap.is_complete, at
            assert not tap.may_end, at


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_stream_that_ends_is_complete(source, target):
    """And says of itself what the relay counts."""
    stream = provider_wire.stream(target, SAID)
    translator = ResponseTranslator(source, target, CONTEXT).stream()
    tap = tapped(source, translator.feed(stream))

    assert b"" == translator.end()
    assert tap.is_complete
    assert "m-1" == tap.served.served_model
    assert 5 == tap.served.usage.output_tokens
    assert (10 if source == MESSAGES else 20) == tap.served.usage.input_tokens
    assert 10 == tap.served.usage.cached_input_tokens


RECORDED = {
    CHAT: "chat_tools.sse",
    RESPONSES: "responses.sse",
    MESSAGES: "messages_thinking.sse",
}


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_recorded_stream_is_whole(source, target):
    """As the providers' servers sent it, in chunks of a few bytes."""
    stream = Path("tests/support/streams", RECORDED[target]).read_bytes()
    translator = ResponseTranslator(source, target, CONTEXT)
    door = translator.stream()
    chunks = [stream[at : at + 11] for at in range(0, len(stream), 11)]
    view = view_of_stream(source, b"".join(map(door.feed, chunks)) + door.end())

    said = {CHAT: "Ich schaue nach", RESPONSES: "Grüezi", MESSAGES: "Hier: "}[target]
    assert said in str(view.get("texts") or view["text"])
    assert (2 if target == CHAT else 0) == len(view["calls"])
    assert translator.lost <= {"thinking", "reasoning"}


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_an_error_is_the_relays_error_event(source, target):
    """Behind it the connection breaks."""
    stream = provider_wire.stream(target, SAID)
    begun = stream[: len(stream) // 2].rpartition(b"\n\n")[0] + b"\n\n"
    error = data_event(
        {"type": "error", "error": {"type": "api_error", "message": "Full."}}, "error"
    )
    translator = ResponseTranslator(source, target, CONTEXT).stream()
    written = translator.feed(begun + error + stream) + translator.end()
    tap = tapped(source, written)

    assert b"Full." in (tap.error or b"")
    assert b"Full." in written[written[:-2].rindex(b"\n\n") :]
    assert not tap.is_complete


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_stream_that_a_provider_garbled_is_refused_or_harmless(source, target, data):
    """Nothing raises but the door's own error, and each event that is written is whole."""
    stream = bytearray(provider_wire.stream(target, SAID))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream) - 1))
        piece = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"4",
                    b"[]",
                    b"null",
                    b'"',
                    b"{",
                    b"}",
                    b"\n",
                    b"\xff",
                    b"1e400",
                    b"-1",
                    b"\\ud800",
                ]
            )
        )
        stream[at : at + data.draw(st.integers(0, 12))] = piece
    translator = ResponseTranslator(source, target, CONTEXT).stream()
    written = b""
    try:
        for at in range(0, len(stream), 100):
            written += translator.feed(bytes(stream[at : at + 100]))
        written += translator.end()
    except Untranslatable:
        pass

    assert tapped(source, written).is_between_events


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_body_that_a_provider_garbled_is_refused_or_harmless(source, target, data):
    """Nothing raises but the door's own error."""
    body = bytearray(provider_wire.whole(target, SAID))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        piece = data.draw(
            st.sampled_from([b"4", b"[]", b"null", b'"a"', b"{}", b"1e400", b"\\ud800"])
        )
        body[at : at + data.draw(st.integers(0, 12))] = piece
    try:
        written = ResponseTranslator(source, target, CONTEXT).whole(bytes(body))
    except Untranslatable:
        return

    assert isinstance(DIALECTS.by_name[source].served_of_response(written), Served)


def long_stream(target, piece, size):
    """Return a stream of ``size`` bytes of text in events of one piece, part by part."""
    [before, after] = provider_wire.stream(
        target, Completion("r", "m", (TextPart("!MARK!"),), Finish.STOP), lambda text: [text]
    ).split(b"!MARK!", 1)
    start = before.rindex(b"\n\n") + 2
    middle = before[start:] + piece + after[: after.index(b"\n\n") + 2]
    yield before[:start]
    for _ in range(size // len(middle)):
        yield middle
    yield after[after.index(b"\n\n") + 2 :]


@pytest.mark.parametrize(
    ("source", "target"), [each for each in DIRECTIONS if each[0] != RESPONSES]
)
def test_50_mb_go_through_in_constant_memory(source, target):
    """Event by event: nothing of it is kept."""
    translator = ResponseTranslator(source, target, CONTEXT).stream()
    size = 0
    tracemalloc.start()
    try:
        for chunk in long_stream(target, b"x" * 16_000, 50 << 20):
            size += len(translator.feed(chunk))
        size += len(translator.end())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size > 50_000_000
    assert most < 512 * 1024


@pytest.mark.parametrize("target", [CHAT, MESSAGES])
def test_a_caller_of_the_responses_api_costs_no_more_than_may_be_kept(target):
    """Its last events repeat the text: a response that is too long for that is refused."""
    translator = ResponseTranslator(RESPONSES, target, CONTEXT).stream()
    chunks = long_stream(target, b"x" * 16_000, 50 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(Untranslatable):
            collections.deque(map(translator.feed, chunks), maxlen=0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 2 * KEPT_BYTES


@pytest.mark.parametrize("target", [CHAT, MESSAGES])
def test_a_long_text_is_repeated_in_many_events_and_kept_once(target):
    """Its pieces go out one by one, and others go on between."""
    translator = responses.ResponseTranslator(RESPONSES, target, CONTEXT).stream()
    size = longest = 0
    tracemalloc.start()
    try:
        for chunk in long_stream(target, b"x" * 16_000, KEPT_BYTES - 100_000):
            for piece in translator.feed(chunk):
                size, longest = size + len(piece), max(longest, len(piece))
        kept = translator.kept_bytes
        for piece in translator.end():
            size, longest = size + len(piece), max(longest, len(piece))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size > 5 * kept
    assert KEPT_BYTES * 0.95 < kept < KEPT_BYTES
    assert most < 2.5 * KEPT_BYTES
    assert longest < KEPT_BYTES


def test_counts_that_are_not_told_are_not_written():
    """Zero would be a count."""
    assert chat_usage(NO_USAGE) is None
    assert {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3} == chat_usage(
        TokenUsage(output_tokens=3)
    )
    assert TokenUsage(output_tokens=3) == with_cache_inside(TokenUsage(output_tokens=3))
    assert NO_USAGE is later_usage(NO_USAGE, NO_USAGE)
    assert TokenUsage(1) == later_usage(TokenUsage(1), NO_USAGE)
