"""What an operator learns of a Redis server: real ones, with the users and certificates that they
have in clusters.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.affinity.examination import StoreExamination
from sidecar.affinity.redis.connect import connection_maker
from sidecar.affinity.redis.examine import RedisExaminer
from sidecar.config.schema_routing import RedisTls, SessionCache
from sidecar.config.secret import Secret
from tests.contract.affinity.test_acl import acl_words
from tests.support.net import closed_port
from tests.support.redis_server import KINDS, RedisServer, redis_server

KEY = "plano:affinity:acme:doctor-1"


async def examined(port: int, timeout_s: float = 10.0, **cache: Any) -> StoreExamination:
    """Examine the server at a port as a config would name it."""
    scheme = "rediss" if "tls" in cache else "redis"
    settings = SessionCache(
        type="redis",
        url=Secret(f"{scheme}://127.0.0.1:{port}/0"),
        **cache,
    )
    examiner = RedisExaminer(connection_maker(settings), KEY, time.monotonic, tracks=True)
    return await examiner.examine(timeout_s)


@contextlib.asynccontextmanager
async def server_with_user(kind: str, *changes: str) -> AsyncIterator[RedisServer]:
    """A server with the fenced user of its page, changed by more words of ACL SETUSER."""
    async with redis_server(kind) as server:
        await server.client.execute_command("ACL", "SETUSER", *acl_words(), *changes)
        yield server


LOGIN: dict[str, Any] = {"username": Secret("sidecar"), "password": Secret("secret")}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_will_do_has_no_fault_and_keeps_nothing(kind):
    """Version, latency, tracking that was seen at work, and no key left behind."""
    async with redis_server(kind) as server:
        found = await examined(server.port)
        keys = await server.key_names()

    assert ("", "", (), False, "") == (
        found.cause, found.tracking_cause, found.missing_rights, found.is_key_forbidden, found.write_cause,
    )  # fmt: skip
    assert (found.version or "").startswith(kind)
    assert 0 < (found.reply_ms or 0) <= (found.slowest_ms or 0)
    assert ([], ("noeviction", 0)) == (keys, (found.eviction_policy, found.max_memory_bytes))


@pytest.mark.parametrize("kind", KINDS)
async def test_the_fenced_user_of_the_readme_has_all_rights(kind):
    """The doctor finds no fault where the store finds none."""
    async with server_with_user(kind) as server:
        found = await examined(server.port, **LOGIN)

    assert ((), False, "", True) == (
        found.missing_rights, found.is_key_forbidden, found.tracking_cause, found.has_login,
    )  # fmt: skip


async def test_what_a_user_may_not_ask_is_not_known():
    """Most managed servers say nothing of their memory."""
    async with server_with_user("7", "-info") as server:
        found = await examined(server.port, **LOGIN)

    assert ((), None, None) == (
        found.missing_rights, found.eviction_policy, found.max_memory_bytes,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("taken", "missing"),
    [
        (("-evalsha", "-pexpire"), ("pexpire", "evalsha")),
        (("-getrange", "-set"), ("getrange", "set")),
        (("-eval", "-del"), ("eval", "del")),
    ],
)
async def test_each_missing_right_is_named_as_an_acl_names_it(kind, taken, missing):
    """So that it can be copied into ACL SETUSER."""
    async with server_with_user(kind, *taken) as server:
        found = await examined(server.port, **LOGIN)

    assert missing == found.missing_rights


@pytest.mark.parametrize("kind", KINDS)
async def test_a_user_of_other_keys_lacks_no_command(kind):
    """What is wrong is the pattern of its keys."""
    async with server_with_user(kind, "resetkeys", "~others:*") as server:
        found = await examined(server.port, **LOGIN)

    assert ((), True) == (found.missing_rights, found.is_key_forbidden)


async def test_a_user_without_tracking_is_told_so():
    """Pins are then believed for a second at a time."""
    async with server_with_user("7", "-client|tracking") as server:
        found = await examined(server.port, **LOGIN)

    assert "CLIENT TRACKING is forbidden" == found.tracking_cause


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_password_is_no_fault_of_the_network(kind):
    """And it stands nowhere in what was found."""
    async with server_with_user(kind) as server:
        found = await examined(
            server.port, username=Secret("sidecar"), password=Secret("guessed-word")
        )

    assert (True, "wrong password") == (found.is_login_refused, found.cause)
    assert "guessed-word" not in repr(found)


async def test_a_server_that_asks_for_a_password_says_so():
    """None is configured."""
    async with redis_server("7") as server:
        await server.client.config_set("requirepass", "secret")
        found = await examined(server.port)

    assert "it asks for a password" == found.cause


async def test_nobody_there_is_a_phrase():
    """With the error, by which it is known how far the way was gone."""
    found = await examined(closed_port())

    assert ("connection refused", False) == (found.cause, found.is_login_refused)
    assert isinstance(found.error, Exception)


async def test_a_server_that_hangs_costs_the_timeout():
    """It accepts, and never replies."""
    async with redis_server("7") as server:
        server.pause()
        found = await examined(server.port, timeout_s=0.3)

    assert "no reply in time" == found.cause


async def test_tls_is_told_with_its_end(certificates):
    """By the files that the config names."""
    files = RedisTls(
        ca_file=certificates.ca, cert_file=certificates.good, key_file=certificates.good
    )
    async with redis_server("7", tls=certificates) as server:
        found = await examined(server.port, tls=files)
        untrusted = await examined(server.port, tls=RedisTls())

    assert ("", True) == (found.cause, found.is_tls)
    assert found.tls is not None
    assert ("TLSv1.3", True) == (found.tls.version, found.tls.expires_unix_s is not None)
    assert "certificate of an unknown issuer" == untrusted.cause


async def test_a_replica_is_told_as_one_that_takes_no_writes():
    """Reads are as good as ever, and nothing would say so until a pin is made."""
    async with redis_server("7") as server:
        await server.client.replicaof("127.0.0.1", str(closed_port()))
        found = await examined(server.port)

    assert found.write_cause.startswith("ReadOnlyError")


async def test_a_policy_that_drops_pins_is_seen():
    """With the limit from which on it does."""
    async with redis_server("7", more=("--maxmemory", "64mb")) as server:
        await server.client.config_set("maxmemory-policy", "allkeys-lru")
        found = await examined(server.port)

    assert ("allkeys-lru", 64 << 20) == (found.eviction_policy, found.max_memory_bytes)
