"""A call is sent to a model that the app did not ask for without what that one is known to refuse."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, Call, Endpoint, Operation
from sidecar.domain.decision import Candidate
from sidecar.upstream.cache_key import CacheKey
from sidecar.upstream.patches import Patches
from sidecar.wire.patch import patch_body
from tests.support.providers import a_provider
from tests.support.values import a_call

GPT_4O, GPT_5 = "openai/gpt-4o", "openai/gpt-5"
MODELS = GPT_5, "openai/gpt-5-mini", "mistral/large", "vllm/own"
TOKENS = {"max_tokens": 9}


def candidate(model: str) -> Candidate:
    return Candidate(model, model, model.partition("/")[2], model, frozenset({CHAT}))


def chat(**members: Any) -> Call:
    body = json.dumps({"model": "gpt-4o", **members, "messages": []}).encode()
    dialect = DIALECTS.by_name[DIALECTS.endpoints["/v1/chat/completions"].dialect]
    return a_call(body=body, facts=dialect.peek(body))


def patches(**changes: Any) -> Patches:
    return Patches(a_provider(model, **changes) for model in MODELS)


async def test_the_call_is_sent_as_the_model_takes_it_and_says_what_differs():
    """The call that came stays what it was: another model may take it."""
    call = chat(**TOKENS)

    sent = await patches().patched(call, candidate(GPT_5), GPT_4O)

    body = b"".join(patch_body(sent.body, sent.facts, "gpt-5"))
    assert b'{"model": "gpt-5", "max_completion_tokens": 9, "messages": []}' == body
    assert ("max_tokens", "") == (sent.facts.lost, call.facts.lost)
    assert sent.body is call.body


@pytest.mark.parametrize(
    ("model", "asked", "members"),
    [
        (GPT_5, GPT_5, TOKENS),
        ("openai/gpt-5-mini", GPT_5, TOKENS),
        ("vllm/own", GPT_4O, TOKENS),
        ("mistral/large", GPT_4O, TOKENS),
        (GPT_5, GPT_4O, {"max_completion_tokens": 9, "temperature": 1}),
    ],
)
async def test_a_call_that_needs_nothing_is_sent_as_it_is(model, asked, members):
    """To the model that was asked for or one like it, to one of which nothing is known, and where
    it holds nothing that would be refused.
    """
    call = chat(**members)

    assert call is await patches().patched(call, candidate(model), asked)


async def test_nothing_is_known_of_what_the_app_asked_for():
    """Then all that the model refuses is left out."""
    sent = await patches().patched(chat(**TOKENS, temperature=0), candidate(GPT_5), "")

    assert "max_tokens, temperature" == sent.facts.lost


async def test_an_entry_of_which_the_operator_wants_none_has_none():
    """Nor has one of a family of which nothing is known."""
    call, off = chat(**TOKENS), patches(patches=False)

    assert frozenset() == off.entries
    assert frozenset(MODELS) - {"vllm/own"} == patches().entries
    assert call is await off.patched(call, candidate(GPT_5), GPT_4O)


async def test_what_a_model_needs_is_looked_up_once():
    """A pair of models in one dialect at one entry; nothing counts as well."""
    made = patches()
    for model in (GPT_5, "openai/gpt-5-mini", GPT_5, "vllm/own", "vllm/own"):
        await made.patched(chat(**TOKENS), candidate(model), GPT_4O)
    keys = list(made.known)
    made.known.add(keys[0], ())

    call = chat(**TOKENS)
    assert [GPT_5, "openai/gpt-5-mini", "vllm/own"] == [key[0] for key in keys]
    assert () == made.known[keys[2]]
    assert call is await made.patched(call, candidate(GPT_5), GPT_4O)


async def test_a_large_body_is_looked_through_while_others_are_served():
    """And only where it stands."""
    call = chat(**TOKENS, input="x" * 3_000_000)
    sent = await patches().patched(call, candidate(GPT_5), GPT_4O)

    body = b"".join(patch_body(sent.body, sent.facts, "gpt-5"))
    expected = call.body.replace(b'"gpt-4o"', b'"gpt-5"')
    assert expected.replace(b"max_tokens", b"max_completion_tokens") == body


NAME = CacheKey("sk-provider").of(a_call(session_id="s-1"))


@pytest.mark.parametrize(
    ("model", "asked", "members", "lost"),
    [
        (GPT_4O, GPT_4O, {}, ""),
        (GPT_5, GPT_4O, TOKENS, "max_tokens"),
        ("mistral/large", GPT_4O, {}, ""),
        ("moonshotai/kimi", GPT_4O, {}, ""),
    ],
)
async def test_a_session_is_named_in_the_body_where_the_operator_wants_it(
    model, asked, members, lost
):
    """Also for the model that the app asked for; it has lost nothing by it."""
    made = Patches([a_provider(model, cache_hint="body")])
    for _ in range(2):
        call = dataclasses.replace(chat(**members), session_id="s-1")
        sent = await made.patched(call, candidate(model), asked)

        body = json.loads(b"".join(patch_body(sent.body, sent.facts, "m")))
        assert (NAME, lost) == (body["prompt_cache_key"], sent.facts.lost)


@pytest.mark.parametrize(
    ("model", "changes", "call"),
    [
        (GPT_4O, {}, chat()),
        (GPT_4O, {}, dataclasses.replace(chat(prompt_cache_key="own"), session_id="s-1")),
        (GPT_4O, {"cache_hint": "header"}, dataclasses.replace(chat(), session_id="s-1")),
        (GPT_4O, {"cache_hint": "leave"}, dataclasses.replace(chat(), session_id="s-1")),
        (GPT_4O, {"access_key": None}, dataclasses.replace(chat(), session_id="s-1")),
        ("vllm/own", {}, dataclasses.replace(chat(), session_id="s-1")),
        (
            GPT_4O, {},
            dataclasses.replace(chat(), session_id="s-1", endpoint=Endpoint("/x", CHAT, Operation.PASSTHROUGH)),
        ),
        (
            GPT_4O, {},
            dataclasses.replace(chat(), session_id="s-1", endpoint=Endpoint("/x", CHAT, Operation.EMBED)),
        ),
    ],
)  # fmt: skip
async def test_a_body_stays_as_it_came_where_there_is_no_name_to_add(model, changes, call):
    """No session, a name of the app's own, nobody who wants it, no key to make it with, a family
    that does not read it, no prompt.
    """
    made = Patches([a_provider(model, **{"cache_hint": "body", **changes})])

    assert call is await made.patched(call, candidate(model), model)


async def test_a_call_that_is_translated_has_no_patch():
    """It is written for the very model, and its own body goes nowhere."""
    made = Patches([a_provider(GPT_5, cache_hint="body")])
    call = dataclasses.replace(chat(**TOKENS), session_id="s-1")
    other = dataclasses.replace(candidate(GPT_5), dialects=frozenset({MESSAGES}))

    assert call is await made.patched(call, other, GPT_4O)
    assert () == made.changes(other, GPT_4O, CHAT)


async def test_what_is_passed_through_keeps_its_bytes():
    """Whatever its model is known to refuse."""
    endpoint = Endpoint("/v1/completions", CHAT, Operation.PASSTHROUGH)
    call = dataclasses.replace(chat(**TOKENS), endpoint=endpoint)

    assert call is await patches().patched(call, candidate(GPT_5), "")
