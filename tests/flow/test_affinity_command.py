"""`plano-sidecar affinity` and the admin pages behind it: pins as an operator sees and drops
them.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Ended
from tests.support.command import command as any_command
from tests.support.net import closed_port, exchange, raw_request
from tests.support.redis_server import redis_server
from tests.support.routed import Routed, routed

GPT = "openai/gpt-4o"
SUMMARY = "Make this long text short"


async def command(*arguments: str) -> Ended:
    """Run it: exit code, stdout, stderr."""
    return await any_command("affinity", *arguments)


async def pin(sidecar: Routed, *sessions: tuple[str | None, str]) -> None:
    """A first call of each (tenant, session)."""
    for tenant, session in sessions:
        headers = {"x-model-affinity": session} | ({} if tenant is None else {"x-org-id": tenant})
        assert 200 == (await sidecar.ask(SUMMARY, headers=headers)).status


def admin(sidecar: Routed) -> tuple[str, str]:
    return "--admin", sidecar.app.ports.operators_place


async def page(
    sidecar: Routed, target: str, method: str = "GET", **headers: str
) -> tuple[int, Any]:
    """(status, JSON; None where it is text)."""
    reply = await exchange(
        sidecar.app.ports.operators, raw_request(method, target, headers=headers)
    )
    return reply.status, reply.json() if reply.header(
        "content-type"
    ) == "application/json" else None


@pytest.mark.parametrize("store", ["memory", "redis"])
async def test_pins_are_listed_shown_and_dropped_through_the_running_sidecar(store):
    """By tenant and by session; a deleted pin is gone for the next call."""
    async with redis_server() as redis:
        cache: dict[str, Any] = (
            {"type": "memory"} if store == "memory" else {"type": "redis", "url": redis.url}
        )
        routing = {"session_cache": cache | {"tenant_header": "x-org-id"}}
        async with routed(
            routing=routing, admin={"address": "127.0.0.1", "port": 0, "mutations": True}
        ) as sidecar:
            while store == "redis" and not await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
            await pin(sidecar, ("acme", "s1"), ("acme", "a b:c~d"), ("zeta", "s1"))
            listed = await command("list", "--tenant", "acme", *admin(sidecar))
            whole = await command("list", *admin(sidecar))
            shown = await command("get", "--tenant", "acme", "a b:c~d", *admin(sidecar))
            dropped = await command("delete", "--tenant", "acme", "s1", *admin(sidecar))
            again = await command("delete", "--tenant", "acme", "s1", *admin(sidecar))
            left = await page(sidecar, "/affinity/?tenant=acme")

    assert [0, 0, 0, 0, 1] == [each[0] for each in (listed, whole, shown, dropped, again)]
    assert (3, 4) == (len(listed[1].splitlines()), len(whole[1].splitlines()))
    assert ["acme", "a b:c~d", "openai/gpt-4o-mini", GPT, GPT, "summaries"] == [
        cell
        for cell in map(str.strip, shown[1].splitlines()[1].split("  "))
        if cell not in ("", "-")
    ][:6]
    assert "1 deleted\n" == dropped[1]
    assert (200, ["a b:c~d"]) == (left[0], [each["session"] for each in left[1]["pins"]])


async def test_a_sub_agents_pins_are_shown_and_dropped_without_its_main_loops():
    """By --agent; without it they are shown beside each other."""
    async with routed(admin={"address": "127.0.0.1", "port": 0, "mutations": True}) as sidecar:
        for agent in ({}, {"x-claude-code-agent-id": "a7"}):
            await sidecar.ask(SUMMARY, headers={"x-model-affinity": "s1", **agent})
        both = await command("get", "s1", *admin(sidecar))
        shown = await command("get", "s1", "--agent", "a7", *admin(sidecar))
        dropped = await command("delete", "s1", "--agent", "a7", *admin(sidecar))
        left = await page(sidecar, "/affinity/session?session=s1")
        none = await page(sidecar, "/affinity/session?session=s1&agent=a7")

    assert (3, 2, "a7") == (
        len(both[1].splitlines()),
        len(shown[1].splitlines()),
        shown[1].splitlines()[1].split()[2],
    )
    assert (0, "1 deleted\n") == dropped[:2]
    assert ([None], 404) == ([pin["agent"] for pin in left[1]["pins"]], none[0])


async def test_keys_that_are_no_text_spoil_no_list():
    """Whoever writes to Redis can put any bytes there; the others' pins are shown all the same."""
    async with redis_server() as redis:
        for key in (
            b"plano:affinity:%FF",
            b"plano:affinity:raw\xff",
            b"plano:affinity:%ED%A0%80",
            b"plano:affinity:s1",
        ):
            await redis.client.set(key, b'{"model_name": "openai/gpt-4o"}')
        async with routed(
            routing={"session_cache": {"type": "redis", "url": redis.url}}
        ) as sidecar:
            while not await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
            status, listed = await page(sidecar, "/affinity/")
            shown = await command("list", *admin(sidecar))

    assert (200, 0) == (status, shown[0])
    assert {"s1", "\\xff", "\\xed\\xa0\\x80"} == {each["session"] for each in listed["pins"]}


async def test_pins_are_found_in_redis_itself():
    """Without a sidecar: --config names the Redis, plano's own values are shown too."""
    async with redis_server() as redis:
        await redis.client.set(
            "plano:affinity:acme:s1", b'{"model_name": "openai/gpt-4o", "route_name": "code"}'
        )
        await redis.client.set(
            "plano:affinity:acme:s1~openai%2Fx",
            b'{"model_name": "m/x", "requested_model": "openai/x"}',
        )
        await redis.client.set("plano:affinity:acme:s10", b'{"model_name": "openai/other"}')
        await redis.client.set("plano:affinity:acme:broken", b"?")
        await redis.client.lpush("plano:affinity:acme:list", "x")
        config = {
            "model_providers": [{"model": GPT, "access_key": "k"}],
            "routing": {"session_cache": {"type": "redis", "url": redis.url}},
        }
        file = Path(redis.folder) / "config.yaml"
        file.write_text(json.dumps(config))
        listed = await command("list", "--config", str(file))
        shown = await command("get", "--tenant", "acme", "s1", "--config", str(file))
        dropped = await command("delete", "--tenant", "acme", "s1", "--config", str(file))
        keys = await redis.key_names()

    assert (4, 3) == (len(listed[1].splitlines()), len(shown[1].splitlines()))
    assert "openai/x" in shown[1]
    assert (0, "2 deleted\n") == dropped[:2]
    assert [
        "plano:affinity:acme:broken",
        "plano:affinity:acme:list",
        "plano:affinity:acme:s10",
    ] == keys


async def test_what_cannot_be_reached_is_said_in_one_line(tmp_path):
    """Exit code 1, or 78 and 64 where the config or the use is wrong; no traceback, no password."""
    port = closed_port()
    config = {
        "model_providers": [{"model": GPT, "access_key": "k"}],
        "routing": {
            "session_cache": {"type": "redis", "url": f"redis://u:secret-word@127.0.0.1:{port}/0"}
        },
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    gone = await command("list", "--config", str(file))
    nobody = await command("list", "--admin", f"http://127.0.0.1:{port}")
    async with routed() as sidecar:
        data = f"http://127.0.0.1:{sidecar.app.ports.data}"
        refused = [await command("list", "--admin", data)]
        refused += [await command(what, "s1", "--admin", data) for what in ("get", "delete")]
    file.write_text(json.dumps(config | {"routing": {}}))
    memory = await command("list", "--config", str(file))
    wrong = await command("get")

    assert [1, 1, 78, 64] == [each[0] for each in (gone, nobody, memory, wrong)]
    for code, _, errors in refused:
        assert (1, f"affinity: no operators' pages answer at {data}\n") == (code, errors)
    for _, out, errors in (nobody, memory):
        assert (0, 1) == (len(out.splitlines()), len(errors.splitlines()))
    assert "redis does not answer" in gone[2]
    assert "secret-word" not in gone[1] + gone[2]
    assert "Traceback" not in gone[2]


async def test_the_pages_are_for_callers_inside_the_pod_and_change_nothing_unasked():
    """A foreign Host and a web page's Origin are refused; DELETE wants admin.mutations; bad
    questions are 400.
    """
    async with routed() as sidecar:
        await pin(sidecar, (None, "s1"))
        asked = [
            await page(sidecar, "/affinity/", host="evil.example"),
            await page(sidecar, "/affinity/", origin="http://localhost"),
            await page(sidecar, "/affinity/session?session=s1", "DELETE"),
            await page(sidecar, "/affinity/", "POST"),
            await page(sidecar, "/affinity/?limit=0"),
            await page(sidecar, "/affinity/?cursor=x"),
            await page(sidecar, f"/affinity/?cursor={2**64}"),
            await page(sidecar, "/affinity/session"),
            await page(sidecar, "/affinity/session?session=nobody"),
        ]
        kept = await page(sidecar, "/affinity/session?session=s1")

    assert [403, 403, 403, 405, 400, 400, 400, 400, 404] == [status for status, _ in asked]
    assert (200, GPT) == (kept[0], kept[1]["pins"][0]["model"])


async def test_a_long_list_comes_in_pages():
    """SCAN gives what it likes; all of it comes once in the end."""
    async with redis_server() as redis:
        for number in range(250):
            await redis.client.set(
                f"plano:affinity:t:s{number}", b'{"model_name": "openai/gpt-4o"}'
            )
        async with routed(
            routing={"session_cache": {"type": "redis", "url": redis.url}}
        ) as sidecar:
            while not await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
            seen: list[str] = []
            cursor: str | None = ""
            pages = 0
            while cursor is not None:
                _, found = await page(
                    sidecar, "/affinity/?limit=50" + (f"&cursor={cursor}" if cursor else "")
                )
                seen += [each["session"] for each in found["pins"]]
                cursor, pages = found["cursor"], pages + 1

    assert {f"s{number}" for number in range(250)} == set(seen)
    assert pages > 1


async def test_a_session_among_many_like_it_is_found_without_reading_theirs():
    """Calls of the sidecar that is asked would wait meanwhile: of a thousand names that begin
    alike, one is read.
    """
    async with redis_server() as redis:
        for number in range(1000):
            await redis.client.set(
                f"plano:affinity:t:s1{number}", b'{"model_name": "openai/other"}'
            )
        await redis.client.set("plano:affinity:t:s1", b'{"model_name": "openai/gpt-4o"}')
        async with routed(
            routing={"session_cache": {"type": "redis", "url": redis.url}}
        ) as sidecar:
            while not await sidecar.metrics("affinity_store_up"):
                await asyncio.sleep(0.02)  # sleep: the connection stands in its own time
            found = await page(sidecar, "/affinity/session?tenant=t&session=s1")
            reads = (await redis.client.info("commandstats"))["cmdstat_getrange"]["calls"]

    assert (200, [GPT]) == (found[0], [each["model"] for each in found[1]["pins"]])
    assert 1 == reads
