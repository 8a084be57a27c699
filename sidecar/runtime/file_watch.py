"""Reading files that others replace, and noticing that they have.

Files are looked at again and again rather than watched by the kernel: a volume of Kubernetes
changes by a symlink beside the file's own, of which inotify tells nothing at the file, and a
network file system tells nothing at all. What counts is the content behind all links, read anew at
each look: neither times nor inodes have to be trusted.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import select
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sidecar.runtime.daemon_thread import run_in_daemon_thread

FILE_BYTES_AT_MOST: Final = 4 << 20
"""Four times what a ConfigMap or a Secret of Kubernetes can hold."""
LOOK_EVERY_S: Final = 2.0
"""A kubelet takes a minute to bring a change to a pod: two seconds more are nothing, and a look at
five files takes less than a millisecond of a thread.
"""
WRITER_S: Final = 2.0
"""For so long a writer of a pipe that is given as a file is waited for."""
SETTLE_S: Final = 0.25
"""A file that changes is looked at again after so long, until two looks see the same: an editor
that truncates it, writes it in pieces, or moves it away first, is done by then.
"""
_SETTLE_LOOKS: Final = 8
"""What changes all the time is not waited for any longer."""
_NO_FILE: Final = "is no regular file"
_CANNOT: Final = "cannot be read: "
_SHORTAGES: Final = frozenset(
    (_CANNOT + os.strerror(number)).encode() for number in (errno.EMFILE, errno.ENFILE)
)
"""Digests of files that this process could not open for want of a descriptor."""


class FileReader:
    """Reads files, and keeps in mind what it found, for a watch to compare with."""

    def __init__(self) -> None:
        self.digests: dict[Path, bytes] = {}
        """What each file held when it was read last, as a digest; or why it could not be read."""

    def read(self, path: Path, *, accepts_pipe: bool = False) -> bytes:
        """Return a file's content. Only a regular file is opened, since a pipe may never end.

        Args: ``accepts_pipe`` reads a pipe or a terminal too, and waits for its end.
        Raises: ValueError with a sentence that goes on after the file's name, and with none of the
            file's content.
        """
        try:
            content, is_regular = _content(path, accepts_pipe=accepts_pipe)
        except _Unreadable as error:
            self.digests[path] = str(error).encode()
            raise
        # What a pipe held cannot be read again: to a watch it is what it stays, no regular file.
        digest = hashlib.blake2b(content, digest_size=16).digest()
        self.digests[path] = digest if is_regular else _NO_FILE.encode()
        return content

    def look(self, paths: Iterable[Path]) -> None:
        """Read files for their digests alone."""
        for path in paths:
            try:
                self.read(path)
            except ValueError:  # the digest says why
                continue


class FileWatch:
    """Tells when the content of files has changed. Every look is made in a thread that no exit
    waits for: a disk may be slow, or gone.
    """

    def __init__(
        self,
        digests: Mapping[Path, bytes],
        *,
        every_s: float = LOOK_EVERY_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        """Args: ``digests`` are the files, with what their reader found in them."""
        self._known = dict(digests)
        self._every_s = every_s
        self._settle_s = settle_s

    def expect(self, digests: Mapping[Path, bytes]) -> None:
        """Watch these files from now on, and compare them with what their reader found."""
        self._known = dict(digests)

    async def next_change(self) -> frozenset[Path]:
        """Wait until files hold something else than is known of them, or can no longer be read, or
        can be read again, and return them. What they hold then is known.
        """
        while True:
            await asyncio.sleep(self._every_s)
            seen = await self._look()
            if seen == self._known:
                continue
            for _ in range(_SETTLE_LOOKS):
                await asyncio.sleep(self._settle_s)
                before, seen = seen, await self._look()
                if seen == before:
                    break
            changed = frozenset(path for path in seen if seen[path] != self._known.get(path))
            if changed:
                self._known |= seen
                return changed

    async def _look(self) -> dict[Path, bytes]:
        reader, paths = FileReader(), tuple(self._known)
        await run_in_daemon_thread(lambda: reader.look(paths), name="look at files")
        seen, known = reader.digests, self._known
        # A shortage of descriptors says nothing about the files.
        return {
            path: known.get(path, digest) if digest in _SHORTAGES else digest
            for path, digest in seen.items()
        }


class _Unreadable(ValueError):
    """Why a file cannot be read, in a sentence that goes on after its name."""


def _content(path: Path, *, accepts_pipe: bool) -> tuple[bytes, bool]:
    """Return a file's content, and whether it is a regular file. Raises: _Unreadable."""
    try:
        _is_regular(path.stat(), accepts_other=accepts_pipe)
        # Something else may stand there by now: it is opened without waiting, and looked at again.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        with os.fdopen(os.open(path, flags), "rb") as file:
            is_regular = _is_regular(os.fstat(file.fileno()), accepts_other=accepts_pipe)
            content = b"" if is_regular else _begin_to_read(file.fileno())
            content += file.read(FILE_BYTES_AT_MOST + 1)
    except OSError as error:
        raise _Unreadable(_CANNOT + os.strerror(error.errno or 0)) from error
    except _Unreadable:
        raise
    except ValueError as error:
        raise _Unreadable(f"{_CANNOT}no file can have this name") from error
    if len(content) > FILE_BYTES_AT_MOST:
        raise _Unreadable(f"is larger than {FILE_BYTES_AT_MOST} bytes")
    return content, is_regular


def _begin_to_read(descriptor: int) -> bytes:
    """Return the first bytes of a pipe or a terminal, none where they are still to come. From now
    on it is waited for.

    Raises: _Unreadable for a pipe that nobody opens to write: its end would never come.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    is_ready = bool(poll.poll(WRITER_S * 1e3))
    try:
        first = os.read(descriptor, FILE_BYTES_AT_MOST + 1)
    except BlockingIOError:  # its writer takes its time
        first, is_ready = b"", True
    if not (first or is_ready):
        raise _Unreadable("is a pipe that nothing writes to")
    os.set_blocking(descriptor, True)
    return first


def _is_regular(status: os.stat_result, *, accepts_other: bool) -> bool:
    """Return whether it is a regular file. Raises: OSError for a folder, _Unreadable for a pipe
    and the like where they are not accepted.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    is_regular = stat.S_ISREG(status.st_mode)
    if not is_regular and not accepts_other:
        raise _Unreadable(_NO_FILE)
    return is_regular
