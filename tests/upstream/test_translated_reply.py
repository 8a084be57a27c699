"""A provider's response in the words of the app's API."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.domain.call import CHAT, MESSAGES, BodyFacts, Call
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import (
    ResponseTimeout,
    UpstreamCut,
    UpstreamError,
    UpstreamMalformed,
    UpstreamReset,
)
from sidecar.domain.translation import Fit, TranslationRule
from sidecar.domain.vocabulary import FailureClass
from sidecar.runtime.memory_budget import MemoryBudget, MemoryShare, unlimited
from sidecar.upstream import translated_reply
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.translated_reply import (
    EventsReply,
    WholeReply,
    change_lines,
    translated,
    translated_error,
    translation_of,
)
from tests.support.translations import KNOWN, PlainTranslation
from tests.support.values import a_call

CLAUDE = Candidate(
    *("claude", "anthropic/claude", "claude", "anthropic/claude", frozenset({MESSAGES})),
    translation=TranslationRule(((CHAT, (MESSAGES,)),)),
)
GPT = Candidate("gpt", "openai/gpt", "gpt", "openai/gpt", frozenset({CHAT}))
JSON = ((b"Content-Type", b"application/json"), (b"content-length", b"9"), (b"x-own", b"1"))
EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-own", b"1"))


class _Arriving:
    """A reply whose body comes in the given pieces; an error among them is raised."""

    status, sends, content_length, is_complete = 200, 2, None, False

    def __init__(self, *script: Any, headers: Any = JSON, whole: bytes | None = None) -> None:
        self.headers = headers
        self.pieces: list[bytes] = []
        self.is_aborted = False
        self._script = list(script)
        self._whole = whole

    def read_nowait(self) -> bytes | None:
        return self._whole

    async def read(self) -> bytes:
        piece = self._script.pop(0) if self._script else b""
        if isinstance(piece, UpstreamError):
            raise piece
        assert isinstance(piece, bytes)
        return piece

    def abort(self) -> None:
        self.is_aborted = True


def _call(*, is_stream: bool = False, fit: Fit | None = None) -> Call:
    call = a_call(facts=BodyFacts(wants_stream=is_stream))
    fits = {} if fit is None else {"claude": fit}
    call.keep_translation(PlainTranslation(call, fits), 0)
    return call


async def _translated(
    reply: _Arriving, *, is_stream: bool = False, share: MemoryShare | None = None
) -> Any:
    arriving: Any = reply
    return await translated(_call(is_stream=is_stream), CLAUDE, arriving, share or unlimited())


async def _rest(reply: Any) -> list[bytes]:
    pieces = []
    while piece := await reply.read():
        pieces.append(piece)
    return pieces


async def test_a_whole_response_is_translated_before_anything_goes_to_the_app():
    """With a length and a type of its own, and the provider's other headers."""
    found = await _translated(_Arriving(b"he", b"llo"))

    assert (200, 2, 5, b"HELLO") == (
        found.status,
        found.sends,
        found.content_length,
        found.read_nowait(),
    )
    assert [(b"x-own", b"1"), (b"content-type", b"application/json")] == list(found.headers)
    assert ([b"HELLO"], "chat>messages") == (await _rest(found), found.attempt.way)


async def test_a_whole_response_is_a_stream_where_the_app_wants_one():
    """It would read none of it otherwise."""
    found = await _translated(_Arriving(b"hello"), is_stream=True)

    assert b"EVENTS" == found.read_nowait()
    assert (b"content-type", b"text/event-stream") == found.headers[-1]


async def test_a_whole_response_can_be_dropped():
    """Where a better one has come."""
    found = await _translated(_Arriving(b"hello"))
    found.abort()

    assert [] == await _rest(found)


async def test_a_stream_is_translated_as_it_is_read():
    """Its first event is translated before anything goes to the app; what is owed at its end
    comes then.
    """
    found = await _translated(
        _Arriving(b"thinking", b"one", b"two", headers=EVENTS), is_stream=True
    )

    assert (None, None, 200, 2) == (
        found.read_nowait(),
        found.content_length,
        found.status,
        found.sends,
    )
    assert [(b"x-own", b"1"), (b"content-type", b"text/event-stream")] == list(found.headers)
    assert [b"ONE", b"TWO", b"END"] == await _rest(found)
    assert b"" == await found.read()


async def test_a_long_piece_of_a_stream_is_translated_in_slices(monkeypatch):
    """Others go on between."""
    monkeypatch.setattr(translated_reply, "_SLICE_BYTES", 2)
    found = await _translated(_Arriving(b"abcde", headers=EVENTS), is_stream=True)

    assert [b"AB", b"CD", b"E", b"END"] == await _rest(found)


async def test_a_stream_that_breaks_off_is_broken_off():
    """Nothing is owed then: the relay sees the provider's own error, or that there was none of its
    API.
    """
    for script, error in (
        ((b"a", UpstreamCut("cut")), UpstreamCut),
        ((b"a", b"nonsense"), UpstreamMalformed),
    ):
        reply = _Arriving(*script, headers=EVENTS)
        found = await _translated(reply, is_stream=True)
        assert b"A" == await found.read()
        with pytest.raises(error):
            await found.read()
        found.abort()
        assert reply.is_aborted


@pytest.mark.parametrize(
    ("reply", "is_stream", "error"),
    [
        (_Arriving(b"nonsense"), False, UpstreamMalformed),
        (_Arriving(b"nonsense", headers=EVENTS), True, UpstreamMalformed),
        (_Arriving(b"a", headers=EVENTS), False, UpstreamMalformed),
        (_Arriving(b"a", headers=(*JSON, (b"content-encoding", b"br"))), False, UpstreamMalformed),
        (_Arriving(b"ab", b"cdefghijk"), False, UpstreamMalformed),
        (_Arriving(UpstreamCut("cut")), False, UpstreamReset),
        (_Arriving(ResponseTimeout("late")), False, ResponseTimeout),
    ],
    ids=["whole", "stream", "unasked stream", "compressed", "too long", "cut", "late"],
)
async def test_what_cannot_be_translated_is_a_failed_attempt(reply, is_stream, error, monkeypatch):
    """So that the next candidate is tried; nothing is left open."""
    monkeypatch.setattr(translated_reply, "WHOLE_BYTES", 10)
    with pytest.raises(error) as raised:
        await _translated(reply, is_stream=is_stream)

    assert (True, 2) == (reply.is_aborted, raised.value.sends)


async def test_a_stream_without_any_event_is_a_failed_attempt():
    """A provider may close its connection in good order and have said nothing."""
    call = _call(is_stream=True)
    reply: Any = _Arriving(headers=EVENTS)
    assert call.translation is not None
    events = EventsReply(reply, call.translation.attempt(CLAUDE), unlimited())
    events._events._stream.end = lambda: iter(())  # type: ignore[method-assign]
    with pytest.raises(UpstreamReset):
        await events.begin()


async def test_what_is_cancelled_leaves_nothing_open():
    """The app may leave while a response is read."""

    class Cancelled(_Arriving):
        async def read(self) -> bytes:
            raise KeyboardInterrupt

    reply = Cancelled()
    with pytest.raises(KeyboardInterrupt):
        await _translated(reply)

    assert reply.is_aborted


async def test_a_long_response_takes_memory_while_it_is_translated():
    """And is no response where there is none."""
    budget = MemoryBudget(40_000)
    share = budget.share("replies", keeps=1.0)
    found = await _translated(_Arriving(b"a" * 9000), share=share)

    assert (9000, 0) == (found.content_length, share.used_bytes)
    with pytest.raises(UpstreamMalformed, match="no memory"):
        await _translated(_Arriving(b"a" * 20_000), share=share)
    assert 0 == share.used_bytes


async def test_what_is_kept_of_a_stream_takes_memory_until_it_ends(monkeypatch):
    """And ends the stream where there is none."""
    monkeypatch.setattr(translated_reply, "_KEPT_BYTES", 2)
    monkeypatch.setattr(translated_reply, "_LONG_BYTES", 3)
    share = MemoryBudget(5).share("replies", keeps=1.0)
    found = await _translated(
        _Arriving(b"abcd", b"ef", headers=EVENTS), is_stream=True, share=share
    )
    seen = []
    while piece := await found.read():
        seen.append((piece, share.used_bytes))

    assert [(b"ABCD", 0), (b"EF", 2), (b"END", 4)] == seen
    assert 0 == share.used_bytes

    found = await _translated(
        _Arriving(b"abcd", b"efgh", headers=EVENTS), is_stream=True, share=share
    )
    assert [b"ABCD", b"EFGH"] == [await found.read(), await found.read()]
    with pytest.raises(UpstreamMalformed, match="no memory"):
        await found.read()
    found.abort()
    assert 0 == share.used_bytes


def _buffered(status: int, body: bytes, error: bytes | None = None) -> tuple[Any, _Arriving]:
    reply: Any = _Arriving(whole=body)
    reply.status = status
    buffered = BufferedReply(reply)
    buffered.error = error
    return buffered, reply


@pytest.mark.parametrize(
    ("status", "error", "failure_class", "expected"),
    [
        (429, None, FailureClass.BUSY, (429, b"429: body")),
        (200, b'{"error":{"code":529}}', FailureClass.BUSY, (529, b'529: {"error":{"code":529}}')),
        (200, b"x", FailureClass.BUSY, (503, b"503: x")),
        (200, b"x", FailureClass.TOO_LONG, (400, b"400: x")),
        (200, b"x", FailureClass.FAILING, (502, b"502: x")),
    ],
)
def test_an_error_is_written_in_the_apps_words(status, error, failure_class, expected):
    """With its own status; one that came under a success gets the status that it means."""
    buffered, reply = _buffered(status, b"body", error)
    found = translated_error(_call(), CLAUDE, buffered, failure_class)

    assert expected == (found.status, found.read_nowait())
    assert (True, 2) == (reply.is_aborted, found.sends)


def test_an_error_of_a_candidate_that_speaks_the_apps_api_stays_as_it_is():
    """Byte for byte; also of a call that was never read."""
    buffered: BufferedReply = _buffered(429, b"body")[0]

    assert buffered is translated_error(_call(), GPT, buffered, FailureClass.BUSY)
    assert buffered is translated_error(a_call(), CLAUDE, buffered, FailureClass.BUSY)


async def test_a_response_that_shows_an_error_is_not_translated_yet():
    """It is judged by what the provider said."""
    buffered, _ = _buffered(200, b"body", b"error")

    assert buffered is await translated(_call(), CLAUDE, buffered, unlimited())


def test_the_app_is_told_that_a_response_was_translated_and_what_was_lost():
    """Of the request, of the response, and of signed state, each once."""
    call = _call(fit=Fit(MESSAGES, (KNOWN,)))
    assert call.translation is not None
    reply: Any = _Arriving()
    attempt = call.translation.attempt(CLAUDE)
    found = WholeReply(reply, 200, attempt, b"")

    assert attempt is translation_of(found)
    assert b"x-plano-translated: chat>messages\r\nx-plano-lost: logprobs\r\n" == change_lines(
        found, ""
    )
    assert b"x-plano-lost: thinking\r\n" == change_lines(reply, "thinking")
    assert b"" == change_lines(reply, "")
    assert translation_of(reply) is None


def test_of_a_response_that_lost_nothing_the_way_alone_is_told():
    """An empty list would say something."""
    call = _call()
    assert call.translation is not None
    reply: Any = _Arriving()
    found = WholeReply(reply, 200, call.translation.attempt(CLAUDE), b"")

    assert b"x-plano-translated: chat>messages\r\n" == change_lines(found, "")
