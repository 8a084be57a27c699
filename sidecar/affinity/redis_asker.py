"""Asks Redis in the store's name, keeps what it answers in the near cache, and knows whether it answers at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from sidecar.affinity.breaker import Breaker
from sidecar.affinity.key import lane_key, lane_key_of, plain_key
from sidecar.affinity.near_cache import Entry, NearCache
from sidecar.affinity.patience import Endless, Patience, TooLate
from sidecar.affinity.redis_link import Command, LinkDown, RedisLink, refuses_writes
from sidecar.affinity.scripts import SCRIPTS
from sidecar.affinity.value import decode, encode
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.ids import SessionKey
from sidecar.domain.observers import Observers

_UNTRACKED_S: Final = 1.0
"""How long an entry is believed where the server does not track."""
_log: Final = logging.getLogger("sidecar.affinity")

Found = tuple[str, bytes, Binding]
"""Key, the bytes that stand there, and what they say."""
Arguments = tuple[str | bytes | int, ...]
_Told = tuple[Binding | None, bytes]
"""What stands under a key, and in which bytes."""


class StorePolicy(msgspec.Struct, frozen=True):
    """Settings of the shared store."""

    ttl_s: float
    budget_s: float
    max_entries: int
    is_sliding: bool = True
    has_near_cache: bool = True

    @property
    def ttl_ms(self) -> int:
        """As Redis takes it."""
        return int(self.ttl_s * 1e3)


class RedisAsker:
    """The one connection, the near cache that it fills, and the breaker between them."""

    def __init__(
        self,
        make_link: Callable[..., RedisLink],
        policy: StorePolicy,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self.near = NearCache(policy.max_entries, clock.monotonic_s)
        self._policy = policy
        self._monotonic_s = clock.monotonic_s
        self._observers = observers
        self._lookups: dict[SessionKey, asyncio.Future[Any]] = {}
        self._breaker = Breaker()
        self._is_refusing = False
        self.is_asked = asyncio.Event()
        """Set while Redis is asked at all."""
        self.link = make_link(
            on_up=self._came_up,
            on_down=self._went_down,
            on_invalid=self._forget,
            tracks=policy.has_near_cache,
        )

    def look_up(self, session: SessionKey) -> asyncio.Future[Any]:
        """What stands for the session's lane, and what to call that; one question for all who ask at once."""
        flight = self._lookups.get(session)
        if flight is not None:
            return flight
        plain, lane = plain_key(session), lane_key(session)

        def take(replies: list[Any]) -> tuple[list[Found], str]:
            found = self._found((plain, lane), replies)
            own = [each for each in found if each[2].requested_model in (None, session.requested_model)]
            is_stale = not found and any(replies[::2])
            return own, "hit" if own else "stale_value" if is_stale else "miss"

        reads: list[Command] = [
            ("GETRANGE", plain, 0, 4095),
            ("PTTL", plain),
            ("GETRANGE", lane, 0, 4095),
            ("PTTL", lane),
        ]
        flight = self.link.submit(reads, take)
        self._lookups[session] = flight
        flight.add_done_callback(lambda _: self._lookups.pop(session, None))
        return flight

    async def seen(self, session: SessionKey, seen: Binding, patience: Patience) -> tuple[str, bytes]:
        """Where ``seen`` stands, and in which bytes: another writer may have put it in other words."""
        key, entry = self.near.place(session)
        if entry is not None and entry.binding == seen:
            return key, entry.raw
        if not self.near.is_alone:
            own, _ = await self.wait("get", self.look_up(session), patience) or ((), "")
            for found_key, raw, binding in own:
                if binding == seen:
                    return found_key, raw
        return key, encode(seen)

    async def run(self, name: str, keys: tuple[str, ...], arguments: Arguments, patience: Patience) -> _Told | None:
        """Run a script; what stands under the session's key then, and its bytes. None where nobody knows."""

        def take(replies: list[Any]) -> _Told:
            (told,) = replies
            if isinstance(told, ResponseError):
                raise told
            self._found(keys, told[1:])
            raw: bytes = told[2 * told[0] - 1]
            return decode(raw), raw

        try:
            command = ("EVALSHA", self.link.shas.get(name, b""), len(keys), *keys, *arguments)
            told: tuple[Binding | None, bytes] | None = await self.wait(
                name, self.link.submit([command], take), patience
            )
        except NoScriptError:  # somebody flushed the server's scripts
            command = ("EVAL", SCRIPTS[name].encode(), len(keys), *keys, *arguments)
            patience.is_spent = False
            told = await self.wait(name, self.link.submit([command], take), patience)
        return told

    async def restore(self, batch: Sequence[tuple[str, Entry]]) -> bool:
        """Write back what was pinned meanwhile: the first writer still wins, and a loser adopts."""
        patience = Endless(self._policy.budget_s, self._monotonic_s)
        ttl_ms, replies = self._policy.ttl_ms, []
        for key, entry in batch:
            lane = entry.binding.requested_model or ""
            if entry.base:
                replies.append(self.run("replace", (key,), (entry.base, entry.raw, ttl_ms, 1), patience))
            else:
                keys = key, key if "~" in key else lane_key_of(key, lane)
                replies.append(self.run("claim", keys, (lane, entry.raw, ttl_ms, b""), patience))
        are_written = None not in await asyncio.gather(*replies)
        if are_written and self._is_refusing:
            self._is_refusing = False
            _log.info("redis takes writes again")
        return are_written

    def refresh(self, key: str) -> None:
        """Begin the TTL anew in Redis; nobody waits for it."""

        def take(replies: list[Any]) -> None:
            if replies[0] == 0:
                self.near.forget(key)  # it was evicted

        self.link.submit([("PEXPIRE", key, self._policy.ttl_ms)], take)

    async def wait(self, name: str, reply: asyncio.Future[Any], patience: Patience) -> Any:  # noqa: ANN401
        """What came of a question; None where nothing did. Raises: NoScriptError."""
        began_s = self._monotonic_s()
        try:
            result = await patience.wait(reply)
        except NoScriptError:
            raise
        except TooLate as late:
            self.told(name, "timeout", began_s)
            if not late.is_own_fault:
                self._failed()
        except ResponseError as error:
            is_skipped = refuses_writes(error)
            self.told(name, "skipped" if is_skipped else "error", began_s)
            if is_skipped:
                self._refused(error)
            else:
                self._failed()
        except LinkDown:
            self.told(name, "error", began_s)
            self._failed()
        else:
            self._breaker.served()
            return result
        return None

    # What is known

    def _found(self, keys: Sequence[str], replies: Sequence[Any]) -> list[Found]:
        """Keep what was read of keys (for each its value and its PTTL); what of it is a binding."""
        found: list[Found] = []
        for key, raw, left_ms in zip(keys, replies[::2], replies[1::2], strict=True):
            binding = None if isinstance(raw, ResponseError) else decode(raw)
            if self.near.is_owed(key, raw):
                continue  # made here meanwhile, and still to be written there
            if binding is None:
                self.near.forget(key)
                continue
            found.append((key, raw, binding))
            if self._policy.has_near_cache:
                # A key without expiry is plano's or a person's: it is believed for one TTL.
                entry = self.near.put(key, binding, left_ms / 1e3 if left_ms > 0 else self._policy.ttl_s, raw)
                if not self.link.is_tracking:
                    entry.verified_until_s = self._monotonic_s() + _UNTRACKED_S
            else:
                self.near.forget(key)
        return found

    def _forget(self, keys: list[bytes] | None) -> None:
        """Redis says that these keys have changed; None: all of them."""
        if keys is None:
            self.near.forget_all()
        for key in keys or ():
            self.near.forget_foreign(key.decode("latin-1"))

    # Outages

    def _failed(self) -> None:
        self._breaker.failed()
        if self._breaker.is_tripped and not self.near.is_alone:
            self._be_alone()
            _log.warning("redis does not answer: pins are kept here until it does")
            self.link.drop()

    def _refused(self, error: ResponseError) -> None:
        if not self._is_refusing:
            self._is_refusing = True
            _log.warning("redis takes no writes (%s): reads go on, new pins are kept here", str(error)[:80])

    def _came_up(self) -> None:
        self.near.epoch += 1
        self._breaker.reset()
        if self.near.is_alone:
            self.near.is_alone = False
            self.is_asked.set()
            _log.info("redis is there: pins are shared%s", "" if self.link.is_tracking else ", without tracking")

    def _be_alone(self) -> None:
        self.near.is_alone = True
        self.is_asked.clear()

    def _went_down(self) -> None:
        self.near.epoch += 1
        if not self.near.is_alone:
            self._be_alone()
            _log.warning("redis is gone: pins are kept here until it is back")

    def told(self, operation: str, outcome: str, began_s: float) -> None:
        """Report an operation that took until now."""
        self._observers.affinity_operation(operation, outcome, self._monotonic_s() - began_s)
