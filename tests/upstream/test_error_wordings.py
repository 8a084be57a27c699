"""What servers really send is understood, and what a caller gets echoed steers nobody else."""

from __future__ import annotations

import json

import pytest

from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream import account_wordings, error_wordings
from sidecar.upstream.failure import (
    Failure,
    Penalty,
    PinEffect,
    classify_body_error,
    classify_reply,
    for_swapped,
)
from sidecar.upstream.wording import Wording
from tests.support.refusals import refusals


def classify(status: int, body: bytes) -> Failure:
    return classify_reply(status, body, (), 0.0, passthrough_auth=False)


@pytest.mark.parametrize(("status", "body"), refusals("too_long"))
def test_a_prompt_that_is_too_long_for_a_model(status, body):
    """Whatever the server, its gateway and the status of 4xx."""
    assert FailureClass.TOO_LONG is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("model_gone"))
def test_a_model_that_a_server_does_not_know(status, body):
    """By its code, or by the beginning of the message."""
    assert FailureClass.MODEL_GONE is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("our_credential"))
def test_a_key_that_a_server_refuses(status, body):
    """Also with a 400, or a 403 with a code of the provider's own."""
    assert FailureClass.OUR_CREDENTIAL is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("quota"))
def test_an_account_that_has_nothing_left(status, body):
    """Whatever the status of 4xx."""
    assert FailureClass.QUOTA is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("signed_state"))
def test_a_conversation_that_a_model_cannot_read(status, body):
    """Signatures, encrypted content, thought signatures, in any status and in text."""
    assert FailureClass.SIGNED_STATE is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("refused"))
def test_a_refusal_that_is_not_the_providers_own(status, body):
    """A firewall's page, or the denial of what a caller named, says nothing about the key."""
    assert FailureClass.REFUSED is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("filtered"))
@pytest.mark.parametrize("as_status", [None, 503])
@pytest.mark.parametrize("passthrough_auth", [False, True])
def test_a_filter_of_one_callers_request_is_no_model_that_is_gone(
    status, body, as_status, passthrough_auth
):
    """The call goes on to the next candidate, whose key it may be; nothing is held against this
    one, and the session is served where its calls pass.
    """
    failure = classify_reply(as_status or status, body, (), 0.0, passthrough_auth=passthrough_auth)
    inside = classify_body_error(body, passthrough_auth=passthrough_auth)

    assert Failure(FailureClass.REFUSED, True, Penalty.NONE, PinEffect.MOVES) == failure == inside


@pytest.mark.parametrize(("status", "body"), refusals("content_policy"))
def test_a_prompt_that_a_filter_refuses(status, body):
    """No other model is asked to serve it."""
    assert FailureClass.CONTENT_POLICY is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("busy"))
def test_a_rate_limit_is_neither_a_bill_nor_a_length(status, body):
    """Its words are close to both."""
    assert FailureClass.BUSY is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("callers_fault"))
def test_a_request_that_is_wrong(status, body):
    """It goes to no other candidate, and holds nothing against this one."""
    assert FailureClass.CALLERS_FAULT is classify(status, body).failure_class


@pytest.mark.parametrize(("status", "body"), refusals("callers_fault"))
def test_what_a_model_refuses_that_the_app_did_not_ask_for_may_suit_another(status, body):
    """A parameter of one maker's models is no fault of the caller's."""
    swapped = for_swapped(classify(status, body))

    assert FailureClass.SWAPPED is swapped.failure_class
    assert (True, Penalty.NONE, PinEffect.MOVES) == (
        swapped.may_try_next,
        swapped.penalty,
        swapped.pin,
    )


@pytest.mark.parametrize(("status", "body"), refusals("content_policy"))
def test_what_a_filter_refuses_is_no_matter_of_the_model(status, body):
    """Not even of one that the sidecar chose."""
    failure = classify(status, body)

    assert failure is for_swapped(failure)


@pytest.mark.parametrize(("status", "body"), refusals("echoes"))
def test_the_echo_of_a_prompt_steers_nobody_else(status, body):
    """A caller can put any words into its prompt; the beginning of a message is the server's."""
    assert Penalty.NONE is classify(status, body).penalty
    assert not classify(status, body).needs_alert


@pytest.mark.parametrize("meaning", ["model_gone", "our_credential", "quota"])
@pytest.mark.parametrize(
    "echo",
    [
        "Invalid value: '{}'. Supported values are: 'a' and 'b'.",
        "messages.0.content.0: {}",
        "Unrecognized request argument supplied: {}",
        "litellm.BadRequestError: OpenAIException - Could not parse {}",
        "400 Bad Request: Failed to deserialize {}",
        "Additional properties are not allowed ({} was unexpected)",
        "{} is not of type 'object' - 'messages.0'",
        "'{}' cannot be a role.",
    ],
)
def test_no_refusal_counts_where_it_is_echoed(meaning, echo):
    """A caller sends a whole refusal of another account as its prompt."""
    echoes = [echo.replace("{}", each.values[1].decode()) for each in refusals(meaning)]
    fields = [{"message": text, "code": "invalid_value", "param": text} for text in echoes]
    bodies = [json.dumps({"error": each}).encode() for each in fields]

    assert [] == [body for body in bodies if classify(400, body).penalty is not Penalty.NONE]
    assert [] == [text for text in echoes if classify(403, text.encode()).needs_alert]


@pytest.mark.parametrize(
    ("meaning", "failure_class"),
    [
        ("too_long", FailureClass.TOO_LONG),
        ("model_gone", FailureClass.MODEL_GONE),
        ("quota", FailureClass.QUOTA),
        ("signed_state", FailureClass.SIGNED_STATE),
        ("content_policy", FailureClass.CONTENT_POLICY),
    ],
)
def test_a_reason_is_named_without_a_status_too(meaning, failure_class):
    """Inside a 200: all that name it by themselves, but for those that only their status told."""
    bodies = [each.values for each in refusals(meaning)]
    unnamed = [
        (status, body)
        for status, body in bodies
        if classify_body_error(body, passthrough_auth=False).failure_class is not failure_class
    ]

    assert len(unnamed) <= 3, unnamed


@pytest.mark.parametrize(
    "meaning",
    ["too_long", "model_gone", "our_credential", "quota", "signed_state", "callers_fault"],
)
def test_each_reason_is_known_of_twenty_servers(meaning):
    """Lines of one server share the words before a comma."""
    servers = {each.id.partition(",")[0].partition(" (")[0] for each in refusals(meaning)}

    assert len(servers) >= 20


def test_a_server_error_about_signed_state_is_read_whatever_its_words():
    """Most server errors are not read; none about this may be among them."""
    texts = [*error_wordings.SIGNED_STATE.phrases, *error_wordings.SIGNED_STATE.codes]
    classes = {classify(500, text.encode()).failure_class for text in texts}
    bodies = {classify(502, each.values[1]).failure_class for each in refusals("signed_state")}

    assert {FailureClass.SIGNED_STATE} == classes == bodies


def test_a_text_that_is_looked_for_is_written_as_messages_are_read():
    """In lower case, without quotation marks; else it would never be found."""
    names = {**vars(error_wordings), **vars(account_wordings)}
    tables = [each for each in names.values() if isinstance(each, Wording)]

    assert len(tables) == 13
    for table in tables:
        words = "".join((*table.codes, *table.phrases))
        if table.openings:
            words += table.openings.pattern.replace("\\S", "").replace("\\W", "")
        assert words == words.lower()
        assert not set(words) & set("`'\"")


def test_bodies_that_repeat_what_patterns_begin_with_are_read_to_their_end():
    """They hold nothing against a candidate."""
    for piece in (
        b"encrypted content ",
        b"item with id x",
        b"error: ",
        b'{"error":',
        b"the model ",
    ):
        body = (piece * 70_000)[:65_536]
        assert classify(400, body).penalty is Penalty.NONE
        assert (
            classify(400, b'{"error":"' + body.replace(b'"', b"") + b'"}').penalty is Penalty.NONE
        )
