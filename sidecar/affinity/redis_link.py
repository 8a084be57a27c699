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
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from sidecar.affinity.scripts import SCRIPTS
from sidecar.lifecycle import Tasks

CONNECT_S: Final = 1.0
PROBE_S: Final = 1.0
"""Between two tries to connect, with jitter."""
STALL_S: Final = 1.0
"""A server that owes a reply for so long is hanging: its connection is dropped."""
READ_ONLY_S: Final = 2.0
"""How long a server that takes no writes is kept for its reads before its name is looked up anew."""
_UNFIT: Final = (BusyLoadingError, MasterDownError, RedisConnectionError)
"""Answers of a server that is not, or not yet, the one to talk to."""

Command = Sequence[bytes | str | int]
Take = Callable[[list[Any]], Any]
"""From the replies of one exchange, errors among them, to what its caller gets. Called in the order of the wire: before
any invalidation that came behind the replies is heard. Raises: ResponseError."""
_log: Final = logging.getLogger("sidecar.affinity")


class LinkDown(Exception):
    """There is no answer: nobody is connected, or the connection broke before it came."""


class _Exchange:
    """Commands that were sent together, until all their replies are here."""

    __slots__ = ("_left", "_replies", "_take", "reply")

    def __init__(self, size: int, take: Take, reply: asyncio.Future[Any]) -> None:
        self.reply = reply
        self._left = size
        self._replies: list[Any] = []
        self._take = take

    def add(self, reply: object) -> bool:
        """One more reply; whether it was the last. Whoever waits may be gone: what it says is taken all the same."""
        self._replies.append(reply)
        self._left -= 1
        if self._left:
            return False
        try:
            taken = self._take(self._replies)
        except ResponseError as error:
            self.fail(error)
        else:
            if not self.reply.done():
                self.reply.set_result(taken)
        return True

    def fail(self, error: Exception) -> None:
        """There will be no more replies."""
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # whoever went away does not ask


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
        self._pending: deque[_Exchange] = deque()
        self._waiting: list[Command] = []
        self._is_pushed = False
        self._told_why = ""
        self._owed_since_s = 0.0
        self._read_only_until_s: float | None = None
        self._tasks = Tasks()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Connect, and stay connected."""
        self._loop = asyncio.get_running_loop()
        self._tasks.spawn(self._keep_up(), name="redis connection")

    async def aclose(self) -> None:
        """Let go for good. That is no edge to tell of."""
        self._on_down = _nothing
        await self._tasks.aclose()

    def submit(self, commands: Sequence[Command], take: Take) -> asyncio.Future[Any]:
        """Send commands at the end of this turn of the loop, with what others send in it; what ``take`` makes of their
        replies, to come.

        The future ends with ResponseError or LinkDown where there is none.
        """
        loop = self._loop or asyncio.get_running_loop()
        exchange = _Exchange(len(commands), take, loop.create_future())
        if not self.is_up:
            exchange.fail(LinkDown())
            return exchange.reply
        if not self._waiting:
            loop.call_soon(self._flush)
        if not self._pending:
            self._owed_since_s = loop.time()
        self._waiting += commands
        self._pending.append(exchange)
        return exchange.reply

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
                self._told_why = ""
                self._on_up()
                self._tasks.spawn(self._watch(connection), name="redis watch")
                await self._read(connection)
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                self._tell_why(error)
            finally:
                self._lose()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(PROBE_S * (0.5 + random.random()))

    async def _prepare(self, connection: redis_asyncio.Connection) -> None:
        """Scripts loaded, tracking on; a server that is loading or read-only shows here."""
        for name, script in SCRIPTS.items():
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
            if self._pending[0].add(reply):
                self._pending.popleft()
            self._owed_since_s = self._loop.time()
            if isinstance(reply, ResponseError):
                self._heed(reply)

    def _heed(self, error: ResponseError) -> None:
        """An error reply may say that this server is not the one to talk to. Raises: the error, where it is not."""
        assert self._loop is not None
        if isinstance(error, _UNFIT):
            raise error
        if "READONLY" in str(error) and self._read_only_until_s is None:
            self._read_only_until_s = self._loop.time() + READ_ONLY_S

    async def _watch(self, connection: redis_asyncio.Connection) -> None:
        """Drop the connection where the server owes a reply for too long, or cannot be written to."""
        assert self._loop is not None
        while self._connection is connection:
            await asyncio.sleep(STALL_S / 4)
            now_s = self._loop.time()
            is_stalled = self._pending and now_s - self._owed_since_s > STALL_S
            if is_stalled or (self._read_only_until_s is not None and now_s > self._read_only_until_s):
                self.drop()
                return

    def _tell_why(self, error: Exception) -> None:
        """Once for each reason why there is no connection. A server's own words hold no secret; an address may."""
        why = f"{type(error).__name__}: {error}" if isinstance(error, ResponseError) else type(error).__name__
        if why != self._told_why and not self.is_up:
            self._told_why = why
            _log.warning("redis cannot be used: %s", why)

    def _lose(self) -> None:
        was_up, self.is_up, self._connection = self.is_up, False, None
        self._waiting = []
        self._read_only_until_s = None
        pending, self._pending = self._pending, deque()
        for exchange in pending:
            exchange.fail(LinkDown())
        if was_up:
            self._on_down()


def _nothing() -> None:
    """Nobody is told."""


def refuses_writes(error: ResponseError) -> bool:
    """Whether a server said that it is full, a replica, cannot persist, or does not let us: reads are as good as ever.

    Redis 6.2 wraps what a script ran into in an error of its own, so that only the text tells.
    """
    text = str(error)
    return any(word in text for word in ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "NOPERM"))
