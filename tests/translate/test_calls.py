"""A call that is read once and written for each candidate: the door that other rooms use."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import InvalidBody, UpstreamMalformed
from sidecar.domain.translation import LostField, TranslationRule
from sidecar.translate.calls import TranslatedCall, translation_in_steps
from tests.support.values import a_call

_T = TypeVar("_T")
HELLO = [{"role": "user", "content": "hello"}]


def _done(work: Generator[None, None, _T]) -> _T:
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: _T = end.value
            return result


def _candidate(
    *targets: DialectName,
    model: str = "claude-sonnet-4-5",
    family: str = "anthropic",
    strict: bool = False,
) -> Candidate:
    name = f"{family}/{model}"
    sources = tuple((each, targets) for each in (CHAT, RESPONSES, MESSAGES) if each not in targets)
    rule = TranslationRule(sources, strict)
    return Candidate(name, name, model, name, frozenset(targets), translation=rule)


CLAUDE = _candidate(MESSAGES)
GPT = _candidate(RESPONSES, CHAT, model="gpt-4o", family="openai")


def _read(path: str = "/v1/chat/completions", **body: Any) -> TranslatedCall:
    whole = json.dumps({"model": "asked", "messages": HELLO, **body}).encode()
    call = a_call(endpoint=DIALECTS.endpoints[path], body=whole)
    return _done(translation_in_steps(call, 1_760_000_000.5))


def test_a_call_is_written_for_a_candidate():
    """With its model, in its API."""
    read = _read()
    body = json.loads(_done(read.body_in_steps(CLAUDE)))

    assert ("claude-sonnet-4-5", "user") == (body["model"], body["messages"][0]["role"])
    assert (MESSAGES, (), (), False) == (
        read.fit(CLAUDE).dialect,
        read.fit(CLAUDE).lost,
        read.fit(CLAUDE).decisive,
        read.fit(CLAUDE).goes_behind,
    )


def test_what_is_decisive_leaves_a_candidate_out():
    """What is harmless is named."""
    fit = _read(n=2, seed=1).fit(CLAUDE)

    assert {LostField("n", is_known=True), LostField("seed", is_known=True)} == set(fit.lost)
    assert (LostField("n", is_known=True),) == fit.decisive
    assert fit.is_left_out


def test_what_others_need_not_lose_puts_a_candidate_behind_or_leaves_it_out_where_it_is_strict():
    """Such as a field that nobody knows, whose name is the caller's to invent."""
    read = _read(brand_new=1)
    lost = LostField("brand_new", is_known=False)
    usual, strict = read.fit(CLAUDE), read.fit(_candidate(MESSAGES, strict=True))

    assert ((lost,), (), True) == (usual.lost, usual.decisive, usual.goes_behind)
    assert ((lost,), (lost,)) == (strict.lost, strict.decisive)


def test_of_several_apis_the_first_one_counts_by_which_nothing_grave_is_lost():
    """Responses has no stop sequences, chat has."""
    asked = {"max_tokens": 9}

    assert RESPONSES == _read("/v1/messages", **asked).fit(GPT).dialect
    assert CHAT == _read("/v1/messages", **asked, stop_sequences=["x"]).fit(GPT).dialect


def test_a_fit_is_found_once_for_a_model():
    """Whatever its accounts are called."""
    read = _read()
    found = read.fit(CLAUDE)

    assert found is read.fit(_candidate(MESSAGES))


def test_a_body_that_is_no_request_is_refused():
    """In the caller's words."""
    with pytest.raises(InvalidBody):
        _read(messages=5)


def test_a_response_comes_back_in_the_callers_api():
    """Whole, as an error, and streamed."""
    attempt = _read(seed=1).attempt(CLAUDE)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    whole = json.loads(_done(attempt.whole_in_steps(json.dumps(message).encode())))
    error = json.loads(attempt.error(429, b'{"error":{"message":"slow down"}}'))
    stream = attempt.stream()
    start = {"type": "message_start", "message": {**message, "content": []}}
    begun = b"".join(stream.feed(b"data: " + json.dumps(start).encode() + b"\n\n"))

    assert ("chat>messages", MESSAGES) == (attempt.way, attempt.dialect)
    assert ("hi", "slow down") == (
        whole["choices"][0]["message"]["content"],
        error["error"]["message"],
    )
    assert begun.startswith(b"data: ")
    assert 0 == stream.kept_bytes
    assert b"" == b"".join(stream.end())


def test_what_a_response_lost_is_named_beside_what_the_request_lost():
    """Thinking that the app's API has no place for."""
    attempt = _read(seed=1).attempt(CLAUDE)
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [thought, {"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    _done(attempt.whole_in_steps(json.dumps(message).encode()))

    assert ["seed", "thinking"] == [each.name for each in attempt.lost()]
    assert all(each.is_known for each in attempt.lost())


def test_what_is_none_of_the_providers_api_is_malformed():
    """Whole and streamed."""
    attempt = _read().attempt(CLAUDE)
    with pytest.raises(UpstreamMalformed):
        _done(attempt.whole_in_steps(b"nonsense"))
    with pytest.raises(UpstreamMalformed):
        list(attempt.stream().feed(b"event: message_start\ndata: nonsense\n\n"))
