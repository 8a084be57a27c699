"""Requests as they are written: what is long, what is rare, what a target insists on."""

from __future__ import annotations

import json

import msgspec
import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate import (
    chat_turn_writer,
    chat_writer,
    messages_block_writer,
    messages_turn_writer,
    messages_writer,
    openai_writing,
    pacing,
    responses_item_writer,
    responses_writer,
    weighing,
)
from sidecar.translate.conversation import (
    CacheMark,
    Conversation,
    ConversationTurn,
    DocumentPart,
    ImagePart,
    OutputFormat,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolOffer,
    ToolResult,
)
from sidecar.translate.losses import Feature
from sidecar.translate.requests import reply_context, write_in_steps
from sidecar.translate.targets import Target
from sidecar.translate.tool_names import sent_name
from sidecar.translate.writing import object_schema, user_id
from tests.support.steps import counted, finished
from tests.translate.request_cases import written

WRITERS = (
    *(chat_writer, chat_turn_writer, messages_writer, messages_turn_writer),
    *(messages_block_writer, responses_writer, responses_item_writer, openai_writing, weighing),
)
TARGETS = {
    CHAT: Target(CHAT, "openai", "gpt-4.1"),
    RESPONSES: Target(RESPONSES, "openai", "gpt-4.1"),
    MESSAGES: Target(MESSAGES, "anthropic", "claude-sonnet-4-5"),
}
ALL = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
USER = ConversationTurn(Role.USER, (TextPart("Hi"),))
ASSISTANT = ConversationTurn(Role.ASSISTANT, (TextPart("Hello"),))


def turns_of(target, *turns, **wishes):
    """Return the turns as they are written."""
    body = json.loads(written(Conversation(turns, **wishes), target))
    return body["input" if target.dialect == RESPONSES else "messages"]


def test_each_writer_stands_beside_its_api():
    """Three writers, and what two of them have in common."""
    assert 9 == len({module.__name__ for module in WRITERS})


@ALL
def test_a_long_conversation_is_written_in_steps(target):
    """No step writes more than a few turns, or one that is long alone."""
    many = Conversation((USER, ASSISTANT) * 500 + (USER,))
    long = Conversation(
        (ConversationTurn(Role.USER, (TextPart("x" * 100_000),)), ASSISTANT) * 20 + (USER,)
    )

    assert 1001 // pacing.STEP_TURNS <= len(list(write_in_steps(many, target))) + 1
    assert 19 <= len(list(write_in_steps(long, target)))


@ALL
def test_a_conversation_without_turns_is_written(target):
    """Its provider says what it thinks of it."""
    assert [] == turns_of(target)
    assert [] == turns_of(
        target,
        ConversationTurn(Role.USER, ()),
        ConversationTurn(Role.SYSTEM, ()),
        ConversationTurn(Role.USER, ()),
    )


@ALL
def test_parts_that_say_nothing_are_left_out(target):
    """So are turns of nothing else, where the target refuses them."""
    silent = ConversationTurn(Role.ASSISTANT, (TextPart(""), RefusalPart("")))

    assert 1 == len(turns_of(target, USER, silent, ConversationTurn(Role.SYSTEM, ())))


def test_a_long_conversation_for_anthropic_may_be_nothing_but_a_system_text():
    """It is the user's then, whatever stands before it."""
    lead = [ConversationTurn(Role.SYSTEM, (TextPart(each),)) for each in "AB"]

    body = json.loads(written(Conversation(tuple(lead)), TARGETS[MESSAGES]))

    assert "A" == body["system"][0]["text"]
    assert "B" == body["messages"][0]["content"][0]["text"]


def test_a_blank_text_is_refused_by_anthropic_alone():
    """Others may be sent it."""
    blank = ConversationTurn(Role.USER, (TextPart(" \n"), TextPart("Hi")))

    assert 1 == len(turns_of(TARGETS[MESSAGES], blank)[0]["content"])
    assert 2 == len(turns_of(TARGETS[CHAT], blank)[0]["content"])


@ALL
def test_parts_for_which_a_role_has_no_place_are_left_out(target):
    """An image that the assistant shows, a call that the user makes."""
    image = ImagePart(url="https://example.com/a.png")
    odd = ConversationTurn(Role.USER, (TextPart("Hi"), ToolCall("c", "f", "{}"), RefusalPart("no")))

    found = turns_of(
        target, odd, ConversationTurn(Role.ASSISTANT, (image, TextPart("Hello"))), USER
    )

    assert 3 == len(found)


def test_a_result_that_failed_without_a_word_says_so():
    """Anthropic refuses an empty one."""
    failed = ConversationTurn(Role.USER, (ToolResult("c", (), is_error=True),))
    called = ConversationTurn(Role.ASSISTANT, (ToolCall("c", "f", "{}"),))

    found = turns_of(TARGETS[MESSAGES], USER, called, failed)

    assert "The tool failed." == found[2]["content"][0]["content"]


def test_a_result_of_blank_parts_has_no_content():
    """Anthropic refuses blank blocks, not a missing content."""
    blank = ConversationTurn(Role.USER, (ToolResult("c", (TextPart(" "), TextPart(" "))),))
    called = ConversationTurn(Role.ASSISTANT, (ToolCall("c", "f", "{}"),))

    found = turns_of(TARGETS[MESSAGES], USER, called, blank)

    assert "content" not in found[2]["content"][0]


@ALL
def test_a_second_result_of_one_call_is_told_as_text(target):
    """Each call has one result."""
    called = ConversationTurn(Role.ASSISTANT, (ToolCall("c", "f", "{}"),))
    result = ToolResult("c", (TextPart("seen"),))

    found = json.dumps(
        turns_of(target, USER, called, ConversationTurn(Role.USER, (result, result)))
    )

    assert (2, 2) == (found.count("seen"), found.count('"c"'))


def test_results_stand_right_behind_their_calls():
    """Whatever the user says between them."""
    called = ConversationTurn(Role.ASSISTANT, (ToolCall("c", "f", "{}"),))
    late = ConversationTurn(Role.USER, (ToolResult("c", (TextPart("seen"),)),))

    chat = turns_of(TARGETS[CHAT], USER, called, USER, late)
    messages = turns_of(TARGETS[MESSAGES], USER, called, USER, late)

    assert ["user", "assistant", "tool", "user"] == [turn["role"] for turn in chat]
    assert ["tool_result", "text"] == [block["type"] for block in messages[2]["content"]]


def test_tools_that_were_called_are_declared_where_none_may_be_called_any_more():
    """Anthropic refuses calls and results without tools, as of an agent that sums up its work."""
    called = ConversationTurn(
        Role.ASSISTANT, (TextPart("so"), ToolCall("1", "a.b", "{}"), ToolCall("2", "f", "{}"))
    )
    seen = ConversationTurn(Role.USER, (ToolResult("1", ()), ToolResult("2", ())))
    turns = (USER, called, seen, *(USER,) * 1100)
    body, yields = counted(write_in_steps(Conversation(turns), TARGETS[MESSAGES]))
    said = json.loads(body)
    plain = json.loads(finished(write_in_steps(Conversation((USER,)), TARGETS[MESSAGES])))

    assert [sent_name("a.b"), "f"] == [tool["name"] for tool in said["tools"]]
    assert {"type": "none"} == said["tool_choice"]
    assert yields > 1
    assert not {"tools", "tool_choice"} & plain.keys()


def test_an_id_that_stands_for_several_calls_is_another_one_each_time():
    """Some servers begin to count anew in each turn; Anthropic takes each id once."""
    called = ConversationTurn(Role.ASSISTANT, (ToolCall("call_0", "f", "{}"),))
    seen = ConversationTurn(Role.USER, (ToolResult("call_0", (TextPart("seen"),)),))
    blocks = [
        block
        for turn in turns_of(TARGETS[MESSAGES], USER, called, seen, called, seen)[1:]
        for block in turn["content"]
    ]

    assert ["call_0", "call_0", "call_0_2", "call_0_2"] == [
        block.get("id", block.get("tool_use_id")) for block in blocks
    ]


def test_a_blank_text_document_is_left_out():
    """Anthropic refuses it."""
    turn = ConversationTurn(
        Role.USER,
        (TextPart("Hi"), DocumentPart(text=" "), DocumentPart(data="A", media_type="x/y")),
    )

    assert 1 == len(turns_of(TARGETS[MESSAGES], turn)[0]["content"])


def test_a_file_without_a_name_gets_one():
    """OpenAI wants to have one."""
    files = (
        DocumentPart(data="A", media_type="x/y"),
        DocumentPart(data="A", media_type="application/pdf"),
    )

    found = turns_of(TARGETS[CHAT], ConversationTurn(Role.USER, files))[0]["content"]

    assert ["file", "file.pdf"] == [part["file"]["filename"] for part in found]


def test_a_server_with_templates_gets_system_texts_first_and_turns_that_alternate():
    """Many models' templates refuse anything else."""
    target = Target(CHAT, "vllm", "qwen")
    late = ConversationTurn(Role.DEVELOPER, (TextPart("Now."),))
    lead = [
        ConversationTurn(Role.SYSTEM, (TextPart("A."),)),
        ConversationTurn(Role.DEVELOPER, (TextPart("B."),)),
    ]

    found = turns_of(target, *lead, USER, late, USER, ASSISTANT, ASSISTANT, late)

    assert [
        ("system", "A.\n\nB."),
        ("user", "Hi\n\n<system>\nNow.\n</system>\n\nHi"),
        ("assistant", "Hello\n\nHello"),
        ("user", "<system>\nNow.\n</system>"),
    ] == [(turn["role"], turn["content"]) for turn in found]


def test_files_of_results_follow_behind_all_results():
    """A message of a tool takes texts only."""
    calls = tuple(ToolCall(each, "f", "") for each in "abc")
    image = ImagePart(media_type="image/png", data="AAAA")
    results = (
        ToolResult("a", (image,)),
        ToolResult("b", (TextPart("b"), DocumentPart(text="plain"), image)),
        ToolResult("c", ()),
    )

    found = turns_of(
        TARGETS[CHAT],
        USER,
        ConversationTurn(Role.ASSISTANT, calls),
        ConversationTurn(Role.USER, (*results, TextPart("And?"))),
    )

    assert ["user", "assistant", "tool", "tool", "tool", "user", "user"] == [
        each["role"] for each in found
    ]
    assert ["b\nplain", ""] == [each["content"] for each in found[3:5]]
    assert ["text", "image_url", "text", "image_url"] == [
        each["type"] for each in found[5]["content"]
    ]
    assert "And?" == found[6]["content"]


def test_marks_on_what_takes_none_are_left_out():
    """And those that do stand are at most four."""
    target = Target(MESSAGES, "anthropic", "claude-opus-5")
    mark = CacheMark("30m")
    result = ToolResult("c", (TextPart("x", mark), TextPart("y")), cache=mark)
    called = ConversationTurn(Role.ASSISTANT, (ToolCall("c", "f", "{}", mark), RefusalPart("no")))
    turns = (
        ConversationTurn(Role.USER, (TextPart(" ", mark), TextPart("Hi", mark))),
        called,
        ConversationTurn(Role.USER, (result,)),
    )
    tools = (ToolOffer("f", None, None, cache=mark),)

    body = written(Conversation(turns, tools, features=frozenset([Feature.CACHE])), target)

    assert 4 == body.count(b'"cache_control":{"type":"ephemeral"}')


def test_a_format_without_a_name_gets_one():
    """OpenAI wants to have one of its own alphabet."""
    for name in (None, "a b"):
        wanted = OutputFormat("{}", name)
        body = json.loads(written(Conversation((USER,), output=wanted), TARGETS[CHAT]))
        assert "response" == body["response_format"]["json_schema"]["name"]


@pytest.mark.parametrize("kind", ["auto", "any", "none"])
@ALL
def test_tools_that_may_not_be_called_are_not_offered(target, kind):
    """Unless the target can be told which may."""
    tools = (ToolOffer("f", None, None), ToolOffer("g", None, None))
    choice = ToolChoice(kind, ("g",))

    body = json.loads(written(Conversation((USER,), tools, choice), target))

    assert len(body["tools"]) == (1 if target.dialect == MESSAGES else 2)


def test_a_schema_says_that_it_is_of_an_object():
    """As Anthropic wants each."""
    assert b'{"type":"object","a":1}' == bytes(object_schema(msgspec.Raw(b'{"a":1}')))
    assert b'{"type": "x"}' == bytes(object_schema(msgspec.Raw(b'{"type": "x"}')))
    assert b"[]" == bytes(object_schema(msgspec.Raw(b"[]")))


@pytest.mark.parametrize("user", ["a@b.de", "+49 151 123", "0151123", "x" * 65, "a b", "ü"])
def test_an_id_that_may_name_a_person_is_hashed(user):
    """Anthropic refuses such ids; so are those that are too long."""
    assert 64 == len(user_id(user, 64))
    assert user_id(user, 64) != user


@pytest.mark.parametrize("user", ["u1", "user-1", "a.b:c_d", "x" * 64])
def test_an_opaque_id_goes_as_it_is(user):
    """As the caller made it."""
    assert user == user_id(user, 64)


def test_a_writer_of_responses_learns_what_it_must_know():
    """Names that were sent otherwise, tools that take a text, functions of old."""
    tools = (
        ToolOffer("a.b", None, None),
        ToolOffer("patch", None, None, is_custom=True),
        ToolOffer("f", None, None),
    )
    conversation = Conversation(
        (USER,), tools, wants_usage=False, echoed={"a": b"1"}, has_legacy_functions=True
    )

    context = reply_context(conversation, b"", CHAT, 5, "r")

    assert (5, "r", False) == (context.created_unix_s, context.request_id, context.wants_usage)
    assert {"a": b"1"} == context.echoed
    assert ["a.b"] == list(context.tool_names.values())
    assert (frozenset(["patch"]), True) == (context.custom_tools, context.has_legacy_functions)
