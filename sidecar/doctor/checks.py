"""Asks everything that a config names, so much at a time, each within the timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec

from sidecar.affinity.examination import StoreExamination
from sidecar.config.schema_routing import MetricsSource
from sidecar.doctor.account_check import AccountCheck, AccountFacts
from sidecar.doctor.entry_check import check_entry
from sidecar.doctor.entry_findings import finding_of, left_out
from sidecar.doctor.findings import Finding
from sidecar.doctor.router_check import RouterCheck
from sidecar.doctor.source_check import check_source
from sidecar.doctor.store_findings import store_finding
from sidecar.doctor.trace_check import TraceCheck
from sidecar.domain.clock import Clock
from sidecar.routing.sources import MetricsSources
from sidecar.upstream.entry_probe import EntryProbe

AT_ONCE: Final = 32
"""Questions under way at a time: 64 servers that hang cost two timeouts, and no provider is asked
so often at once that it would mind.
"""


class CheckOptions(msgspec.Struct, frozen=True):
    """How a check-up is made."""

    timeout_s: float
    """For each provider entry, Redis, each source and the collector."""
    may_spend: bool
    """Whether calls may be made that cost a token or two."""


class StoreCheck(msgspec.Struct, frozen=True):
    """What it takes to examine the shared store."""

    examine: Callable[[float], Awaitable[StoreExamination]]
    budget_ms: int
    is_tenant_known: bool


class Subjects(msgspec.Struct, frozen=True):
    """All that is looked at, in the order in which it is reported of."""

    probes: Sequence[EntryProbe]
    left_out: Sequence[str]
    """Names of optional entries whose key is missing."""
    router: RouterCheck | None
    store: StoreCheck | Finding
    """A finding where there is nothing to ask."""
    sources: MetricsSources
    configured_sources: Sequence[MetricsSource]
    models: Sequence[str]
    """As the config names them, without wildcards and router models."""
    tracing: TraceCheck | None


class CheckUp:
    """One check-up of one config."""

    def __init__(self, subjects: Subjects, clock: Clock, options: CheckOptions) -> None:
        self._subjects = subjects
        self._clock = clock
        self._options = options
        self._room = asyncio.Semaphore(AT_ONCE)
        self._accounts: dict[object, asyncio.Future[AccountFacts]] = {}

    async def run(self) -> list[Finding]:
        """Return the findings, provider entries first. Raises: nothing; cancelled, it asks no
        more.
        """
        subjects = self._subjects
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in self._works()]
        findings = [task.result() for task in tasks]
        entries = len(subjects.probes)
        reported = [*findings[:entries], *map(left_out, subjects.left_out), *findings[entries:]]
        if isinstance(subjects.store, Finding):
            at = entries + len(subjects.left_out) + (subjects.router is not None)
            reported.insert(at, subjects.store)
        return reported

    def _works(self) -> list[Coroutine[Any, Any, Finding]]:
        subjects = self._subjects
        works: list[Coroutine[Any, Any, Finding]] = [self._entry(each) for each in subjects.probes]
        if subjects.router is not None:
            works.append(self._router(subjects.router))
        if isinstance(subjects.store, StoreCheck):
            works.append(self._store(subjects.store))
        works += [self._source(index) for index in range(len(subjects.configured_sources))]
        if subjects.tracing is not None:
            works.append(self._tracing(subjects.tracing))
        return works

    async def _entry(self, probe: EntryProbe) -> Finding:
        options, clock = self._options, self._clock
        account = await self._account(probe)
        async with self._room:
            facts = await check_entry(
                probe,
                account,
                options.timeout_s,
                clock.monotonic_s,
                may_spend=options.may_spend,
            )
        return finding_of(facts, options.timeout_s, clock.unix_s())

    async def _account(self, probe: EntryProbe) -> AccountFacts:
        """Return what is known of an entry's account; the first of its entries asks."""
        asked = self._accounts.get(probe.account)
        if asked is not None:
            return await asked
        asked = self._accounts[probe.account] = asyncio.get_running_loop().create_future()
        async with self._room:
            check = AccountCheck(probe, self._clock.monotonic_s)
            asked.set_result(await check.run(self._options.timeout_s))
        return asked.result()

    async def _router(self, check: RouterCheck) -> Finding:
        async with self._room:
            return await check.run(may_spend=self._options.may_spend)

    async def _store(self, check: StoreCheck) -> Finding:
        async with self._room:
            found = await check.examine(self._options.timeout_s)
        return store_finding(
            found, check.budget_ms, self._clock.unix_s(), is_tenant_known=check.is_tenant_known
        )

    async def _source(self, index: int) -> Finding:
        subjects = self._subjects
        async with self._room:
            return await check_source(
                subjects.sources,
                subjects.configured_sources[index],
                index,
                subjects.models,
                self._options.timeout_s,
                self._clock.monotonic_s,
            )

    async def _tracing(self, check: TraceCheck) -> Finding:
        async with self._room:
            return await check.run(self._options.timeout_s)
