"""The admin port: probes and metrics for anybody, the rest for callers inside the pod."""

import asyncio
import logging

import pytest
from aiohttp import ClientSession

from sidecar.affinity.memory import MemoryStore
from sidecar.domain.clock import SystemClock
from sidecar.listener.admin import Admin, _is_local_name
from sidecar.listener.pins import PinPages
from sidecar.listener.server import bind, make_admin_server, port_of
from sidecar.runtime.lifecycle import Latch


class _Door:
    """An admin port on a free port, asked with a Host and a peer of the test's choice."""

    def __init__(self, *, is_loopback: bool = True, may_change: bool = False) -> None:
        self.latch = Latch()
        pins = PinPages(
            MemoryStore(SystemClock(), ttl_s=60, max_entries=9).pins, may_change=may_change
        )
        render = lambda accept: (f"for {accept}".encode(), "text/x")  # noqa: E731
        self._admin = Admin(self.latch, render, lambda _: is_loopback, pins)

    async def __aenter__(self):
        self._server = make_admin_server(self._admin.handle)
        (self._socket,) = await bind(self._server, ["127.0.0.1"], 0, "the admin port")
        await self._socket.start_serving()
        self._session = ClientSession(f"http://127.0.0.1:{port_of(self._socket)}")
        return self

    async def __aexit__(self, *_):
        await self._session.close()
        self._socket.close()
        await self._server.shutdown(1)

    async def ask(self, path, method="GET", **headers):
        async with self._session.request(method, path, headers=headers) as answer:
            return answer.status, await answer.text()


async def test_readiness_follows_the_latch():
    """503 while starting, 200 when released, 503 again while draining; liveness never changes."""
    async with _Door() as door:
        seen = [(await door.ask("/readyz"))[0]]
        door.latch.release()
        seen.append((await door.ask("/readyz"))[0])
        door.latch.drain()
        seen.append((await door.ask("/readyz"))[0])

        assert [503, 200, 503] == seen
        assert (200, "alive\n") == await door.ask("/livez")


async def test_metrics_are_rendered_for_the_accept_header():
    """Prometheus negotiates its format; the renderer sees what it asked for."""
    async with _Door() as door:
        assert (200, "for application/openmetrics-text") == await door.ask(
            "/metrics", Accept="application/openmetrics-text"
        )


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_answer_any_peer_and_any_host(path):
    """Kubelet and Prometheus come by the pod's IP."""
    async with _Door(is_loopback=False) as door:
        status, _ = await door.ask(path, Host="10.1.2.3:9901")

        assert status != 403


@pytest.mark.parametrize("path", ["/", "/config_dump", "/nothing"])
async def test_other_pages_refuse_peers_from_outside(path):
    """What describes the sidecar is told to nobody outside the pod."""
    async with _Door(is_loopback=False) as door:
        assert 403 == (await door.ask(path))[0]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example:9901"}, {"Host": "10.1.2.3"}, {"Origin": "http://localhost:9901"}],
)
async def test_other_pages_refuse_rebound_names_and_web_pages(headers):
    """A browser in the pod's network that was talked into calling localhost gets nothing."""
    async with _Door() as door:
        assert 403 == (await door.ask("/", **headers))[0]


async def test_the_front_page_lists_the_others_and_unknown_pages_say_so():
    """A person who opens the port learns what is there."""
    async with _Door() as door:
        status, text = await door.ask("/")

        assert (200, True) == (status, "/metrics" in text)
        assert 404 == (await door.ask("/nothing"))[0]


async def test_only_reading_is_served():
    """No page takes a POST yet."""
    async with _Door() as door:
        assert 405 == (await door.ask("/livez", "POST"))[0]


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
    async with _Door() as door:
        answer = await _raw(door, request_bytes)

    assert b"400" == answer.split()[1]
    assert [] == [
        record for record in caplog.records if record.name.startswith(("aiohttp", "sidecar"))
    ]


async def test_a_page_that_fails_is_told(caplog):
    """That is our bug."""
    async with _Door() as door:
        door._admin._render_metrics = _broken
        status, _ = await door.ask("/metrics")

    assert (500, True) == (status, "no metrics today" in caplog.text)


async def test_silent_peers_are_not_waited_for_forever(monkeypatch):
    """Neither before a first request, nor inside one, nor behind one."""
    monkeypatch.setattr("sidecar.listener.server.ADMIN_KEEPALIVE_S", 0.05)
    async with _Door() as door:
        ends = [
            await _raw(door, sent)
            for sent in (b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        ]

    assert [b"", b"", b"HTTP/1.1 200 OK"] == [end.partition(b"\r\n")[0] for end in ends]


def _broken(_accept):
    raise RuntimeError("no metrics today")


async def _raw(door, sent):
    """All that comes back for these bytes until the other end closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(door._socket))
    writer.write(sent)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer
