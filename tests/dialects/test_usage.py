"""What answers say about themselves, read from the providers' own shapes, leniently and within
bounds.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage import (
    NOTHING,
    TAIL_BYTES,
    WHOLE_BYTES,
    merged,
    read_event,
    read_response,
    read_tail,
)
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName
from sidecar.domain.outcome import Served, Usage

CHAT_USAGE = {
    "prompt_tokens": 25,
    "completion_tokens": 48,
    "total_tokens": 73,
    "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
RESPONSES_USAGE = {
    "input_tokens": 25,
    "output_tokens": 48,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens_details": {"reasoning_tokens": 40},
}
MESSAGES_USAGE = {
    "input_tokens": 25,
    "output_tokens": 48,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 7,
}
OPENAI_COUNTS = Usage(25, 48, 5, None, 40)
ANSWERS: dict[str, tuple[DialectName, dict[str, Any], Served]] = {
    "chat": (
        CHAT,
        {
            "id": "c",
            "model": "gpt-4o-2024",
            "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
            "usage": CHAT_USAGE,
        },
        Served(OPENAI_COUNTS, "gpt-4o-2024", "stop"),
    ),
    "chat without usage": (CHAT, {"model": "m", "choices": [{}]}, Served(None, "m", None)),
    "responses": (
        RESPONSES,
        {"model": "gpt-5", "status": "completed", "output": [], "usage": RESPONSES_USAGE},
        Served(OPENAI_COUNTS, "gpt-5", "completed"),
    ),
    "messages": (
        MESSAGES,
        {"model": "claude", "content": [], "stop_reason": "tool_use", "usage": MESSAGES_USAGE},
        Served(Usage(25, 48, 5, 7), "claude", "tool_use"),
    ),
    "embeddings": (
        EMBEDDINGS,
        {
            "model": "e",
            "data": [{"embedding": [0.1]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        },
        Served(Usage(4), "e", None),
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_whole_answer(case):
    """Tokens by kind, the model, the reason."""
    dialect, answer, expected = ANSWERS[case]

    assert expected == read_response(DIALECTS.by_name[dialect], json.dumps(answer).encode())


@pytest.mark.parametrize("dialect", DIALECTS.by_name)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"<html>",
        b"\xff{}",
        b"[" * 100_000,
        b'{"choices": 3}',
        b'{"model":"\xff"}',
    ],
)
def test_what_is_no_answer_says_nothing(dialect, body):
    """It is somebody else's to complain."""
    assert (None, None) == (
        read_response(DIALECTS.by_name[dialect], body).usage,
        read_response(DIALECTS.by_name[dialect], body).finish,
    )


@pytest.mark.parametrize("count", [None, "12", 1.5, True, -1, 1 << 60, [], {}])
def test_a_count_that_is_none_is_not_counted(count):
    """A hostile number does not reach a counter."""
    usage = {"prompt_tokens": count, "completion_tokens": 3, "prompt_tokens_details": count}
    served = read_response(
        DIALECTS.by_name[CHAT], json.dumps({"usage": usage, "model": count}).encode()
    )

    assert Usage(None, 3) == served.usage
    assert served.served_model == ("12" if count == "12" else None)


@pytest.mark.parametrize("dialect", DIALECTS.by_name)
def test_usage_that_is_no_object_is_none(dialect):
    """As good as missing."""
    assert read_response(DIALECTS.by_name[dialect], b'{"usage": [1]}').usage is None


def test_names_are_cut():
    """They go into logs."""
    served = read_response(DIALECTS.by_name[CHAT], json.dumps({"model": "m" * 10_000}).encode())

    assert "m" * 256 == served.served_model


EVENTS: dict[str, tuple[DialectName, dict[str, Any], Served]] = {
    "chat": (
        CHAT,
        {"model": "m", "choices": [{"finish_reason": "length"}]},
        Served(None, "m", "length"),
    ),
    "chat, last": (
        CHAT,
        {"model": "m", "choices": [], "usage": CHAT_USAGE},
        Served(OPENAI_COUNTS, "m", None),
    ),
    "messages, first": (
        MESSAGES,
        {
            "type": "message_start",
            "message": {"model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}},
        },
        Served(Usage(3, 1), "claude", None),
    ),
    "messages, last": (
        MESSAGES,
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 9},
        },
        Served(Usage(None, 9), None, "end_turn"),
    ),
    "responses": (
        RESPONSES,
        {
            "type": "response.completed",
            "response": {"model": "gpt-5", "status": "completed", "usage": RESPONSES_USAGE},
        },
        Served(OPENAI_COUNTS, "gpt-5", "completed"),
    ),
    "responses, another": (
        RESPONSES,
        {"type": "response.output_text.delta", "delta": "x"},
        NOTHING,
    ),
}


@pytest.mark.parametrize("case", EVENTS)
def test_an_event(case):
    """Each says its part."""
    dialect, event, expected = EVENTS[case]

    assert expected == read_event(DIALECTS.by_name[dialect], b" " + json.dumps(event).encode())


@pytest.mark.parametrize("dialect", DIALECTS.by_name)
@pytest.mark.parametrize(
    "data", [b" [DONE]", b"", b"{", b'{"message": 3, "response": 3, "choices": 3}']
)
def test_an_event_that_is_none_says_nothing(dialect, data):
    """[DONE] among them."""
    assert NOTHING == read_event(DIALECTS.by_name[dialect], data)


def test_later_events_count_kind_by_kind():
    """Anthropic counts output anew at the end and says input only once."""
    first = Served(Usage(3, 1, 2), "claude", None)

    assert Served(Usage(3, 9, 2), "claude", "end_turn") == merged(
        first, Served(Usage(None, 9), None, "end_turn")
    )
    assert first == merged(first, Served(None, None, None))
    assert first == merged(Served(None, None, None), first)
    assert (first, first) == (merged(NOTHING, first), merged(first, NOTHING))


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES, MESSAGES])
def test_of_a_long_answer_the_end_is_read(dialect):
    """Vectors are not walked through."""
    usage = {CHAT: CHAT_USAGE, RESPONSES: RESPONSES_USAGE, MESSAGES: MESSAGES_USAGE}[dialect]
    body = json.dumps({"model": "m", "filler": "x" * WHOLE_BYTES, "usage": usage}).encode()
    served = read_response(DIALECTS.by_name[dialect], body)

    assert served.usage is not None
    assert (25, 48, None) == (
        served.usage.input_tokens,
        served.usage.output_tokens,
        served.served_model,
    )
    assert served == read_tail(DIALECTS.by_name[dialect], body[-TAIL_BYTES:])


@pytest.mark.parametrize(
    "tail", [b"", b'"usage"', b'"usage": {', b'"usage": }', b'"usage": null}', b'"usage":{"a":}}}']
)
def test_a_tail_without_usage_says_nothing(tail):
    """Or with half of it."""
    assert read_tail(DIALECTS.by_name[CHAT], tail).usage is None
