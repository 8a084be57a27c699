"""Where the operators' listener is: the value of ``admin.operator_address``, read. Pure."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final

import msgspec

LOOPBACK: Final = ("127.0.0.1", "::1")
PORT_AT_MOST: Final = 65535
_OFF: Final = "off"
_UNIX: Final = "unix:"
_UNIX_PATH_BYTES: Final = 107
"""What fits into `sun_path` of Linux, its final NUL left out."""
_HOST_AND_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+|localhost)):([0-9]{1,5})")
_FORMS: Final = "must be a loopback address with a port, unix:/path, or off"


class OperatorAddress(msgspec.Struct, frozen=True):
    """Where the operators' listener is; nowhere if there is neither a host nor a path."""

    hosts: tuple[str, ...] = ()
    """Loopback IP addresses, all with one port."""
    port: int = 0
    """0 takes a free one; a default may be one too many."""
    path: str = ""
    """Of a Unix socket."""
    is_configured: bool = True
    """Whether a failure to listen there is an error in the config."""


def read_operator_address(text: str) -> OperatorAddress | str:
    """Return the place that a text names, or a sentence that says what is wrong with it."""
    if text == _OFF:
        return OperatorAddress()
    if text.startswith(_UNIX):
        return _read_path(text.removeprefix(_UNIX))
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        return _FORMS
    return _read_host(found[1] or found[2], int(found[3]))


def default_operator_address(admin_port: int) -> OperatorAddress:
    """Return where the listener is if the config does not say: beside the admin port."""
    return OperatorAddress(LOOPBACK, admin_port and admin_port + 1, is_configured=False)


def _read_host(host: str, port: int) -> OperatorAddress | str:
    if port > PORT_AT_MOST:
        return f"{_FORMS}; the highest port is {PORT_AT_MOST}"
    if host == "localhost":
        return OperatorAddress(LOOPBACK, port)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _FORMS
    if not address.is_loopback:
        return f"{_FORMS}: what these pages show and change is for callers inside the pod"
    return OperatorAddress((str(address),), port)


def _read_path(path: str) -> OperatorAddress | str:
    if not path.startswith("/") or "\0" in path:
        return "unix: must be followed by an absolute path"
    if len(os.fsencode(path)) > _UNIX_PATH_BYTES:
        return f"is longer than a socket's path may be ({_UNIX_PATH_BYTES} bytes)"
    return OperatorAddress(path=path)
