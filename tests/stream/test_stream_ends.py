"""How streams end, by provider: which ends are complete, which are broken, and which the provider
has called a failure itself.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.domain.errors import StreamIdleTimeout, UpstreamCut
from sidecar.domain.outcome import Usage
from sidecar.domain.vocabulary import CallOutcome
from sidecar.stream.event_reader import EventReader
from sidecar.stream.relay import Relay, Relayed
from sidecar.stream.tap import EventTap
from tests.stream.test_relay import FakeDown, FakeReply
from tests.support.openings import CREATED, DONE, MESSAGE_START, PING, ROLE, STOP, TEXT
from tests.support.values import FakeClock

CLOSED: tuple[BaseException, ...] = ()
RESET = (UpstreamCut("the connection was closed"),)
SILENT = (StreamIdleTimeout("silent"),)

OK, INCOMPLETE, FAILED = CallOutcome.OK, CallOutcome.INCOMPLETE, CallOutcome.UPSTREAM_ERROR


class End(NamedTuple):
    """A stream, how its connection ends, and what that comes to."""

    dialect: DialectName
    stream: bytes
    ends: tuple[BaseException, ...]
    result: CallOutcome
    adds_event: bool = False
    """Whether the app gets an error event of ours."""
    error: bytes | None = None
    """What the provider said of its own failure."""


def choice(index: int, delta: bytes, finish: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        b'[{"index":%d,"delta":%b,"finish_reason":%b}]}\n\n' % (index, delta, finish)
    )


BLOCK = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"hello"}}\n\n'
)
STOP_REASON = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":48}}\n\n'
)
MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":2,'
    b'"item_id":"i","output_index":0,"content_index":0,"delta":"hello","logprobs":[]}\n\n'
)
COMPLETED = (
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":3,'
    b'"response":{"id":"r","status":"completed","error":null,"model":"gpt-5"}}\n\n'
)
FAILED_DATA = b'{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}'
RESPONSE_FAILED = b"event: response.failed\ndata: %b\n\n" % FAILED_DATA
CHAT_ERROR = b'{"error":{"message":"boom","type":"server_error","code":500}}'
USAGE_NULL = (
    b'data: {"model":"m","choices":null,"usage":{"prompt_tokens":11,"completion_tokens":7}}\n\n'
)
USAGE_NONE = (
    b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7}}\n\n'
)

STREAM_ENDS = {
    # complete
    "openai chat": End(CHAT, ROLE + TEXT + STOP + DONE, CLOSED, OK),
    "openai chat with usage": End(CHAT, ROLE + TEXT + STOP + USAGE_NONE + DONE, CLOSED, OK),
    "chat without a marker": End(CHAT, TEXT + STOP, CLOSED, OK),
    "chat without a marker, usage last": End(CHAT, TEXT + STOP + USAGE_NULL, CLOSED, OK),
    "chat, marker, then a reset": End(CHAT, TEXT + STOP + DONE, RESET, OK),
    "chat, marker without an empty line": End(CHAT, TEXT + STOP + b"data: [DONE]", CLOSED, OK),
    "chat, a comment last": End(CHAT, TEXT + STOP + b": bye\n\n", CLOSED, OK),
    "chat, text and end in one event": End(CHAT, choice(0, b'{"content":"a"}', b'"stop"'), CLOSED, OK),
    "chat, a tool call": End(
        CHAT, ROLE + choice(0, b'{"tool_calls":[{"index":1}]}') + choice(0, b"{}", b'"tool_calls"'), CLOSED, OK
    ),
    "chat, two choices ended": End(
        CHAT,
        choice(0, b'{"content":"a"}')
        + choice(1, b'{"content":"b"}')
        + choice(1, b"{}", b'"stop"')
        + choice(0, b"{}", b'"length"'),
        CLOSED,
        OK,
    ),
    "chat, spaced": End(CHAT, (TEXT + STOP).replace(b'":', b'": '), CLOSED, OK),
    "chat, CRLF": End(CHAT, (TEXT + STOP).replace(b"\n", b"\r\n"), CLOSED, OK),
    "chat, CR": End(CHAT, (TEXT + STOP).replace(b"\n", b"\r"), CLOSED, OK),
    "anthropic": End(MESSAGES, MESSAGE_START + PING + BLOCK + STOP_REASON + MESSAGE_STOP, CLOSED, OK),
    "messages without message_stop": End(MESSAGES, MESSAGE_START + BLOCK + STOP_REASON, CLOSED, OK),
    "openai responses": End(RESPONSES, CREATED + DELTA + COMPLETED, CLOSED, OK),
    "responses, incomplete by its limit": End(
        RESPONSES,
        DELTA + b'event: response.incomplete\ndata: {"type":"response.incomplete","response":{"error":null}}\n\n',
        CLOSED,
        OK,
    ),
    # broken
    "chat, a bare end": End(CHAT, ROLE + TEXT, CLOSED, INCOMPLETE, True),
    "chat, a reset in mid-text": End(CHAT, ROLE + TEXT, RESET, INCOMPLETE, True),
    "chat, ended but reset": End(CHAT, TEXT + STOP, RESET, INCOMPLETE, True),
    "chat, ended but silent": End(CHAT, TEXT + STOP, SILENT, INCOMPLETE, True),
    "chat, ended inside the next event": End(CHAT, TEXT + STOP + b'data: {"usage', CLOSED, INCOMPLETE),
    "chat, end without an empty line": End(CHAT, TEXT + STOP[:-1], CLOSED, INCOMPLETE),
    "chat, one of two choices ended": End(
        CHAT, choice(0, b'{"content":"a"}') + choice(1, b'{"content":"b"}') + STOP, CLOSED, INCOMPLETE, True
    ),
    "chat, the second choice appears late": End(
        CHAT, TEXT * 9 + choice(1, b'{"content":"b"}') + STOP, CLOSED, INCOMPLETE, True
    ),
    "chat, an end written by the model": End(
        CHAT, choice(0, rb'{"content":"\"finish_reason\":\"stop\""}'), CLOSED, INCOMPLETE, True
    ),
    "chat, no event at all": End(CHAT, b": nothing\n\n", CLOSED, INCOMPLETE, True),
    "messages, a bare end": End(MESSAGES, MESSAGE_START + BLOCK, CLOSED, INCOMPLETE, True),
    "messages, a reset after the stop reason": End(
        MESSAGES, MESSAGE_START + STOP_REASON, RESET, INCOMPLETE, True
    ),
    "responses, a bare end": End(RESPONSES, CREATED + DELTA, CLOSED, INCOMPLETE, True),
    # called a failure by the provider
    "anthropic, error after text": End(
        MESSAGES, MESSAGE_START + BLOCK + b"event: error\ndata: %b\n\n" % OVERLOADED, CLOSED, INCOMPLETE,
        error=OVERLOADED,
    ),
    "anthropic, error, then a reset": End(
        MESSAGES, MESSAGE_START + BLOCK + b"event: error\ndata: %b\n\n" % OVERLOADED, RESET, INCOMPLETE,
        error=OVERLOADED,
    ),
    "anthropic, error, then silence": End(
        MESSAGES, MESSAGE_START + BLOCK + b"event: error\ndata: %b\n\n" % OVERLOADED, SILENT, INCOMPLETE,
        error=OVERLOADED,
    ),
    "openai chat, error after text": End(
        CHAT, ROLE + TEXT + b"data: %b\n\n" % CHAT_ERROR, CLOSED, INCOMPLETE, error=CHAT_ERROR
    ),
    "vllm, error and marker after text": End(
        CHAT, TEXT + b"data: %b\n\ndata: [DONE]\n\n" % CHAT_ERROR, CLOSED, INCOMPLETE, error=CHAT_ERROR
    ),
    "openrouter, error with a finish reason": End(
        CHAT,
        TEXT + b'data: {"error":{"code":502,"message":"x"},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}\n\n',
        CLOSED,
        INCOMPLETE,
        error=b'{"error":{"code":502,"message":"x"},"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}',
    ),
    "dashscope, a flat error": End(
        CHAT, TEXT + b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling"}\n\n', CLOSED, INCOMPLETE,
        error=b'{"code":"Throttling"}',
    ),
    "a named error that is no JSON": End(
        CHAT, TEXT + b"event: error\r\ndata: upstream failed\r\n\r\n", CLOSED, INCOMPLETE, error=b"upstream failed"
    ),
    "responses, a flat error": End(
        RESPONSES,
        DELTA + b'event: error\ndata: {"type":"error","code":"x","message":"y"}\n\n',
        CLOSED,
        INCOMPLETE,
        error=b'{"type":"error","code":"x","message":"y"}',
    ),
    "responses, response.failed": End(
        RESPONSES, CREATED + DELTA + RESPONSE_FAILED, CLOSED, FAILED, error=FAILED_DATA
    ),
    "responses, an error and response.failed": End(
        RESPONSES,
        DELTA + b'event: error\ndata: {"type":"error","error":{"code":"x"}}\n\n' + RESPONSE_FAILED,
        CLOSED,
        FAILED,
        error=b'{"type":"error","error":{"code":"x"}}',
    ),
    "responses, error null throughout": End(RESPONSES, CREATED + CREATED + COMPLETED, CLOSED, OK),
}  # fmt: skip


async def _relayed(end: End, *chunks: bytes) -> tuple[Relayed, FakeDown]:
    down = FakeDown()
    relay = Relay(FakeClock(), DIALECTS.by_name[end.dialect], "req-1")
    return await relay.run(FakeReply(*(chunks or (end.stream,)), *end.ends), [], down), down


@pytest.mark.parametrize("name", STREAM_ENDS)
async def test_a_stream_ends_as_it_should(name):
    """Complete ones whole; others broken, with one error event, the provider's own or ours."""
    end = STREAM_ENDS[name]
    relayed, down = await _relayed(end)

    sent = b"".join(each for each in down.log if isinstance(each, bytes))
    assert (end.result, end.stream, end.error) == (relayed.result, sent, relayed.error_event)
    if end.result is INCOMPLETE:
        verb, event = down.log[-1]
        assert ("broken", end.adds_event) == (verb, bool(event))
    else:
        assert "finish" == down.log[-1]


@pytest.mark.parametrize("name", STREAM_ENDS)
async def test_a_stream_ends_the_same_in_pieces(name):
    """Byte by byte, and in sevens."""
    end = STREAM_ENDS[name]
    for size in (1, 7):
        pieces = [end.stream[at : at + size] for at in range(0, len(end.stream), size)]
        relayed, _ = await _relayed(end, *pieces)
        assert (end.result, end.error) == (relayed.result, relayed.error_event)


@settings(max_examples=50)
@given(st.sampled_from([*STREAM_ENDS.values()]), st.lists(st.integers(1, 900), max_size=6))
def test_a_stream_ends_the_same_wherever_it_is_cut(end, cuts):
    """Inside names, between CR and LF, in the middle of the marker."""
    edges = sorted({0, len(end.stream), *(cut for cut in cuts if cut < len(end.stream))})
    pieces = [end.stream[a:b] for a, b in itertools.pairwise(edges)]
    relayed, _ = asyncio.run(_relayed(end, *pieces))

    assert (end.result, end.error) == (relayed.result, relayed.error_event)


async def test_a_usage_beside_choices_that_are_null_is_counted():
    """Some servers write their last chunk so."""
    relayed, _ = await _relayed(STREAM_ENDS["chat without a marker, usage last"])

    assert relayed.served is not None
    assert Usage(11, 7) == relayed.served.usage


def test_an_end_is_seen_when_it_is_there_and_not_before():
    """A stream whose choices have ended may end; it is complete only by its last event."""
    tap = EventTap(DIALECTS.by_name[CHAT])
    for piece, may_end, is_complete in (
        (TEXT, False, False),
        (STOP[:-1], False, False),
        (STOP[-1:], True, False),
        (b"data: [DO", False, False),
        (b"NE]", True, True),
    ):
        tap.feed(piece)
        assert (may_end, is_complete) == (tap.may_end, tap.is_complete)


def test_choices_without_end_are_not_kept_without_end():
    """A provider that numbers its choices up costs nothing."""
    reader = EventReader(DIALECTS.by_name[CHAT])
    for index in range(3000):
        reader.read(choice(index + 1, b"{}", b'"stop"'))

    assert (1024, True) == (len(reader._choices), reader.has_ended)


def test_an_error_in_a_models_text_is_none():
    """Its quotes are escaped."""
    tap = EventTap(DIALECTS.by_name[CHAT])
    tap.feed(choice(0, rb'{"content":"{\"error\":{\"code\":500}} event: error"}'))
    tap.feed(choice(0, rb'{"content":"\nevent: error\ndata: {}"}') + STOP)

    assert (None, True) == (tap.error, tap.may_end)
