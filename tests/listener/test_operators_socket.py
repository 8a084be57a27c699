"""Where the operators' listener listens, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import socket
import stat

import pytest

from sidecar.config.operator_address import OperatorAddress
from sidecar.domain.errors import ConfigError
from sidecar.listener.operators_socket import OperatorsSocket, bind_operators

V4 = ("127.0.0.1",)


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


class _Closing(asyncio.Protocol):
    """Accepts a connection and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _bind(**address) -> OperatorsSocket:
    return await bind_operators(_Closing, OperatorAddress(**address))


async def _is_answered(path: str) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    is_closed = await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    return is_closed


async def test_a_tcp_address_is_told_as_commands_take_it():
    """With the port that it got."""
    bound = await _bind(hosts=V4)
    bound.close()

    assert (1, f"http://127.0.0.1:{bound.port}") == (len(bound.servers), bound.place)


async def test_off_is_nothing():
    """And closing nothing does nothing."""
    bound = await _bind()
    bound.close()

    assert OperatorsSocket() == bound


async def test_a_configured_address_that_cannot_be_had_ends_the_start(taken):
    """The error names the key."""
    with pytest.raises(ConfigError, match=r"admin\.operator_address.*127\.0\.0\.1 port"):
        await _bind(hosts=V4, port=taken)


@pytest.mark.parametrize("port", [None, 65536])
async def test_a_default_address_that_cannot_be_had_is_done_without(port, taken, caplog):
    """A warning says why: taken, or one too many."""
    bound = await _bind(hosts=V4, port=port or taken, is_configured=False)

    assert OperatorsSocket() == bound
    assert "there are no pages for operators" in caplog.text


async def test_a_unix_socket_is_its_owners_and_gone_afterwards(tmp_path):
    """Nobody else can open it, whatever the process's umask."""
    path = str(tmp_path / "o.sock")
    before = os.umask(0)
    try:
        bound = await _bind(path=path)
        umask = os.umask(0)
    finally:
        os.umask(before)
    await bound.servers[0].start_serving()
    mode, is_answered = os.stat(path).st_mode, await _is_answered(path)
    bound.close()

    assert (0o600, True, 0) == (stat.S_IMODE(mode), is_answered, umask)
    assert (f"unix:{path}", 0) == (bound.place, bound.port)
    assert not os.path.lexists(path)


async def test_a_socket_file_of_a_dead_process_is_replaced(tmp_path):
    """It was killed before it could remove it."""
    path = str(tmp_path / "o.sock")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    bound = await _bind(path=path)
    await bound.servers[0].start_serving()
    is_answered = await _is_answered(path)
    bound.close()

    assert is_answered


async def test_a_living_process_keeps_its_socket(tmp_path):
    """One whose backlog is full, too."""
    path = str(tmp_path / "o.sock")
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(path)
        living.listen(0)
        with pytest.raises(ConfigError, match="another process listens there"):
            await _bind(path=path)
        waiting = []
        for _ in range(3):
            each = socket.socket(socket.AF_UNIX)
            each.setblocking(False)
            each.connect_ex(path)
            waiting.append(each)
        with pytest.raises(ConfigError, match="another process listens there"):
            await _bind(path=path)
        for each in waiting:
            each.close()

    assert os.path.exists(path)


async def test_a_socket_file_that_is_anothers_by_now_is_left_there(tmp_path):
    """The next process may have begun before this one has ended."""
    path = str(tmp_path / "o.sock")
    bound = await _bind(path=path)
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        bound.close()

        assert os.path.exists(path)


async def test_what_is_no_socket_is_left_alone(tmp_path):
    """A typo removes no file."""
    file = tmp_path / "important"
    file.write_text("x")
    with pytest.raises(ConfigError, match="the file there is no socket"):
        await _bind(path=str(file))

    assert "x" == file.read_text()


async def test_a_folder_that_is_not_there_is_named(tmp_path):
    """As the system says it."""
    with pytest.raises(ConfigError, match=r"nowhere/o\.sock: No such file or directory"):
        await _bind(path=str(tmp_path / "nowhere" / "o.sock"))
