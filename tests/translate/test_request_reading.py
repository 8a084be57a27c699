"""Requests as they come: what is rare, what is long, what is of old."""

from __future__ import annotations

import json

import msgspec
import pytest

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.domain.errors import InvalidBody
from sidecar.translate import (
    cache_marks,
    chat_message_reader,
    chat_reader,
    chat_tools_reader,
    messages_block_reader,
    messages_reader,
    messages_tools_reader,
    openai_options,
    openai_tools,
    pacing,
    reading,
    responses_item_reader,
    responses_reader,
    responses_tools_reader,
    tool_offers,
    turn_features,
)
from sidecar.translate.conversation import (
    CacheMark,
    DocumentPart,
    ImagePart,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.translate.data_urls import data_url, document_of, image_of, image_type, parted
from sidecar.translate.losses import Feature
from sidecar.translate.requests import read_in_steps
from sidecar.translate.tool_names import parted_name, qualified, sent_name
from tests.translate.request_cases import APIS, body_of, read

READERS = (
    *(chat_reader, chat_message_reader, chat_tools_reader),
    *(messages_reader, messages_block_reader, messages_tools_reader),
    *(responses_reader, responses_item_reader, responses_tools_reader),
    *(reading, cache_marks, openai_options, openai_tools, tool_offers, turn_features),
)


def test_each_reader_stands_beside_its_api():
    """Three readers, and what two of them have in common."""
    assert 15 == len({module.__name__ for module in READERS})


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("turns", [40, 4_000])
def test_a_long_conversation_is_read_in_steps(api, turns):
    """No step reads more than a few turns, or one that is long alone."""
    long = "x" * 80_000 if turns < 1000 else "x" * 800
    role = [{"role": "user", "content": long}, {"role": "assistant", "content": "ok"}]
    name = "input" if api == RESPONSES else "messages"
    body = body_of({name: role * (turns // 2) + role[:1], "tools": []}, api)

    steps = read_in_steps(api, body)
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            conversation = ended.value
            break
        count += 1

    assert turns + 1 == len(conversation.turns)
    assert count >= len(body) // (4 * pacing.STEP_BYTES)


def test_a_body_is_read_alike_in_one_step_and_in_many():
    """Escaped names included, and what stands twice."""
    pad = {"pad": "x" * 1_200_000}
    given = {"temperature": 0.5, "frobnicate": 1, "messages": [{"role": "user", "content": "Hi"}]}
    short = json.dumps({**given, "pad": "x"}).replace("temperature", "temp\\u0065rature").encode()
    long = json.dumps({**given, **pad}).replace("temperature", "temp\\u0065rature").encode()

    assert read(short, CHAT) == read(long, CHAT)


def test_a_long_body_that_is_no_json_gives_an_error():
    """Found in its outline, or where a value is decoded."""
    with pytest.raises(InvalidBody):
        read(b'{"messages":[' + b" " * 1_100_000 + b"}", CHAT)
    with pytest.raises(InvalidBody):
        read(b'{"messages":[{"role":"user","content":nix}]' + b" " * 1_100_000 + b"}", CHAT)
    with pytest.raises(InvalidBody):
        read(b'{"messages":{' + b" " * 1_100_000 + b"}}", CHAT)


def test_an_image_may_stand_where_its_object_should():
    """As some clients of chat write it."""
    parts = [{"type": "image_url", "image_url": "https://example.com/a.png"}]

    found = read(body_of({"messages": [{"role": "user", "content": parts}]}, CHAT), CHAT)

    assert (ImagePart(url="https://example.com/a.png"),) == found.turns[0].parts


def test_an_image_may_stand_in_a_tools_result_of_chat():
    """Providers take it, though the API's types have no place for one."""
    parts = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    turns = [{"role": "tool", "tool_call_id": "c", "content": parts}]

    found = read(body_of({"messages": turns}, CHAT), CHAT)

    image = ImagePart(url="https://example.com/a.png")
    assert (ToolResult("c", (image,)),) == found.turns[0].parts


def test_a_mark_on_a_message_of_chat_is_that_of_its_last_part():
    """As some clients write it."""
    mark = {"type": "ephemeral"}
    turns = [
        {"role": "user", "cache_control": mark, "content": "a"},
        {"role": "user", "cache_control": mark, "content": [{"type": "text", "text": "a"}]},
        {"role": "user", "cache_control": mark, "content": []},
    ]

    found = read(body_of({"messages": turns}, CHAT), CHAT)

    assert [(TextPart("a", CacheMark()),), (TextPart("a", CacheMark()),), ()] == [
        turn.parts for turn in found.turns
    ]


def test_results_of_old_functions_belong_to_the_call_before_them():
    """They name the function, and no id."""
    call = {"role": "assistant", "content": None, "function_call": {"name": "f"}}
    turns = [call, {"role": "function", "name": "f", "content": None}, call]

    found = read(body_of({"messages": turns, "functions": [{"name": "f"}]}, CHAT), CHAT)

    assert [
        (ToolCall("call_of_messages_0", "f", ""),),
        (ToolResult("call_of_messages_0", ()),),
        (ToolCall("call_of_messages_2", "f", ""),),
    ] == [turn.parts for turn in found.turns]
    assert found.has_legacy_functions


def test_a_function_choice_of_old_may_be_a_word():
    """As the newer one."""
    given = {"functions": [{"name": "f"}], "function_call": "none"}

    assert ToolChoice("none") == read(body_of(given, CHAT), CHAT).tool_choice


def test_a_call_of_a_kind_that_nobody_knows_is_lost():
    """It is named."""
    turns = [{"role": "assistant", "content": "a", "tool_calls": [{"id": "c", "type": "shell"}]}]

    found = read(body_of({"messages": turns}, CHAT), CHAT)

    assert ["messages.tool_calls.shell"] == [loss.field for loss in found.unread]


@pytest.mark.parametrize(
    ("api", "given"),
    [
        (CHAT, {"response_format": {"type": "grammar"}}),
        (CHAT, {"tools": [], "tool_choice": {"type": "shell"}}),
        (RESPONSES, {"text": {"format": {"type": "grammar"}}}),
        (RESPONSES, {"tool_choice": {"type": "frobnicate"}}),
        (MESSAGES, {"output_config": {"format": {"type": "grammar"}}}),
        (MESSAGES, {"tool_choice": {"type": "frobnicate"}}),
    ],
)
def test_a_form_or_choice_that_nobody_knows_decides(api, given):
    """The caller relies on it, whatever it means."""
    found = read(body_of(given, api), api)

    assert 2 == max(loss.weight for loss in found.unread)
    assert (None, None) == (found.output, found.tool_choice)


def test_some_tools_that_may_be_called_may_stand_without_a_function_around_their_names():
    """As the responses API writes them."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    allowed = {"mode": "required", "tools": [{"type": "function", "name": "f"}]}
    given = {"tools": tools, "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}

    assert ToolChoice("any", ("f",)) == read(body_of(given, CHAT), CHAT).tool_choice


@pytest.mark.parametrize(
    ("api", "stop", "expected"),
    [
        (CHAT, {"stop": ""}, ()),
        (CHAT, {"stop": ["", "x"]}, ("x",)),
        (MESSAGES, {"stop_sequences": ["", "x"]}, ("x",)),
    ],
)
def test_an_empty_stop_sequence_stops_nothing(api, stop, expected):
    """Anthropic would refuse it."""
    body = body_of({"messages": [], **stop}, api)

    assert expected == read(body, api).sampling.stop


def test_a_mark_on_the_whole_needs_a_part_to_stand_on():
    """There may be none."""
    mark = {"cache_control": {"type": "ephemeral"}}

    assert () == read(body_of({**mark, "messages": []}, MESSAGES), MESSAGES).turns
    empty = [{"role": "user", "content": []}]
    assert () == read(body_of({**mark, "messages": empty}, MESSAGES), MESSAGES).turns[0].parts


def test_a_request_of_messages_may_choose_none_of_its_tools():
    """Then no parallel calls are spoken of."""
    given = {"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "none"}}

    found = read(body_of(given, MESSAGES), MESSAGES)

    assert (ToolChoice("none"), None) == (found.tool_choice, found.may_call_in_parallel)


def test_parts_of_results_that_are_no_content_are_left_out():
    """A refusal is none."""
    output = [{"type": "refusal", "refusal": "no"}, {"type": "input_text", "text": ""}]
    items = [{"type": "function_call_output", "call_id": "c", "output": output}]

    found = read(body_of({"input": items}, RESPONSES), RESPONSES)

    assert (ToolResult("c", ()),) == found.turns[0].parts


def test_an_item_may_have_no_content():
    """It is a turn that says nothing."""
    found = read(body_of({"input": [{"role": "user", "content": None}]}, RESPONSES), RESPONSES)

    assert (Role.USER, ()) == (found.turns[0].role, found.turns[0].parts)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a.png", None),
        ("data:image/png;base64,AAAA", ("image/png", "AAAA")),
        ("DATA:Image/PNG;charset=x;BASE64,AA AA\n", ("image/png", "AAAA")),
        ("data:;base64,AAAA", ("", "AAAA")),
        ("data:text/plain,hello", None),
        ("data:nothing", None),
        ("data:" + "x" * 300 + ";base64,AAAA", None),
    ],
)
def test_an_address_that_holds_a_file_is_parted(url, expected):
    """Into media type and base64, without line ends."""
    assert expected == parted(url)


def test_a_picture_is_what_its_first_bytes_say():
    """Else what was said, else a PNG."""
    assert "image/jpeg" == image_type("/9j/AAAA", "image/png")
    assert "image/x" == image_type("AAAA", "image/x")
    assert "image/png" == image_type("AAAA", "")
    assert ImagePart(media_type="image/gif", data="R0lGODAA") == image_of(
        data_url("image/png", "R0lGODAA"), None, None
    )


def test_a_plain_text_is_decoded():
    """One that is none is empty."""
    assert "hello" == document_of("aGVsbG8=", "text/plain", None, None).text
    assert "" == document_of("////", "text/plain", None, None).text
    assert "" == document_of("a", "text/plain", None, None).text
    assert DocumentPart(data="AAAA", media_type="application/pdf") == document_of(
        "AAAA", "", None, None
    )


def test_a_text_file_is_known_by_its_name():
    """Where its base64 stands alone."""
    parts = [{"type": "file", "file": {"file_data": "aGVsbG8=", "filename": "A.TXT"}}]

    found = read(body_of({"messages": [{"role": "user", "content": parts}]}, CHAT), CHAT)

    file = DocumentPart(text="hello", media_type="text/plain", name="A.TXT")
    assert (file,) == found.turns[0].parts


def test_a_refusal_asks_nothing_of_a_target():
    """It becomes a text."""
    turns = [{"role": "user", "content": [{"type": "refusal", "refusal": "no"}]}]

    found = read(body_of({"messages": turns}, CHAT), CHAT)

    assert frozenset() == found.features
    assert () == found.turns[0].parts or RefusalPart("no") == found.turns[0].parts[0]


def test_members_of_a_response_repeat_those_of_the_request():
    """Each as it was written."""
    body = b'{"input": "Hi", "temperature":  0.50, "tools": [ ], "foo": 1}'

    echoed = read(body, RESPONSES).echoed

    assert {"temperature": b"0.50", "tools": b"[ ]"} == echoed
    assert {} == read(body_of({}, CHAT), CHAT).echoed


@pytest.mark.parametrize("name", ["look", "mcp__a__b-c", "x" * 64])
def test_a_name_that_all_apis_take_is_sent_as_it_is(name):
    """Most are."""
    assert name == sent_name(name)


@pytest.mark.parametrize("name", ["", "a.b", "ä", "x" * 65, "a b\n", "\ud83d"])
def test_any_other_name_is_sent_as_one_that_all_take(name):
    """The same each time, and another for another."""
    assert msgspec.convert(sent_name(name), str, strict=True) == sent_name(name)
    assert sent_name(name) != sent_name(name + "x")
    assert sent_name(sent_name(name)) == sent_name(name)


@pytest.mark.parametrize(
    ("namespace", "sent"),
    [("maps", "maps__look"), ("mcp__maps__", "mcp__maps__look"), (None, "look"), ("", "look")],
)
def test_a_namespace_stands_before_a_name(namespace, sent):
    """As agents write the tools of a server."""
    assert sent == sent_name(qualified(namespace, "look"))
    assert (namespace or None, "look") == parted_name(qualified(namespace, "look"))


@pytest.mark.parametrize("namespace", ["a.b", "x" * 60, "\x1f"])
def test_a_namespace_that_not_all_apis_take_is_sent_as_another_name(namespace):
    """Not as that of another namespace."""
    sent = sent_name(qualified(namespace, "look"))

    assert sent == sent_name(sent)
    assert sent != sent_name(qualified("y" + namespace, "look"))


def test_the_tools_of_a_namespace_are_read_as_others_are():
    """What is no object, or has no name, is told."""
    tool: dict[str, object] = {"type": "namespace", "name": "ns", "tools": [{"type": "function"}]}

    with pytest.raises(InvalidBody, match=r"'tools\[0\].name' must be a string"):
        read(body_of({"tools": [tool]}, RESPONSES), RESPONSES)
    del tool["tools"]
    assert () == read(body_of({"tools": [tool]}, RESPONSES), RESPONSES).tools


def test_what_turns_ask_of_a_target_is_known_without_a_second_walk():
    """A late system text, a prefill, images closely looked at, files of each kind."""
    content = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/msword;base64,AAAA"}},
        {"type": "file", "file": {"file_data": "AAAA"}},
    ]
    turns = [
        {"role": "user", "content": content},
        {"role": "system", "content": "x"},
        {"role": "assistant", "content": "y"},
    ]

    found = read(body_of({"messages": turns}, CHAT), CHAT).features

    assert {
        *(Feature.IMAGES, Feature.DETAIL, Feature.OTHER_DOCUMENTS, Feature.DOCUMENTS),
        *(Feature.LATE_SYSTEM, Feature.PREFILL),
    } == found


def _offering(*names: str) -> dict[str, object]:
    tools = [{"type": "function", "name": name, "description": name * 2} for name in names]
    return {"type": "additional_tools", "role": "developer", "tools": tools}


def test_tools_that_items_offer_stand_behind_those_of_the_request_each_once():
    """Providers refuse two of one name; what was offered last holds."""
    given = {
        "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}],
        "input": [_offering("c", "a"), {"role": "user", "content": "Hi"}, _offering("d", "c")],
        "tool_choice": {"type": "function", "name": "d"},
    }

    found = read(body_of(given, RESPONSES), RESPONSES)

    assert [("a", "aa"), ("b", None), ("c", "cc"), ("d", "dd")] == [
        (tool.name, tool.description) for tool in found.tools
    ]
    assert ToolChoice("named", ("d",)) == found.tool_choice
    assert (TextPart("Hi"),) == found.turns[0].parts


def test_items_offer_no_more_tools_than_a_request_may():
    """All of them together."""
    half = [_offering(*(f"{each}_{number}" for number in range(2049))) for each in "ab"]

    with pytest.raises(InvalidBody, match="more than 4096"):
        read(body_of({"input": half}, RESPONSES), RESPONSES)


def test_an_item_without_tools_offers_none():
    """And says nothing."""
    given = {"input": [{"type": "additional_tools"}, {"role": "user", "content": "Hi"}]}
    found = read(body_of(given, RESPONSES), RESPONSES)

    assert ((), (), 1) == (found.tools, found.unread, len(found.turns))
