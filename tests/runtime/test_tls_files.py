"""A TLS context follows its files, and outlives files that cannot be used."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
from pathlib import Path

import pytest

from sidecar.runtime import tls_files
from sidecar.runtime.tls_files import LOOKS, FilesState, RenewableTls, state_of, watched_files


class _Made:
    """Makes contexts of two files that must hold the same word, and counts them."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.write("1", "1")
        self.made = 0
        self.heard: list[ssl.SSLContext] = []
        self.tls = RenewableTls(self._make, (str(self.cert), str(self.key)), self.heard.append)

    def write(self, cert: str, key: str) -> None:
        self.cert.write_text(cert)
        self.key.write_text(key)

    def _make(self) -> ssl.SSLContext:
        if self.cert.read_text() != self.key.read_text():
            raise ssl.SSLError(1, "key values mismatch")
        self.made += 1
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Made:
    monkeypatch.setattr(tls_files, "WAIT_S", 20.0)
    monkeypatch.setattr(tls_files, "PAUSE_S", 0.001)
    return _Made(tmp_path)


async def test_what_has_not_changed_is_not_loaded_again(files):
    """Nor what was only touched, or written anew as it was."""
    first = files.tls.load()
    os.utime(files.cert, (1, 1))
    await files.tls.renew()
    files.write("1", "1")
    await files.tls.renew()

    assert (first, 1, []) == (files.tls.context, files.made, files.heard)


async def test_other_contents_make_another_context_and_one_line(files, caplog):
    """Also by way of a symlink that leads elsewhere, as a kubelet swaps it."""
    first = files.tls.load()
    with caplog.at_level(logging.INFO):
        other = files.cert.parent / "next"
        other.write_text("2")
        for link in (files.cert, files.key):
            link.unlink()
            link.symlink_to(other)
        await files.tls.renew()
        await files.tls.renew()

    assert [files.tls.context] == files.heard
    assert first is not files.tls.context
    assert [f"{files.cert}, {files.key}: changed, new connections use it"] == [
        record.getMessage() for record in caplog.records
    ]


async def test_half_of_a_pair_leaves_the_context_before_in_use_and_is_told_once(files, caplog):
    """A certificate whose key has not come yet; then the key comes."""
    first = files.tls.load()
    files.cert.write_text("2")
    for _ in range(3):
        await files.tls.renew()
    held = files.tls.context
    files.key.write_text("2")
    await files.tls.renew()

    assert first is held
    assert (2, [files.tls.context]) == (files.made, files.heard)
    assert 1 == caplog.text.count("cannot be used")


async def test_a_rotation_that_is_taken_back_is_none(files):
    """The context of the files as they are is in use already."""
    first = files.tls.load()
    files.cert.write_text("2")
    await files.tls.renew()
    files.cert.write_text("1")
    await files.tls.renew()
    await files.tls.renew()

    assert (first, 1) == (files.tls.context, files.made)


@pytest.mark.parametrize("what", ["gone", "folder", "pipe", "large"])
async def test_what_cannot_be_read_leaves_the_context_before_in_use(files, what, caplog):
    """A pipe is not waited for, and a file of 4 GiB not read."""
    first = files.tls.load()
    files.key.unlink()
    if what == "folder":
        files.key.mkdir()
    elif what == "pipe":
        os.mkfifo(files.key)
    elif what == "large":
        files.key.touch()
        os.truncate(files.key, 4 << 30)
    for _ in range(2):
        await files.tls.renew()

    assert (first, 1) == (files.tls.context, files.made)
    assert 1 == caplog.text.count("cannot be used")


async def test_the_first_context_may_come_late(files, caplog):
    """Of files that cannot be used nothing is told here: connecting says why."""
    files.write("1", "2")
    await files.tls.renew()
    before = files.tls.context
    files.write("1", "1")
    await files.tls.renew()

    assert (None, True, []) == (before, files.tls.context is not None, files.heard)
    assert [] == caplog.records


async def test_files_in_the_middle_of_being_written_are_looked_at_again(files, monkeypatch):
    """What is loaded is what stays."""
    files.tls.load()
    contents = ["", "2", "23", "23"]

    def written(named: tuple[str, ...]) -> FilesState:
        if contents:
            files.write(contents[0], contents.pop(0))
        return state_of(named)

    monkeypatch.setattr(tls_files, "state_of", written)
    await files.tls.renew()

    assert (2, [], "23") == (files.made, contents, files.cert.read_text())
    assert LOOKS > 4


async def test_looks_that_come_together_are_one_and_a_disk_that_hangs_is_not_waited_for(
    files, monkeypatch
):
    """Neither by the first nor by those that come while it hangs."""
    files.tls.load()
    looks, hanging = [], threading.Event()

    def hang(named: tuple[str, ...]) -> FilesState:
        looks.append(1)
        hanging.wait(10)
        return state_of(named)

    monkeypatch.setattr(tls_files, "state_of", hang)
    monkeypatch.setattr(tls_files, "WAIT_S", 0.02)
    await asyncio.gather(files.tls.renew(), files.tls.renew())
    await files.tls.renew()
    hanging.set()
    await files.tls.aclose()

    assert [1] == looks


async def test_a_context_without_files_stays(monkeypatch):
    """There is nothing to look at."""
    monkeypatch.setattr(tls_files, "run_in_daemon_thread", None)
    tls = RenewableTls(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ())
    first = tls.load()
    await tls.renew()

    assert first is tls.context


def test_without_a_ca_of_its_own_the_systems_is_watched(monkeypatch, tmp_path):
    """`SSL_CERT_FILE` moves that."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    assert (str(bundle), "c") == watched_files(None, "c", None)
    assert ("a", "c", "k") == watched_files("a", "c", "k")
