"""Files are read without waiting for what may never end, and a change of their content is noticed,
however it is made.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sidecar.runtime import file_watch
from sidecar.runtime.file_watch import FILE_BYTES_AT_MOST, FileReader, FileWatch

EVERY_S = 0.001


def _watch(*paths: Path) -> FileWatch:
    """Return a watch of files, with what they hold now as known."""
    reader = FileReader()
    reader.look(paths)
    return FileWatch(reader.digests, every_s=EVERY_S, settle_s=EVERY_S)


async def _changes(watch: FileWatch) -> frozenset[Path]:
    async with asyncio.timeout(20):
        return await watch.next_change()


def _mount(folder: Path, name: str, content: str) -> None:
    """Change a volume as a kubelet does: a new folder, and a symlink moved over the old one."""
    data = folder / name
    data.mkdir()
    (data / "c.yaml").write_text(content)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / "c.yaml").is_symlink():
        (folder / "c.yaml").symlink_to("..data/c.yaml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (
            lambda path: path.write_bytes(bytes(FILE_BYTES_AT_MOST + 1)),
            f"is larger than {FILE_BYTES_AT_MOST} bytes",
        ),
    ],
)
def test_what_cannot_be_read_says_why_and_is_remembered(tmp_path, make, message):
    """A pipe and a device too: neither is opened. Its digest tells it from what can be read."""
    path = tmp_path / "f"
    make(path)
    reader = FileReader()

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reader.read(path)
    assert {path: message.encode()} == reader.digests


def test_a_name_that_no_file_can_have():
    """A NUL in it is no more than another file that is not there."""
    with pytest.raises(ValueError, match="no file can have this name"):
        FileReader().read(Path("a\0b"))


def test_what_takes_a_files_place_meanwhile_is_not_read(tmp_path, monkeypatch):
    """A pipe that stands there by the time it is opened holds nothing up."""
    path, pipe = tmp_path / "f", tmp_path / "pipe"
    path.write_text("x")
    os.mkfifo(pipe)
    status = path.stat()
    monkeypatch.setattr(Path, "stat", lambda _: status)

    with pytest.raises(ValueError, match="is no regular file"):
        FileReader().read(pipe)


def test_a_pipe_is_read_where_it_is_wanted():
    """``run --config <(...)`` works. To a watch it is what it stays: nothing that can be read."""
    reading, writing = os.pipe()
    os.write(writing, b"x")
    os.close(writing)
    pipe, reader, seen = Path(f"/dev/fd/{reading}"), FileReader(), FileReader()
    read = reader.read(pipe, accepts_pipe=True)
    seen.look([pipe])
    os.close(reading)

    assert (b"x", seen.digests) == (read, reader.digests)


def test_a_pipe_whose_writer_takes_its_time_is_waited_for(monkeypatch):
    """It has one: its end comes."""
    monkeypatch.setattr(file_watch, "WRITER_S", 0.0)
    reading, writing = os.pipe()
    with ThreadPoolExecutor() as pool:
        read = pool.submit(FileReader().read, Path(f"/dev/fd/{reading}"), accepts_pipe=True)
        with pytest.raises(TimeoutError):
            read.result(0.05)  # it waits
        os.write(writing, b"late")
        os.close(writing)
        assert b"late" == read.result(10)
    os.close(reading)


def test_a_pipe_that_nothing_writes_to_is_told(tmp_path, monkeypatch):
    """Its end would never come."""
    monkeypatch.setattr(file_watch, "WRITER_S", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ValueError, match="is a pipe that nothing writes to"):
        FileReader().read(pipe, accepts_pipe=True)


async def test_a_configmaps_swap_is_noticed(tmp_path):
    """The file's own path, and the link there, stay as they are."""
    _mount(tmp_path, "..1", "a")
    path = tmp_path / "c.yaml"
    watch = _watch(path)
    _mount(tmp_path, "..2", "b")

    assert {path} == await _changes(watch)


def _take_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("b"),
        lambda path: (
            path.with_suffix(".new").write_text("b") and path.with_suffix(".new").rename(path)
        ),
        lambda path: path.unlink(),
        lambda path: path.chmod(0) if os.geteuid() else path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        _take_by_pipe,
    ],
    ids=["edited", "replaced", "removed", "forbidden", "a folder", "a pipe"],
)
async def test_every_way_of_changing_a_file_is_noticed(tmp_path, change):
    """Of two files only the one that has changed is told of; and it is told of once."""
    path, other = tmp_path / "f", tmp_path / "other"
    path.write_text("a")
    other.write_text("a")
    watch = _watch(path, other)
    change(path)
    first = await _changes(watch)
    other.write_text("b")

    assert [{path}, {other}] == [first, await _changes(watch)]


async def test_a_file_that_comes_back_is_noticed(tmp_path):
    """Also with what it held before: meanwhile it could not be read."""
    path = tmp_path / "f"
    path.write_text("a")
    watch = _watch(path)
    path.unlink()
    gone = await _changes(watch)
    path.write_text("a")

    assert [{path}, {path}] == [gone, await _changes(watch)]


async def test_the_same_content_is_no_change(tmp_path):
    """A touched file, and another one of the same content in its place."""
    path, other = tmp_path / "f", tmp_path / "other"
    path.write_text("a")
    other.write_text("a")
    watch = _watch(path, other)
    _touch(path)
    other.write_text("b")

    assert {other} == await _changes(watch)


def _touch(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(path.read_bytes())
    os.utime(new, (1, 1))
    new.rename(path)


async def test_a_half_written_file_is_waited_for(tmp_path):
    """A look that sees something else than the one before it is followed by another one."""
    path = tmp_path / "f"
    path.write_text("a")
    watch = _Scripted([b"half", b"whole", b"whole"], path)

    assert {path} == await _changes(watch)
    assert not watch.looks


async def test_what_is_over_before_it_settled_is_no_change(tmp_path):
    """A file that was moved away for a moment is the same as before."""
    path = tmp_path / "f"
    path.write_text("a")
    watch = _Scripted([b"gone", b"", b"", b"other", b"other"], path)

    assert {path} == await _changes(watch)
    assert not watch.looks


async def test_what_changes_all_the_time_is_told_of_all_the_same(tmp_path):
    """After some looks nothing is waited for any longer."""
    path = tmp_path / "f"
    watch = _Scripted([str(number).encode() for number in range(9)], path)

    assert {path} == await _changes(watch)
    assert not watch.looks


class _Scripted(FileWatch):
    """A watch whose looks see what a script says."""

    def __init__(self, looks: list[bytes], path: Path) -> None:
        super().__init__({path: b""}, every_s=0, settle_s=0)
        self.looks = looks
        self._path = path

    async def _look(self) -> dict[Path, bytes]:
        return {self._path: self.looks.pop(0)}


async def test_a_watch_can_be_told_what_was_read(tmp_path):
    """What was read otherwise than by a look is known, and no change; other files are left
    alone from then on.
    """
    path, other = tmp_path / "f", tmp_path / "other"
    path.write_text("a")
    watch = _watch(path)
    path.write_text("b")
    other.write_text("b")
    reader = FileReader()
    reader.look([path, other])
    watch.expect(reader.digests)
    other.write_text("c")

    assert {other} == await _changes(watch)


async def test_a_shortage_of_descriptors_is_no_change_of_a_file(tmp_path, monkeypatch):
    """The file is what it was; what it has become meanwhile is told once it can be read."""
    file, looks = tmp_path / "f", 0
    file.write_text("a")
    watch, open_file = _watch(file), os.open

    def no_descriptor(*args: Any) -> int:
        nonlocal looks
        looks += 1
        if looks < 5:
            raise OSError(errno.EMFILE, "x")
        file.write_text("b")
        return open_file(*args)

    monkeypatch.setattr(os, "open", no_descriptor)

    assert {file} == await _changes(watch)
    assert looks >= 5
