"""Commands about pins over the link, and what their replies leave in the near cache.

A reply is decoded in the order of the wire, also when no call waits for it any more, so that the
near cache knows what Redis said last.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from sidecar.affinity.call_budget import BudgetSpent, CallBudget
from sidecar.affinity.near_cache import NearCache, is_of_lane
from sidecar.affinity.redis.errors import is_forbidden, refusal_among
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import RedisLink
from sidecar.affinity.redis.pipeline import GONE_MS, LASTING_MS, LinkDown, reads_of
from sidecar.affinity.redis.scripts import SCRIPTS, SHAS
from sidecar.affinity.session import KEY_PREFIX
from sidecar.affinity.value import decode, encode
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.single_flight import SingleFlight

_UNTRACKED_S: Final = 1.0
"""An entry is believed for so long where the server does not track."""
_HELD_BACK_S: Final = 30.0
"""A pin that this user may not write is not tried again for so long."""
_UNKNOWN_SCRIPT: Final = object()
"""What a script's reply is decoded to where somebody flushed the server's scripts."""

Arguments = tuple[str | bytes | int, ...]


class Found(NamedTuple):
    """A binding that was read of a key."""

    key: str
    raw: bytes
    binding: Binding
    left_s: float | None
    """None where it does not expire."""


class Stored(NamedTuple):
    """What a key holds after a script."""

    binding: Binding | None
    """None for nothing, or for bytes that are no binding."""
    raw: bytes


class Script(NamedTuple):
    """A script's name, keys and arguments."""

    operation: PinOperation
    keys: tuple[str, ...]
    arguments: Arguments


class StorePolicy(msgspec.Struct, frozen=True):
    """Settings of the shared store."""

    ttl_s: float
    budget_s: float
    max_entries: int
    is_sliding: bool = True
    has_near_cache: bool = True
    key_prefix: str = KEY_PREFIX

    @property
    def ttl_ms(self) -> int:
        """The time to live in milliseconds, as Redis takes it."""
        return int(self.ttl_s * 1e3)


class PinQueries:
    """Asks Redis about pins, and keeps in the near cache what it replies."""

    def __init__(
        self,
        near: NearCache,
        health: StoreHealth,
        link: RedisLink,
        policy: StorePolicy,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self._near = near
        self._health = health
        self._link = link
        self._policy = policy
        self._clock = clock
        self._observers = observers
        self._lookups: SingleFlight[str, Any] = SingleFlight("redis lookup")
        """By the key of their session's lane."""

    def look_up(self, session: Session) -> asyncio.Future[Any]:
        """Read the session's keys, once for all calls that ask meanwhile.

        Returns: a future of (what was found for the session's lane, how to count that).
        """
        flight = self._lookups.get(session.lane_key)
        if flight is not None:
            return flight
        keys = (session.key, session.lane_key)

        def found_for_lane(replies: list[Any]) -> tuple[list[Found], PinOutcome]:
            if (refusal := refusal_among(replies)) is not None:
                raise refusal
            found = self._keep(keys, replies)
            if not found:
                is_stale = any(replies[::2])
                return [], PinOutcome.STALE_VALUE if is_stale else PinOutcome.MISS
            own = [each for each in found if is_of_lane(each.binding, session)]
            if not own:
                return [], PinOutcome.MISS
            self._live_on(own[0])
            return own, PinOutcome.HIT

        reply = self._link.submit(reads_of(*keys), found_for_lane)
        return self._lookups.start(session.lane_key, reply)

    async def place_of(
        self, session: Session, seen: Binding, budget: CallBudget
    ) -> tuple[str, bytes]:
        """Return the key that holds ``seen``, and its bytes there: another writer may have put the
        same binding into other bytes.
        """
        key, entry = self._near.place(session)
        if entry is not None and entry.binding == seen:
            return key, entry.raw
        if not self._near.is_alone:
            looked_up = await self.wait(PinOperation.GET, self.look_up(session), budget)
            for found in () if looked_up is None else looked_up[0]:
                if found.binding == seen:
                    return found.key, found.raw
        return key, encode(seen)

    async def run(self, script: Script, budget: CallBudget) -> Stored | None:
        """Run a script. Return what the session's key holds then; None where Redis did not say."""
        operation, keys, arguments = script
        stored = await self.wait(operation, self.begin(script), budget)
        if stored is _UNKNOWN_SCRIPT:
            command = ("EVAL", SCRIPTS[operation], len(keys), *keys, *arguments)
            reply = self._link.submit([command], functools.partial(self._stored, script))
            stored = await self.wait(operation, reply, budget)
        return None if stored is _UNKNOWN_SCRIPT else stored

    def begin(self, script: Script) -> asyncio.Future[Any]:
        """Send a script by its name. What it leaves is kept, whether or not a call waits for it."""
        operation, keys, arguments = script
        command = ("EVALSHA", SHAS[operation], len(keys), *keys, *arguments)
        return self._link.submit([command], functools.partial(self._stored, script))

    def refresh(self, key: str) -> None:
        """Begin a key's TTL anew in Redis; no call waits for it."""

        def count(replies: list[Any]) -> None:
            outcome = PinOutcome.SKIPPED
            if replies[0] == 0:  # it was evicted
                outcome = PinOutcome.MISS
                self._near.on_invalidation(key)
            elif replies[0] == 1:
                outcome = PinOutcome.HIT
                self._read_again(key)
            self.report(PinOperation.REFRESH, outcome)

        self._link.submit([("PEXPIRE", key, self._policy.ttl_ms)], count)

    async def wait(
        self, operation: PinOperation, reply: asyncio.Future[Any], budget: CallBudget
    ) -> Any:  # noqa: ANN401 - as Redis has it
        """Wait for a reply within a budget. Return None where there was none, which is counted."""
        began_s = self._clock.monotonic_s()
        is_failure = True
        try:
            result = await budget.wait(reply)
        except BudgetSpent as late:
            outcome, is_failure = PinOutcome.TIMEOUT, not late.is_own_fault
        except ResponseError as error:
            is_failure = not self._health.is_refusal(error)
            outcome = PinOutcome.ERROR if is_failure else PinOutcome.SKIPPED
        except LinkDown:
            outcome = PinOutcome.ERROR
        else:
            self._health.served()
            return result
        self.report(operation, outcome, began_s)
        if is_failure and self._health.failed():
            self._link.drop()
        return None

    def report(
        self, operation: PinOperation, outcome: PinOutcome, began_s: float | None = None
    ) -> None:
        """Report an operation; ``began_s`` is when a call began to wait for it, if one did."""
        if AffinityOperation in self._observers.heard:
            waited_s = 0.0 if began_s is None else self._clock.monotonic_s() - began_s
            self._observers.emit(AffinityOperation(operation, outcome, waited_s))

    def _stored(self, script: Script, replies: list[Any]) -> object:
        """Keep what a script has left under its keys. Return a `Stored` of what the session's key
        holds; `_UNKNOWN_SCRIPT` where the server does not know the script.

        Raises: ResponseError.
        """
        (reply,) = replies
        if isinstance(reply, ResponseError):
            return self._refused(script, reply)
        operation, keys, arguments = script
        at = reply[0]  # 1 or 2: which of the keys is the session's
        if at > 1:
            self._near.yield_to_lane(keys[0], arguments[0])
        found = self._keep(keys, reply[1:])
        key, raw = keys[at - 1], reply[2 * at - 1]
        if len(arguments) > 1 and raw == arguments[1]:  # written by this script
            self._read_again(key)
        for each in found:
            if each.key == key:
                if operation is PinOperation.CLAIM:
                    self._live_on(each)
                return Stored(each.binding, raw)
        return Stored(decode(raw), raw)

    def _refused(self, script: Script, error: ResponseError) -> object:
        if isinstance(error, NoScriptError):
            return _UNKNOWN_SCRIPT
        if is_forbidden(error):
            for key in script.keys:
                self._near.hold_back(key, _HELD_BACK_S)
        raise error

    def _keep(self, keys: Sequence[str], replies: Sequence[Any]) -> list[Found]:
        """Keep what was read of keys (for each its value and its PTTL); return the bindings."""
        near, is_tracking = self._near, self._link.is_tracking
        found: list[Found] = []
        for key, raw, left_ms in zip(keys, replies[::2], replies[1::2], strict=True):
            if near.dirty_entries and near.is_pending_write(key, raw):
                continue  # made here meanwhile, and still to be written there
            binding = None
            if left_ms != GONE_MS and not isinstance(raw, ResponseError):
                binding = near.binding_of(key, raw) or decode(raw)
            if binding is None:
                near.forget(key)
                continue
            # A key without expiry is plano's or a person's: it is believed for one TTL.
            left_s = None if left_ms == LASTING_MS else left_ms / 1e3
            found.append(Found(key, raw, binding, left_s))
            if not self._policy.has_near_cache:
                near.forget(key)
                continue
            entry = near.put(key, binding, self._policy.ttl_s if left_s is None else left_s, raw)
            entry.is_lasting = left_s is None
            if not is_tracking:
                entry.verified_until_s = self._clock.monotonic_s() + _UNTRACKED_S
        if found and len(keys) > 1 and replies[1] == GONE_MS and is_tracking:
            near.mark_absent(keys[0])
        return found

    def _read_again(self, key: str) -> None:
        """Read what was just written, without waiting: the server reports our own writes as
        invalidations too, Redis 7 only after the reply, and the next call should find the pin at
        hand all the same.
        """
        if self._link.is_tracking:
            self._near.mark_own_write(key)
            self._link.submit(
                reads_of(key),
                lambda replies: None if refusal_among(replies) else self._keep((key,), replies),
            )

    def _live_on(self, found: Found) -> None:
        """Begin the time of a pin that is used anew, once less than half of it is left."""
        policy, left_s = self._policy, found.left_s
        if policy.is_sliding and left_s is not None and left_s * 2 < policy.ttl_s:
            self.refresh(found.key)
