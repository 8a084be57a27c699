"""Where the operators' listener listens: loopback TCP, or a Unix socket for its owner alone."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import stat
from pathlib import Path
from typing import Final

import msgspec

from sidecar.config.operator_address import OperatorAddress
from sidecar.domain.errors import ConfigError
from sidecar.listener.acceptor import Acceptor, Factory, Room
from sidecar.listener.server import bind, port_of
from sidecar.runtime.hosts import host_port

_log: Final = logging.getLogger("sidecar")

_NAME: Final = "the listener of operators' pages"
_WHAT: Final = f"admin.operator_address: {_NAME}"
_BACKLOG: Final = 64
_OWNER_ONLY: Final = 0o177
"""A umask that leaves mode 0600."""


class OperatorsSocket(msgspec.Struct, frozen=True):
    """Where the operators' listener was bound."""

    servers: tuple[Acceptor, ...] = ()
    """They accept connections once they are told to."""
    port: int = 0
    """0 where it is no TCP port."""
    place: str = ""
    """``http://127.0.0.1:9902`` or ``unix:/path``, as commands take it; empty where there is none.
    """
    path: str = ""
    """Of the Unix socket's file."""
    identity: tuple[int, int, int] = (0, 0, 0)
    """Device, inode and time of that file; a file that takes its place may get its inode."""

    def close(self) -> None:
        """Stop listening, and remove the socket's file unless it is another's by now."""
        for server in self.servers:
            server.close()
        if self.path:
            with contextlib.suppress(OSError):
                if _identity_of(self.path) == self.identity:
                    Path(self.path).unlink()


async def bind_operators(
    factory: Factory, address: OperatorAddress, room: Room | None = None
) -> OperatorsSocket:
    """Bind the operators' listener. Where the config does not name its address, and that cannot be
    had, there is none, and the log says why.

    Raises: ConfigError where the config names the address.
    """
    if address.path:
        return _bind_unix(factory, address.path, room)
    if not address.hosts:
        return OperatorsSocket()
    try:
        servers = await bind(factory, address.hosts, address.port, _WHAT, room)
    except ConfigError as error:
        if address.is_configured:
            raise
        _log.warning("there are no pages for operators: %s", "; ".join(error.problems))
        return OperatorsSocket()
    port, host = port_of(servers[0]), str(servers[0].sockets[0].getsockname()[0])
    return OperatorsSocket(tuple(servers), port, f"http://{host_port(host, port)}")


def _bind_unix(factory: Factory, path: str, room: Room | None) -> OperatorsSocket:
    try:
        _remove_stale(path)
        listening = _listening_at(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError([f"{_WHAT} cannot listen on unix:{path}: {why}"]) from error
    identity = _identity_of(path)
    acceptor = Acceptor(listening, factory, _BACKLOG, _NAME, room)
    return OperatorsSocket((acceptor,), 0, f"unix:{path}", path, identity)


def _identity_of(path: str) -> tuple[int, int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _listening_at(path: str) -> socket.socket:
    """Return a socket that is bound to ``path``, whose file only its owner may open. Raises:
    OSError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The file must never be there with another mode, not even for a moment.
    before = os.umask(_OWNER_ONLY)
    try:
        listening.bind(path)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _remove_stale(path: str) -> None:
    """Remove the socket file that a process has left behind when it died.

    Raises: OSError where a living process listens there, or the file is no socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "the file there is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is no dead process
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, "another process listens there")
