"""Which turns of a conversation are read, and that nothing in a body can make reading fail."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects import lenient, request
from sidecar.dialects.base import Turn
from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.request import MAX_TURNS
from sidecar.domain.call import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    BodyFacts,
    DialectName,
)
from sidecar.domain.errors import InvalidBody
from sidecar.wire.from_end import Effort
from tests.support.steps import counted, finished, turns_in


def turns_of(dialect: DialectName, **body: object) -> list[tuple[str, str]]:
    """The turns of a body with these members."""
    turns = turns_in(DIALECTS.by_name[dialect], json.dumps(body).encode())
    return [(turn.role, turn.text) for turn in turns]


def says(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([says("user", "a"), says("assistant", "b"), says("user", "c")], [("user", "a"), ("assistant", "b"), ("user", "c")]),
        ([says("system", "s"), says("developer", "d"), says("tool", "t"), says("user", "a")], [("user", "a")]),
        ([says("assistant", None) | {"tool_calls": [{"id": "1"}]}, says("user", "a")], [("user", "a")]),
        ([says("user", [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}])], [("user", "a\nb")]),
        ([says("user", [{"type": "image_url", "image_url": {"url": "x"}}])], []),
        ([says("user", ""), says("user", " \n"), says("user", [])], []),
        ([], []),
    ],
)  # fmt: skip
def test_chat_messages_are_read_as_text(messages, expected):
    """Text of users and assistants counts; system, developer, tools, images and empty messages do
    not.
    """
    assert expected == turns_of(CHAT, messages=messages)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("hello", [("user", "hello")]),
        ("", []),
        (" ", []),
        ([says("user", "a"), {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]}], [("user", "a"), ("assistant", "b")]),
        ([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image"}, {"type": "input_text", "text": "b"}]}], [("user", "a\nb")]),
        ([{"type": "function_call", "name": "f", "role": "user", "content": "no"}, {"type": "reasoning", "summary": []}, {"type": "function_call_output", "output": "x"}, says("user", "a")], [("user", "a")]),
        (None, []),
    ],
)  # fmt: skip
def test_responses_input_is_text_or_items(said, expected):
    """A string is one user turn; of items only messages count, calls, results and reasoning do
    not.
    """
    assert expected == turns_of(RESPONSES, input=said)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([says("user", "a")], [("user", "a")]),
        ([says("assistant", [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "b"}, {"type": "tool_use", "name": "f", "input": {}}])], [("assistant", "b")]),
        ([says("user", [{"type": "tool_result", "content": [{"type": "text", "text": "no"}]}, {"type": "text", "text": "a"}])], [("user", "a")]),
        ([says("user", [{"type": "tool_result", "content": "no"}])], []),
    ],
)  # fmt: skip
def test_messages_content_is_text_or_blocks(messages, expected):
    """Text blocks count; tool calls, tool results and thinking do not."""
    assert expected == turns_of(MESSAGES, messages=messages, system="you are")


def test_the_conversation_is_where_the_dialect_has_it():
    """``input`` is nothing to chat, ``messages`` nothing to responses, and embeddings have no
    conversation.
    """
    both = {"messages": [says("user", "m")], "input": "i"}

    assert [("user", "m")] == turns_of(CHAT, **both)
    assert [("user", "i")] == turns_of(RESPONSES, **both)
    assert [] == turns_of(EMBEDDINGS, input="i")


def test_only_the_newest_turns_are_read():
    """Sixteen turns that carry text, however many messages without text stand between them."""
    messages = [message for i in range(40) for message in (says("user", str(i)), says("tool", "t"))]

    assert [("user", str(i)) for i in range(40 - MAX_TURNS, 40)] == turns_of(
        CHAT, messages=messages
    )


def test_the_newest_user_turn_is_read_however_long_ago_it_was():
    """An agent that talked to itself for long: the user's last words stand in for the oldest of its
    own.
    """
    messages = [
        says("user", "first"),
        says("user", "do it"),
        *(says("assistant", str(i)) for i in range(20)),
    ]

    expected = [("user", "do it"), *(("assistant", str(i)) for i in range(5, 20))]
    assert expected == turns_of(CHAT, messages=messages)


def test_without_any_user_the_assistants_turns_remain():
    """Nothing stands in where no user ever spoke."""
    messages = [says("assistant", str(i)) for i in range(20)]

    assert [("assistant", str(i)) for i in range(4, 20)] == turns_of(CHAT, messages=messages)


@pytest.mark.parametrize(
    "malformed",
    [3, "x", None, [], {}, {"role": 1}, {"role": None, "content": "x"}, says("user", 3), says("user", {"a": 1}), says("user", [3, None, "x", {"type": "text"}, {"type": "text", "text": 1}, {"type": 3, "text": "x"}])],
)  # fmt: skip
def test_a_malformed_message_is_skipped_alone(malformed):
    """What the provider will refuse, or a later API allows, does not hide the rest."""
    assert [("user", "a"), ("user", "b")] == turns_of(
        CHAT, messages=[says("user", "a"), malformed, says("user", "b")]
    )


def test_a_malformed_part_is_skipped_alone():
    """The readable parts of a message stay."""
    parts = [
        {"type": "text", "text": "a"},
        7,
        {"type": "text", "text": None},
        {"type": "text", "text": "b"},
    ]

    assert [("user", "a\nb")] == turns_of(CHAT, messages=[says("user", parts)])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": [says("user", "a")], "tools": {}, "input": 3}, [("user", "a")]),
        ({"messages": {}, "tools": []}, []),
        ({"messages": "text"}, []),
    ],
)
def test_a_member_of_a_wrong_type_hides_no_other(body, expected):
    """Each member is read by itself."""
    assert expected == turns_of(CHAT, **body)


def test_a_string_input_is_read_beside_a_member_of_a_wrong_type():
    """As above, for responses."""
    assert [("user", "a")] == turns_of(RESPONSES, input="a", tools=3)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rb'"cut \ud83d"', "cut \ufffd"),
        (rb'"\ude00 cut"', "\ufffd cut"),
        (rb'"whole \ud83d\ude00, cut \ud83d"', "whole \U0001f600, cut \ufffd"),
        (rb'"\\ud83d \ud83d"', "\\ud83d \ufffd"),
        (rb'[{"type":"text","text":"\ud83d"}]', "\ufffd"),
    ],
)
def test_half_characters_are_replaced(content, text):
    """JavaScript cuts emoji in half; the rest of the text, whole emoji and backslashes stay as they
    were.
    """
    body = b'{"messages":[{"role":"user","content":' + content + b"}]}"

    assert (Turn("user", text),) == turns_in(DIALECTS.by_name[CHAT], body)


@pytest.mark.parametrize("value", [b"null", b"3", b"{}", b'{"a":[1]}', b'"hello"', b"[[],[[]]]"])
def test_what_is_no_conversation_has_no_turns(value):
    """Never an error: reading prompts is optional."""
    body = b'{"messages":%b}' % value
    assert () == turns_in(DIALECTS.by_name[CHAT], body)
    assert () == turns_in(DIALECTS.by_name[MESSAGES], body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "messages", "input", "name"]), inner
        )
    ),
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]) | JSON, "content": st.text() | JSON}
)


@given(st.sampled_from([CHAT, RESPONSES, MESSAGES]), st.lists(MESSAGE | JSON) | JSON, JSON)
def test_any_json_is_read_without_an_error(dialect, messages, tools):
    """Turns are few, of the two roles, and carry text, whatever the body holds."""
    body = json.dumps({"messages": messages, "input": messages, "tools": tools}).encode()
    turns = turns_in(DIALECTS.by_name[dialect], body)

    assert len(turns) <= MAX_TURNS
    assert [turn for turn in turns if turn.role in ("user", "assistant") and turn.text.strip()] == [
        *turns
    ]


@given(st.binary())
def test_any_bytes_are_read_without_an_error(data):
    """As above, below the level of JSON."""
    body = b'{"messages":[{"role":"user","content":"' + data + b'"}]}'

    chat = DIALECTS.by_name[CHAT]
    with contextlib.suppress(InvalidBody):
        assert isinstance(turns_in(chat, body), tuple)


def test_a_body_of_many_empty_messages_or_parts_is_not_read_to_its_end():
    """All other calls would wait for that: 4096 decodings are what one reading may take."""
    old, nothing = says("user", "old"), says("tool", "x")
    near, far = [old, *[nothing] * 3000], [old, *[nothing] * 4096]
    assert [("user", "old")] == turns_of(CHAT, messages=near)
    assert [] == turns_of(CHAT, messages=far)

    part: dict[str, object] = {"type": "text", "text": "x"}
    assert [("user", "x")] == turns_of(CHAT, messages=[says("user", [part, *[7] * 20_000])])
    assert [] == turns_of(CHAT, messages=[says("user", [*[7] * 20_000, part])])


def test_messages_of_many_parts_share_one_bound():
    """Of each message a few thousand parts would be millions of a whole body."""
    decoded: list[int] = []

    def decode(data: bytes | msgspec.Raw) -> object:
        decoded.append(len(data))
        raise msgspec.ValidationError

    effort = request.effort_of_reading()
    for _ in range(100):
        for _ in range(4096):
            lenient.decode_leniently(decode, b"0", effort)

    assert len(decoded) <= 4096


def test_turns_that_fill_the_room_end_the_reading():
    """What was said before them would not be shown; only a user's turn is looked for further."""
    said = [says("user", "first"), says("assistant", "a" * 60), says("assistant", "b" * 60)]
    chat = DIALECTS.by_name[CHAT]

    def texts(messages: list[dict[str, object]], room_bytes: int | None) -> list[str]:
        body = json.dumps({"messages": messages}).encode()
        return [turn.text[0] for turn in turns_in(chat, body, room_bytes)]

    assert ["f", "b"] == texts(said, 50)
    assert ["f", "a", "b"] == texts(said, 100)
    assert ["f", "a", "b"] == texts(said, None)
    assert ["m", "b"] == texts([says("user", "old"), says("user", "m"), *said[1:]], 50)


LONG = 300_000
"""More than a message that is decoded as a whole."""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "user", "content": "x" * LONG}, "x" * LONG),
        ({"content": "x" * LONG, "role": "user"}, "x" * LONG),
        ({"role": "user", "type": "message", "content": "x" * LONG}, "x" * LONG),
        ({"role": "user", "content": [{"type": "image", "data": "x" * LONG}, {"type": "text", "text": "a"}]}, "a"),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "data": "x" * LONG}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"role": "user", "content": [{"type": "text", "text": "y" * LONG}]}, "y" * LONG),
        ({"role": "user", "content": [{"type": "text"}, 7, {"type": "image", "data": "x" * LONG}]}, None),
        ({"role": "user", "content": [{"type": "text", "data": "x" * LONG}]}, None),
        ({"role": "user", "content": {"x": "x" * LONG}}, None),
        ({"role": "user", "x": "x" * LONG}, None),
        ({"role": "user", "content": [["x" * LONG], "x" * LONG]}, None),
        ({"role": "tool", "content": "x" * LONG}, None),
        ({"role": "user", "type": "reasoning", "content": "x" * LONG}, None),
        ({"role": "x" * LONG, "content": "x"}, None),
        (["x" * LONG], None),
        ("x" * LONG, None),
    ],
)  # fmt: skip
def test_a_long_message_is_read_by_its_members(message, expected):
    """An image of megabytes is stepped over, and the text beside it counts."""
    found = turns_of(CHAT, messages=[message])
    assert found == ([] if expected is None else [("user", expected)])


def test_of_a_text_that_is_too_long_beginning_and_end_are_read():
    """Each of them long enough to fill the room: more than that no prompt shows."""
    text = "a" * 200_000 + "m" * 300_000 + "z" * 200_000
    for body in ({"messages": [says("user", text)]}, {"input": text}):
        dialect = DIALECTS.by_name[CHAT if "messages" in body else RESPONSES]
        (turn,) = turns_in(dialect, json.dumps(body).encode(), 1000)
        assert turn.text == "a" * 1001 + "z" * 1001


def test_a_long_conversation_is_read_from_its_end():
    """Sixteen turns of ten thousand: how much is decoded does not grow with what was said before."""
    said = [says("user", f"turn {number} " + "x" * 3000) for number in range(10_000)]
    turns = turns_of(CHAT, messages=said)
    assert [f"turn {number}" for number in range(9_990, 10_000)] == [
        text[: len("turn 9990")] for _, text in turns
    ][-10:]


@pytest.mark.parametrize(
    "unit", [rb"\ud83d", rb"\ud83d\ude00", rb"\\", rb"\"", rb"\n", "\u00e9".encode()]
)
@pytest.mark.parametrize("shift", range(13))
def test_a_cut_never_breaks_a_character(unit, shift):
    """Wherever the escapes of a long text are cut, what is left of them can be read."""
    inside = b"x" * shift + unit * 3000
    place = 0, len(inside) + 2
    text = lenient.text_at(b'"%b"' % inside, place, 100)

    whole = lenient.text_at(b'"%b"' % inside, place, 10_000_000)
    assert text[:101] == whole[:101]
    assert text[-100:] == whole[-100:]


def test_what_is_no_text_has_none():
    """A number, or an escape that is none."""
    assert lenient.text_at(b"123", (0, 3), 10) == ""
    assert lenient.text_at(rb'"\q"', (0, 4), 10) == ""


def test_half_characters_cost_no_more_than_they_may():
    """To replace them takes several times as long as to decode a text."""
    half = rb'"\ud83d"'
    decode = msgspec.json.Decoder(str).decode
    assert lenient.decode_leniently(decode, half, Effort(0, 1000, 10)) == "\ufffd"
    assert lenient.decode_leniently(decode, half, Effort(0, 20, 10)) is None


SCREENSHOT = "iVBOR" * 30_000


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("count", [6, 12, 20])
def test_what_a_user_wants_is_found_before_many_screenshots(dialect, count):
    """An agent that looks at a screen sends megabytes behind one short request."""
    url = f"data:image/png;base64,{SCREENSHOT}"
    shown: object = {
        CHAT: says("user", [{"type": "image_url", "image_url": {"url": url}}]),
        MESSAGES: says("user", [{"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "base64", "data": SCREENSHOT}}]}]),
        RESPONSES: {"type": "computer_call_output", "output": {"image_url": url}},
    }[dialect]  # fmt: skip
    conversation = [says("user", "book a flight"), *([shown] * count)]
    name = "input" if dialect == RESPONSES else "messages"

    assert [("user", "book a flight")] == turns_of(dialect, **{name: conversation})


def test_a_conversation_that_is_too_long_for_a_second_look_has_the_turns_that_were_found():
    """A body of millions of places holds nobody up."""
    many = [says("user", "who?"), *[says("tool", [0] * 40_000)] * 40]
    assert [] == turns_of(CHAT, messages=many)
    nobody = [*[says("tool", "x" * 200_000)] * 12]
    assert [] == turns_of(CHAT, messages=nobody)


def test_a_reading_that_has_spent_its_effort_ends():
    """In the middle of short messages, at a long one, and at the next content."""
    short = json.dumps([says("user", "x")] * 9).encode()
    effort = Effort(10_000, 50, 10_000)
    assert 1 == len(list(request.newest_messages(short, (0, len(short)), effort)))
    long = json.dumps([says("user", "x" * request.WHOLE_BYTES)]).encode()
    assert [] == list(request.newest_messages(long, (0, len(long)), request.effort_of_reading()))

    reading = request._Reading(short, 100)
    reading.effort.objects = -1
    assert [] == list(reading.messages((0, len(short))))
    reading.effort.decoded_bytes = 0
    assert "" == reading._text_of(msgspec.Raw(b'"abc"'))


@pytest.mark.parametrize("data", [b'"\\ud83d', b'["\\ud83d"'])
def test_what_is_broken_and_not_by_half_a_character_alone_is_not_read(data):
    """A repair mends halves of characters and nothing else."""
    assert lenient.decode_leniently(msgspec.json.Decoder().decode, data) is None


@pytest.mark.parametrize("escape", ["\\u00e9", "\\n"])
def test_the_tail_of_a_long_text_begins_behind_the_escape_that_a_cut_meets(escape):
    """No piece of an escape is taken for text."""
    most = 12 * 11
    for shift in range(6):
        inside = "a" * 400 + escape + "b" * (most - shift)
        body = f'"{inside}"'.encode()
        text = lenient.text_at(body, (0, len(body)), 10)
        assert set(text) <= {"a", "b", "\n", "\u00e9"}


def test_a_long_conversation_with_half_characters_is_not_repaired_as_a_whole():
    """To cut its messages out costs no repair, which takes forty times as long as to decode: the
    message that is wanted is read as it stands, its whole characters with it.
    """
    half = json.dumps({"role": "tool", "content": "\ud83d" * 1000}).encode()
    wanted = b'{"role":"user","content":"book \\ud83d\\ude00 \\ud83d."}'
    body = b'{"messages":[%b]}' % b",".join([wanted, *[half] * 600])
    turns, yields = counted(
        DIALECTS.by_name[CHAT].turns(body, DIALECTS.by_name[CHAT].peek(body), 8000)
    )

    assert [("user", "book \U0001f600 \ufffd.")] == [(each.role, each.text) for each in turns]
    assert yields >= 2


def test_others_go_on_while_many_messages_are_read():
    """64 of them are a step, in the first look and in the second one."""
    said = [says("user", "x"), *[says("tool", "x")] * 3000]
    body = json.dumps({"messages": said}).encode()
    turns, yields = counted(
        DIALECTS.by_name[CHAT].turns(body, DIALECTS.by_name[CHAT].peek(body), 8000)
    )

    assert (1, True) == (len(turns), yields > 3000 // 64 + 16)


@pytest.mark.parametrize("conversation", [b"[1,}", b"[" * 5000])
def test_a_conversation_that_cannot_be_read_a_second_time_has_no_turns(conversation):
    """What is in a long body is not checked beforehand."""
    body = b'{"messages":%b,"model":"m"}' % conversation
    facts = BodyFacts(conversation=(12, 12 + len(conversation)))
    reading = request._Reading(body, 8000)

    assert None is finished(reading.newest_of_user(facts.conversation or (0, 0)))


def test_a_long_user_turn_is_found_in_the_second_look():
    """Its beginning and its end, as in the first one."""
    said = [says("user", "begin " + "x" * 300_000), *[says("tool", "x" * 200_000)] * 10]
    found = turns_of(CHAT, messages=said)

    assert ["user"] == [role for role, _ in found]
    assert found[0][1].startswith("begin xxx")
