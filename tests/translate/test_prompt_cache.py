"""A provider finds in its cache what it has seen: a turn is written alike whatever follows it, by
every process.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.conversation import (
    CacheMark,
    Conversation,
    ConversationTurn,
    DocumentPart,
    ImagePart,
    Role,
    TextPart,
    ToolCall,
    ToolOffer,
    ToolResult,
)
from sidecar.translate.losses import Feature
from sidecar.translate.mark_counts import MARKS_AT_MOST, count_marks
from sidecar.translate.targets import Target
from tests.translate.request_cases import body_of, pairs, read, written

TARGETS = [
    Target(CHAT, "openai", "gpt-4.1"),
    Target(CHAT, "openai", "gpt-5.6"),
    Target(CHAT, "vllm", "qwen"),
    Target(CHAT, "deepseek", "deepseek-chat"),
    Target(RESPONSES, "openai", "gpt-5.6"),
    Target(MESSAGES, "anthropic", "claude-opus-5"),
    Target(MESSAGES, "anthropic", "claude-sonnet-4-5"),
    Target(MESSAGES, "minimax", "minimax-m2"),
]
LISTS = {CHAT: b'"messages":[', RESPONSES: b'"input":[', MESSAGES: b'"messages":['}
MARK = re.compile(
    rb',"(?:cache_control":\{"type":"ephemeral"(?:,"ttl":"1h")?|prompt_cache_breakpoint":'
    rb'\{"mode":"explicit")\}'
)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
texts = st.builds(TextPart, TEXT)
images = st.builds(ImagePart, url=st.just("https://example.com/a.png"))
files = st.builds(DocumentPart, text=TEXT, name=st.none() | st.just("a.txt"))
contents = st.lists(texts | images | files, min_size=1, max_size=3).map(tuple)


@st.composite
def exchanges(draw):
    """What the assistant says, and what is said to that: text or results, perhaps a system text."""
    calls = draw(st.integers(0, 3))
    said = tuple(draw(st.lists(texts, max_size=2)))
    if calls == 0:
        turns = [
            ConversationTurn(Role.ASSISTANT, said or (TextPart("ok"),)),
            ConversationTurn(Role.USER, draw(contents)),
        ]
    else:
        number = draw(st.integers(0, 10**9))
        ids = [f"call_{number}_{each}" for each in range(calls)]
        asked = tuple(ToolCall(each, "look", '{"at": 1}') for each in ids)
        results = tuple(ToolResult(each, draw(contents)) for each in draw(st.permutations(ids)))
        turns = [
            ConversationTurn(Role.ASSISTANT, said + asked),
            ConversationTurn(Role.USER, results),
        ]
        if draw(st.booleans()):
            turns.append(ConversationTurn(Role.USER, draw(contents)))
    if draw(st.booleans()):
        turns.append(
            ConversationTurn(
                draw(st.sampled_from([Role.SYSTEM, Role.DEVELOPER])),
                draw(st.just((TextPart("now"),))),
            )
        )
    return turns


def conversation_of(turns, features=frozenset()):
    return Conversation(
        tuple(turns), tools=(ToolOffer("look", "Looks.", '{"type":"object"}'),), features=features
    )


def parted(body, api):
    """Return what stands before the turns, and the turns, marks left out."""
    before, _, rest = body.partition(LISTS[api])
    decoder = json.JSONDecoder()
    turns = rest.decode()
    _, end = decoder.raw_decode("[" + turns)
    return MARK.sub(b"", before), MARK.sub(b"", turns[: end - 2].encode())


begun = st.tuples(
    st.lists(st.sampled_from([Role.SYSTEM, Role.DEVELOPER]), max_size=2), contents
).map(
    lambda each: [
        *(ConversationTurn(role, (TextPart("be"),)) for role in each[0]),
        ConversationTurn(Role.USER, each[1]),
    ]
)


@given(begun, st.lists(exchanges(), max_size=4), exchanges(), st.sampled_from(TARGETS))
def test_a_conversation_that_goes_on_begins_as_before(start, earlier, later, target):
    """Byte for byte, but for the mark that moves to its end."""
    turns = start + [turn for each in earlier for turn in each]

    before = parted(written(conversation_of(turns), target), target.dialect)
    after = parted(written(conversation_of(turns + later), target), target.dialect)

    assert before[0] == after[0]
    assert after[1].startswith(before[1])


@given(begun, st.lists(exchanges(), max_size=4), exchanges(), st.sampled_from(TARGETS))
def test_marks_of_the_callers_change_nothing_else(start, earlier, later, target):
    """They move as the caller moves them, and what has lost its mark stays as it was."""
    turns = start + [turn for each in earlier for turn in each]
    said, role = turns[-1].parts, turns[-1].role
    marked = [*turns[:-1], ConversationTurn(role, (*said, TextPart("m", CacheMark("1h")))), *later]
    plain = [*turns[:-1], ConversationTurn(role, (*said, TextPart("m"))), *later]

    with_mark = written(conversation_of(marked, frozenset([Feature.CACHE])), target)

    assert MARK.sub(b"", with_mark) == MARK.sub(b"", written(conversation_of(plain), target))


SYSTEM = ConversationTurn(Role.SYSTEM, (TextPart("Be kind."), TextPart("Be brief.")))
HI = ConversationTurn(Role.USER, (TextPart("Hi"),))
HELLO = ConversationTurn(Role.ASSISTANT, (TextPart("Hello"),))
AND = ConversationTurn(Role.USER, (TextPart("And?"),))


def marked(body):
    """Return the texts that have a mark, in the order in which they are read."""
    blocks = [*body.get("tools", []), *body.get("system", [])]
    blocks += [block for message in body["messages"] for block in message["content"]]
    return [each.get("text", each.get("name")) for each in blocks if "cache_control" in each]


@pytest.mark.parametrize("target", TARGETS[5:], ids=lambda target: target.model_id)
@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([HI], ["Hi"]),
        ([SYSTEM], ["Be brief."]),
        ([SYSTEM, HI], ["Be brief.", "Hi"]),
        ([HI, HELLO, AND], ["Hi", "And?"]),
        ([SYSTEM, HI, HELLO, AND], ["Be brief.", "Hi", "And?"]),
        ([SYSTEM, HI, HELLO, AND, HELLO, AND], ["Be brief.", "And?", "And?"]),
        ([HELLO, AND], ["(The conversation goes on.)", "And?"]),
        ([HI, HELLO], ["Hi", "Hello"]),
    ],
    ids=[
        "one turn",
        "system alone",
        "system",
        "a reply",
        "both",
        "two replies",
        "begun",
        "prefill",
    ],
)
def test_without_marks_of_the_callers_three_are_made(turns, expected, target):
    """Behind the system texts, where the request before this one ended, and at the end: so that the
    next request reads what this one has written, however much stands between.
    """
    assert expected == marked(json.loads(written(conversation_of(turns), target)))


def test_a_system_text_behind_the_last_turn_has_the_mark_of_the_end():
    """And in the next request that of where the one before ended."""
    target = TARGETS[5]
    late = ConversationTurn(Role.SYSTEM, (TextPart("Now in German."),))

    before = json.loads(written(conversation_of([HI, late]), target))
    after = json.loads(written(conversation_of([HI, late, HELLO, AND]), target))

    assert (["Now in German."], ["Now in German.", "And?"]) == (marked(before), marked(after))


@given(begun, st.lists(exchanges(), max_size=4), exchanges(), st.sampled_from(TARGETS[5:]))
def test_what_one_request_wrote_the_next_one_reads(start, earlier, later, target):
    """Its end is marked again, where the assistant has replied to it meanwhile: no provider looks
    for it over more than some blocks.
    """
    turns = start + [turn for each in earlier for turn in each]
    before = json.loads(written(conversation_of(turns), target))
    after = json.loads(written(conversation_of(turns + later), target))

    ends = [
        message
        for message in after["messages"][:-1]
        if any("cache_control" in block for block in message["content"])
    ]
    if before["messages"][-1]["role"] != "assistant":
        assert unmarked(before["messages"][-1:]) == unmarked(ends)
    assert str(after).count("'cache_control'") <= MARKS_AT_MOST


def unmarked(messages):
    return json.loads(MARK.sub(b"", json.dumps(messages, separators=(",", ":")).encode()))


def digest():
    """Return a hash of all bodies that the pairs make."""
    seen = hashlib.sha256()
    for pair in pairs():
        seen.update(written(read(body_of(pair.given, pair.source), pair.source), pair.target))
    return seen.hexdigest()


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_every_process_writes_the_same_bytes(seed):
    """Sets and dicts have another order in each."""
    code = "from tests.translate.test_prompt_cache import digest; print(digest())"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert digest() == ran.stdout.strip()


def test_marks_are_counted_in_steps():
    """Those within results, too."""
    marked = TextPart("a", cache=CacheMark())
    turns = [ConversationTurn(Role.USER, (ToolResult("c", (marked,)), marked))] * 3000
    steps = count_marks(turns)

    assert 2 == sum(1 for _ in iter(lambda: next(steps, True), True))
    assert MARKS_AT_MOST == 4
