"""Pins shared by all pods through one Redis, with a coherent cache in front of it and a shadow for when it is gone.

Source: affinity.md. Nothing here raises for an outage; no call waits longer than one budget.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from redis.exceptions import OutOfMemoryError, ResponseError

from sidecar.affinity.budget import StorePolicy, within_budget
from sidecar.affinity.key import lane_key, plain_key
from sidecar.affinity.near_cache import Entry, NearCache
from sidecar.affinity.redis_link import LINK_ERRORS, LinkDown, RedisLink
from sidecar.affinity.value import decode, encode
from sidecar.domain.clock import Clock
from sidecar.domain.decision import Binding
from sidecar.domain.events import Observers
from sidecar.domain.ids import SessionKey
from sidecar.lifecycle import Tasks

_FAILURES_TO_OPEN: Final = 5
_UNTRACKED_S: Final = 1.0
"""How long an entry is believed where the server does not track."""
_WRITTEN_BACK_AT_ONCE: Final = 200
_SPENT_AT_MOST: Final = 10_000
_log: Final = logging.getLogger("sidecar.affinity")


class RedisStore:
    """Implements `AffinityStore`."""

    def __init__(
        self,
        make_link: Callable[..., RedisLink],
        policy: StorePolicy,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self._policy = policy
        self._monotonic_s = clock.monotonic_s
        self._observers = observers
        self._near = NearCache(policy.max_entries, clock.monotonic_s)
        self._spent: dict[SessionKey, None] = {}
        self._failures = 0
        self._tasks = Tasks()
        self._link = make_link(
            on_up=self._came_up,
            on_down=self._went_down,
            on_invalid=self._forget,
            tracks=policy.has_near_cache,
        )

    def start(self) -> None:
        """Connect in the background; a Redis that is down fails no start."""
        self._link.start()

    @property
    def is_up(self) -> bool:
        """Whether Redis is asked at all."""
        return not self._near.is_alone

    @property
    def is_tracking(self) -> bool:
        """Whether the near cache is told of foreign writes."""
        return self._link.is_up and self._link.is_tracking

    @property
    def near_entries(self) -> int:
        """Entries that were read from or written to Redis."""
        return len(self._near) - self.shadow_entries

    @property
    def shadow_entries(self) -> int:
        """Entries that were made while Redis was gone."""
        return len(self._near.dirty())

    def get_now(self, session: SessionKey) -> Binding | None:
        """See `AffinityStore.get_now`."""
        found = self._near.find(session)
        if found is None:
            return None
        self._refresh(*found)
        return found[1].binding

    async def get(self, session: SessionKey) -> Binding | None:
        """See `AffinityStore.get`."""
        binding = self.get_now(session)
        if binding is not None:
            self._observers.affinity_operation("get", "near_hit", 0.0)
            return binding
        if self._near.is_alone:
            self._observers.affinity_operation("get", "skipped", 0.0)
            return None
        _, held = self._near.place(session)
        if held is not None:
            # Unverified since the connection was lost: a claim confirms it, and repairs a Redis that came back empty.
            return await self._claim(session, held.binding)
        began_s = self._monotonic_s()
        plain, lane = plain_key(session), lane_key(session)
        epoch = self._near.epoch
        try:
            futures = self._link.submit(
                ("GETRANGE", plain, 0, 4095), ("PTTL", plain), ("GETRANGE", lane, 0, 4095), ("PTTL", lane)
            )
            first, first_ms, second, second_ms = await within_budget(futures, self._policy.budget_s)
        except LINK_ERRORS as error:
            self._spend(session, "get", began_s, error)
            return None
        self._failures = 0
        outcome = "miss"
        for key, raw, left_ms in ((plain, first, first_ms), (lane, second, second_ms)):
            if isinstance(raw, ResponseError) or (raw and decode(raw) is None):
                outcome = "stale_value"
                continue
            found = decode(raw)
            if found is not None:
                self._keep(key, found, raw, left_ms, epoch)
                if found.requested_model in (None, session.requested_model):
                    self._told("get", "hit", began_s)
                    return found
                outcome = "miss"
        self._told("get", outcome, began_s)
        return None

    async def claim(self, session: SessionKey, binding: Binding) -> Binding:
        """See `AffinityStore.claim`."""
        if self._near.is_alone or self._spent.pop(session, 0) is None:
            return self._claim_in_shadow(session, binding)
        return await self._claim(session, binding)

    async def replace(self, session: SessionKey, seen: Binding, binding: Binding) -> Binding:
        """See `AffinityStore.replace`."""
        key, entry = self._near.place(session)
        if self._near.is_alone:
            if entry is None or entry.binding == seen:
                self._near.put(key, binding, self._policy.ttl_s, is_dirty=True)
                return binding
            return entry.binding
        raw = entry.raw if entry is not None and entry.binding == seen else encode(seen)
        standing = await self._run("replace", key, raw, encode(binding), self._ttl_ms)
        if standing is None:
            return binding
        self._observers.affinity_operation("replace", "replaced" if standing == binding else "lost", 0.0)
        return standing

    async def release(self, session: SessionKey, seen: Binding) -> None:
        """See `AffinityStore.release`."""
        key, entry = self._near.place(session)
        self._near.forget(key)
        if not self._near.is_alone:
            raw = entry.raw if entry is not None and entry.binding == seen else encode(seen)
            await self._run("release", key, raw)

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._tasks.aclose()
        await self._link.aclose()

    # Entries

    def _keep(self, key: str, binding: Binding, raw: bytes, left_ms: int, epoch: int) -> None:
        """Remember what Redis said. A key without expiry is plano's or a person's: it is believed for one TTL."""
        if not self._policy.has_near_cache or epoch != self._near.epoch:
            return
        left_s = left_ms / 1e3 if left_ms > 0 else self._policy.ttl_s
        self._near.put(key, binding, left_s if self._link.is_tracking else min(left_s, _UNTRACKED_S), raw=raw)

    def _forget(self, keys: list[bytes] | None) -> None:
        """Redis says that these keys have changed; None: all of them."""
        if keys is None:
            self._near.forget_all()
            return
        for key in keys:
            self._near.forget(key.decode("latin-1"))

    def _refresh(self, key: str, entry: Entry) -> None:
        """Begin the TTL anew once half of it is gone; nobody waits for it."""
        left_s = self._near.left_s(entry)
        if not self._policy.is_sliding or left_s * 2 >= self._policy.ttl_s:
            return
        entry.expires_s += self._policy.ttl_s - left_s
        if not self._near.is_alone and not entry.is_dirty:
            with contextlib.suppress(LinkDown):
                self._link.submit(("PEXPIRE", key, self._ttl_ms))

    # Redis

    @property
    def _ttl_ms(self) -> int:
        return int(self._policy.ttl_s * 1e3)

    async def _claim(self, session: SessionKey, binding: Binding) -> Binding:
        began_s, epoch = self._monotonic_s(), self._near.epoch
        keys = plain_key(session), lane_key(session)
        command = (
            "EVALSHA", self._link.shas["claim"], 2, *keys, session.requested_model, encode(binding), self._ttl_ms,
        )  # fmt: skip
        try:
            ((at, raw, left_ms),) = await within_budget(self._link.submit(command), self._policy.budget_s)
        except LINK_ERRORS as error:
            self._failed("claim", began_s, error)
            return self._claim_in_shadow(session, binding)
        self._failures = 0
        standing = decode(raw)
        if standing is None:
            return binding  # it was overwritten with garbage in this very moment
        self._keep(keys[at - 1], standing, raw, left_ms, epoch)
        self._told("claim", "claimed" if standing == binding else "adopted", began_s)
        return standing

    def _claim_in_shadow(self, session: SessionKey, binding: Binding) -> Binding:
        key, entry = self._near.place(session)
        if entry is not None:
            return entry.binding
        self._near.put(key, binding, self._policy.ttl_s, is_dirty=True)
        return binding

    async def _run(self, name: str, key: str, *arguments: bytes | int) -> Binding | None:
        """Run a script on one key; what stands there afterwards, or None."""
        began_s, epoch = self._monotonic_s(), self._near.epoch
        try:
            command = ("EVALSHA", self._link.shas[name], 1, key, *arguments)
            ((_, raw, left_ms),) = await within_budget(self._link.submit(command), self._policy.budget_s)
        except LINK_ERRORS as error:
            self._failed(name, began_s, error)
            return None
        self._failures = 0
        standing = decode(raw)
        if standing is not None:
            self._keep(key, standing, raw, left_ms, epoch)
        return standing

    # Outages

    def _spend(self, session: SessionKey, operation: str, began_s: float, error: BaseException) -> None:
        """The call's one wait is spent: the shadow serves the rest of it."""
        self._failed(operation, began_s, error)
        if len(self._spent) >= _SPENT_AT_MOST:
            self._spent.clear()
        self._spent[session] = None

    def _failed(self, operation: str, began_s: float, error: BaseException) -> None:
        self._told(operation, "timeout" if isinstance(error, TimeoutError) else "error", began_s)
        if isinstance(error, OutOfMemoryError):
            return  # reads go on
        self._failures += 1
        if self._failures >= _FAILURES_TO_OPEN and not self._near.is_alone:
            self._near.is_alone = True
            _log.warning("redis does not answer: pins are kept here until it does")
            self._link.drop()

    def _came_up(self) -> None:
        self._near.epoch += 1
        self._failures = 0
        if self._near.is_alone:
            self._near.is_alone = False
            _log.info("redis is there: pins are shared%s", "" if self._link.is_tracking else ", without tracking")
        dirty = self._near.dirty()
        if dirty:
            self._tasks.spawn(self._write_back(dirty), name="write pins back")

    def _went_down(self) -> None:
        self._near.epoch += 1
        if not self._near.is_alone:
            self._near.is_alone = True
            _log.warning("redis is gone: pins are kept here until it is back")

    async def _write_back(self, dirty: list[tuple[str, Entry]]) -> None:
        """Claim what was pinned meanwhile: the first writer still wins, and a loser adopts."""
        for start in range(0, len(dirty), _WRITTEN_BACK_AT_ONCE):
            batch = dirty[start : start + _WRITTEN_BACK_AT_ONCE]
            epoch = self._near.epoch
            sha = self._link.shas["claim"]
            try:
                futures = self._link.submit(
                    *(
                        ("EVALSHA", sha, 2, key, key, entry.binding.requested_model or "", entry.raw, self._ttl_ms)
                        for key, entry in batch
                    )
                )
                await asyncio.wait(futures)
            except LinkDown:
                return
            for (key, entry), future in zip(batch, futures, strict=True):
                if future.exception() is not None or not self._near.holds(key, entry):
                    continue
                _, raw, left_ms = future.result()
                self._near.forget(key)
                standing = decode(raw)
                if standing is not None:
                    self._keep(key, standing, raw, left_ms, epoch)

    def _told(self, operation: str, outcome: str, began_s: float) -> None:
        self._observers.affinity_operation(operation, outcome, self._monotonic_s() - began_s)
