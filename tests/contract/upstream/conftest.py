"""Every test of this directory runs on every loop that the sidecar can run on."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.upstream.pool import Pool
from tests.contract.upstream.peer import Certificates, Peer

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
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
    """A provider of scripted bytes."""
    async with Peer() as started:
        yield started


@pytest_asyncio.fixture
async def pool(peer: Peer) -> AsyncIterator[Pool]:
    """A pool for `peer`; all its sockets are closed in the end."""
    pool = Pool(peer.origin)
    yield pool
    await pool.aclose()
    assert (pool.idle, pool.active) == (0, 0)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA of ours and certificates by it for ``localhost`` and for another name, made by openssl."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")
    for name, alternatives in (("localhost", "DNS:localhost,IP:127.0.0.1"), ("other", "DNS:other.example")):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n")
        issuer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", *issuer, "-out", f"{name}.crt")
        pem = (folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text()
        (folder / f"{name}.pem").write_text(pem)
    return Certificates(ca=str(folder / "ca.pem"), good=str(folder / "localhost.pem"), other=str(folder / "other.pem"))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture(autouse=True, scope="module")
def _collect_in_this_thread():
    """Leave no stream in a reference cycle: aiofastnet's transports refuse to be looked at by another thread's collector."""
    yield
    gc.collect()
