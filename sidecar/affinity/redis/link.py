"""One multiplexed connection to a Redis server: commands of one loop turn leave together, replies
come back in order, and invalidations of what was read arrive between them.

RESP3 on one connection instead of a second one for invalidations: a push and the replies around it
cannot overtake each other, and a connection that dies takes its tracking with it, so that neither
needs a trap of its own. A caller that goes away abandons a future, never a half-read reply.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Protocol

import redis.asyncio as redis_asyncio
from redis.exceptions import RedisError, ResponseError

from sidecar.affinity.redis.connect import CONNECT_S, MakeConnection, abort, on_push, send_nowait
from sidecar.affinity.redis.errors import is_read_only, is_unfit, knows_no_resp3, words_of
from sidecar.affinity.redis.health import ReadOnlySpell
from sidecar.affinity.redis.pipeline import Command, Decode, LinkDown, Pipeline
from sidecar.affinity.redis.scripts import COMPARE_AND_SET, SHAS
from sidecar.domain.log_fields import event_fields
from sidecar.runtime.lifecycle import Tasks
from sidecar.runtime.timers import Timeout

_RESP3, _RESP2 = 3, 2
"""RESP2 has no push messages: without them what was read is believed for a second only."""
PROBE_S: Final = 1.0
"""Between two tries to connect, with jitter."""
TICK_S: Final = 0.25
STALL_TICKS: Final = 4
"""A server that owes a reply for so long is hanging: its connection is dropped. Counted in turns of
a timer, so that a process that was held up does not take that for a silent server."""
SILENT_TICKS: Final = 8
"""After so long without a message a PING is sent: on a path that is gone without a word no
invalidation arrives, and the near cache would believe for ever what others have changed.
"""

_RUN_ID: Final = re.compile(r"run_id:([0-9a-f]{40})")

_log: Final = logging.getLogger("sidecar.affinity")


class LinkEvents(Protocol):
    """What a link reports."""

    def came_up(self, place: str, *, is_tracking: bool, is_same_server: bool) -> None:
        """A connection was made, to the ``host:port`` of ``place``; a server that does not say
        which it is may be another one.
        """
        ...

    def went_down(self, place: str, served_s: float) -> None:
        """The connection is gone, which has served for ``served_s`` seconds."""
        ...

    def invalidated(self, keys: list[bytes] | None) -> None:
        """Redis says that these keys have changed; None: all of them."""
        ...


class RedisLink:
    """Keeps one connection alive in the background, and reports to ``events``.

    Args: ``make_connection`` makes one of a version of RESP; ``tracks`` is whether invalidations
        are asked for; ``probe`` is a key that this user may write, and that no session has.
    """

    def __init__(
        self,
        make_connection: MakeConnection,
        events: LinkEvents,
        *,
        tracks: bool,
        probe: str,
    ) -> None:
        self.is_up = False
        self.is_tracking = False
        self._make = make_connection
        self._events = events
        self._tracks = tracks
        self._probe = probe
        self._is_closed = False
        self._connection: redis_asyncio.Connection | None = None
        self._pending: deque[Pipeline] = deque()
        self._waiting: list[Command] = []
        self._is_pushed = False
        self._told_why = ""
        self._silent_ticks = 0
        self._read_only = ReadOnlySpell()
        self._tasks = Tasks()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Connect, and stay connected."""
        self._loop = asyncio.get_running_loop()
        self._tasks.spawn(self._keep_up(), name="redis connection")

    async def aclose(self) -> None:
        """Close for good, which is not reported."""
        self._is_closed = True
        await self._tasks.aclose()

    def submit(self, commands: Sequence[Command], decode: Decode) -> asyncio.Future[Any]:
        """Send commands at the end of this turn of the loop, with what others send in it.

        Returns: a future of what ``decode`` makes of their replies; it ends with ResponseError, or
            with LinkDown where there is no reply.
        """
        loop = self._loop or asyncio.get_running_loop()
        pipeline = Pipeline(len(commands), decode, loop.create_future())
        if not self.is_up:
            pipeline.fail(LinkDown())
            return pipeline.reply
        if not self._waiting:
            loop.call_soon(self._flush)
        if not self._pending:
            self._silent_ticks = 0
        self._waiting += commands
        self._pending.append(pipeline)
        return pipeline.reply

    def drop(self) -> None:
        """Give the connection up: it is slow, or talks to the wrong server."""
        if self._connection is not None:
            abort(self._connection)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._connection is not None:
            send_nowait(self._connection, waiting)

    async def _keep_up(self) -> None:
        protocol, former_run_id = _RESP3, None
        loop = asyncio.get_running_loop()
        while True:
            connection, up_s = await self._make(protocol), loop.time()
            place = f"{connection.host}:{connection.port}"
            try:
                async with Timeout(CONNECT_S):
                    await connection.connect()  # type: ignore[no-untyped-call]
                    run_id = await self._prepare(connection)
                self._connection = connection
                self.is_up, up_s = True, loop.time()
                self._told_why = ""
                self._events.came_up(
                    place,
                    is_tracking=self.is_tracking,
                    is_same_server=run_id is not None and run_id == former_run_id,
                )
                former_run_id = run_id
                self._tasks.spawn(self._watch(connection), name="redis watch")
                await self._read(connection)
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                is_tls = isinstance(connection, redis_asyncio.connection.SSLConnection)
                self._tell_why(words_of(error, is_tls=is_tls), place)
                protocol = _RESP2 if knows_no_resp3(error) else _RESP3
            except Exception:  # noqa: BLE001 - no reply may end this task: nobody would connect again
                _log.exception("redis said something unexpected")
            finally:
                self._lose(place, loop.time() - up_s)
                await connection.disconnect(nowait=True)
            await asyncio.sleep(PROBE_S * (0.5 + random.random()))

    async def _prepare(self, connection: redis_asyncio.Connection) -> str | None:
        """Load the scripts and turn tracking on; return the server's ``run_id``, if it tells it. A
        server that is still loading its data, or that hangs when it should write, is found out
        here.
        """
        tracks = self._tracks and connection.protocol == _RESP3
        on_push(connection, self._pushed)
        for script in SHAS:
            with contextlib.suppress(
                ResponseError
            ):  # where it may not be loaded, it is sent when it is needed
                await _ask(connection, "SCRIPT", "LOAD", script)
        with contextlib.suppress(ResponseError):
            # Changes nothing, and hangs where a write would: while a server's writes are paused, no
            # call should wait for one.
            command = ("EVALSHA", SHAS[COMPARE_AND_SET], 1, self._probe, "%", "", 0)
            await _ask(connection, *command)
        self.is_tracking = tracks
        if tracks:
            try:
                await _ask(connection, "CLIENT", "TRACKING", "ON", "NOLOOP")
            except ResponseError:
                self.is_tracking = False
                _log.warning("redis refuses CLIENT TRACKING: pins are kept for a second at a time")
        with contextlib.suppress(ResponseError):
            found = _RUN_ID.search(str(await _ask(connection, "INFO", "server")))
            return None if found is None else found[1]
        return None

    async def _pushed(self, message: list[Any], **_: Any) -> None:  # noqa: ANN401 - redis-py's own hook
        """A message that is no reply. Only invalidations were asked for."""
        self._is_pushed = True
        if message[0] in (b"invalidate", "invalidate"):
            keys = None if message[1] is None else list(message[1])
            self._events.invalidated(keys)
            if self._pending:
                self._pending[0].overtake(lambda: self._events.invalidated(keys))

    async def _read(self, connection: redis_asyncio.Connection) -> None:
        """Hand replies to their pipelines, in order, until the connection ends. Raises: what ended
        it.
        """
        while True:
            self._is_pushed = False
            reply: Any
            try:
                reply = await connection.read_response(
                    disable_decoding=True,
                    timeout=float("inf"),
                    disconnect_on_error=False,
                    push_request=True,
                )
            except ResponseError as error:
                reply = error
            self._silent_ticks = 0
            if self._is_pushed:
                continue
            if self._pending[0].add(reply):
                self._pending.popleft()
            if isinstance(reply, ResponseError):
                self._check_reply(reply)

    def _check_reply(self, error: ResponseError) -> None:
        """Raises: the error, if it says that this server is not the one to talk to."""
        assert self._loop is not None
        if is_unfit(error):
            raise error
        if is_read_only(error):
            self._read_only.refused(self._loop.time())

    async def _watch(self, connection: redis_asyncio.Connection) -> None:
        """Drop the connection once the server owes a reply for too long, or has refused writes for
        too long.
        """
        assert self._loop is not None
        while self._connection is connection:
            await asyncio.sleep(TICK_S)
            self._silent_ticks += 1
            is_stalled = self._pending and self._silent_ticks > STALL_TICKS
            if is_stalled or self._read_only.is_over(self._loop.time()):
                self.drop()
                return
            if not self._pending and self._silent_ticks > SILENT_TICKS:
                self.submit([("PING",)], list)

    def _tell_why(self, why: str, place: str) -> None:
        """Log why there is no connection, once for each reason in a row."""
        if why != self._told_why and not self.is_up:
            self._told_why = why
            extra = event_fields("redis_fails", place=place, cause=why)
            _log.warning("redis at %s cannot be used: %s", place, why, extra=extra)

    def _lose(self, place: str, served_s: float) -> None:
        was_up, self.is_up, self._connection = self.is_up, False, None
        self._waiting = []
        self._read_only.reconnected()
        pending, self._pending = self._pending, deque()
        for pipeline in pending:
            pipeline.fail(LinkDown())
        if was_up and not self._is_closed:
            self._events.went_down(place, served_s)


async def _ask(connection: redis_asyncio.Connection, *command: str | bytes | int) -> object:
    """Send one command over a connection that is not shared yet, and wait for its reply."""
    await connection.send_command(*command)
    reply: object = await connection.read_response()
    return reply
