"""What responses say about themselves, beyond what the contract of all dialects has: leniency and
bounds.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage import (
    NOTHING,
    UsageMembers,
    merged,
    read_event,
    read_response,
    read_tail,
)
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.domain.outcome import Served, Usage
from tests.contract.dialects.samples import CHAT_USAGE, OPENAI_COUNTS, RESPONSES_USAGE


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"in": 1, "out": 2, "more": {"cached": 3}}, Usage(1, 2, 3)),
        ({"in": 1, "out": 2, "more": 3}, Usage(1, 2)),
        ({"in": 1}, Usage(1)),
        ({}, Usage()),
        ([], None),
        (None, None),
    ],
)
def test_counts_are_found_by_the_names_that_an_api_gives_them(usage, expected):
    """On their path through the object's objects; what is not there is not known."""
    assert expected == UsageMembers("in", "out", ("more", "cached")).read(usage)


def test_a_response_without_usage_and_reason_names_its_model():
    """Some servers say no more."""
    response = json.dumps({"model": "m", "choices": [{}]}).encode()

    assert Served(None, "m", None) == read_response(DIALECTS.by_name[CHAT], response)


@pytest.mark.parametrize("count", [None, "12", 1.5, True, -1, 1 << 60, [], {}])
def test_a_count_that_is_none_is_not_counted(count):
    """A hostile number does not reach a counter."""
    usage = {"prompt_tokens": count, "completion_tokens": 3, "prompt_tokens_details": count}
    served = read_response(
        DIALECTS.by_name[CHAT], json.dumps({"usage": usage, "model": count}).encode()
    )

    assert Usage(None, 3) == served.usage
    assert served.served_model == ("12" if count == "12" else None)


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
    "chat, last of Groq, unasked": (
        CHAT,
        {"choices": [{"finish_reason": "stop"}], "x_groq": {"id": "r", "usage": CHAT_USAGE}},
        Served(OPENAI_COUNTS, None, "stop"),
    ),
    "chat, first of Groq": (
        CHAT,
        {"model": "m", "choices": [{"finish_reason": None}], "x_groq": "r"},
        Served(None, "m", None),
    ),
    "chat, last of Moonshot, unasked": (
        CHAT,
        {"choices": [{"finish_reason": "stop", "usage": CHAT_USAGE}]},
        Served(OPENAI_COUNTS, None, "stop"),
    ),
    "chat, in the usual place, too": (
        CHAT,
        {"choices": [{"usage": {}}], "usage": CHAT_USAGE, "x_groq": {"usage": {}}},
        Served(OPENAI_COUNTS, None, None),
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


def test_later_events_count_kind_by_kind():
    """Anthropic counts output anew at the end and says input only once."""
    first = Served(Usage(3, 1, 2), "claude", None)

    assert Served(Usage(3, 9, 2), "claude", "end_turn") == merged(
        first, Served(Usage(None, 9), None, "end_turn")
    )
    assert first == merged(first, Served(None, None, None))
    assert first == merged(Served(None, None, None), first)
    assert (first, first) == (merged(NOTHING, first), merged(first, NOTHING))


@pytest.mark.parametrize(
    "tail", [b"", b'"usage"', b'"usage": {', b'"usage": }', b'"usage": null}', b'"usage":{"a":}}}']
)
def test_a_tail_without_usage_says_nothing(tail):
    """Or with half of it."""
    assert read_tail(DIALECTS.by_name[CHAT], tail).usage is None


def test_the_tail_of_a_response_is_tried_a_few_times_only():
    """Whatever stands behind the word."""
    tail = b'"usage":' + b'{"a":' * 90 + b"1" + b"}" * 60
    assert read_tail(DIALECTS.by_name[CHAT], tail).usage is None
