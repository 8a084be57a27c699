"""The admin port: probes and metrics for anybody, the rest for callers inside the pod."""

import asyncio
import logging

import pytest

from sidecar.affinity.memory import MemoryStore
from sidecar.domain.clock import SystemClock
from sidecar.listener.admin import Admin, PinPages, _is_local_name
from sidecar.listener.server import bind, make_admin_server, port_of
from sidecar.runtime.lifecycle import Latch


async def _named_after(accept: str) -> tuple[bytes, str]:
    return f"for {accept}".encode(), "text/x"


def an_admin(*, is_loopback: bool = True, latch: Latch | None = None, render=None) -> Admin:
    """An admin port's handler; its metrics say for which Accept header they are."""
    pins = PinPages(MemoryStore(SystemClock(), ttl_s=60, max_entries=9).pins, may_change=False)
    return Admin(
        latch or Latch(),
        render or _named_after,
        lambda _: is_loopback,
        pins,
    )


@pytest.fixture
def ask(aiohttp_client, aiohttp_raw_server):
    """A function that asks a page of an admin port and returns its status and text."""

    async def request(path, method="GET", admin=None, **headers):
        client = await aiohttp_client(await aiohttp_raw_server((admin or an_admin()).handle))
        async with client.request(method, path, headers=headers) as response:
            return response.status, await response.text()

    return request


async def test_readiness_follows_the_latch(ask):
    """503 while starting, 200 when released, 503 again while draining; liveness never changes."""
    latch = Latch()
    admin = an_admin(latch=latch)
    seen = [(await ask("/readyz", admin=admin))[0]]
    latch.release()
    seen.append((await ask("/readyz", admin=admin))[0])
    latch.drain()
    seen.append((await ask("/readyz", admin=admin))[0])

    assert [503, 200, 503] == seen
    assert (200, "alive\n") == await ask("/livez", admin=admin)


async def test_metrics_are_rendered_for_the_accept_header(ask):
    """Prometheus negotiates its format; the renderer sees what it asked for."""
    assert (200, "for application/openmetrics-text") == await ask(
        "/metrics", Accept="application/openmetrics-text"
    )


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_answer_any_peer_and_any_host(ask, path):
    """Kubelet and Prometheus come by the pod's IP."""
    status, _ = await ask(path, admin=an_admin(is_loopback=False), Host="10.1.2.3:9901")

    assert status != 403


@pytest.mark.parametrize("path", ["/", "/config_dump", "/nothing", "/affinity/"])
async def test_other_pages_refuse_peers_from_outside(ask, path):
    """What describes the sidecar is told inside the pod only."""
    assert 403 == (await ask(path, admin=an_admin(is_loopback=False)))[0]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example:9901"}, {"Host": "10.1.2.3"}, {"Origin": "http://localhost:9901"}],
)
async def test_other_pages_refuse_rebound_names_and_web_pages(ask, headers):
    """A browser in the pod's network that was talked into calling localhost gets nothing."""
    assert 403 == (await ask("/", **headers))[0]


async def test_the_front_page_lists_the_others_and_unknown_pages_say_so(ask):
    """A person who opens the port learns what is there."""
    status, text = await ask("/")

    assert (200, True) == (status, "/metrics" in text)
    assert 404 == (await ask("/nothing"))[0]


async def test_only_reading_is_served(ask):
    """No page takes a POST yet."""
    assert 405 == (await ask("/livez", "POST"))[0]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LOCALHOST:9901", True),
        ("127.0.0.1:1", True),
        ("127.9.9.9", True),
        ("[::1]:9901", True),
        ("[::1]", True),
        ("localhost.evil.example", False),
        ("", False),
        ("10.0.0.1:9901", False),
    ],
)
def test_only_loopback_names_are_local(host, local):
    """Names that merely begin like localhost are not."""
    assert local == _is_local_name(host)


class _AdminPort:
    """The admin port's own server on a free port, for what happens below its pages."""

    def __init__(self, admin: Admin) -> None:
        self._server = make_admin_server(admin.handle)

    async def __aenter__(self):
        (self._socket,) = await bind(self._server, ["127.0.0.1"], 0, "the admin port")
        await self._socket.start_serving()
        return self

    async def __aexit__(self, *_):
        self._socket.close()
        await self._server.shutdown(1)

    async def send(self, sent: bytes) -> bytes:
        """All that comes back for these bytes until the other end closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(self._socket))
        writer.write(sent)
        async with asyncio.timeout(5):
            received = await reader.read()
        writer.close()
        return received


MALFORMED = [
    b"GET http://[bad/livez HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nContent-Length: s3cret\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nX-A: s3cret\x00\r\n\r\n",
    b"s3cret\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", MALFORMED)
async def test_what_is_no_request_is_not_written_into_the_log(request_bytes, caplog):
    """Any peer may send it, as often as it likes, and credentials stand in it."""
    caplog.set_level(logging.DEBUG)
    async with _AdminPort(an_admin()) as port:
        received = await port.send(request_bytes)

    assert b"400" == received.split()[1]
    assert [] == [
        record for record in caplog.records if record.name.startswith(("aiohttp", "sidecar"))
    ]


async def test_a_page_that_fails_is_told(caplog):
    """That is our bug."""
    async with _AdminPort(an_admin(render=_broken)) as port:
        received = await port.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert (b"500", True) == (received.split()[1], "no metrics today" in caplog.text)


async def test_silent_peers_are_not_waited_for_forever(monkeypatch):
    """Neither before a first request, nor inside one, nor behind one."""
    monkeypatch.setattr("sidecar.listener.server.ADMIN_KEEPALIVE_S", 0.05)
    async with _AdminPort(an_admin()) as port:
        ends = [
            await port.send(sent)
            for sent in (b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        ]

    assert [b"", b"", b"HTTP/1.1 200 OK"] == [end.partition(b"\r\n")[0] for end in ends]


def _broken(_accept):
    raise RuntimeError("no metrics today")
