"""Whether the newest assistant turn carries what only its maker can read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.signed_state import Said, is_newest_turn_signed
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName
from tests.support.steps import is_signed_in

WORDS = (
    '"type":"thinking","signature":"x","redacted_thinking","encrypted_content":"x",'
    '"thought_signature":"x","reasoning_details"'
)
"""What a search for words would take for signed state."""


def is_signed(dialect: DialectName, body: object) -> bool:
    return is_signed_in(DIALECTS.by_name[dialect], json.dumps(body).encode())


def test_a_turn_begins_behind_what_was_asked_last():
    """What was asked after it, and tool results in it, do not end it."""
    said = {b"1": Said.SIGNED, b"2": Said.PLAIN, b"3": Said.RESULT, b"4": Said.ASKED}

    def is_signed_turn(conversation: str) -> bool:
        body = f"[{','.join(conversation)}]".encode()
        return is_newest_turn_signed(body, (0, len(body)), lambda raw: said[bytes(raw)])

    assert ["412", "4132344", "413"] == [
        each for each in ("", "4", "412", "4132344", "41424", "413", "1424") if is_signed_turn(each)
    ]


def says(role: str, *content: Any) -> dict[str, Any]:
    is_text = len(content) == 1 and isinstance(content[0], str)
    return {"role": role, "content": content[0] if is_text else list(content)}


ASKS, TEXT = says("user", "go on"), {"type": "text", "text": WORDS}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "Eo8B"}
REDACTED = {"type": "redacted_thinking", "data": "Eo8B"}
TOOL_USE = {"type": "tool_use", "id": "1", "name": "f", "input": {"signature": WORDS}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": [TEXT, THINKING]}
IN_MESSAGES: dict[str, tuple[list[Any], bool]] = {
    "a signed block": ([ASKS, says("assistant", THINKING, TEXT), ASKS], True),
    "a redacted block": ([ASKS, says("assistant", REDACTED, TEXT), ASKS], True),
    "unsigned thinking": (
        [ASKS, says("assistant", {"type": "thinking", "thinking": "hm", "signature": ""}, TEXT)],
        False,
    ),
    "a signature of a wrong type": (
        [ASKS, says("assistant", {"type": "thinking", "signature": 1}, TEXT)],
        False,
    ),
    "the words in a text": ([ASKS, says("assistant", WORDS), ASKS], False),
    "the words in a tool's input and result": (
        [ASKS, says("assistant", TEXT, TOOL_USE), says("user", RESULT, TEXT)],
        False,
    ),
    "an older turn": (
        [ASKS, says("assistant", THINKING, TEXT), ASKS, says("assistant", TEXT), ASKS],
        False,
    ),
    "an open tool loop": (
        [ASKS, says("assistant", THINKING, TOOL_USE), says("user", RESULT)],
        True,
    ),
    "the beginning of a turn with several tool calls": (
        [
            ASKS,
            says("assistant", THINKING, TOOL_USE),
            says("user", RESULT, TEXT),
            says("assistant", TEXT, TOOL_USE),
            says("user", RESULT),
            says("assistant", "done"),
            ASKS,
            says("user", "and more"),
        ],
        True,
    ),
    "no assistant": ([ASKS], False),
    "what is no message": ([ASKS, says("assistant", THINKING), 3, None, "x", ASKS], True),
    "blocks that are none": ([ASKS, says("assistant", 3, THINKING, None), ASKS], True),
}


@pytest.mark.parametrize("case", IN_MESSAGES)
def test_messages_are_signed_by_their_thinking_blocks(case):
    """As the API returns them; a turn that calls tools holds the results, too."""
    messages, expected = IN_MESSAGES[case]

    assert expected == is_signed(MESSAGES, {"messages": messages})


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": WORDS}}
GOOGLE = {"extra_content": {"google": {"thought_signature": "CpIC"}}}
IN_CHAT: dict[str, tuple[dict[str, Any], bool]] = {
    "encrypted reasoning": (
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        True,
    ),
    "signed reasoning": (
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "x"}]},
        True,
    ),
    "a summary of reasoning": (
        {"reasoning_details": [{"type": "reasoning.summary", "summary": WORDS}, 3]},
        False,
    ),
    "thinking blocks of a gateway": ({"thinking_blocks": [THINKING]}, True),
    "a thought signature at a tool call": ({"tool_calls": [CALL, {**CALL, **GOOGLE}]}, True),
    "a thought signature at the message": ({**GOOGLE}, True),
    "a gateway's own member": (
        {"provider_specific_fields": {"thought_signatures": ["x"]}},
        True,
    ),
    "the words in a tool's arguments": ({"tool_calls": [CALL]}, False),
    "members of wrong types": (
        {
            "tool_calls": {"extra_content": 1},
            "reasoning_details": "x",
            "extra_content": [],
            "thinking_blocks": {"signature": "x"},
        },
        False,
    ),
    "reasoning that is plain text": ({"reasoning_content": WORDS}, False),
}


@pytest.mark.parametrize("case", IN_CHAT)
def test_chat_is_signed_by_what_gateways_add(case):
    """OpenRouter's, Gemini's and LiteLLM's members; the API itself has none."""
    members, expected = IN_CHAT[case]
    answered = {"role": "assistant", "content": WORDS, **members}
    after_tools = {"role": "tool", "tool_call_id": "1", "content": WORDS}

    assert expected == is_signed(CHAT, {"messages": [ASKS, answered, after_tools]})
    assert expected == is_signed(CHAT, {"messages": [ASKS, answered, ASKS, says("system", "s")]})
    assert not is_signed(CHAT, {"messages": [ASKS, answered, ASKS, says("assistant", "b"), ASKS]})


REASONING = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
FUNCTION = {"type": "function_call", "call_id": "1", "arguments": WORDS}
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": WORDS}
IN_RESPONSES: dict[str, tuple[object, bool]] = {
    "encrypted reasoning": ([ASKS, REASONING, says("assistant", "a"), ASKS], True),
    "a compacted conversation": (
        [{"type": "compaction", "encrypted_content": "gAAA"}, ASKS],
        True,
    ),
    "a reference to a stored item": ([ASKS, {"type": "item_reference", "id": "rs_1"}, ASKS], True),
    "an open tool loop": ([ASKS, REASONING, FUNCTION, OUTPUT], True),
    "reasoning in plain text": (
        [ASKS, {"type": "reasoning", "summary": [], "encrypted_content": None}, ASKS],
        False,
    ),
    "an older turn": ([ASKS, REASONING, says("assistant", "a"), ASKS, FUNCTION, OUTPUT], False),
    "the words in a tool's arguments and output": ([ASKS, FUNCTION, OUTPUT], False),
    "a text": (WORDS, False),
    "what is no item": ([ASKS, REASONING, 3, None], True),
}


@pytest.mark.parametrize("case", IN_RESPONSES)
def test_responses_are_signed_by_encrypted_items(case):
    """Reasoning that the app keeps itself, and what only its maker has stored."""
    said, expected = IN_RESPONSES[case]

    assert expected == is_signed(RESPONSES, {"input": said})


def test_a_text_to_be_embedded_has_no_turn():
    """Whatever stands in it."""
    assert not is_signed(EMBEDDINGS, {"messages": [ASKS, says("assistant", THINKING)]})


def test_a_turn_is_read_for_64_messages_and_no_further():
    """What a call costs is bounded; a turn of more tool calls than that is tried and refused."""
    loop = [says("assistant", TEXT, TOOL_USE), says("user", RESULT)]
    begins = [ASKS, says("assistant", THINKING, TOOL_USE), says("user", RESULT)]

    assert [True, False] == [
        is_signed(MESSAGES, {"messages": begins + loop * length}) for length in (31, 32)
    ]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["assistant", "user", "thinking"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "type", "content", "signature", "tool_calls", "extra_content", "google"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("dialect", DIALECTS.by_name)
@given(_json)
def test_any_conversation_is_read_without_an_error(dialect, said):
    """Members may be of any type."""
    for body in ({"messages": said, "input": said}, {"messages": [said] * 2, "input": [said] * 2}):
        assert is_signed(dialect, body) in (True, False)
