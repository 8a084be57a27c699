"""What stands behind the proxy's ports: rooms that do as they are told and write down what they are
asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import Call, RawHeaders
from sidecar.domain.decision import Candidate, Decision, Plan
from sidecar.domain.events import CallDecided, CallEnded, Listeners, ResponseBrokeOff
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome
from sidecar.domain.vocabulary import CallOutcome
from sidecar.proxy import Proxy, ProxyPolicy
from sidecar.upstream.attempts import Dispatched
from tests.support.values import FakeClock


def a_candidate(model_name: str) -> Candidate:
    provider, _, model = model_name.partition("/")
    return Candidate(provider, model_name, model, model_name, frozenset(DIALECTS.by_name))


class FakeReply:
    """A provider's response: ``whole`` is here already, or else ``script`` is read step by step; an
    exception in it is raised.
    """

    sends = 1

    def __init__(
        self, *script: bytes | BaseException, whole: bytes | None = None, status: int = 200
    ) -> None:
        self.status = status
        self.headers: RawHeaders = [
            (b"Content-Type", b"text/event-stream" if script else b"application/json")
        ]
        self.content_length = None if whole is None else len(whole)
        self.was_aborted = False
        self._script, self._whole = list(script), whole

    def read_nowait(self) -> bytes | None:
        return self._whole

    async def read(self) -> bytes:
        step = self._script.pop(0) if self._script else b""
        if isinstance(step, BaseException):
            raise step
        return step

    def abort(self) -> None:
        self.was_aborted = True


class FakeDown:
    """The app's end of a call: keeps what was sent."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.is_open = is_open
        self.lines: list[bytes] = []
        self.body = b""
        self.status = 0
        self.end = ""

    def send_whole(self, status: int, headers: list[bytes], body: bytes) -> None:
        self.status, self.lines, self.body, self.end = status, headers, body, "whole"

    def start(self, status: int, headers: list[bytes], content_length: int | None) -> None:
        self.status, self.lines = status, headers

    async def write(self, data: bytes) -> None:
        self.body += data

    def finish(self) -> None:
        self.end = "finished"

    def end_broken(self, event: bytes) -> None:
        self.end = "broken"

    def abort(self) -> None:
        self.end = "aborted"


class FakeRooms:
    """Selection, upstream and an observer in one. Each step takes a tenth of a second.

    Args: ``decision`` and ``dispatched`` are returned, or raised where they are errors;
        ``is_at_hand`` says whether the decision needs no waiting.
    """

    def __init__(
        self,
        decision: Decision | BaseException,
        dispatched: Dispatched | BaseException | None = None,
        *,
        is_at_hand: bool = True,
    ) -> None:
        self.clock = FakeClock(1000.0)
        self.steps: list[str] = []
        self.tried: list[Attempt] = []
        """Attempts that end while the call is dispatched."""
        self.relayed: Attempt | None = None
        """The attempt whose response is relayed."""
        self.pins: list[tuple[str, tuple[Any, ...]]] = []
        self.plans: list[Plan] = []
        self.observed: list[CallOutcome] = []
        self.decided: list[tuple[Decision, float]] = []
        self.ended: list[tuple[Decision | None, Outcome]] = []
        self.broken: list[ResponseBrokeOff] = []
        self.on_observe: Callable[[], object] = lambda: None
        self._decision, self._dispatched, self._is_at_hand = decision, dispatched, is_at_hand

    def proxy(self, *, max_attempts: int = 3, is_observed: bool = True) -> Proxy:
        rooms: Any = self
        observers = Observers([self] if is_observed else [])
        policy = ProxyPolicy(max_attempts, "abcdef")
        return Proxy(rooms, rooms, rooms, DIALECTS.by_name, observers, self.clock, policy)

    # selection.selector
    def decide_nowait(self, call: Call) -> Decision | None:
        return self._decide("decide_nowait") if self._is_at_hand else None

    async def decide(self, call: Call) -> Decision:
        return self._decide("decide")

    def _decide(self, step: str) -> Decision:
        self._step(step)
        if isinstance(self._decision, BaseException):
            raise self._decision
        return self._decision

    # selection.pin_updater
    def served(self, call: Call, decision: Decision, *facts: Any) -> None:
        self.pins.append(("served", facts))

    def unserved(self, decision: Decision, *facts: Any) -> None:
        self.pins.append(("unserved", facts))

    def unreached(self, decision: Decision, *facts: Any) -> None:
        self.pins.append(("unreached", facts))

    def broke_off(self, call: Call, decision: Decision, *facts: Any) -> None:
        self.pins.append(("broke_off", facts[:2]))

    # upstream.dispatch
    async def dispatch(self, call: Call, plan: Plan, tried: list[Attempt]) -> Dispatched:
        self._step("dispatch")
        self.plans.append(plan)
        tried += self.tried
        if isinstance(self._dispatched, BaseException):
            raise self._dispatched
        assert self._dispatched is not None
        return self._dispatched

    def local_headers(self, call: Call, dispatched: Dispatched) -> tuple[RawHeaders, str]:
        return [(b"x-local", b"1")], "location"

    def is_cooling(self, candidate: Candidate) -> bool:
        return False

    def observe(
        self, call: Call, dispatched: Dispatched, result: CallOutcome, *times: float | None
    ) -> Attempt | None:
        self._step("observe")
        self.on_observe()
        self.observed.append(result)
        return self.relayed

    # an observer
    def listeners(self) -> Listeners:
        return {
            CallDecided: lambda event: self.decided.append((event.decision, event.routing_s)),
            CallEnded: self._call_ended,
            ResponseBrokeOff: self.broken.append,
        }

    def _call_ended(self, event: CallEnded) -> None:
        self.ended.append((event.decision, event.outcome))
        assert "abcdef" == event.config_hash

    def _step(self, name: str) -> None:
        self.steps.append(name)
        self.clock.advance(0.1)
