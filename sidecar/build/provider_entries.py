"""What the pages for operators tell of the provider entries: read from the rooms that know it."""

from __future__ import annotations

import math

from sidecar.build.foundation import Foundation
from sidecar.config.providers import Provider
from sidecar.config.translation import translation_rule
from sidecar.domain.ports import CandidateSnapshot
from sidecar.domain.vocabulary import CandidateCondition
from sidecar.generation import Generation
from sidecar.listener.clusters_page import EntryConnections, EntryFailure, ShownEntry
from sidecar.runtime.hosts import host_port

_BREAKER_OPEN = "breaker_open"


def provider_entries(foundation: Foundation, generation: Generation) -> list[ShownEntry]:
    """Return every provider entry of a config as it is at this moment, in config order."""
    now_s = foundation.clock.monotonic_s()
    snapshots = foundation.cooling.snapshots(generation.candidates(), now_s)
    by_entry = {snapshot.account: snapshot for snapshot in snapshots}
    return [
        _entry(
            foundation,
            provider,
            by_entry.get(provider.name) or _router(generation),
            now_s,
            generation.credentials.renewed_s(provider.name),
        )
        for provider in generation.loaded.providers
    ]


def _router(generation: Generation) -> CandidateSnapshot:
    """Return how a router model stands, which no plan holds: by its breaker alone."""
    is_open = generation.is_breaker_open
    return CandidateSnapshot(
        "", "", CandidateCondition.COOLING if is_open else CandidateCondition.SERVING
    )


def _entry(
    foundation: Foundation,
    provider: Provider,
    snapshot: CandidateSnapshot,
    now_s: float,
    renewed_s: float | None,
) -> ShownEntry:
    first_byte_s, samples = foundation.averages.of_entry(provider.name, now_s)
    is_waiting = snapshot.condition is not CandidateCondition.SERVING
    reason = None if snapshot.reason is None else snapshot.reason.value
    if provider.is_router and is_waiting:
        reason = _BREAKER_OPEN
    spoken = provider.spoken_by(provider.model_id)
    rule = None if provider.is_router else translation_rule(spoken, provider.translate)
    return ShownEntry(
        entry=provider.name,
        family=provider.prefix,
        model=provider.model,
        is_router=provider.is_router,
        base_url=base_url_of(provider),
        dialects=sorted(provider.paths.by_dialect),
        translated=[] if rule is None else [f"{each}>{to[0]}" for each, to in rule.targets],
        state=snapshot.condition.value,
        reason=reason,
        due_s=None if snapshot.left_s is None else round(snapshot.left_s, 1),
        connections=EntryConnections(*foundation.pools.connections_to(provider)),
        first_byte_s=None if math.isnan(first_byte_s) else round(first_byte_s, 4),
        first_byte_samples=samples,
        last_failure=_last_failure(foundation, provider.name, now_s),
        key_renewed_ago_s=None if renewed_s is None else round(now_s - renewed_s, 1),
    )


def base_url_of(provider: Provider) -> str:
    """Return where an entry's APIs are, without the query of its configured URL."""
    server = provider.server
    return f"{server.scheme}://{host_port(server.host, server.port)}{provider.paths.base}"


def _last_failure(foundation: Foundation, name: str, now_s: float) -> EntryFailure | None:
    failure = foundation.telemetry.last_failures.of_entry(name)
    if failure is None:
        return None
    report = failure.report
    return EntryFailure(
        ago_s=round(now_s - failure.failed_s, 1),
        model=failure.model,
        reason=failure.reason.value,
        cause=report.cause,
        status=report.status,
        code=report.code,
        to_do=report.to_do,
    )
