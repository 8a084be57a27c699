"""What every dialect promises, each by its own sample: a new one brings another."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.base import Dialect, Problem
from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.usage import (
    NOTHING,
    TAIL_BYTES,
    WHOLE_BYTES,
    read_event,
    read_response,
    read_tail,
)
from sidecar.domain.errors import InvalidBody
from sidecar.domain.outcome import Served
from sidecar.stream.tap import EventTap
from tests.contract.dialects.samples import SAMPLES
from tests.support.sdks import client_of
from tests.support.steps import turns_in

pytestmark = pytest.mark.parametrize("name", DIALECTS.by_name)
PROBLEM = Problem(400, "invalid_body", 'no "model"', "model", "req-1")
INCOMPLETE = Problem(502, "stream_incomplete", "the provider ended", request_id="req-1")


@pytest.fixture
def dialect(name):
    return DIALECTS.by_name[name]


@pytest.fixture
def sample(name):
    return SAMPLES[name]


def test_it_lists_its_own_paths(name, dialect):
    """Each with a leading slash, and under its own name."""
    assert [(name, "/")] * len(dialect.endpoints) == [
        (endpoint.dialect, endpoint.path[0]) for endpoint in dialect.endpoints
    ]


def test_the_least_request_becomes_one_for_any_model(dialect):
    """It names none, and asks for no stream."""
    body = dialect.least_request()
    facts = dialect.peek(body)
    sent = json.loads(b"".join(dialect.patch(body, facts, "m2")))

    assert (None, False) == (facts.requested_model, facts.wants_stream)
    assert {**json.loads(body), "model": "m2"} == sent


def test_the_model_is_read_and_another_one_written(dialect, sample):
    """Nothing else in the body changes, in its order, and the facts serve every attempt."""
    body = json.dumps(sample.request | {"stream": True}).encode()
    facts = dialect.peek(body)

    assert ("m1", True, False) == (
        facts.requested_model, facts.wants_stream, facts.holds_provider_state,
    )  # fmt: skip
    for model in ("m2", "a longer name", "m1"):
        patched = b"".join(dialect.patch(body, facts, model))
        assert body.replace(b'"m1"', json.dumps(model).encode()) == patched


def test_a_missing_model_is_written_and_our_own_member_cut_out(dialect, sample):
    """A provider never sees ``routing_preferences``."""
    request = {"routing_preferences": []} | sample.request
    del request["model"]
    body = json.dumps(request).encode()
    facts = dialect.peek(body)

    assert (None, b"[]") == (facts.requested_model, facts.routing_preferences)
    patched = json.loads(b"".join(dialect.patch(body, facts, "m2")))
    assert sample.request | {"model": "m2"} == patched


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'{"model":3}', b'{"model":"a","model":"b"}']
)
def test_a_body_that_cannot_be_read_is_refused(dialect, body):
    """Here and not by a provider, who might read it in another way."""
    with pytest.raises(InvalidBody):
        dialect.peek(body)


def test_the_conversation_is_read_as_turns(dialect, sample):
    """Oldest first; an API without a conversation has none."""
    turns = turns_in(dialect, json.dumps(sample.request).encode())

    assert sample.turns == [(turn.role, turn.text) for turn in turns]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"messages":3,"input":3}', b'{"messages":{},"input":{}}']
)
def test_a_body_without_a_conversation_has_no_turns(dialect, body):
    """Never an error: reading prompts is optional."""
    assert () == turns_in(dialect, body)


def test_a_whole_response_says_what_served(dialect, sample):
    """Tokens by kind, the model, the reason."""
    assert sample.served == read_response(dialect, json.dumps(sample.response).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"<html>",
        b"\xff{}",
        b"[" * 100_000,
        b'{"choices": 3}',
        b'{"model":"\xff"}',
    ],
)
def test_what_is_no_response_says_nothing(dialect, body):
    """It is somebody else's to complain."""
    served = read_response(dialect, body)

    assert (None, None) == (served.usage, served.finish)


def test_usage_that_is_no_object_is_none(dialect):
    """As good as missing."""
    assert read_response(dialect, b'{"usage": [1]}').usage is None


@pytest.mark.parametrize(
    "data", [b" [DONE]", b"", b"{", b'{"message": 3, "response": 3, "choices": 3}']
)
def test_an_event_that_cannot_be_read_says_nothing(dialect, data):
    """[DONE] among them."""
    assert NOTHING == read_event(dialect, data)


def test_of_a_long_response_the_end_is_read(dialect, sample):
    """Vectors are not walked through."""
    response = {"filler": "x" * WHOLE_BYTES} | sample.response
    response["usage"] = response.pop("usage")
    body = json.dumps(response).encode()

    expected = Served(usage=sample.served.usage)
    assert expected == read_response(dialect, body) == read_tail(dialect, body[-TAIL_BYTES:])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_a_stream_says_the_same_in_chunks_of_any_size(dialect, sample, size):
    """What served, that its last event has come, and that it stands between two events."""
    stream = b"".join(sample.events)
    tap = _fed(dialect, [stream[at : at + size] for at in range(0, len(stream), size)])

    assert (sample.streamed, True, True) == (tap.served, tap.is_complete, tap.is_between_events)


@given(cuts=st.lists(st.integers(0, 900), max_size=8))
def test_a_stream_says_the_same_wherever_it_is_cut(name, cuts):
    """Inside lines, between CR and LF, in the middle of a character."""
    stream = b"".join(SAMPLES[name].events)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    tap = _fed(DIALECTS.by_name[name], [stream[a:b] for a, b in itertools.pairwise(edges)])

    assert (SAMPLES[name].streamed, True) == (tap.served, tap.is_complete)


def test_a_stream_is_complete_with_its_last_words_and_not_before(dialect, sample):
    """So that a cut anywhere before them is told to the app, and one behind them is not."""
    stream = b"".join(sample.events)
    over = stream.rindex(sample.last_words) + len(sample.last_words)

    completes = [end for end in range(len(stream)) if _fed(dialect, [stream[:end]]).is_complete]
    assert [*range(over if sample.last_words else 0, len(stream))] == completes


def test_an_error_event_is_one_whole_event(dialect):
    """Whatever the message holds: JSON keeps line ends inside the data line."""
    event = dialect.error_event(Problem(502, "c", "a\n\ndata: b\r\n"))

    assert event.endswith(b"\n\n")
    assert (1, 0) == (event.count(b"\n\n"), event.count(b"\r"))


def test_the_sdk_raises_what_an_error_body_says(dialect, sample):
    """The status decides the class, the body is at hand."""
    client = client_of(sample.sdk, 400, "application/json", dialect.error_body(PROBLEM))
    with pytest.raises(sample.sdk.BadRequestError, match="model") as caught:
        sample.ask(client)

    if sample.sdk.__name__ == "openai":
        assert ("invalid_body", "model") == (caught.value.code, caught.value.param)
    else:
        assert "req-1" == caught.value.body["request_id"]


def test_the_sdk_raises_what_an_error_event_says(dialect, sample):
    """A stream that began well ends in the SDK's own exception with our message, not in silence."""
    if not sample.events:
        return  # an SDK reads no stream of an API that has none
    stream = sample.events[0] + dialect.error_event(INCOMPLETE)
    seen = []
    with pytest.raises(sample.sdk.APIError, match="the provider ended") as caught:
        seen.extend(sample.ask(client_of(sample.sdk, 200, "text/event-stream", stream)))

    assert 1 == len(seen)
    if sample.sdk.__name__ == "openai":
        assert ("stream_incomplete", "server_error") == (caught.value.code, caught.value.type)
    else:
        error = {"type": "api_error", "message": "the provider ended"}
        assert {"type": "error", "error": error, "request_id": "req-1"} == caught.value.body


def _fed(dialect: Dialect, chunks: list[bytes]) -> EventTap:
    tap = EventTap(dialect)
    for chunk in chunks:
        tap.feed(chunk)
    return tap
