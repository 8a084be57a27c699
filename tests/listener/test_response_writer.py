"""The app's end of a call: heads, framing, and every way in which an answer ends."""

from __future__ import annotations

import pytest

from sidecar.listener import response_writer
from sidecar.listener.plain_connection import _Written
from sidecar.listener.response_writer import ResponseWriter
from tests.listener.fakes import FakeRequest

CLOSE, KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"


async def test_a_whole_answer_is_one_head_with_its_length():
    """Status line, the lines as given, the length, the body."""
    request = FakeRequest()
    ResponseWriter(request).send_whole(200, [b"a: b\r\n", b"a: c\r\n"], b"body")

    assert b"HTTP/1.1 200 OK\r\na: b\r\na: c\r\nContent-Length: 4\r\n\r\nbody" == request.written


@pytest.mark.parametrize(
    ("status", "phrase"), [(404, b"Not Found"), (503, b"Service Unavailable"), (599, b"")]
)
async def test_each_status_has_its_usual_phrase(status, phrase):
    """An unknown one none, but still the blank before it (RFC 9112, 4)."""
    request = FakeRequest()
    ResponseWriter(request).send_whole(status, [], b"")

    assert request.written.startswith(b"HTTP/1.1 %d %b\r\n" % (status, phrase))


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_no_length_either(status):
    """RFC 9110, 8.6."""
    request = FakeRequest()
    ResponseWriter(request).send_whole(status, [], b"")

    assert b"Content-Length" not in request.written
    assert request.written.endswith(b"\r\n\r\n")


async def test_head_gets_the_length_alone():
    """Of what a GET would have been sent."""
    request = FakeRequest(method="HEAD")
    ResponseWriter(request).send_whole(200, [], b"body")

    assert b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" == request.written


@pytest.mark.parametrize(
    ("keep_alive", "version", "line"),
    [(True, (1, 1), b""), (False, (1, 1), CLOSE), (True, (1, 0), KEEP), (False, (1, 0), CLOSE)],
)
async def test_the_connection_line_says_what_is_not_the_versions_default(keep_alive, version, line):
    """HTTP/1.1 keeps, HTTP/1.0 closes."""
    request = FakeRequest(keep_alive=keep_alive, version=version)
    down = ResponseWriter(request)
    down.send_whole(200, [], b"")

    assert b"HTTP/1.1 200 OK\r\n" + line + b"Content-Length: 0\r\n\r\n" == request.written
    assert keep_alive == down.keep_alive


@pytest.mark.parametrize(
    ("changes", "may_wait"),
    [({}, True), ({"keep_alive": False}, False), ({"is_last_sent": False}, False)],
    ids=["nothing follows", "the connection closes", "another request follows"],
)
async def test_an_answer_waits_for_the_turns_end_only_where_nothing_can_overtake_it(
    changes, may_wait
):
    """Neither the next answer on its connection nor the connection's end."""
    request = FakeRequest(**changes)
    waiting: list[bytes] = []
    ResponseWriter(request, lambda _, data: waiting.append(data)).send_whole(200, [], b"x")

    assert (may_wait, not may_wait) == (bool(waiting), bool(request.written))


async def test_a_stream_is_chunked_and_ends_with_the_last_chunk():
    """One write for each piece."""
    request = FakeRequest()
    down = ResponseWriter(request)
    down.start(200, [b"a: b\r\n"], None)
    await down.write(b"0123456789abcdef")
    down.finish()

    assert (
        b"HTTP/1.1 200 OK\r\na: b\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
        == request.written
    )
    assert down.keep_alive


async def test_an_announced_length_is_kept_and_nothing_is_chunked():
    """A long answer that has not arrived whole."""
    request = FakeRequest()
    down = ResponseWriter(request)
    down.start(200, [], 4)
    await down.write(b"body")
    down.finish()

    assert b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody" == request.written


async def test_an_http10_app_gets_a_stream_that_ends_with_the_connection():
    """It knows no chunks."""
    request = FakeRequest(version=(1, 0))
    down = ResponseWriter(request)
    down.start(200, [], None)
    await down.write(b"body")
    down.finish()

    assert b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody" == request.written
    assert not down.keep_alive


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("POST", 304)])
async def test_an_answer_without_a_body_is_not_chunked(method, status):
    """Not even by an empty last chunk: the next answer would be out of step."""
    request = FakeRequest(method=method)
    down = ResponseWriter(request)
    down.start(status, [], None)
    down.finish()

    assert b"chunked" not in request.written
    assert request.written.endswith(b"\r\n\r\n")
    assert not request.written.endswith(b"0\r\n\r\n")


async def test_writing_waits_while_the_app_reads_slowly():
    """Backpressure reaches the relay, and through it the provider."""
    request = FakeRequest(is_write_paused=True)
    down = ResponseWriter(request)
    down.start(200, [], None)
    await down.write(b"x")

    assert 1 == request.drained


@pytest.mark.parametrize("is_known", [True, False])
async def test_writing_to_an_app_that_is_gone_fails(is_known):
    """Whether its transport is gone already or only closing."""
    request = FakeRequest()
    if is_known:
        request.transport = None
    down = ResponseWriter(request)
    if not is_known:
        request.ended.append("lost")

    with pytest.raises(ConnectionResetError):
        await down.write(b"x")


async def test_a_broken_end_at_a_boundary_is_the_event_and_then_no_last_chunk(monkeypatch):
    """What was written is let out; a reader who is too slow for that is cut off."""
    later: list[object] = []
    monkeypatch.setattr(response_writer, "Timer", lambda _, action: later.append(action))
    request = FakeRequest()
    down = ResponseWriter(request)
    down.start(200, [], None)
    down.end_broken(b"data: error\n\n")

    assert request.written.endswith(b"\r\n\r\nd\r\ndata: error\n\n\r\n")
    assert ["close"] == request.ended
    assert [request.transport.abort] == later  # type: ignore[union-attr] # it is there
    assert not down.keep_alive


async def test_a_broken_end_of_an_unchunked_stream_is_the_event_as_it_is(monkeypatch):
    """HTTP/1.0."""
    monkeypatch.setattr(response_writer, "Timer", lambda *_: None)
    request = FakeRequest(version=(1, 0))
    down = ResponseWriter(request)
    down.start(200, [], None)
    down.end_broken(b"data: error\n\n")

    assert request.written.endswith(b"\r\n\r\ndata: error\n\n")


async def test_a_broken_end_inside_an_event_is_an_abort():
    """Nothing can be said there."""
    request = FakeRequest()
    down = ResponseWriter(request)
    down.start(200, [], None)
    down.end_broken(b"")

    assert ["abort"] == request.ended


async def test_an_abort_is_one():
    """Without flushing, and for good."""
    request = FakeRequest()
    down = ResponseWriter(request)
    down.start(200, [], None)
    down.abort()

    assert (["abort"], False) == (request.ended, down.keep_alive)


@pytest.mark.parametrize("has_transport", [True, False])
async def test_an_app_that_is_gone_is_told_nothing(has_transport):
    """No way of ending raises, and nothing is written."""
    request = FakeRequest()
    transport = request.transport
    if not has_transport:
        request.transport = None
    down = ResponseWriter(request)
    assert transport is not None
    transport.ended.append("lost")
    down.send_whole(200, [], b"x")
    down.end_broken(b"data: x\n\n")
    if not has_transport:
        down.start(200, [], None)
        down.finish()
        down.abort()

    assert (b"", ["lost"]) == (transport.written, transport.ended)


async def test_an_answer_that_never_began_keeps_no_connection():
    """What aiohttp would do with it is nothing: it is closed."""
    assert not ResponseWriter(FakeRequest()).keep_alive


@pytest.mark.parametrize("keeps_alive", [True, False])
async def test_aiohttps_own_loop_finds_everything_written(keeps_alive):
    """It asks a response to prepare and to end itself; whether the connection goes on is the
    answer's to say.
    """
    written = _Written(keeps_alive=keeps_alive)

    assert await written.prepare(None) is None  # type: ignore[arg-type] # not looked at
    await written.write_eof(b"lost")
    assert keeps_alive is written.keep_alive
