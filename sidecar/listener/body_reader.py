"""Reads the body of a request, whole, within its limits of size and time: decoded where it must be
looked into, else as it came.
"""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from sidecar.domain.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    MalformedRequest,
    RequestTimeout,
    SidecarError,
)
from sidecar.listener.body_memory import SHORT_BYTES, BodyMemory
from sidecar.listener.body_queue import ArrivingBody
from sidecar.listener.request import Request
from sidecar.listener.upload import (
    WINDOW_BYTES,
    StreamedUpload,
    next_piece,
    say_continue,
)
from sidecar.runtime.timers import Timeout, rest_s
from sidecar.wire.content_coding import ContentDecoder, decoder_of
from sidecar.wire.form import FormModel


class BodyReader:
    """Reads request bodies within the limits of the config."""

    def __init__(self, memory: BodyMemory, body_bytes: int, body_s: float) -> None:
        """Args: ``body_bytes`` is the longest body that is read; ``body_s`` is how long the app may
        take to send it, not counting the wait for memory.
        """
        self.memory = memory
        self.body_bytes = body_bytes
        self.body_s = body_s
        self._held_bytes: Final = min(SHORT_BYTES, body_bytes)

    def read_nowait(self, request: Request, content_encoding: bytes) -> bytes | None:
        """Return the body if all of it came with the head, as most do; None where it must be waited
        for, or decoded. The caller gives its length back to `memory`.

        Args: ``content_encoding`` is empty where the body is not compressed.
        Raises: BodyTooLarge.
        """
        if content_encoding:
            return None
        size = request.content.total_bytes
        if size > self.body_bytes:
            raise self._too_large()
        if not self.memory.take_nowait(size):
            return None
        body = request.take_body()
        if body is None:
            self.memory.give_back(size)
        return body

    async def read(self, request: Request, content_encoding: bytes = b"") -> bytes:
        """Return the whole body, decoded, waiting for memory and for the app. The caller gives its
        length back to `memory`.

        Raises: BodyTooLarge where it is too long as it came, or decoded; UnsupportedEncoding,
            InvalidBody where it cannot be decoded; MalformedRequest, RequestTimeout, Overloaded;
            ConnectionError if the app left.
        """
        decoder = decoder_of(content_encoding) if content_encoding else None
        announced = request.header_values("Content-Length")
        length = int(announced[0]) if announced else None
        if length is not None and length > self.longest_bytes:
            raise self._too_large()
        if length is None:
            request.bound_framing(self.longest_bytes)
        is_told = decoder is None
        arriving = self.memory.begin(length if is_told else None, self.longest_bytes)
        try:
            say_continue(request)
            gathered = await self._gather(request, arriving, decoder)
            await self.memory.wait_to_join(arriving)
            body = gathered.getvalue()
        except BaseException:
            self.memory.drop(arriving)
            raise
        self.memory.end(arriving)
        return body

    async def read_or_stream(
        self, request: Request, form: FormModel | None = None
    ) -> tuple[bytes, StreamedUpload | None]:
        """Return a short body whole, as it came. A longer one is returned while it arrives, as an
        upload, once there is memory for what is on its way: the caller gives `WINDOW_BYTES` back.

        Args: ``form`` looks through the body's beginning, of which no more is waited for than that.
        Raises: MalformedRequest, RequestTimeout, Overloaded; BodyTooLarge where its framing is too
            long; ConnectionError if the app left.
        """
        if request.content.is_eof() and request.content.total_bytes <= self.body_bytes:
            body = self.read_nowait(request, b"")
            if body is not None:
                return _looked_through(body, form), None
        announced = request.header_values("Content-Length")
        length = int(announced[0]) if announced else None
        first = b""
        if length is None:
            first, is_whole = await self._read_first(request)
            _looked_through(first, form)
            if is_whole:
                return first, None
        elif length <= self._held_bytes:
            return _looked_through(await self.read(request), form), None
        await self.memory.take(WINDOW_BYTES)
        if form is not None and not first:
            try:
                first = await self._read_beginning(request, form)
            except BaseException:
                self.memory.give_back(WINDOW_BYTES)
                raise
        return b"", StreamedUpload(request, length, self.body_s, first)

    async def _read_first(self, request: Request) -> tuple[bytes, bool]:
        """Return the first bytes of a body of unknown length, and whether they are all of it. What
        is returned whole keeps its room, anything else has none.
        """
        request.bound_framing(self.body_bytes)
        say_continue(request)
        arriving, gathered = self.memory.begin(None, self._held_bytes), bytearray()
        try:
            while len(gathered) <= self._held_bytes:
                piece = await next_piece(request, self.body_s)
                if not piece:
                    self.memory.end(arriving)
                    return bytes(gathered), True
                await self.memory.grow(arriving, len(piece))
                gathered += piece
        except BaseException:
            self.memory.drop(arriving)
            raise
        self.memory.drop(arriving)
        return bytes(gathered), False

    async def _read_beginning(self, request: Request, form: FormModel) -> bytes:
        """Return the first bytes of a long body: as many as the form's model is looked for in."""
        say_continue(request)
        first = bytearray()
        while not form.is_over:
            piece = await next_piece(request, self.body_s)
            if not piece:
                break
            form.feed(piece)
            first += piece
        return bytes(first)

    async def _gather(
        self, request: Request, arriving: ArrivingBody, decoder: ContentDecoder | None
    ) -> BytesIO:
        # It grows in place and becomes the body without a copy: to join 32 MiB takes 20 ms.
        gathered = BytesIO()
        left_s, came_bytes = self.body_s, 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                began_s = loop.time()
                async with Timeout(left_s):
                    piece = await request.content.readany()
                left_s = rest_s(left_s, loop.time() - began_s)
                if not piece:
                    break
                came_bytes += len(piece)
                if came_bytes > self.longest_bytes:
                    raise self._too_large()
                if decoder is None:
                    await self.memory.grow(arriving, len(piece))
                    gathered.write(piece)
                else:
                    await self._decode(piece, decoder, arriving, gathered)
        except TimeoutError as error:
            raise RequestTimeout(
                f"the request body did not arrive within {self.body_s:g} s"
            ) from error
        except web.RequestPayloadError as error:
            raise MalformedRequest("the request body's framing is broken") from error
        if decoder is not None:
            decoder.finish()
        return gathered

    async def _decode(
        self, piece: bytes, decoder: ContentDecoder, arriving: ArrivingBody, gathered: BytesIO
    ) -> None:
        """Add what is made of a piece of a compressed body, a step at a time: others go on between
        them, and there is room for what one has made before the next one is made.
        """
        for made in decoder.decode(piece):
            if arriving.size + len(made) > self.longest_bytes:
                raise self._too_large("decompressed request body")
            await self.memory.grow(arriving, len(made))
            gathered.write(made)
            await asyncio.sleep(0)

    @property
    def longest_bytes(self) -> int:
        """The longest body that is read: as the config says, or as long as memory has room for."""
        return min(self.body_bytes, self.memory.longest_bytes)

    def _too_large(self, what: str = "request body") -> BodyTooLarge:
        name, limit = f"limits.body_bytes ({self.body_bytes})", self.memory.longest_bytes
        if limit < self.body_bytes:
            name = f"limits.memory_bytes has room for ({limit} bytes)"
        return BodyTooLarge(f"the {what} is longer than {name}")


def _looked_through(body: bytes, form: FormModel | None) -> bytes:
    if form is not None:
        form.feed(body)
    return body


def parse_error_of(error: BaseException | None) -> SidecarError:
    """Return the error for what aiohttp's parser refused, or one of ours as it is. The parser's own
    words are not used: they repeat the bytes, credentials included.
    """
    if isinstance(error, SidecarError):
        return error
    if isinstance(error, TimeoutError):
        return RequestTimeout("the request's head did not arrive in time")
    if isinstance(error, LineTooLong) or "Too many headers" in str(error):
        return HeadersTooLarge("the request's headers are over 64 KiB, or more than 128")
    return MalformedRequest("the request is not well-formed HTTP/1.1")
