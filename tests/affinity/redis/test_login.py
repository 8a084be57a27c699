"""Redis is asked with the user and password that their files hold when a connection is made."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from sidecar.affinity.redis import login as redis_login
from sidecar.affinity.redis.login import RedisLogin
from sidecar.config.schema_routing import SessionCache
from sidecar.config.secret import Secret, SecretSource
from tests.config.loading import load

PROVIDER = "model_providers: [{model: openai/a, access_key: k}]\n"


def _login(**cache: str) -> RedisLogin:
    keys = "".join(f"    {name}: '{value}'\n" for name, value in cache.items())
    settings = f"{PROVIDER}routing:\n  session_cache:\n    type: redis\n{keys}"
    return RedisLogin(load(settings).config.routing.session_cache)


async def _renewed(login: RedisLogin) -> tuple[str | None, str | None]:
    await login.renew()
    return login.words()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("old\n")
    return path


async def test_user_and_password_out_of_files_are_read_again(tmp_path, file, caplog):
    """One line says so, and neither of them."""
    user = tmp_path / "user"
    user.write_text("app")
    login = _login(url="redis://h", username=f"${{file:{user}}}", password=f"${{file:{file}}}")
    before = login.words()
    user.write_text("app-2")
    file.write_text("new-word\r\n")
    with caplog.at_level(logging.INFO):
        after = await _renewed(login)
        await login.renew()

    assert (("app", "old"), ("app-2", "new-word")) == (before, after)
    assert ["redis at h:6379: the files hold another login"] == [
        record.getMessage() for record in caplog.records
    ]


@pytest.mark.parametrize("content", ["", "\n", None])
async def test_a_file_that_is_of_no_use_leaves_the_password_that_was_there(file, content):
    """It may be in the middle of being written; Redis says whether the old one still counts."""
    login = _login(url="redis://h", password=f"${{file:{file}}}")
    file.unlink()
    if content is not None:
        file.write_text(content)

    assert (None, "old") == await _renewed(login)


async def test_a_url_out_of_a_file_brings_user_and_password(file):
    """Those are followed. Another server is not, and nothing of its URL is used: that would send
    one server's password to another.
    """
    file.write_text("redis://a:one@h:1/2")
    login = _login(url=f"${{file:{file}}}")
    found = [login.words()]
    for url in ("redis://b:t%40wo@h:1/2", "redis://c:three@elsewhere:1/2", "no url", ""):
        file.write_text(url)
        found.append(await _renewed(login))

    assert [("a", "one"), ("b", "t@wo"), ("b", "t@wo"), ("b", "t@wo"), ("b", "t@wo")] == found


async def test_keys_of_their_own_go_before_those_of_the_url(file):
    """Also where they are empty in the config: then the URL's count."""
    login = _login(url="redis://a:one@h", password=f"${{file:{file}}}")

    assert ("a", "old") == login.words()
    assert ("a", "one") == _login(url="redis://a:one@h").words()
    assert (None, None) == _login(url="redis://h").words()


async def test_what_is_in_no_file_is_not_read_again(monkeypatch):
    """No thread is begun for it."""
    monkeypatch.setattr(redis_login, "run_in_daemon_thread", None)

    assert ("u", "p") == await _renewed(_login(url="redis://u:p@h"))


async def test_a_disk_that_hangs_holds_a_connection_up_for_a_moment_only(monkeypatch):
    """The password that is known is tried."""
    monkeypatch.setattr(redis_login, "WAIT_S", 0.02)
    hanging = threading.Event()

    def hang(_: Any) -> str:
        hanging.wait(10)
        return "new"

    source = SecretSource("${file:x}", (Path("x"),), hang)
    login = RedisLogin(
        SessionCache(type="redis", url=Secret("redis://h"), password=Secret("old", source))
    )
    held = await _renewed(login)
    hanging.set()
    monkeypatch.setattr(redis_login, "WAIT_S", 10.0)

    assert ((None, "old"), (None, "new")) == (held, await _renewed(login))
