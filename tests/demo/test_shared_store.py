"""The demo's Redis: where there is none that works, the demo goes on without."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio as redis_asyncio

from sidecar.demo import shared_store
from sidecar.demo.shared_store import running_redis
from tests.support.redis_server import binary


async def test_a_server_runs_for_as_long_as_it_is_used(tmp_path):
    """On loopback, with nothing in it."""
    async with running_redis(binary("7"), tmp_path) as url:
        assert url is not None
        client = redis_asyncio.Redis.from_url(url)
        assert 0 == await client.dbsize()
    with pytest.raises(redis_asyncio.ConnectionError):
        await client.ping()
    await client.aclose()


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\nexec sleep 60\n", "no program", None]
)
async def test_one_that_does_not_start_is_none(tmp_path, monkeypatch, text):
    """It ends, it hangs, it is for another machine, it is not there."""
    monkeypatch.setattr(shared_store, "_START_LIMIT_S", 0.3)
    program: Path = tmp_path / "redis-server"
    if text is not None:
        program.write_text(text)
        program.chmod(0o755)

    async with running_redis(str(program), tmp_path) as url:
        assert url is None
