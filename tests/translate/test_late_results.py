"""Results that stand anywhere behind their calls."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.conversation import ConversationTurn, Role, TextPart, ToolCall, ToolResult
from sidecar.translate.late_results import results_behind_calls
from sidecar.translate.requests import read_in_steps, write_in_steps
from sidecar.translate.targets import Target
from tests.support.steps import finished


def turn(text):
    """A turn by its first letter: user, assistant, call, result."""
    kind, name = text[0], text[1:]
    if kind == "c":
        return ConversationTurn(Role.ASSISTANT, (ToolCall(name, "f", "{}"),))
    if kind == "r":
        return ConversationTurn(Role.USER, (ToolResult(name, ()),))
    return ConversationTurn(Role.ASSISTANT if kind == "a" else Role.USER, (TextPart(name),))


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ("", ""),
        ("r1", "r1"),
        ("u1 c1 r1 a1", "u1 c1 r1 a1"),
        ("u1 c1 c2 r1 a1 r2 u2", "u1 c1 c2 r1 r2 a1 u2"),
        ("u1 c1 r1 c2 a1 u2 c3 r3 r2", "u1 c1 r1 c2 a1 u2 r2 c3 r3"),
        ("u1 c1 r1 a1 r1", "u1 c1 r1 a1 r1"),
        ("u1 c1 r1 c1 r1", "u1 c1 r1 c1 r1"),
    ],
)
def test_a_result_stands_with_what_follows_its_call(turns, expected):
    """All else stays where it is, results without a call too."""
    found = results_behind_calls(map(turn, turns.split()))

    assert list(map(turn, expected.split())) == list(found)


def test_a_late_result_of_the_responses_api_reaches_its_call():
    """Neither chat nor messages would take a call without one."""
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "output": "seen"}
    items = [
        {"role": "user", "content": "hi"},
        {**call, "call_id": "1"},
        {**call, "call_id": "2"},
        {**output, "call_id": "1"},
        {"role": "assistant", "content": "wait"},
        {**output, "call_id": "2"},
    ]
    body = json.dumps({"input": items}).encode()
    conversation = finished(read_in_steps(RESPONSES, body))
    written = {
        each.dialect: json.loads(finished(write_in_steps(conversation, each)))["messages"]
        for each in (Target(CHAT, "vllm", "m"), Target(MESSAGES, "anthropic", "claude"))
    }

    assert ["user", "assistant", "tool", "tool", "assistant"] == [
        each["role"] for each in written[CHAT]
    ]
    assert ["1", "2"] == [each["tool_use_id"] for each in written[MESSAGES][2]["content"]]
