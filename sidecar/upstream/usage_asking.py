"""Asks for the usage of streams on the app's behalf, at entries with ``usage: ask``, and remembers
which candidates refuse to be asked.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Final, NamedTuple, final

from sidecar.domain.call import Call, Operation
from sidecar.domain.decision import Candidate
from sidecar.domain.events import UsageRefused
from sidecar.domain.log_fields import event_fields
from sidecar.domain.observers import Observers
from sidecar.domain.ports import ArrivingReply
from sidecar.http1.origin import ExchangeTimeouts
from sidecar.runtime.bounded import BoundedMap
from sidecar.runtime.memory_budget import MemoryShare
from sidecar.upstream.buffered_reply import BufferedReply
from sidecar.upstream.client import ProviderClient

_log: Final = logging.getLogger("sidecar.upstream")

REFUSALS: Final = (400, 422)
"""How a server refuses a member that it does not know."""
_CANDIDATES_AT_MOST: Final = 512
"""Of a wildcard, callers may invent any number of models."""


class SentAttempt(NamedTuple):
    """An attempt at a candidate, as it can be sent once more."""

    client: ProviderClient
    call: Call
    candidate: Candidate
    number: int
    timeouts: ExchangeTimeouts


@final
class UsageAsking:
    """Which calls ask. Of one config: a reload forgets who refused."""

    def __init__(self, observers: Observers, share: MemoryShare | None = None) -> None:
        """Args: ``share`` is what memory is taken of for refusals that are read."""
        self._observers: Final = observers
        self._share: Final = share
        self._refused: Final[BoundedMap[tuple[str, str], None]] = BoundedMap(_CANDIDATES_AT_MOST)

    def call(self, client: ProviderClient, call: Call, candidate: Candidate) -> Call | None:
        """Return the call for a stream as it is sent where it asks for usage; None where the app
        has said whether it wants it, the API always tells it, or the candidate has refused; and
        for what is no stream.
        """
        dialect, operation = call.endpoint.dialect, call.endpoint.operation
        option = client.dialects[dialect].stream.usage_option
        is_stream = operation is Operation.GENERATE and call.facts.wants_stream
        if not is_stream or dialect not in candidate.dialects:
            return None  # what is translated is written for the very model
        if option is None or (candidate.provider, candidate.upstream_model) in self._refused:
            return None
        facts = option.ask(call.body, call.facts)
        return None if facts is None else dataclasses.replace(call, facts=facts)

    async def without(
        self, sent: SentAttempt, reply: ArrivingReply, asking: Call | None
    ) -> tuple[ArrivingReply | BufferedReply, Call | None]:
        """Send an attempt once more, without asking, where it was refused for the asking.

        Returns: the reply that counts, and ``asking`` where it is one to a request that asked.
        Raises: UpstreamError subclasses.
        """
        if asking is None or reply.status not in REFUSALS:
            return reply, asking
        refused = await self._read(reply)
        if not self._is_named(sent, refused):
            return refused, asking
        self._remember(sent, refused.status)
        refused.abort()
        head, pieces = sent.client.request(sent.call, sent.candidate, sent.number)
        again = await sent.client.pool.send(head, pieces, sent.timeouts, sent.call.method)
        again.sends += refused.sends
        if again.status not in REFUSALS:
            return again, None
        refused = await self._read(again)
        if self._is_named(sent, refused):
            # Servers repeat what they refuse: the name was the caller's, and says nothing of them.
            self._refused.pop((sent.candidate.provider, sent.candidate.upstream_model), None)
            _log.info("%s is asked for usage again: it refused the call", sent.candidate.provider)
        return refused, None

    async def _read(self, reply: ArrivingReply) -> BufferedReply:
        refused = BufferedReply(reply, self._share)
        if not refused.is_whole:
            await refused.fill()
        return refused

    def _is_named(self, sent: SentAttempt, refused: BufferedReply) -> bool:
        """Return whether a refusal names what was asked for."""
        option = sent.client.dialects[sent.call.endpoint.dialect].stream.usage_option
        body = refused.readable
        return option is not None and any(name in body for name in option.names)

    def _remember(self, sent: SentAttempt, status: int) -> None:
        candidate = sent.candidate
        self._refused.add((candidate.provider, candidate.upstream_model), None)
        fields = event_fields(
            "usage_refused",
            account=candidate.provider,
            model=candidate.metric_model,
            request_id=sent.call.request_id,
        )
        text = "%s refuses to be asked for usage (%d), and is not asked again until a reload"
        _log.warning(text, candidate.provider, status, extra=fields)
        if UsageRefused in self._observers.heard:
            self._observers.emit(UsageRefused(candidate))
