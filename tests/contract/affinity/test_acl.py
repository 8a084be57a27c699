"""Who may come to Redis, and how: the fenced user that its page shows, TLS with certificates of
one's own.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from pathlib import Path

import pytest
import redis
from redis.asyncio.connection import SSLConnection

import sidecar.affinity
from sidecar.affinity.redis.connect import connection_maker
from sidecar.affinity.session import make_session
from sidecar.affinity.store import StoreUnreachable
from sidecar.config.schema_routing import RedisTls, SessionCache
from sidecar.config.secret import Secret
from tests.contract.affinity.test_redis import until
from tests.contract.affinity.test_store import GPT, MAIN, MINI, Heard, a_pin, redis_store
from tests.support.certificates import CertificateAuthority
from tests.support.redis_server import KINDS, redis_server


def acl_words() -> list[str]:
    """The command of the page, word by word."""
    page = Path(sidecar.affinity.__file__).parent / "README.md"
    found = re.search(r"ACL SETUSER (sidecar [^`]+)```", page.read_text())
    assert found is not None
    return found[1].split()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_fenced_user_of_the_readme_can_do_all_that_a_sidecar_does(kind):
    """Claim, read, replace, release and refresh with tracking; no other tenant's keys, and no list
    of them.
    """
    heard = Heard()
    foreign = make_session("s1", "zeta", GPT)
    async with redis_server(kind) as server:
        await server.client.execute_command("ACL", "SETUSER", *acl_words())
        async with redis_store(
            server, heard, user="sidecar", password="secret", ttl_s=0.4
        ) as store:
            assert store.snapshot().is_tracking
            assert a_pin() == await store.claim(MAIN, a_pin())
            moved = a_pin(MINI, generation=2)
            assert moved == await store.replace(MAIN, a_pin(), moved)
            assert moved == await store.get(MAIN)
            await server.client.script_flush()
            await store.release(MAIN, moved)
            await store.claim(MAIN, a_pin())
            await until(
                lambda: heard.operations["get", "near_hit"] > 3 or store.get_nowait(MAIN) is None
            )
            assert await store.get(foreign) is None
            await store.claim(foreign, a_pin())
            with pytest.raises(StoreUnreachable, match=r"NOPERM|permission"):
                await store.pins.page("acme", None, 10)
            keys = await server.key_names()

    assert ["plano:affinity:acme:s1"] == keys
    assert heard.operations["claim", "skipped"] >= 1


@pytest.mark.parametrize("kind", KINDS)
async def test_the_fenced_user_of_the_readme_is_refused_no_command(kind):
    """All that a sidecar sends for its calls, over a link that falls silent and one whose scripts
    are flushed: what is sent anew has to stand in its page.
    """
    async with redis_server(kind) as server:
        await server.client.execute_command("ACL", "SETUSER", *acl_words())
        async with redis_store(
            server, user="sidecar", password="secret", ttl_s=1.0, tenant="acme"
        ) as store:
            moved = a_pin(MINI, generation=2)
            await store.claim(MAIN, a_pin())
            await store.replace(MAIN, a_pin(), moved)
            await server.client.script_flush()
            while await server.client.pttl(MAIN.key) > 500:
                await asyncio.sleep(0.02)  # sleep: half of the key's time passes
            assert moved == store.get_nowait(MAIN)
            while "cmdstat_pexpire" not in (stats := await server.client.info("commandstats")):
                await asyncio.sleep(0.02)  # sleep: no call waits for a refresh
            await store.release(MAIN, moved)
            while "cmdstat_ping" not in (stats := await server.client.info("commandstats")):
                await asyncio.sleep(0.1)  # sleep: a silent link is looked at after 2 s
        refused = await server.client.execute_command("ACL", "LOG")

    assert [] == refused
    assert {"cmdstat_info", "cmdstat_eval", "cmdstat_evalsha", "cmdstat_del"} <= set(stats)


@pytest.mark.parametrize(
    ("prefix", "tenant", "fence"),
    [
        ("staging:", None, "~staging:*"),
        ("plano:affinity:", "acme", "~plano:affinity:acme:*"),
        ("staging:", "a:b", "~staging:a%3Ab:*"),
    ],
)
async def test_a_link_probes_within_its_users_fence(prefix, tenant, fence):
    """A server whose writes are paused is found out only by a key that this user may write."""
    words = [fence if word.startswith("~") else word for word in acl_words()]
    async with redis_server("7") as server:
        await server.client.execute_command("ACL", "SETUSER", *words)
        async with redis_store(
            server, user="sidecar", password="secret", key_prefix=prefix, tenant=tenant
        ):
            refused = await server.client.execute_command("ACL", "LOG")

    assert [] == refused


async def test_tls_with_a_private_ca_and_a_client_certificate(certificates):
    """The server wants a certificate and has one of a CA that only the config names."""
    files = RedisTls(
        ca_file=certificates.ca, cert_file=certificates.good, key_file=certificates.good
    )
    async with redis_server("7", tls=certificates) as server:
        async with redis_store(server, tls=files) as store:
            assert a_pin() == await store.claim(MAIN, a_pin())
            assert store.snapshot().is_tracking
        keys = await server.key_names()

    assert ["plano:affinity:acme:s1"] == keys


async def test_certificates_are_loaded_again_where_they_have_changed(certificates, tmp_path):
    """And only then: to read all CAs of a machine takes 20 ms. What cannot be used changes nothing."""
    file = tmp_path / "ca.pem"
    file.write_text(Path(certificates.ca).read_text())
    make = connection_maker(
        SessionCache(
            type="redis", url=Secret("rediss://localhost:1/0"), tls=RedisTls(ca_file=str(file))
        )
    )

    async def context() -> object:
        connection = await make(3)
        assert isinstance(connection, SSLConnection)
        return connection.ssl_context.context

    first, second = await context(), await context()
    os.utime(file, (1, 1))
    touched = await context()
    file.write_text(2 * file.read_text())
    changed = await context()
    file.unlink()
    gone = await context()

    assert first is not None
    assert first is second is touched
    assert first is not changed
    assert changed is gone


async def test_a_common_name_proves_no_redis(tmp_path):
    """A name stands in subjectAltName, as for providers."""
    authority = CertificateAuthority(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.sign("redis", "", common_name="localhost"))
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        files = RedisTls(ca_file=str(authority.ca))
        url = Secret(f"rediss://localhost:{port}/0")
        connection = await connection_maker(SessionCache(type="redis", url=url, tls=files))(3)
        with pytest.raises(redis.ConnectionError, match=r"mismatch|not valid for"):
            await connection.connect()

    assert [] == heard


async def test_a_redis_that_cannot_be_trusted_gets_no_password(certificates, caplog):
    """A certificate of a CA that nobody named: pins stay here, and the log says why."""
    async with redis_server("7", tls=certificates) as server:
        async with redis_store(
            server, tls=RedisTls(), waits=False, password="secret-word"
        ) as store:
            await until(
                lambda: any("cannot be used" in record.message for record in caplog.records)
            )
            assert a_pin() == await store.claim(MAIN, a_pin())
        keys = await server.key_names()

    assert [] == keys
    assert "secret-word" not in caplog.text
