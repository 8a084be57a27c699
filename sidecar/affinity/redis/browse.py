"""Pins in Redis as operators look at them: in pages, by SCAN, and never by KEYS, which blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from sidecar.affinity.lanes import NO_LANES
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.errors import refusal_among
from sidecar.affinity.redis.pipeline import GONE_MS, LASTING_MS, Command, Decode, LinkDown, reads_of
from sidecar.affinity.session import KEY_PREFIX, key_of_shown, lane_suffix, pattern_of
from sidecar.affinity.store import Pin, PinPage, StoreUnreachable, pins_of
from sidecar.affinity.value import decode
from sidecar.domain.decision import Binding
from sidecar.domain.ids import Session
from sidecar.runtime.timers import Timeout

Submit = Callable[[Sequence[Command], Decode], asyncio.Future[Any]]
_WAIT_S: Final = 5.0
"""For one command of an operator: no call waits for it."""
_AT_ONCE: Final = 50
"""Keys that are read together: calls wait while their values are decoded."""


class RedisPins:
    """Implements `StorePins` over the store's own connection.

    Args: ``near`` is the near cache: what it owes Redis is shown and dropped too, session by
        session; ``prefix`` begins every key.
    """

    def __init__(self, submit: Submit, near: NearCache, prefix: str = KEY_PREFIX) -> None:
        self._submit = submit
        self._near = near
        self._prefix = prefix

    async def page(self, tenant: str | None, cursor: str | None, limit: int) -> PinPage:
        """Return the pins of about ``limit`` sessions, from a cursor of SCAN on."""
        pattern = pattern_of(tenant, prefix=self._prefix)
        following, keys = await self._ask(
            [("SCAN", cursor or "0", "MATCH", pattern, "COUNT", limit)]
        )
        pins = await self._pins([key.decode("latin-1") for key in keys])
        return PinPage(pins, None if following == b"0" else following.decode())

    async def of_session(
        self, tenant: str | None, session_id: str, agent: str | None = None
    ) -> list[Pin]:
        """Return the pins of a session and of its agents, which are found by SCAN, as are keys of
        the form before; or those of one agent.
        """
        wanted = key_of_shown(tenant, session_id, agent, self._prefix)
        if agent is not None:
            return _once(await self._pins([wanted]) + self._owed(lambda key: key == wanted))
        pattern = pattern_of(tenant, session_id, self._prefix)
        pins: list[Pin] = []
        cursor = b"0"
        while True:
            cursor, keys = await self._ask([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
            names = [key.decode("latin-1") for key in keys]
            pins += await self._pins([name for name in names if name.partition("~")[0] == wanted])
            if cursor == b"0":
                owed = self._owed(lambda key: key.partition("~")[0] == wanted)
                return _once(pins + owed)

    async def of_lane(self, session: Session) -> Binding | None:
        """Return the binding of a session's lane: as Redis has it, or as it is to be written; in
        the key that an earlier version gave to the lane where the session's has none.
        """
        keys = session.key, session.key + lane_suffix(session.lane)
        replies = await self._ask_all(reads_of(*keys))
        if (refusal := refusal_among(replies)) is not None:
            raise StoreUnreachable(f"redis answered: {refusal}")
        raws = [raw if isinstance(raw, bytes) else b"" for raw in replies[::2]]
        owed = self._near.owed.get(session.key)
        lanes = (owed and owed.lanes) or decode(raws[0]) or NO_LANES
        older = decode(raws[1]) or NO_LANES
        return lanes.of(session.lane) or lanes.of(None) or older.of(session.lane)

    async def drop(self, tenant: str | None, session_id: str, agent: str | None = None) -> int:
        """Delete the keys of a session, one command each, since in a cluster they live apart;
        return how many pins they held.
        """
        pins = await self.of_session(tenant, session_id, agent)
        keys = list(dict.fromkeys(pin.key for pin in pins))
        deleted = self._near.owed.keys() & set(keys)

        def gone(replies: list[Any]) -> list[Any]:
            # Redis says nothing of what this connection has deleted, and what was read before that
            # has arrived by now.
            for key in keys:
                self._near.forget(key)
            return replies

        replies = await self._ask_all([("DEL", key) for key in keys], gone) if keys else []
        deleted |= {key for key, count in zip(keys, replies, strict=True) if count == 1}
        return sum(pin.key in deleted for pin in pins)

    def _owed(self, is_wanted: Callable[[str], bool]) -> list[Pin]:
        """Return the pins that were changed here and are not in Redis yet."""
        near, prefix = self._near, self._prefix
        return [
            pin
            for key, entry in near.owed.items()
            if is_wanted(key)
            for pin in pins_of(key, prefix, entry.lanes, near.left_s(entry))
        ]

    async def _pins(self, keys: Sequence[str]) -> list[Pin]:
        pins: list[Pin] = []
        for start in range(0, len(keys), _AT_ONCE):
            pins += await self._some(keys[start : start + _AT_ONCE])
        return pins

    async def _some(self, keys: Sequence[str]) -> list[Pin]:
        replies = await self._ask_all(reads_of(*keys))
        if (refusal := refusal_among(replies)) is not None:
            raise StoreUnreachable(f"redis answered: {refusal}")
        pins: list[Pin] = []
        for key, raw, left_ms in zip(keys, replies[::2], replies[1::2], strict=True):
            if left_ms != GONE_MS and not isinstance(raw, ResponseError):
                left_s = None if left_ms == LASTING_MS else left_ms / 1e3
                pins += pins_of(key, self._prefix, decode(raw), left_s)
        return pins

    async def _ask(self, commands: Sequence[Command]) -> Any:  # noqa: ANN401 - Redis values stay in this room
        (reply,) = await self._ask_all(commands)
        if isinstance(reply, ResponseError):
            raise StoreUnreachable(f"redis answered: {reply}")
        return reply

    async def _ask_all(self, commands: Sequence[Command], decode_all: Decode = list) -> list[Any]:
        try:
            async with Timeout(_WAIT_S):
                replies: list[Any] = await self._submit(commands, decode_all)
        except (LinkDown, TimeoutError) as error:
            raise StoreUnreachable("redis does not answer") from error
        return replies


def _once(pins: Sequence[Pin]) -> list[Pin]:
    """Return the pins without those that were found before: SCAN may return a key twice. What is
    found later goes before it.
    """
    return list({(pin.key, pin.lane): pin for pin in pins}.values())
