"""What this package needs of redis-py that has no public name."""

from __future__ import annotations

import ast

import pytest
from redis.asyncio.connection import Connection

from sidecar.affinity.redis.connect import abort, on_push, send_nowait
from tests.architecture.tree import modules

HOME = "sidecar/affinity/redis/connect.py"


class FakeTransport:
    def __init__(self) -> None:
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1

    def is_closing(self) -> bool:
        return self.aborted > 0


class FakeWriter:
    """What stands behind a connection."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.transport = FakeTransport()

    def writelines(self, pieces: list[bytes]) -> None:
        self.written += pieces


def test_redis_py_still_has_the_names_that_are_private():
    """A release without them should fail here, and not in a pod."""
    connection = Connection(protocol=3)

    assert hasattr(connection, "_writer")
    assert hasattr(connection._parser, "handle_push_response")
    assert callable(connection.pack_commands)


def test_private_names_of_redis_py_stand_in_one_module():
    """There a new release is looked into."""
    strays = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path.startswith("sidecar/affinity/redis/") and path != HOME
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]

    assert [] == strays


def test_commands_are_written_without_waiting():
    """In the words of the protocol."""
    connection, writer = Connection(), FakeWriter()
    connection._writer = writer  # type: ignore[assignment]
    send_nowait(connection, [("PING",), ("GET", "k")])
    connection._writer = None

    assert b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" == b"".join(writer.written)


def test_nothing_is_written_to_a_connection_that_is_closing():
    """Asyncio's own writelines would register the descriptor for its next owner, from Python 3.12
    on.
    """
    connection, writer = Connection(), FakeWriter()
    connection._writer = writer  # type: ignore[assignment]
    abort(connection)
    send_nowait(connection, [("PING",)])
    connection._writer = None

    assert [] == writer.written


def test_a_connection_is_aborted_at_once():
    """What is in flight is given up."""
    connection, writer = Connection(), FakeWriter()
    connection._writer = writer  # type: ignore[assignment]
    abort(connection)
    connection._writer = None

    assert 1 == writer.transport.aborted


@pytest.mark.parametrize("use", [abort, lambda connection: send_nowait(connection, [("PING",)])])
def test_a_connection_that_is_lost_already_is_left_alone(use):
    """There is nothing to write to."""
    use(Connection())


def test_pushes_have_a_handler():
    """Invalidations come as such."""

    async def handler(*_: object) -> None:
        return None

    connection = Connection(protocol=3)
    on_push(connection, handler)

    assert handler is connection._parser.handle_push_response  # type: ignore[attr-defined]
