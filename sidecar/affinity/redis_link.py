"""One multiplexed connection to a Redis server: commands of one loop turn leave together, replies come back in order,
and invalidations of what was read arrive between them.

RESP3 on one connection instead of a second one for invalidations: a push and the replies around it cannot overtake each
other, and a connection that dies takes its tracking with it, so that neither needs a trap of its own. A caller that
goes away abandons a future, never a half-read reply.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis.asyncio as redis_asyncio
from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from sidecar.affinity.scripts import CLAIM, RELEASE, REPLACE
from sidecar.lifecycle import Tasks

CONNECT_S: Final = 1.0
PROBE_S: Final = 1.0
"""Between two tries to connect, with jitter."""
STALL_S: Final = 1.0
"""A server that owes a reply for so long is hanging: its connection is dropped."""
_UNFIT: Final = (ReadOnlyError, BusyLoadingError, MasterDownError, RedisConnectionError, NoScriptError)
"""Answers of a server that is not, or not yet, the one to talk to."""

Command = Sequence[bytes | str | int]
_log: Final = logging.getLogger("sidecar.affinity")


class LinkDown(Exception):
    """There is no answer: nobody is connected, or the connection broke before it came."""


class RedisLink:
    """Keeps one connection alive in the background. ``on_up``, ``on_down`` and ``on_invalid`` are told of its edges."""

    def __init__(
        self,
        make_connection: Callable[[], redis_asyncio.Connection],
        *,
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        on_invalid: Callable[[list[bytes] | None], None],
        tracks: bool,
    ) -> None:
        self.is_up = False
        self.is_tracking = False
        self.shas: dict[str, bytes] = {}
        self._make = make_connection
        self._on_up, self._on_down, self._on_invalid = on_up, on_down, on_invalid
        self._tracks = tracks
        self._connection: redis_asyncio.Connection | None = None
        self._pending: deque[asyncio.Future[Any]] = deque()
        self._waiting: list[Command] = []
        self._is_pushed = False
        self._owed_since_s = 0.0
        self._tasks = Tasks()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Connect, and stay connected."""
        self._loop = asyncio.get_running_loop()
        self._tasks.spawn(self._keep_up(), name="redis connection")

    async def aclose(self) -> None:
        """Let go for good."""
        await self._tasks.aclose()

    def submit(self, *commands: Command) -> list[asyncio.Future[Any]]:
        """Send commands at the end of this turn of the loop, with what others send in it; their replies to come.

        A future ends with the reply's value, with ResponseError for an error reply, or with LinkDown.
        Raises: LinkDown where nobody is connected.
        """
        loop = self._loop
        if not self.is_up or loop is None:
            raise LinkDown
        if not self._waiting:
            loop.call_soon(self._flush)
        if not self._pending:
            self._owed_since_s = loop.time()
        futures = [loop.create_future() for _ in commands]
        self._waiting += commands
        self._pending += futures
        return futures

    def drop(self) -> None:
        """Give the connection up: it is slow, or talks to the wrong server."""
        if self._connection is not None and self._connection._writer is not None:  # noqa: SLF001 - redis-py has no abort
            self._connection._writer.transport.abort()  # noqa: SLF001

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        connection = self._connection
        if connection is None or connection._writer is None:  # noqa: SLF001
            return
        connection._writer.writelines(connection.pack_commands(waiting))  # noqa: SLF001 - sending must not wait

    async def _keep_up(self) -> None:
        while True:
            connection = self._make()
            try:
                async with asyncio.timeout(CONNECT_S):
                    await connection.connect()  # type: ignore[no-untyped-call]
                    await self._prepare(connection)
                self._connection = connection
                self.is_up = True
                self._on_up()
                self._tasks.spawn(self._watch(connection), name="redis watch")
                await self._read(connection)
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                _log.debug("redis connection ended: %s", type(error).__name__)
            finally:
                self._lose()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(PROBE_S * (0.5 + random.random()))

    async def _prepare(self, connection: redis_asyncio.Connection) -> None:
        """Scripts loaded, tracking on; a server that is loading or read-only shows here."""
        for name, script in (("claim", CLAIM), ("replace", REPLACE), ("release", RELEASE)):
            await connection.send_command("SCRIPT", "LOAD", script)
            self.shas[name] = await connection.read_response()
        self.is_tracking = False
        if self._tracks:
            connection._parser.set_invalidation_push_handler(self._invalidated)  # type: ignore[attr-defined] # noqa: SLF001
            try:
                await connection.send_command("CLIENT", "TRACKING", "ON")
                await connection.read_response()
                self.is_tracking = True
            except ResponseError:
                _log.warning("redis refuses CLIENT TRACKING: pins are kept for a second at a time")

    async def _invalidated(self, message: list[Any]) -> None:
        self._is_pushed = True
        keys = message[1]
        self._on_invalid(None if keys is None else list(keys))

    async def _read(self, connection: redis_asyncio.Connection) -> None:
        """Replies to their futures, in order, until the connection ends. Raises: what ended it."""
        assert self._loop is not None
        while True:
            self._is_pushed = False
            reply: Any
            try:
                reply = await connection.read_response(
                    disable_decoding=True, timeout=float("inf"), disconnect_on_error=False, push_request=True
                )
            except ResponseError as error:
                reply = error
            if self._is_pushed:
                continue
            future = self._pending.popleft()
            self._owed_since_s = self._loop.time()
            if not future.done():
                if isinstance(reply, ResponseError):
                    future.set_exception(reply)
                    future.exception()  # whoever went away does not ask
                else:
                    future.set_result(reply)
            if isinstance(reply, _UNFIT):
                raise reply

    async def _watch(self, connection: redis_asyncio.Connection) -> None:
        """Drop the connection where the server owes a reply for too long."""
        assert self._loop is not None
        while self._connection is connection:
            await asyncio.sleep(STALL_S / 4)
            if self._pending and self._loop.time() - self._owed_since_s > STALL_S:
                self.drop()
                return

    def _lose(self) -> None:
        was_up, self.is_up, self._connection = self.is_up, False, None
        self._waiting = []
        pending, self._pending = self._pending, deque()
        for future in pending:
            if not future.done():
                future.set_exception(LinkDown())
                future.exception()
        if was_up:
            self._on_down()


LINK_ERRORS: Final = (LinkDown, ResponseError, TimeoutError, RedisTimeoutError)
"""What waiting for a reply can end with."""
