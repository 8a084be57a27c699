"""The calls that have just ended, for pages: the last ones, and a stream of them for readers.

It holds records, which are copies: no call, no body, no header. A reader that reads slowly loses
calls, which are counted, and delays none.
"""

from __future__ import annotations

import asyncio
import collections
import fnmatch
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from sidecar.domain.ids import as_shown
from sidecar.telemetry.call_record import CallRecord

RECENT: Final = 50
"""Calls that are kept."""
INTERVAL_S: Final = 0.1
"""Between two calls that ended well and are kept; others are kept always."""
READERS: Final = 4
"""At a time."""
QUEUED: Final = 256
"""Calls that wait for one reader; more are dropped."""
_STATUS: Final = re.compile(r"[0-9]{1,3}|[0-9]xx")


class CallFilter(msgspec.Struct, frozen=True):
    """Which calls a reader wants; what is None wants all. See `call_filter`."""

    model: str | None = None
    route: str | None = None
    status: str | None = None
    session: str | None = None

    def lets(self, record: CallRecord) -> bool:
        """Return whether the reader wants this call."""
        models = record.model, record.routed_model, record.requested_model, record.served_model
        return (
            (self.model is None or any(_fits(name, self.model) for name in models))
            and (self.route is None or _fits(record.route, self.route))
            and (self.status is None or _has_status(record.status, self.status))
            and (self.session is None or record.session == self.session)
        )


def call_filter(wishes: Mapping[str, str]) -> CallFilter:
    """Return the filter that the names ``model``, ``route``, ``status`` and ``session`` ask for.

    A model, of any kind that a record has, and a route are patterns with ``*``; a status is a
    number, or ``5xx``; a session is as the app names it, or as logs show it.
    Raises: ValueError for another name, and for a status that is none.
    """
    unknown = wishes.keys() - set(CallFilter.__struct_fields__)
    if unknown:
        raise ValueError(f"calls cannot be chosen by {', '.join(sorted(unknown))}")
    given = {name: value for name, value in wishes.items() if value}
    status, session = given.get("status"), given.get("session")
    if status is not None and _STATUS.fullmatch(status) is None:
        raise ValueError("a status is a number, or 4xx or 5xx")
    if session is not None:
        given["session"] = as_shown(session)
    return CallFilter(**given)


class FeedReader:
    """One reader of calls as they end.

    Args: ``wanted`` says which.
    """

    def __init__(self, wanted: CallFilter) -> None:
        self._wanted = wanted
        self._waiting: collections.deque[CallRecord] = collections.deque()
        self._dropped = 0
        self._has_ended = False
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Return how many calls are queued."""
        return len(self._waiting)

    def offer(self, record: CallRecord) -> None:
        """Queue a call, if it is wanted; drop it where too many wait."""
        if not self._wanted.lets(record):
            return
        if len(self._waiting) >= QUEUED:
            self._dropped += 1
        else:
            self._waiting.append(record)
            self._woken.set()

    def end(self) -> None:
        """Let the reader come to its end once it has read what waits."""
        self._has_ended = True
        self._woken.set()

    async def read(self, within_s: float) -> bytes | None:
        r"""Return what has come, one JSON object a line, as soon as there is anything; empty where
        nothing came in time; None at the end.

        Where calls were dropped, a line says so: ``{"dropped":3}``.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        except TimeoutError:
            return b""
        self._woken.clear()
        lines = [msgspec.json.encode(record) for record in self._waiting]
        self._waiting.clear()
        if self._dropped:
            lines.append(b'{"dropped":%d}' % self._dropped)
            self._dropped = 0
        if self._has_ended:
            self._woken.set()
            if not lines:
                return None
        return b"".join(line + b"\n" for line in lines)


class CallFeed:
    """Hands records of calls to those who look at them."""

    def __init__(self) -> None:
        self.readers: Final[list[FeedReader]] = []
        self.due_s = 0.0
        """Monotonic clock: from when on the next call that ended well is kept."""
        self._recent: collections.deque[CallRecord] = collections.deque(maxlen=RECENT)
        self._has_ended = False

    def add(self, record: CallRecord, ended_s: float) -> None:
        """Take a call that ended at ``ended_s`` on the monotonic clock."""
        is_ok = record.outcome == "ok"
        if not is_ok or ended_s >= self.due_s:
            self._recent.append(record)
        if is_ok and ended_s >= self.due_s:
            self.due_s = ended_s + INTERVAL_S
        for reader in self.readers:
            reader.offer(record)

    def recent(self) -> list[CallRecord]:
        """Return the calls that are kept, newest first."""
        return list(reversed(self._recent))

    def follow(self, wishes: Mapping[str, str]) -> FeedReader | None:
        """Return a new reader of the calls that ``wishes`` choose; None as `subscribe`.

        Raises: ValueError, as `call_filter`.
        """
        return self.subscribe(call_filter(wishes))

    def subscribe(self, wanted: CallFilter) -> FeedReader | None:
        """Return a new reader; None where there are enough, and at the end of the process."""
        if self._has_ended or len(self.readers) >= READERS:
            return None
        reader = FeedReader(wanted)
        self.readers.append(reader)
        return reader

    def unsubscribe(self, reader: FeedReader) -> None:
        """Forget a reader. Idempotent."""
        if reader in self.readers:
            self.readers.remove(reader)

    def end(self) -> None:
        """Let all readers come to their end, and take no new ones."""
        self._has_ended = True
        for reader in self.readers:
            reader.end()


def _fits(name: str | None, pattern: str) -> bool:
    return name is not None and fnmatch.fnmatchcase(name, pattern)


def _has_status(status: int, wanted: str) -> bool:
    if wanted.endswith("xx"):
        return status // 100 == int(wanted[0])
    return status == int(wanted)
