"""How an attempt and a call ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.call import RawHeaders
from sidecar.domain.decision import Candidate
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.vocabulary import AttemptOutcome, CallOutcome, FailureClass


@final
@dataclass(init=False, unsafe_hash=True)
class Usage:
    """Tokens as the provider counted them. None: the provider did not say; 0: it said zero."""

    input_tokens: Final[int | None]
    output_tokens: Final[int | None]
    cached_input_tokens: Final[int | None]
    cache_write_tokens: Final[int | None]
    reasoning_tokens: Final[int | None]

    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cached_input_tokens = cached_input_tokens
        self.cache_write_tokens = cache_write_tokens
        self.reasoning_tokens = reasoning_tokens


@final
@dataclass(init=False, unsafe_hash=True)
class Served:
    """What a response said about itself."""

    usage: Final[Usage | None]
    """None where the response did not say."""
    served_model: Final[str | None]
    """The provider's own name for the model that served the call."""
    finish: Final[str | None]
    """Why the model stopped, in the provider's word: ``stop``, ``tool_calls``, ``end_turn``,
    ``completed``, ...
    """

    def __init__(
        self,
        usage: Usage | None = None,
        served_model: str | None = None,
        finish: str | None = None,
    ) -> None:
        self.usage = usage
        self.served_model = served_model
        self.finish = finish


@final
@dataclass(init=False, unsafe_hash=True)
class Timing:
    """Where the time of one call went, in seconds on the monotonic clock."""

    total_s: Final[float]
    """From admission to the last byte, or to the moment the app left."""
    routing_s: Final[float]
    """From admission to the decision, waiting for Redis and the router model included."""
    affinity_s: Final[float]
    """Spent waiting for Redis."""
    router_s: Final[float]
    """Spent waiting for the router model."""
    upstream_s: Final[float]
    """Spent waiting for providers, over all attempts."""
    first_byte_s: Final[float | None]
    """From admission to the first byte sent to the app; None if none was sent."""

    def __init__(
        self,
        total_s: float,
        routing_s: float = 0.0,
        affinity_s: float = 0.0,
        router_s: float = 0.0,
        upstream_s: float = 0.0,
        first_byte_s: float | None = None,
    ) -> None:
        self.total_s = total_s
        self.routing_s = routing_s
        self.affinity_s = affinity_s
        self.router_s = router_s
        self.upstream_s = upstream_s
        self.first_byte_s = first_byte_s

    @property
    def overhead_s(self) -> float:
        """Return what the sidecar itself added: the total less waiting for Redis, the router model
        and providers.
        """
        return max(0.0, self.total_s - self.affinity_s - self.router_s - self.upstream_s)


@final
@dataclass(init=False, unsafe_hash=True)
class Attempt:
    """One request to one candidate."""

    candidate: Final[Candidate]
    outcome: Final[AttemptOutcome]
    status: Final[int | None]
    """The provider's status; None where no head arrived."""
    first_byte_s: Final[float | None]
    """From sending to the first byte of the body, or of the head where no body was read; None
    where nothing arrived.
    """
    total_s: Final[float]
    """From sending to the end of the response, or to the error."""
    sent_s: Final[float]
    """When it began, on the monotonic clock."""
    number: Final[int]
    """Its place among the call's attempts, from 1; 0 for a sending that a dead connection lost: the
    attempt that follows it is the same, sent again.
    """
    reason: Final[FailureClass | None]
    """What its failure means; None where it did not fail, or the app ended it."""
    report: Final[FailureReport | None]
    """What an operator is told of its failure; None exactly where ``reason`` is."""

    def __init__(
        self,
        candidate: Candidate,
        outcome: AttemptOutcome,
        status: int | None,
        first_byte_s: float | None,
        total_s: float,
        sent_s: float = 0.0,
        number: int = 0,
        reason: FailureClass | None = None,
        report: FailureReport | None = None,
    ) -> None:
        self.candidate = candidate
        self.outcome = outcome
        self.status = status
        self.first_byte_s = first_byte_s
        self.total_s = total_s
        self.sent_s = sent_s
        self.number = number
        self.reason = reason
        self.report = report


@final
@dataclass(init=False, unsafe_hash=True)
class Outcome:
    """How a call ended."""

    result: Final[CallOutcome]
    status: Final[int]
    """The HTTP status that the app got; 0 if the app left before a head was sent."""
    timing: Final[Timing]
    streamed: Final[bool]
    served: Final[Served | None]
    """What the response said about itself; None where nothing was read from it: no response, an
    error, a passthrough.
    """
    candidate: Final[Candidate | None]
    """The candidate whose response the app got; None where there was none."""
    error_code: Final[str | None]
    """The ``code`` of the error's class in `domain.errors`; None where there was no error."""
    bytes_out: Final[int]
    """Bytes of the provider's body that were sent to the app."""
    attempts: Final[tuple[Attempt, ...]]
    """All of them, in order; none where no observer hears of attempts."""
    reply_headers: Final[RawHeaders]
    """Those of the provider's response that the app got; none where it got none."""
    translated: Final[str]
    """From the call's dialect to the one in which that provider was asked: ``chat>messages``. Empty
    where it speaks the call's own.
    """
    lost: Final[str]
    """What the request behind that response was sent otherwise than the app made it, or without, as
    ``x-plano-lost`` says it; empty for nothing.
    """

    def __init__(
        self,
        result: CallOutcome,
        status: int,
        timing: Timing,
        streamed: bool = False,
        served: Served | None = None,
        candidate: Candidate | None = None,
        error_code: str | None = None,
        bytes_out: int = 0,
        attempts: tuple[Attempt, ...] = (),
        reply_headers: RawHeaders = (),
        translated: str = "",
        lost: str = "",
    ) -> None:
        self.result = result
        self.status = status
        self.timing = timing
        self.streamed = streamed
        self.served = served
        self.candidate = candidate
        self.error_code = error_code
        self.bytes_out = bytes_out
        self.attempts = attempts
        self.reply_headers = reply_headers
        self.translated = translated
        self.lost = lost
