"""Commands about sessions over the link, and what their replies leave in the near cache.

A reply is decoded in the order of the wire, also when no call waits for it any more, so that the
near cache knows what Redis said last.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from sidecar.affinity.call_budget import BudgetSpent, CallBudget
from sidecar.affinity.entry import Entry, EntryEvent, EntryState
from sidecar.affinity.lanes import NO_LANES, Lanes, claim, replace
from sidecar.affinity.near_cache import NearCache
from sidecar.affinity.redis.errors import refusal_among
from sidecar.affinity.redis.health import StoreHealth
from sidecar.affinity.redis.link import RedisLink
from sidecar.affinity.redis.pipeline import GONE_MS, LASTING_MS, LinkDown, reads_of
from sidecar.affinity.redis.scripts import COMPARE_AND_SET, REFRESH, SHAS
from sidecar.affinity.session import KEY_PREFIX, lane_suffix, session_key
from sidecar.affinity.value import MAX_BYTES, decode, fit
from sidecar.domain.clock import Clock
from sidecar.domain.events import AffinityOperation
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.domain.vocabulary import PinOperation, PinOutcome
from sidecar.runtime.single_flight import SingleFlight

_TRIES: Final = 32
"""Of a write in a row; each that fails means that another one has succeeded."""


class Stood(NamedTuple):
    """What a key holds after a script."""

    raw: bytes
    """Empty: nothing readable."""
    left_ms: int
    """As PTTL says it."""
    lanes: Lanes
    """What is believed here then."""


class StorePolicy(msgspec.Struct):
    """Settings of the shared store, the same for all of its parts; some of them may change."""

    ttl_s: float
    budget_s: float
    max_entries: int
    is_sliding: bool = True
    has_near_cache: bool = True
    key_prefix: str = KEY_PREFIX
    tenant: str | None = None

    @property
    def ttl_ms(self) -> int:
        """The time to live in milliseconds, as Redis takes it."""
        return int(self.ttl_s * 1e3)

    @property
    def probed_key(self) -> str:
        """A key that no session has, within what a fenced user may write."""
        return session_key(self.tenant, "", prefix=self.key_prefix) + "%"


class PinQueries:
    """Asks Redis about sessions, and keeps in the near cache what it replies."""

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
        self._flights: SingleFlight[tuple[str, str], Any] = SingleFlight("redis pin")
        """Lookups and writes under way, by what they do and their key."""

    def look_up(self, session: Session, *, has_older: bool) -> asyncio.Future[Any]:
        """Read a session's key, once for all calls that ask meanwhile.

        Args: ``has_older`` is whether the lane may still have a key of its own, as the version
            before wrote it; that is read too, and written no more.
        Returns: a future of (the lanes that Redis has then, how to count that).
        """
        older = session.key + lane_suffix(session.lane) if has_older else ""
        name = ("read", older or session.key)
        flight = self._flights.get(name)
        if flight is not None:
            return flight

        def kept(replies: list[Any]) -> tuple[Lanes, PinOutcome]:
            if (refusal := refusal_among(replies)) is not None:
                raise refusal
            lanes = self._heard(session.key, replies[0], replies[1])
            if older and len(lanes.bindings) > 1:
                self.look_for_older(session.key, lanes, session.lane)
            if older and replies[2]:
                lanes = self._take_over(session.key, session.lane, replies[2])
            if session.key in self._near.owed:
                # What was changed here is not written yet, and may lose against another pod's.
                raw = replies[0]
                lanes = (decode(raw) if isinstance(raw, bytes) else None) or NO_LANES
            if lanes.of(session.lane) is not None:
                return lanes, PinOutcome.HIT
            is_stale = replies[0] and not lanes.bindings
            return lanes, PinOutcome.STALE_VALUE if is_stale else PinOutcome.MISS

        keys = (session.key, older) if older else (session.key,)
        return self._flights.start(name, self._link.submit(reads_of(*keys), kept))

    def write(self, key: str) -> asyncio.Future[Any]:
        """Write what was changed here of a session, or claim it anew. One write of a key is under
        way at a time; what is changed meanwhile goes with the next.

        Returns: a future of the lanes that stand then.
        """
        return self._flights.get(("write", key)) or self._flights.start(
            ("write", key), self._write(key)
        )

    def is_writing(self, key: str) -> bool:
        """Return whether a write of a session is under way."""
        return self._flights.get(("write", key)) is not None

    async def compare_and_set(
        self, key: str, seen: bytes, value: bytes, ttl_ms: int, sent: Lanes | None = None
    ) -> Stood:
        """Set a key, or delete it where ``value`` is empty, if its bytes are those seen; empty:
        nothing readable stands there. ``ttl_ms`` of 0 leaves its time as it is.

        Args: ``sent`` are the lanes in ``value``.
        Raises: ResponseError, LinkDown.
        """

        def stood(replies: list[Any]) -> Stood:
            (reply,) = replies
            if isinstance(reply, ResponseError):
                raise reply
            raw, left_ms = reply
            lanes = self._heard(key, raw, left_ms, sent if raw == value else None)
            return Stood(raw, left_ms, lanes)

        arguments = (1, key, seen, value, ttl_ms)
        result: Stood
        try:
            result = await self._link.submit(
                [("EVALSHA", SHAS[COMPARE_AND_SET], *arguments)], stood
            )
        except NoScriptError:  # somebody has flushed the server's scripts
            result = await self._link.submit([("EVAL", COMPARE_AND_SET, *arguments)], stood)
        return result

    def refresh(self, key: str) -> None:
        """Begin a session's time anew in Redis; no call waits for it."""
        arguments = (1, key, self._policy.ttl_ms)

        def kept(replies: list[Any]) -> None:
            (reply,) = replies
            if isinstance(reply, NoScriptError):
                self._link.submit([("EVAL", REFRESH, *arguments)], kept)
                return
            outcome = PinOutcome.SKIPPED
            if not isinstance(reply, ResponseError):
                outcome = PinOutcome.HIT if reply[0] else PinOutcome.MISS  # it was evicted
                self._heard(key, *reply)
            self.report(PinOperation.REFRESH, outcome)

        self._link.submit([("EVALSHA", SHAS[REFRESH], *arguments)], kept)

    async def aclose(self) -> None:
        """Give up what is under way."""
        await self._flights.aclose()

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
        budget.trouble = outcome
        self.report(operation, outcome, began_s, budget)
        if is_failure and self._health.failed():
            self._link.drop()
        return None

    def report(
        self,
        operation: PinOperation,
        outcome: PinOutcome,
        began_s: float | None = None,
        budget: CallBudget | None = None,
    ) -> None:
        """Report an operation; ``began_s`` is when a call of ``budget`` began to wait for it."""
        if AffinityOperation in self._observers.heard:
            waited_s = 0.0 if began_s is None else self._clock.monotonic_s() - began_s
            trace_id = "" if budget is None else budget.trace_id
            self._observers.emit(AffinityOperation(operation, outcome, waited_s, trace_id))

    async def _write(self, key: str) -> Lanes:
        near, lanes = self._near, NO_LANES
        try:
            for _ in range(_TRIES):
                entry = near.known(key)
                if entry is None:
                    break
                lanes = await self._write_entry(key, entry)
                if key not in near.owed:
                    break
        finally:
            if key in near.owed:
                near.happened(EntryEvent.KEPT, key)
        return lanes

    async def _write_entry(self, key: str, entry: Entry) -> Lanes:
        near = self._near
        sent, value = fit(entry.lanes or near.lanes_of(entry))
        if sent is not entry.lanes:
            near.keep_lanes(entry, sent)
        # A server that may be another one is asked as if it had nothing: it says what it has.
        seen = b"" if entry.state is EntryState.LOST else entry.raw
        keeps_ttl = entry.is_lasting or not self._policy.is_sliding
        left_ms = int((entry.expires_s - self._clock.monotonic_s()) * 1e3)
        ttl_ms = 0 if seen and keeps_ttl else max(left_ms, 1)
        return (await self.compare_and_set(key, seen, value, ttl_ms, sent)).lanes

    def _heard(self, key: str, raw: object, left_ms: int, sent: Lanes | None = None) -> Lanes:
        """Keep what Redis says of a key; return the lanes that are believed then."""
        policy = self._policy
        is_readable = isinstance(raw, bytes) and len(raw) < MAX_BYTES and left_ms != GONE_MS
        left_s = None if left_ms == LASTING_MS else left_ms / 1e3
        readable = raw if is_readable and isinstance(raw, bytes) else b""
        lanes = self._near.heard(key, readable, left_s, policy.ttl_s, sent)
        is_old = left_s is not None and left_s * 2 < policy.ttl_s
        if is_old and readable and policy.is_sliding and key not in self._near.owed:
            self.refresh(key)
        return lanes

    def look_for_older(self, key: str, lanes: Lanes, read_lane: str | None = None) -> None:
        """Read the keys that the version before may have given to the other lanes beside the first,
        so that the server tells of them; no call waits for it.
        """
        names = [
            each.requested_model
            for each in lanes.bindings[1:]
            if each.requested_model not in (None, read_lane)
        ]

        def kept(replies: list[Any]) -> None:
            for lane, raw in zip(names, replies[::2], strict=True):
                self._take_over(key, lane or "", raw)
            if key in self._near.owed:
                self.write(key)

        if names:
            self._link.submit(reads_of(*(key + lane_suffix(lane or "") for lane in names)), kept)

    def _take_over(self, key: str, lane: str, raw: object) -> Lanes:
        """Take a lane beside the first from the key that the version before has given it, to be
        written where it belongs now: processes of that version know of no other place. Return the
        session's lanes.
        """
        entry = self._near.known(key)
        lanes = NO_LANES if entry is None else self._near.lanes_of(entry)
        older = decode(raw) if raw and isinstance(raw, bytes) else None
        binding, standing = None if older is None else older.of(lane), lanes.of(lane)
        if binding is None or standing in (binding, *lanes.bindings[:1]):
            return lanes
        if standing is None:
            lanes = claim(lanes, lane, binding)
        elif binding.generation >= standing.generation:
            lanes = replace(lanes, lane, standing, binding)
        else:
            return lanes
        self._near.change(key, lanes, self._policy.ttl_s)
        return lanes
