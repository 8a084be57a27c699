"""Signed state is cut out of a conversation, and nothing else is: the open tool loop keeps its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.signed_cuts import EACH, members_cut
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName
from sidecar.wire.places import Text
from tests.support.steps import finished, without_signed_state
from tests.support.values import a_call

ASKED = {"role": "user", "content": "hello"}
TEXT = {"type": "text", "text": "hi"}
THOUGHT = {"type": "thinking", "thinking": "so", "signature": "abc"}
UNSIGNED = {"type": "thinking", "thinking": "so", "signature": ""}
REDACTED = {"type": "redacted_thinking", "data": "abc"}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {"type": "thinking"}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def stripped(dialect: DialectName, member: str, conversation: Any, refusal: bytes = b"") -> Any:
    """Return the conversation that is left; None where nothing is cut."""
    body = json.dumps({member: conversation, "model": "m"}, indent=1).encode()
    left = without_signed_state(DIALECTS.by_name[dialect], body, refusal)
    if left is None:
        return None
    read = json.loads(left)
    assert list(read) == [member, "model"]
    return read[member]


@pytest.mark.parametrize(("before", "after"), [
    ([ASKED, said(THOUGHT, TEXT), ASKED], [ASKED, said(TEXT), ASKED]),
    ([ASKED, said(UNSIGNED, REDACTED, TEXT, THOUGHT), ASKED], [ASKED, said(TEXT), ASKED]),
    ([ASKED, said(TEXT, THOUGHT, USE), RESULT, said(TEXT), ASKED],
     [ASKED, said(TEXT, USE), RESULT, said(TEXT), ASKED]),
    ([ASKED, said(THOUGHT), ASKED], [ASKED, ASKED]),
    ([said(THOUGHT, TEXT), ASKED], [said(TEXT), ASKED]),
    ([said(THOUGHT), ASKED, said(REDACTED)], [ASKED]),
    ([ASKED, said(USE), RESULT], None),
    ([{"role": "user", "content": [THOUGHT]}], None),
    ([{"role": "assistant", "content": "thinking"}, ASKED], None),
    ([{"role": "assistant"}, 7, ASKED], None),
    ([said(7, THOUGHT, TEXT), ASKED], [said(7, TEXT), ASKED]),
    ([], None), ("hello", None), (None, None),
])  # fmt: skip
def test_thinking_blocks_go(before, after):
    """Signed or not, redacted or not; a message of nothing else goes as a whole, and tool inputs and
    users' words stay.
    """
    assert stripped(MESSAGES, "messages", before) == after


def test_an_open_tool_loop_keeps_its_thinking():
    """Anthropic wants it there. What stands before the loop goes."""
    loop = [ASKED, said(THOUGHT, USE), RESULT, said(REDACTED, USE), RESULT]

    assert stripped(MESSAGES, "messages", loop) is None
    assert stripped(MESSAGES, "messages", [ASKED, said(THOUGHT, TEXT), *loop]) == [ASKED, said(TEXT), *loop]  # fmt: skip
    assert stripped(MESSAGES, "messages", [said(THOUGHT, USE), RESULT]) is None


@pytest.mark.parametrize(("place", "after"), [
    (b"messages.1.content.0", [ASKED, said(TEXT), ASKED, said(TEXT), ASKED]),
    (b"messages.3.content.0", [ASKED, said(THOUGHT, TEXT), ASKED, said(TEXT), ASKED]),
    (b"messages.3.content.1", [ASKED, said(THOUGHT, TEXT), ASKED, said(THOUGHT, TEXT), ASKED]),
    (b"messages.3.content.2", [ASKED, said(TEXT), ASKED, said(TEXT), ASKED]),
    (b"messages.3.content.9", [ASKED, said(TEXT), ASKED, said(TEXT), ASKED]),
    (b"messages.99.content.0", [ASKED, said(TEXT), ASKED, said(TEXT), ASKED]),
])  # fmt: skip
def test_what_stands_before_the_place_that_is_refused_stays(place, after):
    """It could be read, and a provider's cache holds it. A place without thinking says nothing."""
    before = [ASKED, said(THOUGHT, TEXT), ASKED, said(THOUGHT, REDACTED, TEXT), ASKED]

    assert stripped(MESSAGES, "messages", before, b'{"message":"%b: Invalid"}' % place) == after


def test_a_refusal_of_the_open_loops_own_thinking_cannot_be_cured():
    """The loop keeps it, so that nothing is cut for nothing."""
    before = [ASKED, said(THOUGHT, TEXT), ASKED, said(THOUGHT, USE), RESULT]

    assert stripped(MESSAGES, "messages", before, b"messages.3.content.0: Invalid") is None


MARK = {"google": {"thought_signature": "x"}}


def calls(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(made)} | more


@pytest.mark.parametrize(("before", "after"), [
    ([calls({"id": "1", "extra_content": MARK}), {"role": "tool"}, ASKED],
     [calls({"id": "1", "extra_content": {"google": {}}}), {"role": "tool"}, ASKED]),
    ([said(TEXT) | {"reasoning_details": [{"data": "x"}], "thinking_blocks": [], "a": 1}, ASKED],
     [said(TEXT) | {"a": 1}, ASKED]),
    ([said(TEXT) | {"provider_specific_fields": {"thought_signatures": ["x"], "b": 2}}, ASKED],
     [said(TEXT) | {"provider_specific_fields": {"b": 2}}, ASKED]),
    ([said(TEXT) | {"extra_content": 3, "reasoning_content": "so"}, ASKED], None),
    ([calls({"extra_content": MARK}), {"role": "tool"}], None),
    ([ASKED | {"reasoning_details": []}], None),
    ("hello", None),
])  # fmt: skip
def test_thought_signatures_and_signed_reasoning_of_chat_go(before, after):
    """Of messages and of tool calls. What is plain text stays."""
    assert stripped(CHAT, "messages", before) == after


def test_paths_lead_through_objects_and_arrays():
    """What is no object on the way is left as it is."""
    body = b'{"a": [{"b": 1, "c": 2}, 3, {"b": 4}], "b": 5, "d": {"b": 6}}'
    text = Text(body)

    pieces = members_cut(
        text, (0, len(body)), [(b"a", EACH, b"b"), (b"d", b"b", b"x"), (b"d", b"b")]
    )

    assert text.without(sorted(pieces)) == b'{"a": [{"c": 2}, 3, {}], "b": 5, "d": {}}'


REASONING = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}
FUNCTION = {"type": "function_call", "call_id": "c"}
OUTPUT = {"type": "function_call_output", "call_id": "c"}


@pytest.mark.parametrize(("before", "after"), [
    ([ASKED, REASONING, FUNCTION, OUTPUT, said(TEXT), ASKED],
     [ASKED, FUNCTION, OUTPUT, said(TEXT), ASKED]),
    ([ASKED, REASONING, said(TEXT), ASKED, REASONING, FUNCTION, OUTPUT],
     [ASKED, said(TEXT), ASKED, REASONING, FUNCTION, OUTPUT]),
    ([ASKED, REASONING, FUNCTION, OUTPUT], None),
    ([{"type": "compaction", "encrypted_content": "x"}, ASKED], None),
    ([{"type": "reasoning", "content": [TEXT]}, ASKED], None),
    ([7, ASKED], None), ("hello", None), (None, None),
])  # fmt: skip
def test_encrypted_reasoning_goes(before, after):
    """Each item as a whole. Readable reasoning stays, and so does what stands for the rest of a
    conversation.
    """
    assert stripped(RESPONSES, "input", before) == after


@pytest.mark.parametrize("dialect", DIALECTS.by_name)
def test_a_body_without_signed_state_is_left_alone(dialect):
    """Whatever it holds."""
    for body in (b"{}", b'{"messages":{},"input":{}}', b'{"messages":[{"role":"assistant"}]}'):
        assert without_signed_state(DIALECTS.by_name[dialect], body) is None


def test_a_call_without_its_signed_state_is_read_anew():
    """Where the model's name stands behind the conversation, its place is another."""
    body = json.dumps({"messages": [said(THOUGHT, TEXT), ASKED], "model": "claude"}).encode()
    facts = DIALECTS.by_name[MESSAGES].peek(body)
    call = a_call(endpoint=DIALECTS.endpoints["/v1/messages"], body=body, facts=facts)

    left = finished(DIALECTS.without_signed_state(call, b""))

    assert left is not None
    assert left.facts.model_span is not None
    assert left.body[slice(*left.facts.model_span)] == b'"claude"'
    assert finished(DIALECTS.without_signed_state(left, b"")) is None
    assert without_signed_state(DIALECTS.by_name[EMBEDDINGS], body) is None


def test_every_other_byte_stays_as_it_came():
    """Also halves of characters, which JavaScript sends, and numbers that no reader keeps."""
    body = (
        rb'{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"x"} ,'
        rb' {"type":"text","text":"\ud83d", "n":1.0e0}]}, {"role":"user","content":"x"}]}'
    )

    left = without_signed_state(DIALECTS.by_name[MESSAGES], body)

    assert left == (
        rb'{"messages":[{"role":"assistant","content":[{"type":"text","text":"\ud83d", "n":1.0e0}]},'
        rb' {"role":"user","content":"x"}]}'
    )


@pytest.mark.parametrize(
    "conversation",
    [
        [said(THOUGHT, TEXT), *[7] * 20_000],
        [said(THOUGHT, TEXT), *[said(TEXT)] * 10_000, ASKED],
        [said(THOUGHT, *[TEXT] * 20_000), ASKED],
    ],
)
def test_nothing_is_cut_where_there_is_too_much_to_look_through(conversation):
    """All other calls would wait: a body can hold millions of messages or blocks."""
    assert stripped(MESSAGES, "messages", conversation) is None
