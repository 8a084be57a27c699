"""What is written down of one call: a line of the access log, an entry of the live page, a line of
`plano-sidecar tail`. Pure.

A record is a copy of facts: it holds no call, no body and no header. Sessions, tenants and agents
stand in it as hashes. Its names are an API, which only grows; `record_reference` explains them.
"""

from __future__ import annotations

from typing import Final

import msgspec

SCHEMA: Final = 1
"""Fields are only ever added."""


class CandidateRecord(msgspec.Struct, frozen=True):
    """One candidate of a plan."""

    model: str
    account: str
    number: float | None = None


class DecisionRecord(msgspec.Struct, frozen=True):
    """Why this model, as facts that a replay of the decision can compare."""

    config_hash: str
    prompt_tokens: int
    router_outcome: str | None = None
    prefer: str | None = None
    is_exploring: bool = False
    pin_outcome: str | None = None
    candidates: tuple[CandidateRecord, ...] = ()


class AttemptRecord(msgspec.Struct, frozen=True):
    """One request to one candidate."""

    model: str
    account: str
    outcome: str
    status: int | None = None
    reason: str | None = None
    cause: str | None = None
    place: str | None = None
    code: str | None = None
    provider_request_id: str | None = None
    first_byte_ms: float | None = None
    total_ms: float = 0.0


class PinRecord(msgspec.Struct, frozen=True):
    """A session's pin."""

    model: str
    account: str | None
    route: str | None
    generation: int
    home: str | None = None
    home_account: str | None = None
    is_provisional: bool = False


class DebugRecord(msgspec.Struct, frozen=True):
    """What a line has of a call that an operator named."""

    attempts: tuple[AttemptRecord, ...] = ()
    pin_before: PinRecord | None = None
    pin_after: PinRecord | None = None


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call, in the order of a line's fields."""

    schema: int = SCHEMA
    time: str
    request_id: str
    trace_id: str | None = None
    method: str
    path: str
    dialect: str
    streamed: bool = False
    status: int
    outcome: str
    flags: str = ""
    requested_model: str | None = None
    routed_model: str | None = None
    served_model: str | None = None
    account: str | None = None
    model: str | None = None
    translated: str | None = None
    route: str | None = None
    source: str | None = None
    attempts: int = 0
    session: str | None = None
    agent: str | None = None
    tenant: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    total_ms: float = 0.0
    routing_ms: float = 0.0
    affinity_ms: float = 0.0
    router_ms: float = 0.0
    upstream_ms: float = 0.0
    first_byte_ms: float | None = None
    overhead_ms: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    finish: str | None = None
    lost: str | None = None
    error: str | None = None
    cause: str | None = None
    provider_code: str | None = None
    provider_request_id: str | None = None
    decision: DecisionRecord | None = None
    debug: DebugRecord | msgspec.UnsetType = msgspec.UNSET
