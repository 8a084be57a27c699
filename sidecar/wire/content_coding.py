"""Content codings of request bodies: what is compressed is decoded piece by piece, in steps, so
that it holds nothing up and no more is made of it than is wanted.

Sources: RFC 9110, 8.4.1 (gzip, x-gzip, deflate); RFC 1952, 2.2 (a gzip file is a row of members);
RFC 8878, 3 (so is zstd, of frames); RFC 9659 (as content coding, zstd needs a window of at most
8 MiB).
"""

from __future__ import annotations

import functools
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol, final

from sidecar.domain.errors import InvalidBody, UnsupportedEncoding
from sidecar.runtime.installation import needs_extra

STEP_BYTES: Final = 128 * 1024
"""At most so much is made in one step: a millisecond's work."""
MEMBERS_AT_MOST: Final = 1024
"""Of one body: as aiohttp has it. Each costs a decoder, and may hold nothing."""
_SLICE_BYTES: Final = 32 * 1024
"""At most so much is read in one step: what stands behind a member is copied at its end."""
_WINDOW_LOG: Final = 23
"""8 MiB."""
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib's word for gzip's framing."""


class _Member(Protocol):
    """Decodes one member of a body: all of it, but where the coding allows several."""

    is_over: bool
    """Whether its end has come."""
    has_more: bool
    """Whether more can be made of what it was given."""
    rest: bytes
    """What it has not taken of what it was given last."""

    def step(self, data: bytes) -> bytes:
        """Take some of the data, and return what is made of it: at most `STEP_BYTES`, maybe none.

        Raises: InvalidBody.
        """
        ...


class _Coding(NamedTuple):
    """A content coding."""

    name: str
    member: Callable[[], _Member]
    """Makes what decodes one member."""
    has_members: bool = True
    """Whether a body may be a row of several."""


@final
class ContentDecoder:
    """Decodes one body. Beside what it makes it takes 48 KiB; for zstd 300, and a window of which
    no more is touched than was made.
    """

    def __init__(self, coding: _Coding) -> None:
        self._coding: Final = coding
        self._member = coding.member()
        self._members = 1

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Yield what is made of the body's next bytes, at most `STEP_BYTES` a step, maybe nothing.

        Raises: InvalidBody where they cannot be decoded.
        """
        for at in range(0, len(piece), _SLICE_BYTES):
            rest = piece[at : at + _SLICE_BYTES]
            while rest or self._member.has_more:
                if self._member.is_over:
                    self._begin_next()
                yield self._member.step(rest)
                rest = self._member.rest

    def finish(self) -> None:
        """The body has come to its end. Raises: InvalidBody where what it holds has not."""
        if not self._member.is_over:
            raise InvalidBody(f"the request body ends too early for {self._coding.name}")

    def _begin_next(self) -> None:
        name = self._coding.name
        if not self._coding.has_members:
            raise InvalidBody(f"the request body goes on behind the end of its {name}")
        if self._members == MEMBERS_AT_MOST:
            raise InvalidBody(f"the request body is {name} of more than {MEMBERS_AT_MOST} members")
        self._members += 1
        self._member = self._coding.member()


def decoder_of(content_encoding: bytes) -> ContentDecoder:
    """Return the decoder of a body.

    Args: ``content_encoding`` is what its header says, in lower case, without ``identity``.
    Raises: UnsupportedEncoding, which says what is served.
    """
    make = _CODINGS.get(content_encoding)
    if make is None:
        raise UnsupportedEncoding(
            "the request body's content-encoding is not served: gzip, deflate and zstd are, one of "
            "them, and identity"
        )
    return ContentDecoder(make())


def _invalid(name: str, error: Exception) -> InvalidBody:
    """The libraries' words hold nothing of the body."""
    reason = str(error).rpartition(": ")[2]
    return InvalidBody(f"the request body cannot be decoded as {name}: {reason}")


class _Inflated:
    """A member in gzip, by zlib, which proves its checksum and length."""

    name = "gzip"

    def __init__(self, window_bits: int = _GZIP_WINDOW) -> None:
        self.is_over = False
        self.has_more = False
        self.rest = b""
        self._inflate = zlib.decompressobj(window_bits)

    def step(self, data: bytes) -> bytes:
        """Take some of the data, as any `_Member` does."""
        inflate = self._inflate
        try:
            made = inflate.decompress(data, STEP_BYTES)
        except zlib.error as error:
            raise _invalid(self.name, error) from error
        self.is_over = inflate.eof
        self.rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        self.has_more = len(made) == STEP_BYTES and not inflate.eof
        return made


@final
class _Deflated(_Inflated):
    """A body in deflate: with zlib's wrapper, as the RFC has it, or without, as some clients send.

    Two bytes tell which.
    """

    name = "deflate"

    def __init__(self) -> None:
        super().__init__(zlib.MAX_WBITS)
        self._head: bytes | None = b""

    def step(self, data: bytes) -> bytes:
        """Take some of the data, as any `_Member` does."""
        if self._head is not None:
            data = self._head + data
            if len(data) < 2:
                self._head, self.rest = data, b""
                return b""
            self._head = None
            if data[0] & 0x8F != 8 or int.from_bytes(data[:2], "big") % 31:
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        return super().step(data)


@final
class _Zstandard:
    """A frame of zstd, whose checksum is proved where it has one."""

    rest = b""
    """It keeps what it has not taken yet."""

    def __init__(self, zstd: Any) -> None:  # noqa: ANN401 - a module
        self.is_over = False
        self.has_more = False
        self._error = zstd.ZstdError
        window = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        self._decompress = zstd.ZstdDecompressor(options=window)

    def step(self, data: bytes) -> bytes:
        """Take some of the data, as any `_Member` does."""
        frame = self._decompress
        try:
            made: bytes = frame.decompress(data, STEP_BYTES)
        except self._error as error:
            raise _invalid("zstd", error) from error
        self.is_over = frame.eof
        self.rest = frame.unused_data if frame.eof else b""
        self.has_more = not frame.eof and not frame.needs_input
        return made


def _zstd() -> _Coding:
    """Load the library, 1 MiB, which no process needs where no app sends such a body.

    Raises: UnsupportedEncoding where it is not installed.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise UnsupportedEncoding(
            f"the request body's content-encoding zstd {needs_extra('zstd')}; gzip and deflate are "
            "read without it"
        ) from error
    return _Coding("zstd", functools.partial(_Zstandard, zstd))


_GZIP: Final = _Coding("gzip", _Inflated)
_DEFLATE: Final = _Coding("deflate", _Deflated, has_members=False)
_CODINGS: Final[dict[bytes, Callable[[], _Coding]]] = {
    b"gzip": lambda: _GZIP,
    b"x-gzip": lambda: _GZIP,
    b"deflate": lambda: _DEFLATE,
    b"zstd": _zstd,
}
