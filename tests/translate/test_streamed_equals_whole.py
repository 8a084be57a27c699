"""A response says the same, streamed or whole, in all directions and in whatever pieces it comes."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.completion import Completion, Finish, TokenUsage
from sidecar.translate.conversation import RefusalPart, TextPart, ToolCall
from sidecar.translate.responses import ReplyContext
from tests.translate import provider_wire
from tests.translate.at_once import ResponseTranslator
from tests.translate.caller_view import view_of_stream, view_of_whole
from tests.translate.provider_wire import APIS

CONTEXT = ReplyContext(created_unix_s=1_757_430_001, request_id="req-1")
DIRECTIONS = list(itertools.permutations(APIS, 2))
"""Caller's and provider's API."""
FINISHES = {
    CHAT: (Finish.STOP, Finish.LENGTH, Finish.REFUSAL),
    RESPONSES: (Finish.STOP, Finish.LENGTH, Finish.REFUSAL),
    MESSAGES: (
        Finish.STOP,
        Finish.STOP_SEQUENCE,
        Finish.LENGTH,
        Finish.REFUSAL,
        Finish.PAUSE,
    ),
}

texts = st.text(
    st.characters(codec="utf-8") | st.sampled_from('\u2028\r\n"\\{}[]:,\x00\U0001f600'),
    min_size=1,
    max_size=40,
)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=70)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
arguments = st.builds(
    lambda value, indent: json.dumps(value, indent=indent, ensure_ascii=False),
    st.dictionaries(texts, values, max_size=3),
    st.sampled_from([None, 1]),
)
calls = st.builds(ToolCall, ids, texts, arguments)
counts = st.integers(0, 1 << 40)
usages = st.builds(
    lambda fresh, cached, written, output, reasoning: TokenUsage(
        fresh + cached + written, cached, written, output, reasoning
    ),
    *[counts] * 5,
)


@st.composite
def completions(draw, api):
    """Draw what a provider of an API can say."""
    said = st.builds(TextPart, texts)
    if api == MESSAGES:
        parts = draw(st.lists(said | calls, max_size=5))
    elif api == RESPONSES:
        parts = draw(st.lists(said | st.builds(RefusalPart, texts) | calls, max_size=5))
    else:
        parts = draw(st.lists(said, max_size=1))
        parts += draw(st.lists(st.builds(RefusalPart, texts), max_size=1))
        parts += draw(st.lists(calls, max_size=4))
    finish = draw(st.sampled_from(FINISHES[api]))
    if finish is Finish.STOP and any(isinstance(part, ToolCall) for part in parts):
        finish = Finish.TOOL_CALLS
    stop_sequence = draw(texts) if finish is Finish.STOP_SEQUENCE else None
    tier = draw(st.sampled_from([None, "default", "priority"]))
    head = (draw(ids), draw(texts), tuple(parts))
    return Completion(*head, finish, stop_sequence, draw(usages), tier)


@st.composite
def cuts(draw):
    """Draw how texts are cut into deltas."""
    size = draw(st.integers(1, 9))

    def cut(text):
        return [text[at : at + size] for at in range(0, len(text), size)]

    return cut


def translated(source, target, stream, chunk_size):
    translator = ResponseTranslator(source, target, CONTEXT).stream()
    chunks = [stream[at : at + chunk_size] for at in range(0, len(stream), chunk_size)]
    return b"".join(map(translator.feed, chunks)) + translator.end()


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_stream_says_what_the_whole_response_says(source, target, data):
    """However the provider cut it into deltas, and the network into chunks."""
    completion = data.draw(completions(target))
    body = provider_wire.whole(target, completion)
    stream = provider_wire.stream(target, completion, data.draw(cuts()))
    chunk_size = data.draw(st.integers(1, 400))

    whole = view_of_whole(source, ResponseTranslator(source, target, CONTEXT).whole(body))
    streamed = view_of_stream(source, translated(source, target, stream, chunk_size))

    assert whole == streamed


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_chunks_may_end_at_every_byte(source, target):
    """What comes out is the same to the byte."""
    call = ToolCall("call_ü", "look-up", '{"städte": ["Zürich", "\\ud83c\\udf26", {}]}')
    completion = Completion("r-1", "m-1", (TextPart("Grüezi \U0001f326"), call), Finish.TOOL_CALLS)
    stream = provider_wire.stream(target, completion).replace(b"\n", b"\r\n")
    expected = translated(source, target, stream, len(stream))
    for at in range(len(stream) + 1):
        translator = ResponseTranslator(source, target, CONTEXT).stream()
        pieces = translator.feed(stream[:at]) + translator.feed(stream[at:])

        assert expected == pieces + translator.end(), at
