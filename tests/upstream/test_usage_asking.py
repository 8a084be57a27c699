"""Who is asked for usage on the app's behalf, and who is not any more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.request import REQUEST_BODY
from sidecar.domain.call import Call
from sidecar.domain.decision import Candidate
from sidecar.domain.events import Listeners, UsageRefused
from sidecar.domain.observers import Observers
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.usage_asking import SentAttempt, UsageAsking
from tests.support.providers import a_provider
from tests.support.refusals import refusals
from tests.support.values import a_call

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
BODY = b'{"model":"gpt-4o","stream":true}'
ASKING = b'{"stream_options":{"include_usage":true},"model":"gpt-4o","stream":true}'
OTHERS = b'{"error":{"message":"temperature is too high","param":"temperature"}}'
TIMEOUTS = ExchangeTimeouts(connect_s=1.0, first_byte_s=1.0, response_s=None, idle_s=1.0)


class _Reply:
    """A whole reply."""

    def __init__(self, status: int, body: bytes = b"{}") -> None:
        self.status, self.body, self.headers, self.content_length = status, body, (), len(body)
        self.sends, self.is_complete, self.pieces = 1, True, [body]

    def read_nowait(self) -> bytes:
        return self.body

    def abort(self) -> None:
        """Nothing is open."""


class _Pool(Pool):
    """Replies in turn, and keeps what it was sent."""

    def __init__(self, *replies: _Reply) -> None:
        super().__init__(Origin("http", "127.0.0.1", 1))
        self.replies, self.bodies = list(replies), list[bytes]()

    async def send(self, head: bytes, body: Any, *_: Any, **__: Any) -> Any:
        self.bodies.append(b"".join(body))
        return self.replies.pop(0)


class _Ear:
    def __init__(self) -> None:
        self.refused: list[str] = []

    def listeners(self) -> Listeners:
        return {UsageRefused: lambda event: self.refused.append(event.candidate.upstream_model)}


def a_candidate(model: str = "gpt-4o") -> Candidate:
    return Candidate("entry", f"openai/{model}", model, "openai/*", frozenset(DIALECTS.by_name))


def a_client(*replies: _Reply) -> ProviderClient:
    return ProviderClient(
        a_provider("openai/gpt-4o", asks_usage=True), _Pool(*replies), DIALECTS.by_name
    )


def a_stream(path: str = CHAT, body: bytes = BODY) -> Call:
    facts = REQUEST_BODY.peek(body)
    return a_call(endpoint=DIALECTS.endpoints[path], body=body, facts=facts)


def asked(asking: UsageAsking, model: str = "gpt-4o", **changes: Any) -> bytes | None:
    client, candidate = a_client(), a_candidate(model)
    call = asking.call(client, a_stream(**changes), candidate)
    return None if call is None else b"".join(client.request(call, candidate)[1])


async def refused(
    asking: UsageAsking, status: int, body: bytes, *then: _Reply, model: str = "gpt-4o"
) -> tuple[Any, bool, list[bytes]]:
    """A call that asks is refused. Returns: the reply that counts, whether it is one to a request
    that asked, and what was sent then.
    """
    client, call, candidate = a_client(*then), a_stream(), a_candidate(model)
    as_sent = asking.call(client, call, candidate)
    assert as_sent is not None
    sent = SentAttempt(client, call, candidate, 1, TIMEOUTS)
    first: Any = _Reply(status, body)
    reply, still = await asking.without(sent, first, as_sent)
    pool: Any = client.pool
    return reply, still is not None, pool.bodies


def test_a_chat_stream_is_asked_where_the_app_does_not():
    """No other API has to be."""
    asking = UsageAsking(Observers())

    assert ASKING == asked(asking)
    assert asked(asking, path=MESSAGES) is None
    assert asked(asking, body=ASKING) is None


@pytest.mark.parametrize(("status", "body"), refusals("usage_option"))
async def test_who_refuses_is_sent_the_call_without_and_not_asked_again(status, body, caplog):
    """That model at that entry, until a reload; one line and one count."""
    ear, served = _Ear(), _Reply(200)
    asking = UsageAsking(Observers([ear]))
    with caplog.at_level("INFO", "sidecar.upstream"):
        reply, has_asked, bodies = await refused(asking, status, body, served)

    assert (served, False, [BODY], 2) == (reply, has_asked, bodies, reply.sends)
    assert (["gpt-4o"], ["usage_refused"]) == (
        ear.refused,
        [record.__dict__["event"] for record in caplog.records],
    )
    assert asked(asking) is None
    assert asked(asking, "other") is not None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, OTHERS),
        (422, b""),
        (429, b"stream_options"),
        (500, b"stream_options"),
        (404, b"include_usage"),
        (508, b"stream_options"),
    ],
)
async def test_any_other_refusal_says_nothing_of_it(status, body):
    """A 400 or 422 has to name it; else it is the app's, whole."""
    asking = UsageAsking(Observers())
    reply, has_asked, bodies = await refused(asking, status, body)

    assert (status, body, True, []) == (reply.status, reply.read_nowait(), has_asked, bodies)
    assert ASKING == asked(asking)


@pytest.mark.parametrize(
    ("then", "is_asked"), [(b'{"error":"bad: "stream_options""}', True), (OTHERS, False)]
)
async def test_a_name_that_the_caller_wrote_is_no_refusal(then, is_asked):
    """A server may repeat what it refuses: asked without, it refuses with the same words."""
    asking, said = UsageAsking(Observers()), b'{"error":"bad: "stream_options""}'
    reply, has_asked, bodies = await refused(asking, 400, said, _Reply(400, then))

    assert (400, then, False, [BODY]) == (reply.status, reply.read_nowait(), has_asked, bodies)
    assert is_asked == (asked(asking) is not None)


async def test_invented_models_take_no_room():
    """Of a wildcard, anybody may ask for any: the oldest are asked again."""
    asking = UsageAsking(Observers())
    for number in range(600):
        await refused(asking, 400, b"stream_options", _Reply(200), model=f"model-{number}")

    assert 512 == len(asking._refused)


def test_the_refusals_are_json():
    """As servers send them."""
    assert all(json.loads(each.values[1]) for each in refusals("usage_option"))
