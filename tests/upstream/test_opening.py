"""The beginning of a response of status 200: who serves, who fails, and how long it is held."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from sidecar.domain.errors import (
    LoopDetected,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamRedirects,
    UpstreamReset,
)
from sidecar.domain.ports import ArrivingReply
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.memory_budget import MemoryBudget, unlimited
from sidecar.upstream import opening
from sidecar.upstream.buffered_reply import FREE_BYTES, BufferedReply
from sidecar.upstream.failure import classify_body_error
from sidecar.upstream.opening import (
    ERROR,
    HELD_BYTES,
    SERVED,
    UNDECIDED,
    EventScan,
    opened,
    refuse_loop,
    serves_nowait,
)
from tests.support.openings import (
    BEGUN,
    CREATED,
    FIRST_EVENT_ERRORS,
    MESSAGE_START,
    PING,
    ROLE,
    TEXT,
)

EVENTS = ((b"Content-Type", b"text/event-stream; charset=utf-8"),)
JSON = ((b"content-type", b"application/json"),)
HTML = ((b"Content-Type", b"Text/HTML; charset=utf-8"),)
PREAMBLES = {CHAT: ROLE, MESSAGES: MESSAGE_START + PING, RESPONSES: CREATED}


class _Arriving:
    """A reply whose body comes in the given pieces, one for each time it is waited for; an error is
    raised, None lets the time pass, and the end is the end.
    """

    status, sends = 200, 2

    def __init__(self, *script: Any, headers: Any = EVENTS, content_length: int | None = None):
        self.headers, self.content_length = headers, content_length
        self.pieces: list[bytes] = []
        self.is_complete = self.is_aborted = False
        self.waits: list[tuple[int, float]] = []
        self._script = list(script)

    @classmethod
    def whole(cls, body: bytes, headers: Any = JSON) -> _Arriving:
        reply = cls(headers=headers, content_length=len(body))
        reply.pieces, reply.is_complete = [body] if body else [], True
        return reply

    async def begin(self) -> None:
        await self.wait_for_more(0, 0.0)
        self.waits.clear()

    def peek(self) -> bytes:
        return b"".join(self.pieces)

    async def wait_for_more(self, seen_bytes: int, by_s: float) -> bool:
        self.waits.append((seen_bytes, by_s))
        step = self._script.pop(0) if self._script else b""
        if isinstance(step, BaseException):
            raise step
        if step is None:
            return False
        self.pieces.append(step)
        self.is_complete = not step
        return True

    def in_s(self, duration_s: float) -> float:
        return 1000.0 + duration_s

    def read_nowait(self) -> bytes | None:
        return b"".join(self.pieces) if self.is_complete else None

    async def read(self) -> bytes:
        return b""

    def abort(self) -> None:
        self.is_aborted = True


async def _opened(reply: Any, dialect: Any = CHAT, *, is_stream: bool = True) -> Any:
    is_served = serves_nowait(reply, DIALECTS.by_name[dialect], is_stream=is_stream)
    found = await opened(reply, DIALECTS.by_name[dialect], unlimited(), is_stream=is_stream)
    assert found is reply or not is_served
    return found


async def _class_of(reply: Any, dialect: Any, *, is_stream: bool = True) -> FailureClass | None:
    """What the beginning means; None where the provider serves."""
    found = await _opened(reply, dialect, is_stream=is_stream)
    if found is reply:
        return None
    assert isinstance(found, BufferedReply)
    assert found.error is not None
    return classify_body_error(found.error, passthrough_auth=False).failure_class


# Streams


@pytest.mark.parametrize("name", FIRST_EVENT_ERRORS)
async def test_a_stream_that_begins_with_an_error_is_a_failed_attempt(name):
    """Of the class that its words have."""
    first = FIRST_EVENT_ERRORS[name]

    assert first.expected is await _class_of(_Arriving(first.stream), first.dialect)


@pytest.mark.parametrize("name", BEGUN)
async def test_a_stream_that_begins_with_anything_else_is_served(name):
    """Also where it cannot be read: that is for the app to complain about."""
    dialect, stream = BEGUN[name]

    assert await _class_of(_Arriving(stream), dialect) is None


@pytest.mark.parametrize("name", [*FIRST_EVENT_ERRORS, *BEGUN])
async def test_a_beginning_means_the_same_byte_by_byte(name):
    """Network pieces are no borders of messages."""
    dialect, stream = FIRST_EVENT_ERRORS[name][:2] if name in FIRST_EVENT_ERRORS else BEGUN[name]
    expected = FIRST_EVENT_ERRORS[name].expected if name in FIRST_EVENT_ERRORS else None
    pieces = [stream[at : at + 1] for at in range(len(stream))]

    assert expected is await _class_of(_Arriving(*pieces), dialect)


@settings(max_examples=50)
@given(
    st.sampled_from([*FIRST_EVENT_ERRORS.values()]),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 700), max_size=6),
)
def test_a_scan_says_the_same_wherever_a_stream_is_cut(first, line_end, cuts):
    """Between CR and LF, in the middle of a character, with any of the three line ends."""
    stream = first.stream.replace(b"\r\n", b"\n").replace(b"\n", line_end)
    whole = EventScan(DIALECTS.by_name[first.dialect])
    expected = whole.look(stream, is_all=True), whole.error
    scan, found = EventScan(DIALECTS.by_name[first.dialect]), UNDECIDED
    for end in sorted({*(min(cut, len(stream)) for cut in cuts), len(stream)}):
        found = scan.look(stream[:end], is_all=end == len(stream))
        if found is not UNDECIDED:
            break

    assert expected == (found, scan.error)


@given(st.lists(st.sampled_from([b"\r", b"\n", b": c", b"data: {}", b"id: 1", b"event: ping"])))
def test_a_scan_of_anything_ends_as_it_does_in_one_piece(parts):
    """No sequence of line ends is taken for another one because it was cut."""
    stream = b"".join(parts)
    dialect = DIALECTS.by_name[MESSAGES]
    scan, found = EventScan(dialect), UNDECIDED
    for end in range(len(stream) + 1):
        found = scan.look(stream[:end], is_all=end == len(stream))
        if found is not UNDECIDED:
            break

    assert EventScan(dialect).look(stream, is_all=True) is found


@pytest.mark.parametrize("dialect", PREAMBLES)
async def test_a_preamble_is_held_until_the_next_event(dialect):
    """It says nothing about whether the provider serves; what follows does, and no byte is read."""
    preamble = b": comment\n\n" + PREAMBLES[dialect]
    content = BEGUN[
        {CHAT: "chat, text", MESSAGES: "messages, a block"}.get(dialect, "responses, an item")
    ][1]
    reply = _Arriving(preamble, content)

    assert reply is await _opened(reply, dialect)
    assert preamble + content == reply.peek()
    assert [(len(preamble), 1000.0 + opening.HELD_S)] == reply.waits


@pytest.mark.parametrize("dialect", PREAMBLES)
async def test_a_preamble_is_held_for_half_a_second_at_most(dialect):
    """A model that thinks for long keeps no app waiting for its pings."""
    reply = _Arriving(PREAMBLES[dialect], None)

    assert (0.5, reply) == (opening.HELD_S, await _opened(reply, dialect))


@pytest.mark.parametrize("unit", [b": keep-alive\n\n", b"event: ping\ndata: {}\n\n", b"\n", b"x"])
async def test_a_preamble_that_never_ends_is_sent_on(unit):
    """However small its events are, and where there are none."""
    piece = unit * (4096 // len(unit))
    reply = _Arriving(*itertools.repeat(piece, 1000))

    assert reply is await _opened(reply, MESSAGES)
    assert HELD_BYTES <= len(reply.peek()) < HELD_BYTES + 4096 + len(unit)
    assert {1000.5} == {by_s for _, by_s in reply.waits}


async def test_a_long_preamble_is_scanned_in_linear_time():
    """Each byte once: 64 KiB that come byte by byte would need minutes else."""
    scan = EventScan(DIALECTS.by_name[CHAT])
    stream = b"data: " + b"x" * HELD_BYTES
    for end in range(0, len(stream), 16):
        assert scan.look(stream[:end], is_all=False) is UNDECIDED

    assert len(stream) - 32 < scan._searched_to


async def test_a_stream_that_begins_with_content_is_not_waited_for():
    """No timer, no copy."""
    piece = ROLE + TEXT
    reply = _Arriving(piece)

    assert reply is await _opened(reply)
    assert ([], [True]) == (reply.waits, [each is piece for each in reply.pieces])


@pytest.mark.parametrize("preamble", [ROLE, b": ping\n\n", b"\n\n"])
@pytest.mark.parametrize("end", [b"", UpstreamCut("reset"), UpstreamReset("gone")])
async def test_a_provider_that_dies_in_the_preamble_did_not_serve(preamble, end):
    """Nothing was sent to the app: another candidate may be tried."""
    with pytest.raises(UpstreamReset) as caught:
        await _opened(_Arriving(preamble, end))

    assert 2 == caught.value.sends or caught.value is end


@pytest.mark.parametrize("error", [StreamIdleTimeout("late"), ResponseTimeout("late")])
async def test_a_timeout_in_the_preamble_is_raised_as_it_is(error):
    """It has a class of its own."""
    with pytest.raises(type(error)):
        await _opened(_Arriving(ROLE, error))


@pytest.mark.parametrize("coding", [b"gzip", b"br"])
@pytest.mark.parametrize("body", [b"\x1f\x8b\x08", b"<\x00", b"zzzz"])
async def test_a_compressed_response_is_not_looked_at(coding, body):
    """It passes as it came."""
    for headers in (EVENTS, HTML):
        reply = _Arriving(body, headers=(*headers, (b"Content-Encoding", coding)))
        assert reply is await _opened(reply)


# Whole bodies

ERROR_BODIES = {
    "openrouter": (
        CHAT,
        b'{"error":{"code":429,"message":"Provider returned error"}}',
        FailureClass.BUSY,
    ),
    "openai": (
        CHAT,
        b'{"error":{"message":"The server had an error","type":"server_error"}}',
        FailureClass.FAILING,
    ),
    "anthropic": (
        MESSAGES,
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        FailureClass.BUSY,
    ),
    "responses": (
        RESPONSES,
        b'{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"x"},"output":[]}',
        FailureClass.FAILING,
    ),
    "responses without words": (
        RESPONSES,
        b'{"status":"failed","error":null}',
        FailureClass.FAILING,
    ),
    "mistral": (
        CHAT,
        b'{"object":"error","message":"no","type":"x","code":"1"}',
        FailureClass.FAILING,
    ),
    "embeddings": (EMBEDDINGS, b'{"error":{"code":503,"message":"loading"}}', FailureClass.BUSY),
    "gemini, a list": (
        CHAT,
        b'[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]',
        FailureClass.BUSY,
    ),
    "gemini, a list with a key that is bad": (
        CHAT,
        b'[{\n "error": {"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}\n]\n',
        FailureClass.OUR_CREDENTIAL,
    ),
    "behind blanks": (CHAT, b'\n\n  {"error":{"code":429,"message":"x"}}', FailureClass.BUSY),
}
FINE_BODIES = {
    "error null": (CHAT, b'{"error":null,"choices":[{"message":{"content":"hi"}}]}'),
    "error a text": (CHAT, b'{"error":"none","choices":[]}'),
    "the word in a text": (CHAT, rb'{"choices":[{"message":{"content":"{\"error\":{}}"}}]}'),
    "a nested error": (CHAT, b'{"choices":[{"error":{"code":1}}]}'),
    "completed": (RESPONSES, b'{"status":"completed","error":null,"output":[]}'),
    "no JSON": (CHAT, b'{"error":{'),
    "a text": (CHAT, b"plain"),
    "a list": (CHAT, b'[{"error":"none"}]'),
    "vectors": (EMBEDDINGS, b"[[0.1,0.2]]"),
    "events though none were asked for": (CHAT, b'data: {"error":{}}\n\n'),
}


@pytest.mark.parametrize("name", ERROR_BODIES)
async def test_a_whole_body_that_is_an_error_is_a_failed_attempt(name):
    """At once, and in pieces; also where a stream was asked for."""
    dialect, body, expected = ERROR_BODIES[name]
    for is_stream in (False, True):
        whole, pieces = (
            _Arriving.whole(body),
            _Arriving(*(body[at : at + 7] for at in range(0, len(body), 7))),
        )
        assert expected is await _class_of(whole, dialect, is_stream=is_stream)
        assert expected is await _class_of(pieces, dialect, is_stream=is_stream)


@pytest.mark.parametrize("name", FINE_BODIES)
async def test_any_other_whole_body_is_served(name):
    """An ``error`` that is null or a text stands in bodies that are fine."""
    dialect, body = FINE_BODIES[name]
    for reply in (_Arriving.whole(body), _Arriving(body, headers=JSON)):
        assert reply is await _opened(reply, dialect, is_stream=False)


async def test_a_whole_body_that_is_here_is_told_without_waiting():
    """What nearly every call that is no stream gets."""
    reply = _Arriving.whole(b'{"choices":[{"message":{"content":"hi"}}]}')

    assert serves_nowait(reply, DIALECTS.by_name[CHAT], is_stream=False)
    assert reply is await _opened(reply, is_stream=False)


async def test_a_long_body_is_not_waited_for():
    """Vectors and pictures go on as they come; its length says so, or as much as has come."""
    announced = _Arriving(b'{"data":[', headers=JSON, content_length=HELD_BYTES + 1)
    assert announced is await _opened(announced, EMBEDDINGS, is_stream=False)
    assert [] == announced.waits

    chunked = _Arriving(b'{"data":[', *itertools.repeat(b"0.1," * 4000, 100), headers=JSON)
    assert chunked is await _opened(chunked, EMBEDDINGS, is_stream=False)
    assert len(chunked.peek()) < HELD_BYTES + 20_000

    here = _Arriving.whole(b'{"error":{"x":"' + b"x" * HELD_BYTES + b'"}}')
    assert here is await _opened(here, is_stream=False)


async def test_a_slow_body_is_held_for_half_a_second_at_most():
    """A provider that sends blanks to keep the connection does so for the app's sake."""
    for beginning in (b"\n", b'{"choices":['):
        reply = _Arriving(beginning, None, headers=JSON)
        assert reply is await _opened(reply, is_stream=False)


async def test_a_slow_body_whose_first_member_is_an_error_is_one():
    """The rest of it does not matter."""
    for beginning in (b'{ "error": {"code": 503,', b'[{\n"error": {"code": 503,'):
        assert FailureClass.FAILING is await _class_of(
            _Arriving(beginning, None, headers=JSON), CHAT, is_stream=False
        )


async def test_an_empty_body_is_no_response():
    """Blanks are none either; and neither is a body that breaks off while it is held."""
    for reply in (
        _Arriving.whole(b""),
        _Arriving.whole(b"\n\n"),
        _Arriving(b'{"choices"', UpstreamCut("x"), headers=JSON),
    ):
        with pytest.raises(UpstreamReset):
            await _opened(reply, is_stream=False)


WORDS = ((b"content-type", b"text/plain; charset=utf-8"),)
PAGE = b"<html><body>Sign in to the network</body></html>"


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (PAGE, HTML),
        (b"\r\n<!doctype html><title>x</title>", ()),
        (b"\xef\xbb\xbf<html>", JSON),
        (b"<?xml version='1.0'?><Error/>", ((b"content-type", b"application/xml"),)),
        (b"Service unavailable", HTML),
        (b"no healthy upstream", WORDS),
        (b"upstream connect error or disconnect/reset before headers", WORDS),
    ],
)
async def test_a_page_where_a_response_was_asked_for_is_none(body, headers, is_stream):
    """A captive portal, a load balancer's notice."""
    for reply in (_Arriving.whole(body, headers), _Arriving(body, headers=headers)):
        with pytest.raises(UpstreamMalformed, match="page"):
            await _opened(reply, is_stream=is_stream)
        assert reply.is_aborted


@pytest.mark.parametrize("body", [b"default backend", b"Internal error", b"error: no route"])
async def test_a_notice_in_words_is_none_though_its_first_letter_is_that_of_an_event(body):
    """A load balancer's."""
    for headers in (HTML, WORDS):
        with pytest.raises(UpstreamMalformed, match="page"):
            await _opened(_Arriving.whole(body, headers), is_stream=False)


async def test_a_wrong_content_type_makes_no_page():
    """JSON and events are told by their first byte."""
    events = (ROLE + TEXT, b": ping\n\n" + TEXT, b"event: x\n" + TEXT)
    bodies = ((b'{"choices":[]}', False), *((each, False) for each in events), (events[0], True))
    for body, is_stream in bodies:
        for headers in (HTML, WORDS):
            reply = _Arriving.whole(body, headers)
            assert reply is await _opened(reply, is_stream=is_stream)


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([*DIALECTS.by_name]))
def test_nothing_that_a_provider_sends_raises_anything_else(body, is_stream, dialect):
    """Served, failed, or one of two errors."""

    async def look() -> None:
        for reply in (_Arriving.whole(body), _Arriving(body[:7] or b"x", body[7:] or b"y")):
            with contextlib.suppress(UpstreamReset, UpstreamMalformed):
                await _opened(reply, dialect, is_stream=is_stream)

    asyncio.run(look())


def test_the_verdicts_of_a_scan_are_those_of_its_first_event():
    """What follows an error or content does not matter."""
    scan = EventScan(DIALECTS.by_name[CHAT])
    assert scan.look(TEXT + b'data: {"error":{}}\n\n', is_all=True) is SERVED
    scan = EventScan(DIALECTS.by_name[CHAT])
    assert scan.look(b'data: {"error":{"a":1}}\n\n' + TEXT, is_all=False) is ERROR


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 306, 307, 308, 399])
@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_redirect_is_no_response(status, is_stream):
    """An SDK would follow it with the app's prompt; those that it would not follow serve as little."""
    reply = _Arriving.whole(b"{}")
    reply.status = status
    with pytest.raises(UpstreamRedirects, match=rf"redirects \({status}\)") as raised:
        await _opened(reply, is_stream=is_stream)

    assert (True, 2) == (reply.is_aborted, raised.value.sends)


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_what_has_no_body_is_no_response_either(status):
    """No SDK can read it, and nothing that this sidecar sends to a model is conditional."""
    reply = _Arriving.whole(b"")
    reply.status = status
    with pytest.raises(UpstreamMalformed, match=rf"\({status}\)") as raised:
        await _opened(reply)

    assert not isinstance(raised.value, UpstreamRedirects)
    assert reply.is_aborted


@pytest.mark.parametrize("is_stream", [True, False])
async def test_another_status_of_success_serves_as_it_came(is_stream):
    """Whatever its body is; a stream has begun with its first byte."""
    reply = _Arriving.whole(b"<created>")
    reply.status = 201

    assert reply is await _opened(reply, is_stream=is_stream)


def test_a_reply_that_tells_of_a_loop_is_no_providers():
    """Another sidecar's, or this one's. A provider's own 508 goes to the app as it came."""
    own, looped = _Arriving.whole(b"{}"), _Arriving.whole(b"{}")
    own.headers = ((b"X-Plano-Error", b"overloaded"), (b"x", b"loop_detected"))
    looped.headers = ((b"a", b"b"), (b"X-Plano-Error", b"loop_detected"))
    refuse_loop(cast("ArrivingReply", own))
    with pytest.raises(LoopDetected) as raised:
        refuse_loop(cast("ArrivingReply", looped))

    assert (2, False, True) == (raised.value.sends, own.is_aborted, looped.is_aborted)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_a_flood_of_comments_is_stepped_over_at_once(ends, monkeypatch):
    """No event is read of it, however the stream is cut."""
    read: list[bytes] = []
    fields_of_event = opening.fields_of_event

    def counted(event: bytes) -> tuple[bytes, bytes]:
        read.append(event)
        return fields_of_event(event)

    monkeypatch.setattr(opening, "fields_of_event", counted)
    flood = (b": wait" + ends * 2) * 5000
    stream = flood + TEXT
    for cut in (len(flood) - 3, len(flood) - 1, len(flood)):
        scan = EventScan(DIALECTS.by_name[CHAT])
        read.clear()
        assert scan.look(stream[:cut], is_all=False) is UNDECIDED
        assert scan.look(stream, is_all=False) is SERVED
        assert len(read) <= 2


# Memory


async def test_a_beginning_is_held_while_there_is_memory_for_it():
    """What does not fit goes on to the app as far as it has come; all of it is given back."""
    share = MemoryBudget(10_000).share("replies", keeps=1.0)
    preambles = [b": " + b"p" * 4000 + b"\n"] * 10
    reply: Any = _Arriving(*preambles)

    opened_reply = await opening.opened(reply, DIALECTS.by_name[CHAT], share, is_stream=True)
    assert (reply, 4) == (opened_reply, len(reply.pieces))
    assert 0 == share.used_bytes


async def test_an_error_in_a_200_takes_its_memory_until_it_is_read():
    """It is kept while another candidate is tried."""
    share = MemoryBudget(100_000).share("replies", keeps=1.0)
    body = b'{"error":{"message":"' + b"m" * 20_000 + b'"}}'
    reply: Any = _Arriving.whole(body)

    failed = await opening.opened(reply, DIALECTS.by_name[CHAT], share, is_stream=False)
    assert isinstance(failed, BufferedReply)
    assert len(body) - FREE_BYTES == share.used_bytes
    assert body == failed.read_nowait()
    assert 0 == share.used_bytes
