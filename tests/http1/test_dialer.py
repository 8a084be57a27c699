"""What is said of a connection that could not be made. No socket."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from sidecar.domain.errors import ConnectFailed, ConnectStage, ConnectTimeout
from sidecar.http1.connection import UpstreamConnection
from sidecar.http1.dialer import Dialer, ProxyRefused
from sidecar.http1.origin import Origin, make_ssl_context
from sidecar.http1.resolver import AddressInfo, Resolver


def _untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL] certificate verify failed: secret details")
    error.verify_message = "self-signed certificate"
    return error


def _broken_tls(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] (_ssl.c:1006)")
    error.reason = reason  # type: ignore[assignment] # as OpenSSL has it where it gives none
    return error


class _Connection:
    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (OSError("no words"), "OSError"),
        (UnicodeError("label empty"), "UnicodeError"),
        (_untrusted(), "certificate not accepted (self-signed certificate)"),
        (_broken_tls("WRONG_VERSION_NUMBER"), "TLS failed (wrong version number)"),
        (_broken_tls(None), "TLS failed (no reason given)"),
        (
            ProxyRefused("the proxy p:1 refused the tunnel (403)"),
            "the proxy p:1 refused the tunnel (403)",
        ),
    ],
)
async def test_the_reason_is_named_in_plain_words(error, expected):
    """Behind the upstream's place; nothing is left open."""

    async def fail(host: str, port: int) -> list[AddressInfo]:
        raise error

    connection, dialer = _Connection(), Dialer(Resolver(fail))
    with pytest.raises(ConnectFailed) as caught:
        await dialer.dial(Origin("http", "a.example", 80), None, connection, connect_s=5)  # type: ignore[arg-type]
    await dialer.aclose()

    assert f"a.example:80: could not connect: {expected}" == caught.value.message
    assert (error, True) == (caught.value.__cause__, connection.is_aborted)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EMFILE, "Too many open files"), True),
        (OSError(errno.ENFILE, "Too many open files in system"), True),
        (OSError(errno.ECONNREFUSED, "Connection refused"), False),
        (_untrusted(), False),
        (ProxyRefused("no"), False),
    ],
)
async def test_a_shortage_of_descriptors_is_no_failure_of_the_upstreams(error, expected):
    """It is told apart: nothing of it may be held against the provider."""

    async def fail(host: str, port: int) -> list[AddressInfo]:
        raise error

    dialer = Dialer(Resolver(fail))
    with pytest.raises(ConnectFailed) as caught:
        await dialer.dial(Origin("http", "a.example", 80), None, _Connection(), connect_s=5)  # type: ignore[arg-type]
    await dialer.aclose()

    assert expected == caught.value.is_own_shortage


@pytest.mark.parametrize(("number", "expected"), [(errno.EMFILE, True), (errno.EPERM, False)])
async def test_a_failed_look_up_is_asked_whether_sockets_can_be_had(monkeypatch, number, expected):
    """The resolver's own error says nothing of descriptors."""

    async def fail(host: str, port: int) -> list[AddressInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def no_socket(*_: object) -> None:
        raise OSError(number, "x")

    dialer = Dialer(Resolver(fail))
    monkeypatch.setattr("sidecar.http1.dialer.socket.socket", no_socket)
    with pytest.raises(ConnectFailed) as caught:
        await dialer.dial(Origin("http", "a.example", 80), None, _Connection(), connect_s=5)  # type: ignore[arg-type]
    monkeypatch.undo()
    await dialer.aclose()

    assert expected == caught.value.is_own_shortage


async def test_a_timeout_knows_what_was_not_done_in_time():
    """Here the name server's reply."""

    async def hang(host: str, port: int) -> list[AddressInfo]:
        await asyncio.Event().wait()
        return []

    dialer = Dialer(Resolver(hang))
    with pytest.raises(ConnectTimeout) as caught:
        await dialer.dial(Origin("http", "a.example", 80), None, _Connection(), connect_s=0.01)  # type: ignore[arg-type]
    await dialer.aclose()

    assert ConnectStage.NAME is caught.value.stage


@pytest.mark.parametrize(
    ("host", "place"), [("a.example", "a.example:443"), ("2001:db8::1", "[2001:db8::1]:443")]
)
def test_an_origin_is_named_by_its_place(host, place):
    """IPv6 in brackets."""
    assert place == Origin("https", host, 443).place


def test_tls_is_modern_and_verified():
    """Whatever the system's policy is."""
    context = make_ssl_context()

    assert (ssl.TLSVersion.TLSv1_2, ssl.CERT_REQUIRED, True) == (
        context.minimum_version,
        context.verify_mode,
        context.check_hostname,
    )


def test_a_new_connection_has_no_transport_to_send_by():
    """The dialer makes it ready."""

    class Owner:
        origin = Origin("http", "a.example", 80)
        read_buffer = memoryview(bytearray(1))
        head_memory = None
        discarded = 0

        def write(self, transport, message):
            raise AssertionError

        def recycle(self, connection, keep_alive_s):
            raise AssertionError

        def discard(self, connection):
            self.discarded += 1

        def lost(self, connection):
            raise AssertionError

    owner = Owner()
    connection = UpstreamConnection(owner, _NoLoop())  # type: ignore[arg-type]
    assert not connection.is_usable
    connection.abort()
    connection.abort()

    assert 1 == owner.discarded


class _NoLoop:
    """Nothing is asked of it."""
