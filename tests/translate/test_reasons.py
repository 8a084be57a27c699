"""Why a response ended, in each API's words: what is complete, what is cut, what was refused stays so."""

from __future__ import annotations

import typing

import pytest
from anthropic.types.beta import BetaStopReason
from openai.types.chat import chat_completion
from openai.types.responses.response import IncompleteDetails

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate import responses
from sidecar.translate.chat_whole import chat_finish, finish_reason_of
from sidecar.translate.completion import Finish, Started
from sidecar.translate.event_ports import EventReading, EventWriting
from sidecar.translate.lost_content import LostContent
from sidecar.translate.messages_whole import messages_finish, stop_reason_of
from sidecar.translate.reasons import (
    FROM_CHAT,
    FROM_MESSAGES,
    INCOMPLETE,
    TO_CHAT,
    TO_MESSAGES,
    settled,
    tier_for_messages,
    tier_of,
)
from sidecar.translate.reply_context import ReplyContext
from sidecar.translate.responses_whole import ResponseBody, responses_finish
from tests.translate.provider_wire import APIS

CONTEXT = ReplyContext(1, "r")


def words_of(annotation):
    """Return all words of a Literal, wherever in a type it stands."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return set(inner)
    return {word for each in inner for word in words_of(each)}


def test_every_reason_of_the_sdks_is_known():
    """A release that adds one fails here."""
    chat = chat_completion.Choice.model_fields["finish_reason"].annotation
    incomplete = IncompleteDetails.model_fields["reason"].annotation

    assert words_of(chat) <= set(FROM_CHAT)
    assert words_of(BetaStopReason) == set(FROM_MESSAGES)
    assert {"max_output_tokens", "content_filter", "max_messages", "steered"} == words_of(
        incomplete
    )


def test_every_reason_has_a_word_in_each_api():
    """Those that a response may have in the SDKs' types."""
    chat = chat_completion.Choice.model_fields["finish_reason"].annotation

    assert set(Finish) == set(TO_CHAT) == set(TO_MESSAGES)
    assert set(TO_CHAT.values()) <= words_of(chat)
    assert set(TO_MESSAGES.values()) <= words_of(BetaStopReason)
    assert {Finish.LENGTH, Finish.REFUSAL, Finish.PAUSE} == set(INCOMPLETE)


@pytest.mark.parametrize("finish", [Finish.STOP, Finish.LENGTH, Finish.REFUSAL, Finish.TOOL_CALLS])
def test_a_reason_comes_back_from_each_api(finish):
    """As it went."""
    status = "incomplete" if finish in INCOMPLETE else "completed"
    details = {"reason": INCOMPLETE.get(finish)}
    response = ResponseBody(status=status, incomplete_details=details)
    has_calls = finish is Finish.TOOL_CALLS

    assert finish == chat_finish(finish_reason_of(finish, CONTEXT), None)[0]
    assert finish == messages_finish(stop_reason_of(finish, is_refused=False), None)[0]
    assert finish == responses_finish(response, has_calls=has_calls)


def test_calls_decide_where_the_word_is_wrong():
    """Agents go by the word."""
    assert Finish.TOOL_CALLS is settled(Finish.STOP, has_calls=True)
    assert Finish.STOP is settled(Finish.TOOL_CALLS, has_calls=False)
    assert Finish.LENGTH is settled(Finish.LENGTH, has_calls=True)


@pytest.mark.parametrize("reason", [None, 4, [], "something"])
def test_an_unknown_reason_is_a_stop(reason):
    """As the servers' own callers take it."""
    assert (Finish.STOP, None) == chat_finish(reason, 4) == messages_finish(reason, "#")


def test_tiers_have_openais_words():
    """Others are left out."""
    assert ["default", "priority", "flex", "scale", None, None, None] == [
        tier_of(tier) for tier in ("standard", "priority", "batch", "scale", "gold", None, 4)
    ]
    assert ["standard", "priority", None, None] == [
        tier_for_messages(tier) for tier in ("default", "priority", "flex", None)
    ]


@pytest.mark.parametrize("target", APIS)
@pytest.mark.parametrize("source", APIS)
def test_each_api_is_read_and_written(source, target):
    """By what the door asks of both."""
    translator = responses.ResponseTranslator(source, target, CONTEXT)
    reader: EventReading = translator._reads.events(LostContent(set()))
    writer: EventWriting = translator._writes.events(CONTEXT)

    assert () == tuple(reader.end())
    written = writer.write(Started("r-1", "m-1"))
    assert b"m-1" in (written if isinstance(written, bytes) else b"".join(written))
    assert {CHAT, MESSAGES, RESPONSES} == set(APIS)
