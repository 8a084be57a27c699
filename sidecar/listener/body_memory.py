"""The memory that request bodies take, all calls together: a part of ``limits.memory_bytes``.

Room is taken as bytes arrive, and given back when no attempt needs the body any more. Short bodies
have a share of their own, so that long ones that wait for room hold up none of them; which of the
long ones goes first is said in `body_queue`.
"""

from __future__ import annotations

import asyncio
from typing import Final, final

from sidecar.domain.errors import Overloaded
from sidecar.listener.body_queue import ArrivingBody, BodyQueue
from sidecar.runtime.memory_budget import MIB, MemoryBudget
from sidecar.runtime.timers import Timeout

WAIT_AT_MOST_S: Final = 5.0
"""How long a body waits for memory, while its socket is not read, before its call is refused."""
SHORT_BYTES: Final = 64 * 1024
"""A body of at most so many bytes is short: aiohttp buffers as much of any body before it is read.
On a passthrough path a short body is held, and can be sent again; a longer one is sent on as it
comes.
"""
_LOOK_AGAIN_S: Final = 0.25
"""Between two looks at what may have stalled, while a body waits."""
_BYTES_FOR_ONE_WAITING: Final = MIB
"""Of the budget, for each body that may wait: its socket's buffer, an eighth of that, is not
counted."""
_NO_CAP: Final = 1 << 62


@final
class BodyMemory:
    """Memory for request bodies."""

    def __init__(self, budget: MemoryBudget, cap_bytes: int | None = None) -> None:
        """Args: ``cap_bytes`` is what bodies take at most where the budget allows more."""
        self.buffered_bytes = 0
        """What bodies take now."""
        self.cap_bytes: int = _NO_CAP if cap_bytes is None else cap_bytes
        self._budget: Final = budget
        self._short: Final = budget.share("short_bodies", keeps=1 / 16)
        self._long: Final = budget.share("bodies", keeps=0.0)
        self._queue: Final = BodyQueue()
        self._timer: asyncio.TimerHandle | None = None

    def use(self, cap_bytes: int | None) -> None:
        """Go by another cap from now on; what is taken already stays."""
        self.cap_bytes = _NO_CAP if cap_bytes is None else cap_bytes

    @property
    def longest_bytes(self) -> int:
        """The longest body that can be held at all: beside full caches, and twice while its pieces
        are joined.
        """
        budget = self._budget
        twice = (budget.limit_bytes - budget.cache_bytes) // 2
        return min(budget.common_bytes, twice, self.cap_bytes)

    def take_nowait(self, size: int) -> bool:
        """Take room for a whole body if there is some and no other body is before it; return
        whether it was taken. The caller gives it back by `give_back`.
        """
        queue, share = self._queue, self._short
        if size > SHORT_BYTES:
            share = self._long
            if queue.long:
                return False
        elif queue.short:
            return False
        else:
            used = share.used_bytes + size
            if used <= share.kept_bytes and self.buffered_bytes + size <= self.cap_bytes:
                # As `share.take_nowait`, which would be one more function of every call.
                share.used_bytes = used
                self._budget.used_bytes += size
                self.buffered_bytes += size
                return True
        buffered = self.buffered_bytes + size
        if buffered > self.cap_bytes or not share.take_nowait(size):
            return False
        self.buffered_bytes = buffered
        return True

    async def take(self, size: int) -> None:
        """Take room for ``size`` bytes, waiting for it. The caller gives it back by `give_back`.

        Raises: as `grow`.
        """
        if self.take_nowait(size):
            return
        body = self.begin(size, size)
        try:
            await self.grow(body, size)
        except BaseException:
            self.drop(body)
            raise
        self.end(body)

    def give_back(self, size: int) -> None:
        """Give the room of a whole body back, and let those go on that fit now."""
        share = self._short
        if size > SHORT_BYTES or share.used_bytes > share.kept_bytes or self._queue.waiting:
            self._give_back(size, is_long=size > SHORT_BYTES)
            return
        share.used_bytes -= size  # as `share.give_back`
        self._budget.used_bytes -= size
        self.buffered_bytes -= size

    def begin(self, announced_bytes: int | None, at_most_bytes: int) -> ArrivingBody:
        """Let a body begin to arrive, which takes no room yet. Its reader calls `grow` for each
        piece; `wait_to_join` and `end` once it is whole, and `give_back` once it was sent; or
        `drop`.

        Args: ``at_most_bytes`` is how long one that announces nothing may become.
        """
        claim = at_most_bytes if announced_bytes is None else announced_bytes
        is_long = announced_bytes is not None and announced_bytes > SHORT_BYTES
        body = ArrivingBody(claim, asyncio.get_running_loop().time(), is_long=is_long)
        if is_long:
            self._queue.long[body] = None
        return body

    async def grow(self, body: ArrivingBody, size: int) -> None:
        """Take room for ``size`` bytes of a body that have arrived, waiting for it.

        Raises: Overloaded after `WAIT_AT_MOST_S`, and at once where too many wait.
        """
        self._queue.arrived(body, size, asyncio.get_running_loop().time())
        body.wanted_bytes = size
        if not body.is_long and body.size + size > SHORT_BYTES:
            body.wanted_bytes += body.size
            self._give_back_all(body)
            body.is_long = True
            self._queue.long[body] = None
        await self._get(body)

    async def wait_to_join(self, body: ArrivingBody) -> None:
        """All of a body is here: wait until there is room to join its pieces, which takes its
        length once more for a moment. They are to be joined at once then.

        Raises: as `grow`.
        """
        body.claim_bytes = body.size
        if body.is_long:
            await self._get(body)

    def end(self, body: ArrivingBody) -> None:
        """A body is whole, and keeps its room."""
        self._queue.long.pop(body, None)
        if self._queue.waiting:
            self._grant()

    def drop(self, body: ArrivingBody) -> None:
        """A body is not wanted: give back what it has taken. Idempotent."""
        self._give_back_all(body)
        self.end(body)

    async def _get(self, body: ArrivingBody) -> None:
        """Give a body the room that it wants, once it may have it. Raises: as `grow`."""
        queue, loop = self._queue, asyncio.get_running_loop()
        if body.is_long:
            if self._fits(body, loop.time()) and self._take(body):
                return
        elif not queue.short and self._take(body):
            return
        if queue.waiting * _BYTES_FOR_ONE_WAITING >= self._budget.limit_bytes:
            raise self._overloaded()
        turn: asyncio.Future[None] = loop.create_future()
        queue.wait(body, turn)
        if self._timer is None:
            self._timer = loop.call_later(_LOOK_AGAIN_S, self._look_again)
        try:
            async with Timeout(WAIT_AT_MOST_S):
                await turn
        except BaseException as error:
            if body.turn is not None:
                queue.give_up(body)
                self._grant()
            if isinstance(error, TimeoutError):
                raise self._overloaded() from error
            raise
        body.pace.since_s = loop.time()

    def _grant(self) -> None:
        """Let the bodies go on that wait and fit now."""
        queue = self._queue
        while queue.short and self._take(queue.short[0]):
            queue.waiting -= 1
            queue.short.popleft().go_on()
        now_s = asyncio.get_running_loop().time()
        for body in queue.long_waiting():
            if not self._fits(body, now_s) or not self._take(body):
                break
            queue.waiting -= 1
            body.go_on()

    def _fits(self, body: ArrivingBody, now_s: float) -> bool:
        """Return whether a long body may have what it wants: all before it could still be read to
        their ends, one after the other, and joined.
        """
        budget = self._budget
        lacking, longest = self._queue.before(body, now_s)
        needed = body.wanted_bytes + lacking
        if needed > budget.common_bytes - budget.common_used_bytes:
            return False
        if needed > self.cap_bytes - self.buffered_bytes:
            return False
        return needed + longest <= budget.limit_bytes - budget.booked_bytes()

    def _take(self, body: ArrivingBody) -> bool:
        size, share = body.wanted_bytes, self._long if body.is_long else self._short
        if self.buffered_bytes + size > self.cap_bytes or not share.take_nowait(size):
            return False
        self.buffered_bytes += size
        body.take_wanted()
        return True

    def _give_back_all(self, body: ArrivingBody) -> None:
        size, body.size = body.size, 0
        self._give_back(size, is_long=body.is_long)

    def _give_back(self, size: int, *, is_long: bool) -> None:
        share = self._long if is_long else self._short
        share.give_back(size)
        self.buffered_bytes -= size
        if self._queue.waiting:
            self._grant()

    def _look_again(self) -> None:
        self._timer = None
        if self._queue.waiting:
            self._grant()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_LOOK_AGAIN_S, self._look_again)

    def _overloaded(self) -> Overloaded:
        budget, cap = self._budget.limit_bytes, self.cap_bytes
        name, limit = ("buffered", cap) if cap < budget else ("memory", budget)
        return Overloaded(
            f"limits.{name}_bytes ({limit}) are taken by other calls' bodies", retry_after_s=1
        )
