"""The operators' listener of a real process: who reaches it, what it shows, and the way down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.command import command
from tests.support.faults import Fault
from tests.support.net import RawReply, exchange, json_request, raw_request, read_reply
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sidecar_process import SidecarProcess, sidecar_config

PAGES = ("/", "/clusters", "/config_dump", "/logging", "/affinity/", "/drain", "/quitquitquit")
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


@contextlib.asynccontextmanager
async def running(work: Path, **overrides: Any) -> AsyncIterator[SidecarProcess]:
    """A sidecar process in front of a provider, ended at last."""
    async with ScriptedProvider() as provider:
        sidecar = SidecarProcess(sidecar_config(provider.url, **overrides), work)
        try:
            await sidecar.wait_ready()
            yield sidecar
        finally:
            await sidecar.terminate()


def port(sidecar: SidecarProcess) -> int:
    return int(sidecar.operator_address.rpartition(":")[2])


async def ask(sidecar: SidecarProcess, target: str, method: str = "GET") -> RawReply:
    return await exchange(port(sidecar), raw_request(method, target))


async def ask_from(source: str, to_port: int, target: str, method: str = "GET") -> int:
    """The status of a page for a peer of this address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", to_port, local_addr=(source, 0))
    writer.write(raw_request(method, target))
    reply = await read_reply(reader)
    writer.close()
    await writer.wait_closed()
    return reply.status


async def test_a_peer_of_the_mesh_gets_no_page_for_operators(tmp_path):
    """Istio's proxy connects for every peer of the pod from 127.0.0.6, which is loopback: on the
    admin port no peer gets such a page, and on the operators' listener this one does not.
    """
    async with running(tmp_path, admin={"mutations": True}) as sidecar:
        mesh, pod = "127.0.0.6", "127.0.0.1"
        admin = [
            await ask_from(source, sidecar.admin_port, page, method)
            for source in (mesh, pod)
            for page in PAGES
            for method in ("GET", "POST", "DELETE")
        ]
        probes = [await ask_from(mesh, sidecar.admin_port, page) for page in ("/livez", "/metrics")]
        operators = [await ask_from(mesh, port(sidecar), page) for page in PAGES]
        is_ready = await ask_from(mesh, sidecar.admin_port, "/readyz")

    assert {404} == set(admin)
    assert ([200, 200], {403}, 200) == (probes, set(operators), is_ready)


async def test_the_log_the_admin_port_and_the_list_tell_where_pages_are(tmp_path):
    """A person who knows one of them finds all."""
    async with running(tmp_path) as sidecar:
        place = f"http://{sidecar.operator_address}"
        elsewhere = await exchange(sidecar.admin_port, raw_request("GET", "/"))
        pages = await ask(sidecar, "/")
        ready = json.loads(sidecar.log().splitlines()[-1])

    assert place in elsewhere.body.decode()
    assert (place, "ready") == (ready["operators"], ready["event"])
    assert all(page in pages.body.decode() for page in PAGES)


async def test_no_page_shows_a_secret(tmp_path, monkeypatch):
    """Marked ones in the file, in a file beside it, and in the environment of the process."""
    monkeypatch.setenv("MARKED", "marked-env")
    (tmp_path / "key").write_text("marked-file")
    async with ScriptedProvider() as provider:
        entries = [
            {"model": "openai/gpt-4o-mini", "access_key": "$MARKED", "base_url": provider.url},
            {
                "model": "openai/gpt-4o",
                "access_key": "${file:key}",
                "base_url": provider.url,
                "headers": {"x-gateway": "marked-header"},
            },
        ]
        async with running(
            tmp_path,
            model_providers=entries,
            tracing={"otlp_endpoint": "http://user:marked-url@127.0.0.1:9/?k=marked-query"},
        ) as sidecar:
            session = {"x-model-affinity": "s1"}
            call = json_request("/v1/chat/completions", CHAT, session)
            served = await exchange(sidecar.data_port, call)
            replies = [await ask(sidecar, page) for page in PAGES[:5]]

    assert (200, [200] * 5) == (served.status, [reply.status for reply in replies])
    assert b"marked" not in b"".join(reply.body for reply in replies).lower()
    assert 2 == replies[1].body.count(provider.url.encode())


async def test_entries_are_told_with_what_failed_last(tmp_path):
    """And a person is told what to do."""
    async with ScriptedProvider() as provider:
        sidecar = SidecarProcess(sidecar_config(provider.url), tmp_path)
        try:
            await sidecar.wait_ready()
            provider.script.next("401")
            call = json_request("/v1/chat/completions", CHAT)
            refused = await exchange(sidecar.data_port, call)
            entries = (await ask(sidecar, "/clusters")).json()["entries"]
            text = (await ask(sidecar, "/clusters?format=text")).body.decode()
        finally:
            await sidecar.terminate()

    first = entries[0]
    assert (401, "ejected", "our_credential") == (refused.status, first["state"], first["reason"])
    assert ("credential refused", 401) == (
        first["last_failure"]["cause"],
        first["last_failure"]["status"],
    )
    assert ["serving"] * 3 == [entry["state"] for entry in entries[1:]]
    assert "put a valid key into access_key" in text


async def test_the_log_level_is_changed_while_it_runs(tmp_path):
    """Where the config allows changes; the log tells who asked for what."""
    async with running(tmp_path) as fixed:
        refused = await exchange(port(fixed), json_request("/logging", {"level": "error"}))
    async with running(tmp_path, admin={"mutations": True}) as sidecar:
        changed = await exchange(port(sidecar), json_request("/logging", {"level": "error"}))
        shown = await ask(sidecar, "/logging")
    log = sidecar.log()

    assert (403, 200, "error") == (refused.status, changed.status, shown.json()["level"])
    assert '"event":"operator_asked"' in log.replace(" ", "")
    assert "draining" not in log  # a line of level info


async def test_a_drain_that_a_hook_asks_for_lets_calls_end_and_the_process_stay(tmp_path):
    """`plano-sidecar drain --wait` returns once nothing is in flight; then SIGTERM has nothing left
    to wait for, and the exit code is 0.
    """
    async with ScriptedProvider() as provider:
        sidecar = SidecarProcess(sidecar_config(provider.url), tmp_path)
        try:
            await sidecar.wait_ready()
            hold = asyncio.Event()
            provider.script.next(Fault(hold=hold, hold_after_events=1))
            async with asyncio.TaskGroup() as group:
                streamed = json_request("/v1/chat/completions", {**CHAT, "stream": True})
                call = group.create_task(exchange(sidecar.data_port, streamed))
                await provider.wait_for_requests(1)
                admin = ("--admin", sidecar.operator_address)
                hook = group.create_task(command("drain", "--wait", *admin))
                while (await _probe(sidecar)) == 200:
                    await asyncio.sleep(0.01)  # sleep: another process turns it off
                again = (await ask(sidecar, "/drain", "POST")).json()
                is_waiting = not hook.done()
                hold.set()
            alive = await exchange(sidecar.admin_port, raw_request("GET", "/livez"))
            refused = await exchange(sidecar.data_port, json_request("/v1/chat/completions", CHAT))
            is_there = sidecar.process.poll() is None
        finally:
            code = await sidecar.terminate()

    assert (200, True, 1) == (call.result().status, is_waiting, again["in_flight"])
    assert (0, "draining, 1 in flight\ndrained\n") == hook.result()[:2]
    assert (200, 503, True, 0) == (alive.status, refused.status, is_there, code)


async def test_quitquitquit_drains_and_exits_with_0(tmp_path):
    """The app of a job ends its pod so."""
    async with running(tmp_path) as sidecar:
        reply = await ask(sidecar, "/quitquitquit", "POST")
        code = await asyncio.to_thread(sidecar.process.wait, 10)

    assert (200, True, 0) == (reply.status, reply.json()["exits"], code)


async def test_a_unix_socket_is_its_owners_and_may_change_things(tmp_path):
    """Commands reach it, its file is mode 0600, a killed process leaves one that the next replaces,
    and it is gone after a gentle end.
    """
    path = tmp_path / "operators.sock"
    place = {"operator_address": f"unix:{path}"}
    async with ScriptedProvider() as provider:
        killed = SidecarProcess(sidecar_config(provider.url, admin=place), tmp_path)
        await killed.wait_ready()
        killed.process.kill()
        await asyncio.to_thread(killed.process.wait, 10)
        is_left = path.exists()
    async with running(tmp_path, admin=place):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        dropped = await command("affinity", "delete", "s1", "--admin", f"unix:{path}")
        second = SidecarProcess(sidecar_config("http://127.0.0.1:9", admin=place), tmp_path)
        code = await asyncio.to_thread(second.process.wait, 20)
        drained = await command("drain", "--admin", f"unix:{path}")

    assert (True, 0o600) == (is_left, mode)
    assert "no pin of this session" in dropped[2]  # over TCP the config would have to allow it
    assert (78, True) == (code, "another process listens there" in second.log())
    assert (0, False) == (drained[0], path.exists())


async def test_a_configured_port_that_is_taken_ends_the_start(tmp_path):
    """The error names the key."""
    async with running(tmp_path) as sidecar:
        place = {"operator_address": sidecar.operator_address}
        second = SidecarProcess(sidecar_config("http://127.0.0.1:9", admin=place), tmp_path)
        code = await asyncio.to_thread(second.process.wait, 20)

    assert 78 == code
    assert "admin.operator_address" in second.log()


async def _probe(sidecar: SidecarProcess) -> int:
    return (await exchange(sidecar.admin_port, raw_request("GET", "/readyz"))).status
