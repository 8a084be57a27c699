"""The two ports: who may bind what, what an error says, and what happens on an aiohttp that is not
known.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket

import aiohttp
import pytest
from aiohttp import http_parser

from sidecar.domain.errors import ConfigError
from sidecar.listener import connection
from sidecar.listener.connection import Connection
from sidecar.listener.plain_connection import PlainConnection
from sidecar.listener.server import (
    DataServer,
    assert_c_parser,
    bind,
    listener_path,
    log_listener_path,
    port_of,
    raise_file_limit,
    start_serving,
)
from tests.listener.fakes import kept
from tests.support.net import free_port


def _factory() -> asyncio.Protocol:
    return asyncio.Protocol()


async def test_port_0_is_one_port_for_both_families():
    """The first address takes a free one, the second the same; nothing is accepted before it is
    served.
    """
    servers = await bind(_factory, ["127.0.0.1", "::1"], 0, "the data port")
    ports = {port_of(each) for each in servers}
    with pytest.raises(ConnectionRefusedError):
        await _connect_refused(ports.pop())
    families = [each.sockets[0].family.name for each in servers]
    for each in servers:
        each.close()

    assert (["AF_INET", "AF_INET6"], set()) == (families, ports)


async def _connect_refused(port: int) -> None:
    """Bound but not listening: the kernel refuses."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def test_a_port_in_use_is_named_with_address_and_reason():
    """Also where the other address could be had: half a port is no port."""
    port = free_port()
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    with pytest.raises(ConfigError) as caught:
        await bind(_factory, ["::1", "127.0.0.1"], port, "the data port")
    again = await bind(_factory, ["::1"], port, "the data port")
    taken.close()
    for each in again:
        each.close()

    (problem,) = caught.value.problems
    assert problem.startswith(f"the data port cannot listen on 127.0.0.1 port {port}: ")
    assert problem.endswith(": Address already in use")


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_a_family_that_the_machine_lacks_is_left_out(monkeypatch, number):
    """One of the two loopbacks is enough; none is an error that names each. The kernel says it
    where the socket is made, or where it is bound.
    """
    bind_to = socket.socket.bind

    def no_ipv6(listening, place):
        if ":" in place[0]:
            raise OSError(number, errno.errorcode[number])
        bind_to(listening, place)

    monkeypatch.setattr(socket.socket, "bind", no_ipv6)
    (only,) = await bind(_factory, ["127.0.0.1", "::1"], 0, "the data port")
    only.close()
    with pytest.raises(ConfigError, match=r"cannot listen on ::1 port 1: "):
        await bind(_factory, ["::1"], 1, "the data port")


async def test_a_port_that_is_taken_before_it_listens_is_named_too():
    """The kernel lets two bind one port as long as neither of them listens."""
    port = free_port()
    first, second = [(await bind(_factory, ["127.0.0.1"], port, "it"))[0] for _ in range(2)]
    await start_serving(first)
    with pytest.raises(ConfigError) as caught:
        await start_serving(second)
    for each in (first, second):
        each.close()

    problem = f"cannot listen on 127.0.0.1 port {port}: Address already in use"
    assert [problem] == caught.value.problems


def test_the_pure_python_parser_is_refused_at_start(monkeypatch):
    """Most request smuggling CVEs were found in it."""
    assert_c_parser()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    with pytest.raises(ConfigError, match="pure Python parser"):
        assert_c_parser()


FUTURE = connection.RELIED_ON | {"_a_name_of_the_future"}


async def test_an_aiohttp_that_lacks_a_name_serves_the_plain_way(monkeypatch):
    """A release that renames what `Connection` relies on costs speed, not service."""

    async def handle(_):
        raise AssertionError("not called")

    def kind() -> type:
        return type(DataServer(handle, handle, kept())())  # type: ignore[arg-type] # neither is called

    known = kind()
    monkeypatch.setattr(connection, "RELIED_ON", FUTURE)

    assert (Connection, PlainConnection) == (known, kind())


def test_the_log_says_which_listener_path_runs(monkeypatch, caplog):
    """And which names are missing where it is the slower one."""
    caplog.set_level(logging.INFO, "sidecar")
    log_listener_path()
    monkeypatch.setattr(connection, "RELIED_ON", FUTURE)
    log_listener_path()

    assert "listener path: fast" == caplog.messages[0]
    assert caplog.messages[1].startswith("listener path: plain")
    assert caplog.messages[1].endswith(f"aiohttp {aiohttp.__version__} lacks _a_name_of_the_future")


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        ("sidecar.listener.connection._ERROR_INFO", None, "_ErrInfo"),
        ("sidecar.listener.connection.StreamReader", object, "StreamReader._buffer"),
    ],
)
def test_names_outside_the_protocol_class_are_missed_too(monkeypatch, target, name, expected):
    """Aiohttp's marker of a parse error, and the pieces of a body."""
    monkeypatch.setattr(target, name)

    assert ([expected], "plain") == (connection.missing_names(), listener_path())


LIMITS = [
    # soft, hard, wanted -> what is set (None: nothing), what is returned
    (1024, 4096, 2304, 2304, 2304),
    (1024, 2000, 2304, 2000, 2000),
    (4096, 4096, 2304, None, 4096),
    (1024, resource.RLIM_INFINITY, 2304, 2304, 2304),
    (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 2304, None, resource.RLIM_INFINITY),
]


@pytest.mark.parametrize(("soft", "hard", "wanted", "is_set", "expected"), LIMITS)
def test_the_file_limit_is_raised_as_far_as_allowed_and_never_lowered(
    monkeypatch, soft, hard, wanted, is_set, expected
):
    """Each call in flight holds two sockets; the hard limit is the container's to choose."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))

    assert expected == raise_file_limit(wanted)
    assert ([] if is_set is None else [(is_set, hard)]) == asked
