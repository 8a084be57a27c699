"""Every field of the three APIs' responses and events is accounted for, as the installed SDKs have
them: an SDK release that adds one fails here until somebody decides what becomes of it.

``data/response_fields.txt`` has a line for each class and each of its fields. ``carried``: it
reaches the caller where the caller's API has a place for it. ``made``, ``constant``: written for
the caller, whatever the provider says. ``echoed``: repeats the request. ``named``: left out, and
named as lost. ``lost``: left out; it says nothing of what the model said. The inside of what is left
out has no lines.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from anthropic.types import beta as beta_types
from openai.types import responses as responses_types

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.chat_whole import LOST_OF_MESSAGE
from sidecar.translate.lost_content import KNOWN_CONTENT
from sidecar.translate.responses import ReplyContext
from tests.translate.at_once import ResponseTranslator
from tests.translate.provider_wire import data_event
from tests.translate.sdk_types import fields_of, kinds_of, name_of

TABLE = dict(
    line.split()
    for line in (Path(__file__).parent / "data/response_fields.txt").read_text().splitlines()
)
WORDS = {"carried", "made", "constant", "echoed", "named", "lost"}
CONTEXT = ReplyContext(created_unix_s=1, request_id="r")
BLOCKS = kinds_of(beta_types.BetaContentBlock)
DELTAS = kinds_of(beta_types.BetaRawContentBlockDelta)
ITEMS = kinds_of(responses_types.ResponseOutputItem)
EVENTS = kinds_of(responses_types.ResponseStreamEvent)


def named(kinds):
    return sorted(kind for name, kind in kinds.items() if TABLE[name] == "named")


def test_every_field_is_in_the_table():
    """And the table has none that the SDKs do not have."""
    left_out = {path for path, word in TABLE.items() if word != "carried"}

    found = set(fields_of(left_out))

    assert set() == found - set(TABLE), "not accounted for"
    assert set() == set(TABLE) - found, "not in the installed SDKs"
    assert WORDS == set(TABLE.values())


def test_fewer_than_a_third_of_the_fields_are_left_out():
    """Most of what is left out are kinds of content that only server tools make."""
    words = list(TABLE.values())

    assert len(words) / 3 > words.count("named") + words.count("lost")


@pytest.mark.parametrize("kind", named(BLOCKS))
def test_a_block_without_a_place_is_named(kind):
    """By its own type, whole and streamed."""
    whole = ResponseTranslator(CHAT, MESSAGES, CONTEXT)
    whole.whole(json.dumps({"content": [{"type": kind}], "stop_reason": "end_turn"}).encode())
    streamed = ResponseTranslator(CHAT, MESSAGES, CONTEXT)
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": kind}}
    streamed.stream().feed(data_event({"type": "message_start"}) + data_event(block))

    assert {kind} == whole.lost == streamed.lost


@pytest.mark.parametrize("kind", named(DELTAS))
def test_a_delta_without_a_place_is_named(kind):
    """Where it comes in a block that has one; else the block has been named."""
    translator = ResponseTranslator(CHAT, MESSAGES, CONTEXT)
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": kind}}
    events = [{"type": "message_start"}, block, delta]
    translator.stream().feed(b"".join(map(data_event, events)))

    assert {kind.removesuffix("_delta")} == translator.lost


@pytest.mark.parametrize("kind", named(ITEMS))
def test_an_output_item_without_a_place_is_named(kind):
    """By its own type, whole and streamed."""
    whole = ResponseTranslator(MESSAGES, RESPONSES, CONTEXT)
    whole.whole(json.dumps({"output": [{"type": kind}], "status": "completed"}).encode())
    streamed = ResponseTranslator(MESSAGES, RESPONSES, CONTEXT)
    added = {"type": "response.output_item.added", "output_index": 0, "item": {"type": kind}}
    created = data_event({"type": "response.created", "response": {}})
    streamed.stream().feed(created + data_event(added))

    assert {kind} == whole.lost == streamed.lost


@pytest.mark.parametrize("kind", named(EVENTS))
def test_an_event_without_a_place_is_named(kind):
    """By what it is of."""
    translator = ResponseTranslator(MESSAGES, RESPONSES, CONTEXT)
    created = data_event({"type": "response.created", "response": {}})
    translator.stream().feed(created + data_event({"type": kind}))

    [name] = translator.lost
    assert name in kind or name == "annotations"


def test_the_names_of_what_the_sdks_know_are_known():
    """Others are a provider's to invent, and no label of a figure."""
    translator = ResponseTranslator(MESSAGES, RESPONSES, CONTEXT)
    created = data_event({"type": "response.created", "response": {}})
    for kind in named(EVENTS):
        translator.stream().feed(created + data_event({"type": kind}))
    kinds = {*named(BLOCKS), *named(ITEMS), *translator.lost, *LOST_OF_MESSAGE}
    kinds |= {kind.removesuffix("_delta") for kind in named(DELTAS)}
    members = {"choices", "logprobs", "annotations", "citations", "phase", "namespace"}

    assert kinds | members == KNOWN_CONTENT


def test_both_sdks_have_the_classes_that_are_looked_at():
    """The roots are found under the names that the table has."""
    assert "beta_message.BetaMessage" == name_of(beta_types.BetaMessage)
    assert TABLE["beta_message.BetaMessage"] == "carried"
