"""What a provider's response may ask of the loop: no event and no body is too much work at once."""

from __future__ import annotations

import collections
import json

import msgspec
import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate import responses
from sidecar.translate.bounds import (
    CUSTOM_BYTES,
    LINES_BYTES,
    PIECE_CHARS,
    VALUES_AT_MOST,
    Untranslatable,
)
from sidecar.translate.completion import Completion, Finish
from sidecar.translate.conversation import TextPart
from sidecar.translate.reply_context import ReplyContext
from tests.translate import provider_wire
from tests.translate.at_once import ResponseTranslator

CONTEXT = ReplyContext(created_unix_s=1, request_id="req-1")
SAID = Completion("r-1", "m-1", (TextPart("hi"),), Finish.STOP)


def _deltas(count, text):
    """Events of chat that add to the second of two calls while the first one is open."""
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}
    other = {"index": 1, "id": "b", "function": {"name": "f", "arguments": "{"}}
    more = {"index": 1, "function": {"arguments": text}}
    ended = {"index": 0, "function": {"arguments": "}"}}
    for calls in ([call], [other], *([[more]] * count), [ended], [more]):
        chunk = {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": calls}}]}
        yield b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_what_has_waited_goes_on_in_pieces():
    """A loop that writes all of it at once would hold up others."""
    translator = responses.ResponseTranslator(MESSAGES, CHAT, CONTEXT).stream()
    pieces, kept = list[bytes](), 0
    for chunk in _deltas(2000, "x" * 100):
        pieces += translator.feed(chunk)
        kept = max(kept, translator.kept_bytes)
    pieces += translator.end()

    assert 2000 * 100 < kept
    assert 0 == translator.kept_bytes
    assert 2000 * 100 < sum(map(len, pieces))
    assert max(map(len, pieces)) < 66 * 1024


def _chat_event(**delta):
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "event",
    [
        _chat_event(content="x" * (PIECE_CHARS + 1)),
        _chat_event(content=[0] * VALUES_AT_MOST * 2),
        _chat_event(content="a").replace(b"\n\n", b"\ndata: " + b" " * LINES_BYTES + b"\n\n"),
    ],
    ids=["a long text", "many values", "many long lines"],
)
def test_an_event_that_is_too_much_work_is_refused(event):
    """No provider writes such ones."""
    translator = ResponseTranslator(MESSAGES, CHAT, CONTEXT).stream()
    chunks = (event[at : at + 8192] for at in range(0, len(event), 8192))
    with pytest.raises(Untranslatable):
        collections.deque(map(translator.feed, chunks), maxlen=0)


def test_a_long_event_may_repeat_what_was_said():
    """Its text is not written again."""
    start = {"type": "response.created", "response": {"id": "r"}}
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "x"}
    done = {"type": "response.output_text.done", "output_index": 0, "text": "x" * PIECE_CHARS * 2}
    last = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    events = (
        b"data: " + json.dumps(each).encode() + b"\n\n" for each in (start, delta, done, last)
    )
    translator = ResponseTranslator(CHAT, RESPONSES, CONTEXT).stream()
    written = b"".join(map(translator.feed, events))

    assert written.endswith(b"[DONE]\n\n")


@pytest.mark.parametrize("api", [CHAT, RESPONSES, MESSAGES])
def test_a_whole_response_of_too_many_values_is_refused(api):
    """To make them all would take a second."""
    said = json.loads(provider_wire.whole(api, SAID))
    said["usage"] = [[]] * VALUES_AT_MOST
    for source in {CHAT, RESPONSES, MESSAGES} - {api}:
        with pytest.raises(Untranslatable):
            ResponseTranslator(source, api, CONTEXT).whole(json.dumps(said).encode())


@pytest.mark.parametrize("source", [CHAT, RESPONSES])
def test_the_text_of_a_tool_without_a_schema_is_bounded(source):
    """It is known at its end, and then written in one piece."""
    context = msgspec.structs.replace(CONTEXT, custom_tools=frozenset({"f"}))
    translator = ResponseTranslator(source, MESSAGES, context).stream()
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": "x" * (CUSTOM_BYTES // 4)}
    events = (
        {"type": "message_start", "message": {"id": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[{"type": "content_block_delta", "index": 0, "delta": piece}] * 5,
    )
    chunks = (b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    with pytest.raises(Untranslatable):
        collections.deque(map(translator.feed, chunks), maxlen=0)
