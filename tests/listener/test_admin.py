"""The admin port: probes and metrics for any peer, and nothing else."""

from __future__ import annotations

import pytest

from sidecar.listener.admin import Admin
from sidecar.runtime.lifecycle import Latch
from sidecar.telemetry.exposition import Page


async def _named_after(accept: str, accept_encoding: str) -> Page:
    return Page(f"for {accept} in {accept_encoding}".encode(), {"Content-Type": "text/x"})


def an_admin(latch: Latch | None = None) -> Admin:
    """An admin port's handler; its metrics say for which headers they are."""
    return Admin(latch or Latch(), _named_after)


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
    admin = an_admin(latch)
    seen = [(await ask("/readyz", admin=admin))[0]]
    latch.release()
    seen.append((await ask("/readyz", admin=admin))[0])
    latch.drain()
    seen.append((await ask("/readyz", admin=admin))[0])

    assert [503, 200, 503] == seen
    assert (200, "alive\n") == await ask("/livez", admin=admin)


async def test_metrics_are_rendered_for_the_accept_header(ask):
    """Prometheus negotiates its format; the renderer sees what it asked for."""
    accepted = {"Accept": "application/openmetrics-text", "Accept-Encoding": "gzip;q=0.5, br"}

    assert (200, "for application/openmetrics-text in gzip;q=0.5, br") == await ask(
        "/metrics", **accepted
    )


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_answer_any_host(ask, path):
    """Kubelet and Prometheus come by the pod's IP."""
    assert 403 != (await ask(path, Host="10.1.2.3:9901"))[0]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    ],
)
async def test_no_browser_is_answered(ask, path, headers):
    """A page on a laptop in the cluster's network could read what any peer is told."""
    status, text = await ask(path, **headers)

    assert 403 == status
    assert text.startswith("no browser is served here; ")


async def test_nodes_fetch_is_no_browser(ask):
    """An app in Node may wait for its sidecar by it."""
    headers = {"Sec-Fetch-Mode": "cors", "Accept-Language": "*", "User-Agent": "node"}

    assert (200, "alive\n") == await ask("/livez", **headers)


@pytest.mark.parametrize("path", ["/", "/config_dump", "/affinity/", "/quitquitquit", "/nothing"])
async def test_other_pages_are_elsewhere(ask, path):
    """Behind a mesh every peer comes from one loopback address: none is believed here."""
    admin = an_admin()
    off = await ask(path, admin=admin)
    admin.operators_place = "http://127.0.0.1:9902"

    assert (404, True) == (off[0], "admin.operator_address" in off[1])
    assert (
        404,
        "this port serves /livez, /readyz, /metrics; pages for operators: http://127.0.0.1:9902\n",
    ) == await ask(path, admin=admin)


async def test_only_reading_is_served(ask):
    """No page takes a POST."""
    assert 405 == (await ask("/livez", "POST"))[0]
