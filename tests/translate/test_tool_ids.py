"""Ids of tool calls survive every way through the APIs, within what each takes."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES
from sidecar.translate.tool_ids import for_caller, for_provider, made_up

LIMITS = {CHAT: 40, RESPONSES: 64, MESSAGES: 256}
DIRECTIONS = list(itertools.product(LIMITS, LIMITS))
MADE_BY_PROVIDERS = {
    "openai": "call_9fTbnXBQQjM0v3eQpGmZ1kYw",
    "anthropic": "toolu_01A09q90qw90lq917835lq9",
    "bedrock": "toolu_bdrk_01A09q90qw90lq917835lq9",
    "mistral": "D681PevKs",
    "kimi": "functions.get_weather:0",
    "gemini": "function-call-12345678901234567890",
}

ids = st.text(st.characters(codec="utf-8"), max_size=90) | st.from_regex(
    r"\A(?:c[xh]_)?[a-zA-Z0-9_=-]{0,80}\Z"
)


@pytest.mark.parametrize("call_id", MADE_BY_PROVIDERS.values(), ids=MADE_BY_PROVIDERS)
@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_provider_gets_back_the_id_that_it_made(source, target, call_id):
    """Whatever the caller's API had to make of it."""
    assert call_id == for_provider(for_caller(call_id, source), target, "moonshotai") or (
        target == MESSAGES and "." in call_id
    )


@pytest.mark.parametrize("call_id", [MADE_BY_PROVIDERS["openai"], MADE_BY_PROVIDERS["anthropic"]])
def test_an_id_that_fits_goes_as_it_is(call_id):
    """OpenAI's and Anthropic's fit each other's APIs."""
    assert {call_id} == {for_caller(call_id, source) for source in LIMITS}


@given(ids)
def test_an_id_fits_the_callers_api(call_id):
    """So that a provider of that API takes it, should the session go on there."""
    for source, limit in LIMITS.items():
        fitted = for_caller(call_id, source)

        assert 0 < len(fitted) <= limit
        assert source != MESSAGES or re.fullmatch(r"[a-zA-Z0-9_-]+", fitted)


@given(ids.filter(bool))
def test_what_the_caller_sends_back_is_what_was_made(call_id):
    """As long as it fits at all, encoded; else its hash stands for it, each time the same."""
    for source in LIMITS:
        mapped = for_caller(call_id, source)
        back = for_provider(mapped, CHAT, "vllm")

        is_hashed = mapped != call_id and re.fullmatch(r"ch_[0-9a-f]{32}", mapped)
        assert back == (mapped if is_hashed else call_id)
        assert not is_hashed or len(call_id.encode()) * 4 / 3 > LIMITS[source] - 9


@given(ids, ids)
def test_two_ids_stay_two(one, other):
    """A call keeps its own result."""
    for source in LIMITS:
        assert (one == other) == (for_caller(one, source) == for_caller(other, source))


@given(ids)
def test_call_and_result_are_sent_the_same_id(call_id):
    """The mapping of a request has no state: it is the same for both, on every pod."""
    for target in LIMITS:
        sent = for_provider(call_id, target, "openai")

        assert 0 < len(sent) <= LIMITS[target]
        assert sent == for_provider(call_id, target, "openai")


@given(ids)
def test_mistral_gets_nine_letters_and_digits(call_id):
    """It refuses all else."""
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", for_provider(call_id, CHAT, "mistral"))


def test_mistral_gets_its_own_ids_back():
    """They fit every API."""
    assert "D681PevKs" == for_provider(for_caller("D681PevKs", MESSAGES), CHAT, "mistral")


def test_servers_that_make_long_ids_get_them_back():
    """OpenAI's limit is none of theirs."""
    call_id = "chatcmpl-tool-1f0c53ab5d714b3fa5e5ba4c8f3b2d61"

    assert call_id == for_provider(for_caller(call_id, MESSAGES), CHAT, "vllm")
    assert 40 >= len(for_provider(call_id, CHAT, "openai"))


@pytest.mark.parametrize("call_id", ["cx_", "cx_!", "cx_YQ==", "cx_YR", "cx_gA", "cx_\udc80"])
def test_an_id_that_only_looks_encoded_is_left_alone(call_id):
    """No base64, not as it is written here, or no text."""
    assert call_id == for_provider(call_id, RESPONSES, "openai")


def test_ids_that_are_made_up_differ_by_request_and_part():
    """A conversation holds each once, and every API takes them."""
    made = {made_up(request, part) for request in ("r1", "r2") for part in range(3)}

    assert 6 == len(made)
    assert made == {for_caller(each, source) for each in made for source in LIMITS}
