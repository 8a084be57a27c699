"""Crowds at every port: probes are answered and calls are served, all of them.

Counted, not timed. `tests/bench/bench_storms.py` does the same for minutes, and prints times.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.support.crowd import SCRAPE, SILENT, SLOW_HEAD, STUCK_SCRAPE, STUCK_STREAM, crowd_at
from tests.support.net import exchange, json_request, raw_request
from tests.support.sidecar_process import SidecarProcess, sidecar_config

CALL = json_request(
    "/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
)
PROBES = [raw_request("GET", path) for path in ("/livez", "/readyz", "/metrics")]
ROUNDS = 5

AT_THE_ADMIN_PORT = [(SILENT, 5000), (SLOW_HEAD, 1000), (SCRAPE, 200), (STUCK_SCRAPE, 200)]
AT_THE_DATA_PORT = [(SILENT, 500), (SLOW_HEAD, 500), (STUCK_STREAM, 50)]


async def statuses(sidecar: SidecarProcess) -> dict[int, int]:
    """How often each status came, of calls and of probes on connections of their own."""
    seen: dict[int, int] = {}
    for _ in range(ROUNDS):
        asked = [exchange(sidecar.data_port, CALL)]
        asked += [exchange(sidecar.admin_port, probe) for probe in PROBES]
        for reply in await asyncio.gather(*asked):
            seen[reply.status] = seen.get(reply.status, 0) + 1
    return seen


@pytest.mark.parametrize(("kind", "count"), AT_THE_ADMIN_PORT)
async def test_a_crowd_at_the_admin_port_keeps_no_probe_and_no_call_out(
    start_sidecar, scripted_provider, kind, count
):
    """While it comes, and once it is there; peers that are closed come again."""
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
    async with crowd_at(sidecar.admin_port, kind, count, again_s=5) as served:
        seen = await statuses(sidecar)

    assert {200: 4 * ROUNDS} == seen
    assert (await served > 0) == (kind == SCRAPE)


@pytest.mark.parametrize(("kind", "count"), AT_THE_DATA_PORT)
async def test_a_crowd_at_the_data_port_keeps_no_call_out(
    start_sidecar, scripted_provider, kind, count
):
    """An app that leaks connections, or does not read its streams, stops no other one."""
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
    async with crowd_at(sidecar.data_port, kind, count, again_s=5):
        seen = await statuses(sidecar)

    assert {200: 4 * ROUNDS} == seen
