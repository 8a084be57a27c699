"""Over TLS: whom we trust, and that leaving is leaving."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.domain.errors import (
    ConnectFailed,
    ConnectStage,
    ConnectTimeout,
    UpstreamCut,
    UpstreamError,
)
from sidecar.http1.cause import cause_of
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.dialer import Dialer
from sidecar.http1.origin import ExchangeTimeouts, Origin, make_ssl_context
from sidecar.http1.pool import Pool
from sidecar.http1.response import BUFFERED_BYTES
from sidecar.runtime.lifecycle import fast_loop_factory
from tests.contract.http1.peer import (
    HELLO,
    PATIENT,
    Certificates,
    Line,
    Peer,
    answers,
    ask,
    until,
    whole,
)
from tests.support.certificates import CertificateAuthority

TURN_BYTES = 256 * 1024
"""The most that any of the transports decrypts in one turn of the loop."""
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def server_tls(pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest_asyncio.fixture
async def peer(certificates: Certificates) -> AsyncIterator[Peer]:
    async with Peer(server_tls(certificates.good)) as started:
        yield started


@pytest_asyncio.fixture
async def pool(peer: Peer, certificates: Certificates) -> AsyncIterator[Pool]:
    pool = Pool(peer.origin, ssl_context=make_ssl_context(certificates.ca))
    yield pool
    await pool.aclose()


async def test_trusted_upstream_serves(peer: Peer, pool: Pool):
    """With its CA in ``ca_file`` an upstream serves one exchange after the other, and ALPN settles
    on HTTP/1.1.
    """
    protocols: list[str | None] = []

    async def script(line: Line):
        protocols.append(line.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        while await line.hear():
            await line.say(HELLO)

    peer.follows(script)
    for size in (0, 1000, 3_000_000):
        assert await whole(await ask(pool, b"x" * size)) == b"hello"
    assert (peer.connects, protocols) == (1, ["http/1.1"])


async def test_ssl_cert_file_is_honoured(
    peer: Peer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
):
    """Without ``ca_file`` OpenSSL's own environment decides, as operators know it from every other
    tool.
    """
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
    peer.follows(answers(HELLO))
    pool = Pool(peer.origin, ssl_context=make_ssl_context())
    assert await whole(await ask(pool)) == b"hello"
    await pool.aclose()


async def test_untrusted_upstream_is_refused(peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path):
    """A certificate by an unknown CA is ConnectFailed, with OpenSSL's reason."""
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    peer.follows(answers(HELLO))
    pool = Pool(peer.origin, ssl_context=make_ssl_context())
    await refused(pool)


@pytest.mark.parametrize("server_name", ["localhost", None])
async def test_wrong_name_is_refused(certificates: Certificates, server_name: str | None):
    """A trusted certificate for another name is ConnectFailed; the origin's host counts where no
    name is given.
    """
    async with Peer(server_tls(certificates.other)) as peer:
        peer.follows(answers(HELLO))
        origin = Origin("https", "127.0.0.1", peer.port, server_name)
        await refused(Pool(origin, ssl_context=make_ssl_context(certificates.ca)))


@pytest.mark.parametrize("is_fast", [False, True], ids=["asyncio", "fast"])
def test_a_common_name_proves_nothing(tmp_path, is_fast):
    """RFC 9525, 2: a name stands in subjectAltName. A private CA may sign any common name for
    anybody, since no browser has looked at one for years.
    """
    authority = CertificateAuthority(tmp_path)
    pem = authority.sign("common", "", common_name="localhost")

    async def refused_once() -> None:
        async with Peer(server_tls(str(pem))) as peer:
            peer.follows(answers(HELLO))
            origin = Origin("https", "127.0.0.1", peer.port, "localhost")
            await refused(Pool(origin, ssl_context=make_ssl_context(str(authority.ca))))

    with asyncio.Runner(loop_factory=fast_loop_factory() if is_fast else None) as runner:
        runner.run(refused_once())


async def test_server_name_is_what_is_verified(certificates: Certificates):
    """An origin may be reached at an address and verified by name."""
    async with Peer(server_tls(certificates.other)) as peer:
        peer.follows(answers(HELLO))
        origin = Origin("https", "127.0.0.1", peer.port, "other.example")
        pool = Pool(origin, ssl_context=make_ssl_context(certificates.ca))
        assert await whole(await ask(pool)) == b"hello"
        await pool.aclose()


async def test_upstream_without_tls_is_refused(certificates: Certificates):
    """Plain HTTP where TLS was to be is ConnectFailed."""

    async def script(line: Line):
        await line.reader.read(1)
        await line.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with Peer() as peer:
        peer.follows(script)
        origin = Origin("https", "127.0.0.1", peer.port)
        await refused(Pool(origin, ssl_context=make_ssl_context(certificates.ca)))


@pytest.mark.parametrize("is_fast", [False, True])
def test_an_expired_certificate_is_refused_with_its_day(tmp_path, is_fast):
    """On every loop; it is looked at once, however often connections fail for it."""
    authority = CertificateAuthority(tmp_path)
    expired = authority.sign("old", "DNS:localhost", common_name="localhost", days=-1)
    tls = make_ssl_context(str(authority.ca))

    async def refusals() -> tuple[set[str], int]:
        causes = set()
        async with Peer(server_tls(str(expired))) as peer:
            peer.follows(answers())
            pool = Pool(peer.origin, ssl_context=tls, dialer=Dialer(unix_s=time.time))
            for _ in range(3):
                with pytest.raises(ConnectFailed) as raised:
                    await ask(pool)
                causes.add(cause_of(raised.value))
            await pool.aclose()
            return causes, peer.connects

    with asyncio.Runner(loop_factory=fast_loop_factory() if is_fast else None) as runner:
        causes, looks = runner.run(refusals())

    day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    assert ({f"certificate expired on {day.isoformat()}"}, 1) == (causes, looks)


async def test_a_server_that_never_answers_tls_is_told_apart(certificates: Certificates):
    """From one that cannot be reached: the connection stands, and nothing comes."""

    async def script(line: Line):
        await line.gone()

    async with Peer() as peer:
        peer.follows(script)
        origin = Origin("https", "localhost", peer.port)
        pool = Pool(origin, ssl_context=make_ssl_context(certificates.ca))
        with pytest.raises(ConnectTimeout) as raised:
            await pool.prepare(ExchangeTimeouts(connect_s=0.3))
        await pool.aclose()

    assert ConnectStage.TLS is raised.value.stage


async def test_a_prepared_connection_is_the_next_ones(peer: Peer, pool: Pool):
    """It tells how TLS is spoken, and until when the certificate is valid."""
    peer.follows(answers(HELLO))
    facts = await pool.prepare(PATIENT)
    assert await whole(await ask(pool)) == b"hello"

    assert (facts is not None, peer.connects) == (True, 1)
    assert facts is not None
    assert ("TLSv1.3", True) == (facts.version, (facts.expires_unix_s or 0) > time.time())


async def refused(pool: Pool) -> None:
    with pytest.raises(
        ConnectFailed, match=f"^127.0.0.1:{pool.origin.port}: could not connect: "
    ) as raised:
        await ask(pool)
    assert isinstance(raised.value.__cause__, OSError)
    assert (pool.idle, pool.active) == (0, 0)
    await pool.aclose()


async def test_abort_stops_an_upstream_that_writes(peer: Peer, pool: Pool):
    """The socket closes at once, without a farewell that waits for the upstream: its next writes
    fail.
    """

    async def script(line: Line):
        await line.hear()
        await line.say(ENDLESS)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while True:
                await line.say(b"5\r\nhello\r\n")
                await asyncio.sleep(0)

    peer.follows(script)
    reply = await ask(pool)
    await reply.read()
    reply.abort()
    assert (pool.idle, pool.active) == (0, 0)
    await peer.done()


async def test_abort_reaches_an_upstream_that_is_silent(peer: Peer, pool: Pool):
    """An upstream that generates without writing sees the end of the connection."""
    peer.follows(answers(ENDLESS))
    reply = await ask(pool)
    reply.abort()
    await peer.done()


async def test_cancelled_send_reaches_the_upstream(peer: Peer, pool: Pool):
    """Cancellation is an abort, over TLS too."""
    was_heard = asyncio.Event()

    async def script(line: Line):
        await line.hear()
        was_heard.set()
        await line.gone()

    peer.follows(script)
    task = asyncio.get_running_loop().create_task(ask(pool))
    await was_heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await peer.done()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_cancelled_handshake_leaves_nothing(
    peer: Peer, certificates: Certificates, host: str
):
    """A caller that goes during the handshake leaves no socket."""
    # The peer's half logs handshakes that its client broke off; aiofastnet 1.2 does it with an
    # exception class as exc_info, on which logging itself fails.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    peer.follows(answers(HELLO))
    origin = Origin("https", host, peer.port)
    for turns in range(0, 90, 3 if host == "localhost" else 9):
        pool = Pool(origin, ssl_context=make_ssl_context(certificates.ca))
        task = asyncio.get_running_loop().create_task(ask(pool))
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        assert pool.active == 0
        await pool.aclose()


async def test_large_answer_with_a_slow_reader(peer: Peer, pool: Pool):
    """Backpressure works through the TLS layer, without loss."""

    async def script(line: Line):
        await line.hear()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n")
        for _ in range(80):
            await line.say(b"x" * 100_000)
        await line.gone()

    peer.follows(script)
    reply = await ask(pool)
    connection = reply.source
    assert isinstance(connection, UpstreamConnection)
    await until(lambda: connection._channel._is_read_paused)
    for _ in range(50):
        await asyncio.sleep(0)
    assert reply.buffered_bytes <= BUFFERED_BYTES + TURN_BYTES
    got = 0
    while piece := await reply.read():
        got += len(piece)
        await asyncio.sleep(0)
    assert (got, pool.idle) == (8_000_000, 1)


async def test_idle_connection_closed_by_the_upstream_is_dropped(peer: Peer, pool: Pool):
    """A TLS farewell on an idle connection takes it out of the pool."""

    async def script(line: Line):
        await line.hear()
        await line.say(HELLO)

    peer.follows(script)
    assert await whole(await ask(pool)) == b"hello"
    assert await whole(await ask(pool)) == b"hello"
    assert peer.connects == 2


@pytest.mark.parametrize("has_farewell", [True, False])
async def test_close_delimited_body_needs_the_farewell(peer: Peer, pool: Pool, has_farewell: bool):
    """Over TLS only a close_notify ends a body without length; a bare end of the connection may be
    an attacker's.
    """
    was_read = asyncio.Event()

    async def script(line: Line):
        await line.hear()
        await line.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await was_read.wait()
        if not has_farewell:
            line.writer.transport.abort()

    peer.follows(script)
    reply = await ask(pool)
    assert await reply.read() == b"hello"
    connection = reply.source
    if (
        not has_farewell
        and isinstance(connection, UpstreamConnection)
        and type(connection._channel.transport).__module__ == "asyncio.sslproto"
    ):
        reply.abort()
        pytest.skip("asyncio's own TLS reports both ends alike")
    was_read.set()
    if has_farewell:
        assert await reply.read() == b""
    else:
        with pytest.raises(UpstreamCut):
            await reply.read()
    assert (pool.idle, pool.active) == (0, 0)


async def test_client_certificate_is_shown_to_who_asks(certificates: Certificates):
    """An upstream that wants one gets it; without it the handshake fails, and the reason names
    TLS.
    """
    context = server_tls(certificates.good)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca)
    async with Peer(context) as peer:
        peer.follows(answers(HELLO))
        pool = Pool(peer.origin, ssl_context=make_ssl_context(certificates.ca, certificates.other))
        assert await whole(await ask(pool)) == b"hello"
        await pool.aclose()

        bare = Pool(peer.origin, ssl_context=make_ssl_context(certificates.ca))
        with pytest.raises(
            UpstreamError
        ):  # TLS 1.3 says so only after the client has begun to write
            await ask(bare)
        await bare.aclose()


def test_encrypted_key_is_an_error_and_no_prompt(certificates: Certificates, tmp_path: Path):
    """A sidecar has no terminal to ask."""
    key = tmp_path / "key.pem"
    plain = Path(certificates.good.replace(".pem", ".key"))
    subprocess.run(
        ["openssl", "ec", "-in", str(plain), "-aes128", "-passout", "pass:x", "-out", str(key)],
        check=True,
        capture_output=True,
    )
    with pytest.raises(ssl.SSLError):
        make_ssl_context(cert_file=certificates.good.replace(".pem", ".crt"), key_file=str(key))


async def test_a_handshake_that_fails_looks_at_the_files_and_is_made_again(
    peer: Peer, certificates: Certificates, tmp_path: Path
):
    """A CA that was rotated a moment ago fails no call; one that was not fails it once."""

    async def script(line: Line):
        while await line.hear():
            await line.say(HELLO)

    peer.follows(script)
    pool = Pool(peer.origin, ssl_context=make_ssl_context())
    looks: list[ssl.SSLContext] = []

    async def renew() -> None:
        looks.append(make_ssl_context(certificates.ca))
        if len(looks) > 1:
            pool.use_tls(looks[-1])

    pool.renew_tls = renew
    with pytest.raises(ConnectFailed):
        await ask(pool)
    response = await ask(pool)

    assert (b"hello", 2) == (await whole(response), len(looks))
    await pool.aclose()


async def test_connections_of_a_former_context_are_replaced_one_by_one(
    peer: Peer, pool: Pool, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
):
    """None is torn off: what is in use ends its exchange, and no two have to be made anew in the
    same moment.
    """

    async def script(line: Line):
        while await line.hear():
            await line.say(HELLO)

    peer.follows(script)
    await whole(await ask(pool))
    monkeypatch.setattr(random, "random", lambda: 1.0)
    pool.use_tls(make_ssl_context(certificates.ca))
    await whole(await ask(pool))
    kept = peer.connects
    monkeypatch.setattr(random, "random", lambda: -0.1)
    pool.use_tls(make_ssl_context(certificates.ca))
    await whole(await ask(pool))
    after_use = pool.idle
    await whole(await ask(pool))

    assert (1, 0, 2) == (kept, after_use, peer.connects)
