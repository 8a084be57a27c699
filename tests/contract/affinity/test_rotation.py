"""Passwords and certificates of Redis are rotated under a store that stays."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sidecar.affinity.redis import link as redis_link
from sidecar.affinity.redis.store import RedisStore
from sidecar.affinity.session import make_session
from sidecar.config.schema_routing import RedisTls
from sidecar.config.secret import Secret, SecretSource
from tests.contract.affinity.test_acl import acl_words
from tests.contract.affinity.test_redis import until
from tests.contract.affinity.test_store import GPT, MAIN, a_pin, redis_store
from tests.contract.http1.peer import Certificates
from tests.support.certificates import CertificateAuthority
from tests.support.redis_server import KINDS, RedisServer, redis_server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again at once."""
    monkeypatch.setattr(redis_link, "PROBE_S", 0.02)


def in_file(path: Path, text: str) -> Secret:
    """A secret as a config's ``${file:...}`` makes it."""
    path.write_text(text)
    return Secret(text, SecretSource("", (path,), lambda _: path.read_text()))


async def kill_connections(server: RedisServer) -> None:
    """End all connections but the test's own."""
    await server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def back(server: RedisServer, store: RedisStore, connects: Callable[[], int]) -> None:
    """End the store's connection, and wait until it has one again."""
    before = connects()
    await kill_connections(server)
    await until(lambda: connects() > before and store.is_up)


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a store has come to be connected."""
    counted: list[int] = []
    came_up = redis_link.RedisLink._prepare

    async def prepare(*arguments: object) -> object:
        counted.append(1)
        return await came_up(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(redis_link.RedisLink, "_prepare", prepare)
    return lambda: len(counted)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_password_file_and_requirepass_that_change_bring_the_store_back(
    kind, tmp_path, connects
):
    """The connection is killed behind it: the file is read again, no restart."""
    file = tmp_path / "password"
    async with redis_server(kind) as server:
        await server.client.config_set("requirepass", "old")
        async with redis_store(server, password=in_file(file, "old")) as store:
            await store.claim(MAIN, a_pin())
            file.write_text("new")
            await server.client.config_set("requirepass", "new")
            await back(server, store, connects)
            await store.claim(make_session("s2", "acme", GPT), a_pin())
            keys = await server.key_names()

    assert 2 == len(keys)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_password_that_is_refused_is_read_again_until_it_is_not(
    kind, tmp_path, connects, caplog
):
    """The file comes later than the server's change: WRONGPASS until then, told once, without the
    password.
    """
    file = tmp_path / "password"
    async with redis_server(kind) as server:
        await server.client.config_set("requirepass", "old-word")
        async with redis_store(server, password=in_file(file, "old-word")) as store:
            await server.client.config_set("requirepass", "new-word")
            await kill_connections(server)
            await until(lambda: "wrong password" in caplog.text)
            for half in ("", "new"):
                file.write_text(half)
            file.write_text("new-word")
            await until(lambda: store.is_up)

    assert 1 == caplog.text.count("wrong password")
    assert not any(word in caplog.text for word in ("old-word", "new-word"))


@pytest.mark.parametrize("kind", KINDS)
async def test_an_acl_user_with_two_passwords_changes_over_without_a_gap(kind, tmp_path, connects):
    """A connection that is authenticated stays, whatever becomes of its password; the next one has
    the new one.
    """
    file = tmp_path / "password"
    async with redis_server(kind) as server:

        async def set_user(*words: str) -> None:
            await server.client.execute_command("ACL", "SETUSER", "sidecar", *words)

        await server.client.execute_command("ACL", "SETUSER", *acl_words())
        async with redis_store(server, user="sidecar", password=in_file(file, "secret")) as store:
            await set_user(">new")
            file.write_text("new")
            await set_user("<secret")
            await store.claim(MAIN, a_pin())
            stayed = connects()
            await back(server, store, connects)

    assert 1 == stayed


class Rotated:
    """The files of one CA and its certificate, and of another one, at paths that stay."""

    def __init__(self, folder: Path) -> None:
        self.old, self.new = (CertificateAuthority(_made(folder / name)) for name in ("old", "new"))
        self.old_pem, self.new_pem = (
            each.sign("localhost", "DNS:localhost,IP:127.0.0.1", common_name="localhost")
            for each in (self.old, self.new)
        )
        self.ca, self.cert = folder / "ca.pem", folder / "client.pem"
        self.ca.write_text(self.old.ca.read_text())
        self.cert.write_text(self.old_pem.read_text())
        self.files = RedisTls(
            ca_file=str(self.ca), cert_file=str(self.cert), key_file=str(self.cert)
        )

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[RedisServer]:
        """A server with the old CA's certificate, which asks for one of its client."""
        old = Certificates(str(self.old.ca), str(self.old_pem), "")
        async with redis_server("7", tls=old) as server:
            yield server

    async def turn(self, server: RedisServer) -> None:
        """Have the server use the new CA and its certificate, at once."""
        words = [
            *("tls-cert-file", str(self.new_pem), "tls-key-file", str(self.new_pem)),
            *("tls-ca-cert-file", str(self.new.ca)),
        ]
        await server.client.execute_command("CONFIG", "SET", *words)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def test_a_ca_and_a_client_certificate_that_are_replaced_bring_the_store_back(
    tmp_path, connects
):
    """First both CAs in the bundle, then the server's and the client's certificates."""
    made = Rotated(tmp_path)
    async with made.server() as server, redis_store(server, tls=made.files) as store:
        made.ca.write_text(made.old.ca.read_text() + made.new.ca.read_text())
        await back(server, store, connects)
        made.cert.write_text(made.new_pem.read_text())
        await made.turn(server)
        await back(server, store, connects)
        assert a_pin() == await store.claim(MAIN, a_pin())


async def test_a_ca_that_comes_late_is_found_without_a_restart(tmp_path, connects, caplog):
    """The server's certificate was replaced before the files: refused until they are there."""
    made = Rotated(tmp_path)
    async with made.server() as server, redis_store(server, tls=made.files) as store:
        await made.turn(server)
        await kill_connections(server)
        await until(lambda: "cannot be used" in caplog.text)
        made.cert.write_text(made.new_pem.read_text())
        made.ca.write_text(made.new.ca.read_text())
        await until(lambda: store.is_up)


async def test_a_certificate_without_its_key_leaves_the_one_before_in_use(
    tmp_path, connects, caplog
):
    """Half of a rotation, told once: the connection is made with what there was."""
    made = Rotated(tmp_path)
    key = tmp_path / "client.key"
    key.write_text(made.old_pem.read_text())
    files = RedisTls(ca_file=str(made.ca), cert_file=str(made.cert), key_file=str(key))
    async with made.server() as server, redis_store(server, tls=files) as store:
        made.cert.write_text(made.new_pem.read_text())
        for _ in range(2):
            await back(server, store, connects)

    assert 1 == caplog.text.count("cannot be used (KEY_VALUES_MISMATCH)")
