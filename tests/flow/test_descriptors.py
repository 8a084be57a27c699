"""A process that may open no more files: what it does, what it writes, and that it recovers."""

from __future__ import annotations

import asyncio
import signal

from sidecar.runtime.lifecycle import Tasks
from tests.support.faults import Fault
from tests.support.net import exchange, json_request, raw_request, read_reply
from tests.support.sidecar_process import SidecarProcess, no_descriptor_left, sidecar_config

CHAT = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
KEPT = raw_request("POST", CHAT, b'{"model":"gpt-4o","messages":[]}', close=False)


async def _call(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> int:
    """The status of a call over a connection that stays open."""
    stream[1].write(KEPT)
    async with asyncio.timeout(20):
        return (await read_reply(stream[0])).status


async def test_a_shortage_of_descriptors_stops_no_call_and_fills_no_log(
    start_sidecar, scripted_provider
):
    """Calls on open connections go on; new connections, to each port, wait and are served once
    there are descriptors again. The log tells it once a listener.
    """
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
    kept = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    before = await _call(kept)
    lines = len(sidecar.log().splitlines())
    probe = raw_request("GET", "/livez")
    with no_descriptor_left(sidecar):
        waiting = [
            *(exchange(sidecar.data_port, json_request(CHAT, BODY)) for _ in range(20)),
            *(exchange(sidecar.admin_port, probe) for _ in range(20)),
            exchange(_operators(sidecar), raw_request("GET", "/clusters")),
        ]
        tasks = [Tasks().spawn(each, name="a connection that waits") for each in waiting]
        meanwhile = [await _call(kept) for _ in range(30)]
        await asyncio.sleep(0.5)  # sleep: that nothing floods can only be seen over time
        done = [each for each in tasks if each.done()]
        written = sidecar.log().splitlines()[lines:]
    served = [(await each).status for each in tasks]
    kept[1].close()

    assert (200, [200] * 30, [200] * 41, []) == (before, meanwhile, served, done)
    assert 3 == len(written), "\n".join(written[:20])


async def test_a_shortage_is_held_against_no_provider(start_sidecar, scripted_provider):
    """A call for which no connection can be opened is refused in plain words; the next one goes to
    the same provider as if nothing had been.
    """
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
    kept = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    kept[1].write(raw_request("GET", "/v1/models", close=False))
    assert 200 == (await read_reply(kept[0])).status
    with no_descriptor_left(sidecar):
        kept[1].write(KEPT)
        async with asyncio.timeout(20):
            refused = await read_reply(kept[0])
    clusters = await exchange(_operators(sidecar), raw_request("GET", "/clusters"))
    served = await _call(kept)
    kept[1].close()

    assert (503, "upstream_connect_failed", "true") == (
        refused.status,
        refused.header("x-plano-error"),
        refused.header("x-should-retry"),
    )
    assert "Too many open files" in refused.json()["error"]["message"]
    assert (200, False) == (served, b"cooling" in clusters.body)


async def test_a_call_waits_for_a_connection_that_another_one_uses(
    start_sidecar, scripted_provider
):
    """Where none can be opened, one that becomes free within a second serves it."""
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
    apps = [await asyncio.open_connection("127.0.0.1", sidecar.data_port) for _ in range(4)]
    for _, writer in apps:  # all of them accepted
        writer.write(raw_request("GET", "/v1/models", close=False))
    for reader, _ in apps:
        await read_reply(reader)
    hold = asyncio.Event()
    scripted_provider.script.next(Fault(hold=hold))
    first = Tasks().spawn(_call(apps[0]), name="a call at work")
    await scripted_provider.wait_for_requests(1)
    with no_descriptor_left(sidecar):
        others = [Tasks().spawn(_call(each), name="a call that waits") for each in apps[1:]]
        await asyncio.sleep(0.1)  # sleep: so that they wait, which nothing shows
        hold.set()
        statuses = [await each for each in (first, *others)]
    for _, writer in apps:
        writer.close()

    assert [200] * 4 == statuses


async def test_a_reload_without_descriptors_keeps_the_last_good_config(
    start_sidecar, scripted_provider
):
    """The log says why it is not read; it is read once there are descriptors again."""
    sidecar = await start_sidecar(sidecar_config(scripted_provider.url))
    kept = await asyncio.open_connection("127.0.0.1", sidecar.data_port)
    assert 200 == await _call(kept)
    with no_descriptor_left(sidecar):
        sidecar.process.send_signal(signal.SIGHUP)
        await _until_logged(sidecar, "config_refused")
        meanwhile = await _call(kept)
    await _until_logged(sidecar, "config_reloaded")
    kept[1].close()

    assert (200, True) == (meanwhile, "cannot be read: Too many open files" in sidecar.log())


async def _until_logged(sidecar: SidecarProcess, event: str) -> None:
    async with asyncio.timeout(60):
        while f'"event":"{event}"' not in sidecar.log():
            await asyncio.sleep(0.02)  # sleep: a process writes in its own time


def _operators(sidecar: SidecarProcess) -> int:
    return int(sidecar.operator_address.rpartition(":")[2])
