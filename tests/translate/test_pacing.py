"""What is long is read in steps, and what holds millions of values is refused."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.domain.errors import InvalidBody
from sidecar.translate import raw_json, request_steps
from sidecar.translate.conversation import (
    Conversation,
    ConversationTurn,
    ImagePart,
    Role,
    TextPart,
    ToolOffer,
)
from sidecar.translate.pacing import LONG_BYTES, PARTS_AT_MOST, TOOLS_BYTES, pace
from sidecar.translate.reading import Reading
from sidecar.translate.requests import write_in_steps
from sidecar.translate.targets import Target
from tests.translate.request_cases import read

LONG = b"x" * (LONG_BYTES + 1)
MANY = PARTS_AT_MOST + 1


def _done(work: Generator[None, None, Any]) -> tuple[Any, int]:
    """What work returns, and how often it lets others go on."""
    steps = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, steps
        steps += 1


def test_the_long_lists_of_a_request_are_turns_and_tools():
    """All are counted, what nothing is carried of is left out, and a long one takes steps."""
    members = {"list": raw_json.raw_of(["a", "", {"long": LONG.decode()}])}
    turn, tool = ConversationTurn(Role.USER, (TextPart("a"),)), ToolOffer("t", None, None)
    empty = b'""'

    turns = request_steps.turns_in_steps(
        Reading(CHAT), members, "list", lambda raw: None if bytes(raw) == empty else turn
    )
    tools = request_steps.tools_in_steps(
        Reading(CHAT), members, "list", lambda raw: () if bytes(raw) == empty else (tool,)
    )
    none = request_steps.tools_in_steps(Reading(CHAT), {}, "list", lambda _: (tool,))
    (found_turns, steps), (found_tools, more_steps) = _done(turns), _done(tools)

    assert ((turn, turn), (3, (tool, tool))) == (found_turns, found_tools)
    assert steps > 0
    assert more_steps > 0
    assert ((0, ()), 0) == _done(none)
    assert raw_json.is_null(None)


def test_a_long_message_is_looked_through_in_steps():
    """Down to the parts of a tool's result."""
    inner = b'[{"type":"text","text":"%b"},1]' % LONG
    result = b'{"type":"tool_result","content":%b}' % inner

    assert 4 <= len(list(pace(b'{"role":"user","content":[%b]}' % result)))


def test_what_is_nested_deeper_than_a_conversation_is_not_looked_through():
    """Nothing is read there."""
    deep = b"[" * 8 + b'"%b"' % LONG + b"]" * 8

    assert list(pace(deep))


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (CHAT, b'{"messages":[{"role":"user","content":[%b]}]}' % b",".join([b"{}"] * MANY)),
        (
            CHAT,
            b'{"messages":[{"role":"user","content":[%b]}]}'
            % b",".join([LONG[:99].join([b'"', b'"'])] * MANY),
        ),
        (CHAT, b'{"messages":[],"tools":[%b]}' % b",".join([b"{}"] * MANY)),
        (
            CHAT,
            b'{"messages":[{"role":"user",%b}]}'
            % b",".join(b'"%d":1' % at for at in range(40_000)),
        ),
        (CHAT, b'{"messages":[],"stop":[%b]}' % b",".join([b'"aaaa"'] * 10_000)),
        (CHAT, b'{"messages":[],"metadata":{"a":"%b"}}' % (LONG * 5)),
        (RESPONSES, b'{"input":[%b]}' % b",".join([b"{}"] * 70_000 + [b'"%b"' % (LONG * 4)])),
        (
            MESSAGES,
            b'{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a",'
            b'"content":[%b]}]}]}'
            % b",".join([b'{"type":"text","text":"%b"}' % (b"x" * 90)] * MANY),
        ),
        (
            MESSAGES,
            b'{"messages":[],"system":[%b]}'
            % b",".join([b'{"type":"text","text":"%b"}' % (b"x" * 90)] * MANY),
        ),
        (
            CHAT,
            b'{"messages":[%b]}'
            % b",".join(
                [
                    b'{"role":"user","content":[%b]}'
                    % b",".join([b'{"type":"refusal","refusal":""}'] * 3000)
                ]
                * 7
            ),
        ),
        (CHAT, b'{"messages":[{"role":"user","content":"%b"}]}' % (rb"\ud83d" * 200_000)),
    ],
    ids=[
        "empty parts",
        "parts that are texts",
        "tools",
        "members",
        "stop sequences",
        "a member that is long",
        "items",
        "parts of a result",
        "system texts",
        "parts in all",
        "halves of characters",
    ],
)
def test_more_than_a_conversation_has_is_refused(api, body):
    """Before it is held in memory as millions of values."""
    with pytest.raises(InvalidBody):
        read(body, api)


def test_what_is_long_and_has_few_parts_is_read():
    """A picture, a tool's schema, a system text."""
    text = LONG.decode()
    image = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}' % (LONG * 5)
    tool = b'{"type":"function","function":{"name":"f","parameters":{"a":"%b"}}}' % LONG
    system = b'[{"type":"text","text":"%b"}]' % LONG

    chat = read(b'{"messages":[{"role":"user","content":[%b]}],"tools":[%b]}' % (image, tool), CHAT)
    messages = read(b'{"messages":[],"system":%b}' % system, MESSAGES)
    responses = read(b'{"input":[],"instructions":"%b"}' % (LONG * 5), RESPONSES)

    assert chat.tools[0].schema == f'{{"a":"{text}"}}'
    assert text == messages.turns[0].parts[0].text  # type: ignore[union-attr]
    assert text * 5 == responses.turns[0].parts[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("role", [Role.USER, Role.SYSTEM])
@pytest.mark.parametrize(
    "target",
    [
        Target(CHAT, "openai", "gpt-4.1"),
        Target(RESPONSES, "openai", "gpt-4.1"),
        Target(MESSAGES, "anthropic", "claude-opus-5"),
    ],
)
def test_turns_that_become_one_message_are_written_in_steps(target, role):
    """However many of one side follow each other."""
    said = ConversationTurn(Role.USER, (TextPart("a"),))
    many = [ConversationTurn(role, (TextPart("b"),))] * 2000

    assert 3 <= len(list(write_in_steps(Conversation((said, *many)), target)))


MIB = 1024 * 1024
PLAIN, RICH = "x" * MIB, "a\n" * (MIB // 2)


@pytest.mark.parametrize(
    ("api", "texts", "is_refused"),
    [
        (CHAT, [PLAIN * 9], False),
        (CHAT, [PLAIN * 11], True),
        (CHAT, [PLAIN * 6, PLAIN * 6], True),
        (CHAT, [RICH], False),
        (CHAT, [RICH] * 3, True),
        (CHAT, ["x" * 60_000] * 60, True),
        (CHAT, ["\u00e9" * MIB * 2], True),
        (MESSAGES, [PLAIN * 6, None, PLAIN * 6], False),
        (RESPONSES, [PLAIN * 11], True),
    ],
)
def test_what_one_side_says_at_a_time_may_be_as_long_as_can_be_written_at_once(
    api, texts, is_refused
):
    """More of what is plain, such as a file, than of what is decoded character by character."""
    turns = [
        {"role": "user", "content": text} if text else {"role": "assistant", "content": "go on"}
        for text in texts
    ]
    body = json.dumps({"input" if api == RESPONSES else "messages": turns}, ensure_ascii=False)
    if is_refused:
        with pytest.raises(InvalidBody, match="too long to be translated"):
            read(body.encode(), api)
    else:
        assert len(texts) == len(read(body.encode(), api).turns)


@pytest.mark.parametrize(
    "members",
    [
        {"instructions": PLAIN * 6, "user": PLAIN * 6},
        {"tools": [{"type": "function", "name": "f", "description": PLAIN * 4}]},
    ],
)
def test_other_members_may_be_as_long_as_can_be_read_at_once(members):
    """Texts together, and all tools."""
    body = json.dumps({"input": [], **members}).encode()
    assert len(body) > TOOLS_BYTES
    with pytest.raises(InvalidBody, match=r"too long|shorter"):
        read(body, RESPONSES)


def test_what_stands_beside_a_file_is_not_decoded():
    """It may hold a million values."""
    image = {"url": "https://example.com/a.png", "other": [[]] * 1000, "detail": "low"}
    body = json.dumps(
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": image}]}]}
    )
    conversation = read(body.encode(), CHAT)

    assert ["messages.content.image_url.other"] == [each.field for each in conversation.unread]
    [part] = conversation.turns[0].parts
    assert isinstance(part, ImagePart)
    assert ("https://example.com/a.png", "low") == (part.url, part.detail)
