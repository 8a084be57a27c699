"""Asks Redis in the store's name, keeps what it answers in the near cache, and knows whether it
answers at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from sidecar.affinity.call_budget import BudgetSpent, CallBudget, PerOperationBudget
from sidecar.affinity.near_cache import Entry, NearCache, is_of_lane
from sidecar.affinity.redis.errors import is_forbidden, refusal_among
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import STALL_TICKS, TICK_S, RedisLink
from sidecar.affinity.redis.pipeline import GONE_MS, LASTING_MS, Command, LinkDown, Take
from sidecar.affinity.redis.scripts import SCRIPTS, SHAS
from sidecar.affinity.session import lane_suffix
from sidecar.affinity.value import decode, encode
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.single_flight import SingleFlight

_UNTRACKED_S: Final = 1.0
"""How long an entry is believed where the server does not track."""
_RESTORE_S: Final = STALL_TICKS * TICK_S
"""Pins that are written back come in crowds; a server that takes longer for them is hanging."""
_HELD_BACK_S: Final = 30.0
"""A pin that this user may not write is not tried again and again."""


class Found(NamedTuple):
    """What was read of a key."""

    key: str
    raw: bytes
    binding: Binding
    left_s: float | None
    """None where it does not expire."""


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


class PinQueries:
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
        self._lookups: SingleFlight[str, Any] = SingleFlight("redis lookup")
        self.edges = StoreHealth(self.near, clock.monotonic_s)
        self.link: RedisLink = make_link(
            on_up=lambda: self.edges.came_up(is_tracking=self.link.is_tracking),
            on_down=self.edges.went_down,
            on_invalid=self._forget,
            tracks=policy.has_near_cache,
        )
        self.edges.drop = self.link.drop

    def look_up(self, session: Session) -> asyncio.Future[Any]:
        """What stands for the session's lane, and what to call that; one question for all who ask
        at once.
        """
        flight = self._lookups.get(session.lane_key)
        if flight is not None:
            return flight
        plain, lane = session.key, session.lane_key

        def take(replies: list[Any]) -> tuple[list[Found], PinOutcome]:
            if (refusal := refusal_among(replies)) is not None:
                raise refusal
            found = self._found((plain, lane), replies)
            own = [each for each in found if is_of_lane(each.binding, session)]
            if own:
                self._live_on(own[0])
            is_stale = not found and any(replies[::2])
            if own:
                return own, PinOutcome.HIT
            return own, PinOutcome.STALE_VALUE if is_stale else PinOutcome.MISS

        reads: list[Command] = [
            ("GETRANGE", plain, 0, 4095),
            ("PTTL", plain),
            ("GETRANGE", lane, 0, 4095),
            ("PTTL", lane),
        ]
        return self._lookups.start(session.lane_key, self.link.submit(reads, take))

    async def seen(self, session: Session, seen: Binding, budget: CallBudget) -> tuple[str, bytes]:
        """Where ``seen`` stands, and in which bytes: another writer may have put it in other
        words.
        """
        key, entry = self.near.place(session)
        if entry is not None and entry.binding == seen:
            return key, entry.raw
        if not self.near.is_alone:
            own, _ = await self.wait(PinOperation.GET, self.look_up(session), budget) or (
                (),
                None,
            )
            for found in own:
                if found.binding == seen:
                    return found.key, found.raw
        return key, encode(seen)

    async def run(
        self,
        operation: PinOperation,
        keys: tuple[str, ...],
        arguments: Arguments,
        budget: CallBudget,
    ) -> _Told | None:
        """Run a script; what stands under the session's key then, and its bytes. None where nobody
        knows.
        """
        take = self._taker(operation, keys, arguments)
        try:
            command = ("EVALSHA", SHAS[operation], len(keys), *keys, *arguments)
            told: _Told | None = await self.wait(
                operation, self.link.submit([command], take), budget
            )
        except NoScriptError:  # somebody flushed the server's scripts
            command = ("EVAL", SCRIPTS[operation], len(keys), *keys, *arguments)
            budget.is_spent = False
            told = await self.wait(operation, self.link.submit([command], take), budget)
        return told

    def confirm_other_lane(self, session: Session) -> None:
        """Begin to confirm what another lane is known to have under the session's plain key, where
        that is in doubt.

        It goes to Redis before what is asked for this lane: a Redis that came back empty would give
        the key to whichever lane comes first, and the other one's pin would be forgotten here.
        """
        key = session.key
        entry = self.near.unverified(key)
        if entry is not None and not is_of_lane(entry.binding, session):
            operation, keys, arguments = self._restoring(key, entry)
            self.link.submit(
                [("EVALSHA", SHAS[operation], len(keys), *keys, *arguments)],
                self._taker(operation, keys, arguments),
            )

    async def move(self, key: str, entry: Entry, budget: CallBudget) -> Binding:
        """What stands once a move that was made while Redis was gone has been written, unless
        another has moved it.
        """
        began_s = self._monotonic_s()
        told = await self.run(*self._restoring(key, entry), budget)
        if told is None or told[0] is None:
            return entry.binding
        is_moved = told[0] == entry.binding
        outcome = PinOutcome.REPLACED if is_moved else PinOutcome.LOST
        self.report(PinOperation.REPLACE, outcome, began_s)
        return told[0]

    async def restore(self, batch: Sequence[tuple[str, Entry]]) -> bool:
        """Write back what was pinned meanwhile: the first writer still wins, and a loser adopts."""
        budget = PerOperationBudget(
            max(self._policy.budget_s, _RESTORE_S), self._monotonic_s
        )  # no call waits for it
        replies = await asyncio.gather(
            *(self.run(*self._restoring(key, entry), budget) for key, entry in batch)
        )
        for (_, entry), reply in zip(batch, replies, strict=True):
            if reply is not None:
                is_written = reply[0] == entry.binding
                outcome = PinOutcome.CLAIMED if is_written else PinOutcome.ADOPTED
                self.report(PinOperation.WRITE_BACK, outcome)
        are_written = None not in replies
        if are_written:
            self.edges.wrote()
        return are_written

    def _restoring(self, key: str, entry: Entry) -> tuple[PinOperation, tuple[str, ...], Arguments]:
        """The script that writes an entry unless another stands in its place, its keys and its
        arguments.
        """
        ttl_ms = self._policy.ttl_ms
        if entry.base:
            return PinOperation.REPLACE, (key,), (entry.base, entry.raw, ttl_ms, 1)
        lane = entry.binding.requested_model or ""
        keys = key, key if "~" in key else key + lane_suffix(lane)
        return PinOperation.CLAIM, keys, (lane, entry.raw, ttl_ms, b"")

    def _taker(self, operation: PinOperation, keys: tuple[str, ...], arguments: Arguments) -> Take:
        written = arguments[1] if len(arguments) > 1 else None

        def take(replies: list[Any]) -> _Told:
            (told,) = replies
            if isinstance(told, ResponseError):
                if is_forbidden(told):
                    for key in keys:
                        self.near.hold_back(key, _HELD_BACK_S)
                raise told
            if told[0] > 1:
                self.near.yield_to_lane(keys[0], arguments[0])
            found = self._found(keys, told[1:])
            key, raw = keys[told[0] - 1], told[2 * told[0] - 1]
            if raw == written:
                self._read_again(key)
            for each in found if operation is PinOperation.CLAIM else ():
                if each.key == key:
                    self._live_on(each)
            return decode(raw), raw

        return take

    def refresh(self, key: str) -> None:
        """Begin the TTL anew in Redis; nobody waits for it."""

        def take(replies: list[Any]) -> None:
            outcome = PinOutcome.HIT
            if replies[0] == 0:
                outcome = PinOutcome.MISS
                self.near.forget_foreign(key)  # it was evicted
            elif replies[0] == 1:
                self._read_again(key)
            else:
                outcome = PinOutcome.SKIPPED
            self.report(PinOperation.REFRESH, outcome)

        self.link.submit([("PEXPIRE", key, self._policy.ttl_ms)], take)

    async def wait(
        self, operation: PinOperation, reply: asyncio.Future[Any], budget: CallBudget
    ) -> Any:  # noqa: ANN401
        """What came of a question; None where nothing did. Raises: NoScriptError."""
        began_s = self._monotonic_s()
        try:
            result = await budget.wait(reply)
        except NoScriptError:
            raise
        except BudgetSpent as late:
            self.report(operation, PinOutcome.TIMEOUT, began_s)
            if not late.is_own_fault:
                self.edges.failed()
        except ResponseError as error:
            is_skipped = self.edges.is_refusal(error)
            outcome = PinOutcome.SKIPPED if is_skipped else PinOutcome.ERROR
            self.report(operation, outcome, began_s)
            if not is_skipped:
                self.edges.failed()
        except LinkDown:
            self.report(operation, PinOutcome.ERROR, began_s)
            self.edges.failed()
        else:
            self.edges.served()
            return result
        return None

    # What is known

    def _found(self, keys: Sequence[str], replies: Sequence[Any]) -> list[Found]:
        """Keep what was read of keys (for each its value and its PTTL); what of it is a binding."""
        found: list[Found] = []
        for key, raw, left_ms in zip(keys, replies[::2], replies[1::2], strict=True):
            binding = None if isinstance(raw, ResponseError) or left_ms == GONE_MS else decode(raw)
            if self.near.is_pending_write(key, raw):
                continue  # made here meanwhile, and still to be written there
            if binding is None:
                self.near.forget(key)
                continue
            # A key without expiry is plano's or a person's: it is believed for one TTL.
            left_s = None if left_ms == LASTING_MS else left_ms / 1e3
            found.append(Found(key, raw, binding, left_s))
            if self._policy.has_near_cache:
                entry = self.near.put(
                    key, binding, self._policy.ttl_s if left_s is None else left_s, raw
                )
                entry.is_lasting = left_s is None
                if not self.link.is_tracking:
                    entry.verified_until_s = self._monotonic_s() + _UNTRACKED_S
            else:
                self.near.forget(key)
        if found and len(keys) > 1 and replies[1] == GONE_MS and self.link.is_tracking:
            self.near.mark_absent(keys[0])
        return found

    def _read_again(self, key: str) -> None:
        """Own writes come back as invalidations, on 7 behind the reply: what was written is read
        again, for the next call and for a Redis that goes before it comes. Nobody waits for it.
        """
        if self.link.is_tracking:
            self.near.wrote(key)
            self.link.submit(
                [("GETRANGE", key, 0, 4095), ("PTTL", key)],
                lambda replies: None if refusal_among(replies) else self._found((key,), replies),
            )

    def _live_on(self, found: Found) -> None:
        """A pin that is used lives on: read from Redis too, under half of its time is a reason to
        begin it anew.
        """
        if (
            self._policy.is_sliding
            and found.left_s is not None
            and found.left_s * 2 < self._policy.ttl_s
        ):
            self.refresh(found.key)

    def _forget(self, keys: list[bytes] | None) -> None:
        """Redis says that these keys have changed; None: all of them."""
        if keys is None:
            self.near.forget_all()
        for key in keys or ():
            self.near.forget_foreign(key.decode("latin-1"))

    def report(
        self, operation: PinOperation, outcome: PinOutcome, began_s: float | None = None
    ) -> None:
        """Report an operation that took from ``began_s`` until now, or that no call waited for."""
        if AffinityOperation in self._observers.heard:
            waited_s = 0.0 if began_s is None else self._monotonic_s() - began_s
            self._observers.emit(AffinityOperation(operation, outcome, waited_s))
