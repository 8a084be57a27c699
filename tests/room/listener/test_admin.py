"""The admin port: probes and metrics for anybody, the rest for callers inside the pod."""

import pytest
from aiohttp import ClientSession, web

from sidecar.affinity.memory_store import MemoryStore
from sidecar.domain.clock import SystemClock
from sidecar.lifecycle import Latch
from sidecar.listener.admin import Admin, _is_local_name
from sidecar.listener.pins import PinPages
from sidecar.listener.server import bind, port_of


class _Door:
    """An admin port on a free port, asked with a Host and a peer of the test's choice."""

    def __init__(self, *, is_loopback: bool = True, may_change: bool = False) -> None:
        self.latch = Latch()
        pins = PinPages(MemoryStore(SystemClock(), ttl_s=60, max_entries=9), may_change=may_change)
        render = lambda accept: (f"for {accept}".encode(), "text/x")  # noqa: E731
        self._admin = Admin(self.latch, render, lambda _: is_loopback, pins)

    async def __aenter__(self):
        self._server = web.Server(self._admin.handle, access_log=None)
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
    "headers", [{"Host": "evil.example:9901"}, {"Host": "10.1.2.3"}, {"Origin": "http://localhost:9901"}]
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
