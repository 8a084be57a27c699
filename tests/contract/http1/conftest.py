"""Every test of this directory runs on every loop that the sidecar can run on."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.http1.pool import Pool
from tests.contract.http1.peer import Peer

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, LoopFactory]:
    factories: dict[str, LoopFactory] = {"stdlib": asyncio.new_event_loop}
    try:
        import aiofastnet
        import uvloop
    except ImportError:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            raise
        return factories
    factories["uvloop"] = uvloop.new_event_loop
    factories["aiofastnet"] = aiofastnet.loop_factory()
    factories["aiofastnet-uvloop"] = aiofastnet.loop_factory(uvloop.new_event_loop)
    return factories


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    """An upstream of scripted bytes."""
    async with Peer() as started:
        yield started


@pytest_asyncio.fixture
async def pool(peer: Peer) -> AsyncIterator[Pool]:
    """A pool for `peer`; all its sockets are closed in the end."""
    pool = Pool(peer.origin)
    yield pool
    await pool.aclose()
    assert (pool.idle, pool.active) == (0, 0)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture(autouse=True, scope="module")
def _collect_in_this_thread():
    """Leave no stream in a reference cycle: aiofastnet's transports refuse to be looked at by
    another thread's collector.
    """
    yield
    gc.collect()
