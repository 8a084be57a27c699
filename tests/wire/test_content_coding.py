"""Compressed bodies: decoded whatever the pieces, in bounded steps, refused where they cannot be."""

from __future__ import annotations

import contextlib
import gzip
import random
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import InvalidBody, UnsupportedEncoding
from sidecar.runtime.installation import as_if_missing
from sidecar.wire import content_coding
from sidecar.wire.content_coding import MEMBERS_AT_MOST, STEP_BYTES, decoder_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20


def _deflated(text: bytes) -> bytes:
    """Without zlib's wrapper."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(text) + deflate.flush()


def _checked(text: bytes) -> bytes:
    return zstd.compress(text, options={zstd.CompressionParameter.checksum_flag: 1})


PACKED: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"gzip", gzip.compress),
    (b"x-gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", _deflated),
    (b"zstd", zstd.compress),
    (b"zstd", _checked),
]
ROWS = [each for each in PACKED if each[0] != b"deflate"]
NAMES = ["gzip", "x-gzip", "zlib", "deflate", "zstd", "zstd with a checksum"]


def decoded(coding: bytes, *pieces: bytes) -> bytes:
    decoder = decoder_of(coding)
    made = [part for piece in pieces for part in decoder.decode(piece)]
    decoder.finish()
    return b"".join(made)


def pieces_of(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@given(
    st.sampled_from(PACKED),
    st.binary(max_size=300) | st.binary(max_size=40).map(lambda some: some * 9000),
    st.sampled_from([1, 2, 7, 1000, MIB]),
)
def test_what_was_compressed_is_decoded_whatever_the_pieces(packed, text, size):
    """Every coding, cut anywhere."""
    coding, pack = packed

    assert text == decoded(coding, *pieces_of(pack(text), size))


@pytest.mark.parametrize(("coding", "pack"), ROWS)
@pytest.mark.parametrize("size", [1, MIB])
def test_a_body_may_be_a_row_of_members(coding, pack, size):
    """RFC 1952, 2.2; RFC 8878, 3. What parallel compressors write; one may be empty."""
    row = pack(b"one, ") + pack(b"") + pack(b"two")

    assert b"one, two" == decoded(coding, *pieces_of(row, size))


def test_a_frame_that_is_to_be_skipped_is():
    """RFC 8878, 3.1.2."""
    skipped = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"

    assert b"text" == decoded(b"zstd", skipped + zstd.compress(b"text"))


@pytest.mark.parametrize(("coding", "pack"), PACKED, ids=NAMES)
def test_a_body_that_ends_too_early_is_refused(coding, pack):
    """After each of its bytes, the last one alone left out."""
    packed = pack(b'{"model": "gpt-4o"}' * 9)

    for end in range(len(packed)):
        with pytest.raises(InvalidBody, match="ends too early"):
            decoded(coding, packed[:end])


@pytest.mark.parametrize(("coding", "pack"), PACKED, ids=NAMES)
@pytest.mark.parametrize("behind", [b"junk", b"\0" * 100], ids=["junk", "zeros"])
def test_bytes_behind_the_end_are_refused(coding, pack, behind):
    """Another reader might take them for something."""
    with pytest.raises(InvalidBody, match=r"cannot be decoded|goes on behind|ends too early"):
        decoded(coding, pack(b"text") + behind)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzip.compress(b"text")[:-8] + b"\0" * 8),
        (b"gzip", gzip.compress(b"text")[:-4] + b"\0" * 4),
        (b"deflate", zlib.compress(b"text")[:-4] + b"\0" * 4),
        (b"zstd", _checked(b"text")[:-4] + b"\0" * 4),
        (b"gzip", b'{"model": "gpt-4o"}'),
        (b"zstd", b'{"model": "gpt-4o"}'),
        (b"deflate", b"\x78\x9c" + b"\xff" * 9),
        (b"gzip", zlib.compress(b"text")),
    ],
    ids=[
        *("gzip's checksum", "gzip's length", "zlib's checksum", "zstd's checksum"),
        *("plain, not gzip", "plain, not zstd", "no deflate", "zlib, not gzip"),
    ],
)
def test_what_is_not_what_it_says_is_refused_and_not_repeated(coding, packed):
    """A wrong checksum, a wrong length, another coding, none."""
    with pytest.raises(InvalidBody, match=f"cannot be decoded as {coding.decode()}: ") as refused:
        decoded(coding, packed)

    assert "model" not in refused.value.message


@pytest.mark.parametrize(
    "coding", [b"br", b"compress", b"gzip, gzip", b"gzip, br", b"zstd,gzip", b"none", b"\xff"]
)
def test_any_other_coding_is_refused_and_told_what_is_served(coding):
    """Brotli among them; none of the refused word is repeated."""
    with pytest.raises(UnsupportedEncoding, match="gzip, deflate and zstd are") as refused:
        decoder_of(coding)

    assert "br" not in refused.value.message.split()


@pytest.mark.parametrize("module", ["backports.zstd", "compression.zstd"])
def test_without_the_library_zstd_is_refused_with_the_name_of_its_extra(module, monkeypatch):
    """And gzip is read."""
    for name in [each for each in sys.modules if each.startswith(("backports", "compression"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "version_info", (3, 14) if module.startswith("c") else (3, 13))
    with as_if_missing(module), pytest.raises(UnsupportedEncoding, match=r"\[zstd\]"):
        decoder_of(b"zstd")

    assert b"text" == decoded(b"gzip", gzip.compress(b"text"))


@pytest.mark.parametrize(("coding", "pack"), PACKED, ids=NAMES)
def test_no_more_is_made_than_is_asked_for(coding, pack):
    """Of 1:1000, a step at a time: what is given up then costs no more."""
    steps = decoder_of(coding).decode(pack(bytes(64 * MIB)))

    assert [STEP_BYTES] * 4 == [len(next(steps)) for _ in range(4)]


@pytest.mark.parametrize(("coding", "pack"), PACKED, ids=NAMES)
def test_a_step_reads_no_more_than_it_should(coding, pack, monkeypatch):
    """What makes nothing is read in steps too."""
    monkeypatch.setattr(content_coding, "_SLICE_BYTES", 1000)
    text = random.Random(7).randbytes(100_000)
    decoder = decoder_of(coding)
    made = [len(part) for part in decoder.decode(pack(text))]

    assert 100_000 == sum(made)
    assert 100 <= len(made) <= 110


@pytest.mark.parametrize(("coding", "pack"), ROWS)
def test_a_row_of_too_many_members_is_refused(coding, pack):
    """Each costs a decoder, though it hold nothing: 32 MiB could be a million of them."""
    empty = pack(b"")

    assert b"" == decoded(coding, empty * MEMBERS_AT_MOST)
    with pytest.raises(InvalidBody, match="more than 1024 members"):
        decoded(coding, empty * (MEMBERS_AT_MOST + 1))


def test_a_window_beyond_that_of_the_content_coding_is_refused():
    """RFC 9659: 8 MiB. A frame of some bytes may ask for 2 GiB."""
    of_8, of_16 = (
        zstd.compress(
            random.Random(7).randbytes(STEP_BYTES) * 140,
            options={zstd.CompressionParameter.window_log: log},
        )
        for log in (23, 24)
    )

    assert 140 * STEP_BYTES == len(decoded(b"zstd", of_8))
    with pytest.raises(InvalidBody, match="too much memory"):
        decoded(b"zstd", of_16)


@given(
    st.sampled_from([b"gzip", b"deflate", b"zstd"]),
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x1f\x8b\x08", b"\x78\x9c", b"\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_are_decoded_or_refused(coding, some, head):
    """In no other way than ours."""
    with contextlib.suppress(InvalidBody):
        decoded(coding, head + some)
