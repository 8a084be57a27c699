"""A long body, read while it arrives. No provider."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from sidecar.domain.errors import MalformedRequest, RequestTimeout
from sidecar.listener.body_memory import SHORT_BYTES, BodyMemory
from sidecar.listener.body_reader import BodyReader
from sidecar.listener.upload import WINDOW_BYTES, StreamedUpload
from sidecar.runtime.memory_budget import MemoryBudget
from sidecar.wire.form import FormModel
from tests.listener.fakes import FakeRequest

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECTS = [("Expect", "100-continue")]


def a_reader(body_bytes: int = 1 << 20) -> BodyReader:
    return BodyReader(BodyMemory(MemoryBudget(4 << 20)), body_bytes, 5)


def arriving(*pieces: bytes, ends: bool = False, **changes) -> FakeRequest:
    """A request of which so much has come."""
    request = FakeRequest(body=None, **changes)
    for piece in pieces:
        request.content.feed_data(piece)
    if ends:
        request.content.feed_eof()
    return request


async def _read_all(upload: StreamedUpload) -> list[bytes]:
    pieces = []
    while piece := await upload.read():
        pieces.append(piece)
    return pieces


async def test_a_body_with_a_length_is_read_as_it_comes():
    """The app is told to go on when the first bytes are wanted, and once."""
    request = arriving(headers=EXPECTS)
    upload = StreamedUpload(request, 4, 5)
    assert (False, b"") == (upload.is_begun, request.written)

    request.content.feed_data(b"ab")
    assert b"ab" == await upload.read()
    assert (True, False, CONTINUE) == (upload.is_begun, upload.is_complete, request.written)
    request.content.feed_data(b"cd")
    request.content.feed_eof()
    assert [b"cd"] == await _read_all(upload)
    assert (b"", True, 4, CONTINUE) == (
        await upload.read(),
        upload.is_complete,
        upload.received_bytes,
        request.written,
    )


async def test_a_body_in_chunks_is_framed_anew():
    """What was read of it before comes first, and its last chunk at the end."""
    upload = StreamedUpload(arriving(b"cd", ends=True), None, 5, b"ab")

    assert [b"2\r\nab\r\n", b"2\r\ncd\r\n", b"0\r\n\r\n"] == await _read_all(upload)
    assert (True, 4) == (upload.is_complete, upload.received_bytes)


async def test_silence_ends_an_upload():
    """The app may send as slowly as it likes, but not nothing."""
    with pytest.raises(RequestTimeout, match=r"nothing came of the request body for 0\.01 s"):
        await StreamedUpload(arriving(), 4, 0.01).read()


async def test_broken_framing_ends_an_upload():
    """Without its bytes in the error."""
    request = arriving()
    request.content.set_exception(web.RequestPayloadError("secret bytes"))
    with pytest.raises(MalformedRequest) as caught:
        await StreamedUpload(request, None, 5).read()

    assert "secret" not in caught.value.message


async def test_a_read_that_was_cancelled_loses_nothing():
    """It is, where the provider answers; another one may follow."""
    request = arriving()
    upload = StreamedUpload(request, 2, 5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await upload.read()
    request.content.feed_data(b"ab")

    assert b"ab" == await upload.read()


@pytest.mark.parametrize("length", [None, SHORT_BYTES])
async def test_a_short_body_is_returned_whole(length):
    """Also where it has no length, and came in pieces; its memory is its length."""
    headers = [] if length is None else [("Content-Length", str(length))]
    half = b"x" * (SHORT_BYTES // 2)
    reader, request = a_reader(), arriving(half, half, ends=True, headers=headers)

    assert (half * 2, None) == await reader.read_or_stream(request)
    assert SHORT_BYTES == reader.memory.buffered_bytes


@pytest.mark.parametrize("length", [None, SHORT_BYTES + 1])
async def test_a_longer_body_is_an_upload(length):
    """Its memory is what is under way of it."""
    headers = [] if length is None else [("Content-Length", str(length))]
    reader, request = a_reader(), arriving(b"x" * (SHORT_BYTES + 1), headers=headers)
    body, upload = await reader.read_or_stream(request)

    assert upload is not None
    assert (b"", length, WINDOW_BYTES) == (body, upload.length, reader.memory.buffered_bytes)
    assert (await upload.read()).count(b"x") == SHORT_BYTES + 1


@pytest.mark.parametrize("length", [5, None])
async def test_of_what_has_come_a_piece_is_sent_otherwise(length):
    """And is announced so; what is to come stays. The last word counts."""
    upload = StreamedUpload(arriving(b"de", ends=True), length, 5, b"abc")
    upload.use((0, 3, b"x"))
    upload.use(None)
    assert length == upload.length
    upload.use((1, 2, b"gpt"))
    assert (None if length is None else 7) == upload.length
    sent = await _read_all(upload)

    assert (b"agptc", b"de") == tuple(
        piece.split(b"\r\n")[-2 if length is None else 0] for piece in sent[:2]
    )
    assert 5 == upload.received_bytes


FORM = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
)


@pytest.mark.parametrize("length", [None, len(FORM), SHORT_BYTES * 2])
async def test_a_forms_model_is_looked_for_in_what_came_first(length):
    """Of a long one no more is waited for than that takes."""
    headers = [] if length is None else [("Content-Length", str(length))]
    form, request = FormModel(b"x"), arriving(FORM, headers=[*headers, *EXPECTS])
    if length != SHORT_BYTES * 2:
        request.content.feed_data(b"" if length else b"y" * SHORT_BYTES)
        request.content.feed_eof()
    reader = a_reader()
    body, upload = await reader.read_or_stream(request, form)

    assert ("whisper-1", CONTINUE) == (form.facts.requested_model, request.written)
    assert (FORM if length == len(FORM) else b"") == body
    assert (body or FORM) in (body or (await upload.read()))  # type: ignore[union-attr]
    assert (len(body) or WINDOW_BYTES) == reader.memory.buffered_bytes


async def test_a_long_form_whose_beginning_tells_nothing_is_an_upload_all_the_same():
    """No more of it is read than that; the rest waits for the provider."""
    request = arriving(b"--x", headers=[("Content-Length", str(SHORT_BYTES * 3))])
    request.content.feed_data(b"y" * (SHORT_BYTES - 3))
    form = FormModel(b"x")
    _, upload = await a_reader().read_or_stream(request, form)

    assert upload is not None
    assert (SHORT_BYTES, None) == (upload.received_bytes, form.facts.requested_model)


async def test_a_long_form_that_ends_too_early_is_an_upload_all_the_same():
    """Its framing tells the provider that it is not whole."""
    request = arriving(b"--x", ends=True, headers=[("Content-Length", str(SHORT_BYTES * 3))])
    _, upload = await a_reader().read_or_stream(request, FormModel(b"x"))

    assert upload is not None
    assert [b"--x"] == await _read_all(upload)


async def test_a_form_that_does_not_come_gives_its_memory_back():
    """Its call is refused."""
    reader = BodyReader(BodyMemory(MemoryBudget(4 << 20)), 1 << 20, 0.01)
    request = arriving(headers=[("Content-Length", str(SHORT_BYTES * 3))])
    with pytest.raises(RequestTimeout):
        await reader.read_or_stream(request, FormModel(b"x"))

    assert 0 == reader.memory.buffered_bytes


@pytest.mark.parametrize(("size", "is_upload"), [(8, False), (9, True)])
async def test_no_more_is_held_than_a_body_may_have(size, is_upload):
    """What is longer than `limits.body_bytes` is no error here: it is sent on."""
    headers = [("Content-Length", str(size))]
    whole = FakeRequest(body=b"x" * size, headers=headers)
    _, upload = await a_reader(8).read_or_stream(whole)
    _, of_coming = await a_reader(8).read_or_stream(
        arriving(b"x" * size, ends=True, headers=headers)
    )

    assert [is_upload] * 2 == [upload is not None, of_coming is not None]
