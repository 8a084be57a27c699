"""A call as it is sent to a candidate that does not speak the app's API."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from sidecar.config.conventions import HeaderFamily
from sidecar.config.translation import is_same_header_family
from sidecar.dialects.base import Dialect
from sidecar.domain.call import BodyFacts, Call, DialectName, InboundLines
from sidecar.domain.decision import Candidate, Plan
from sidecar.runtime.steps import in_slices
from sidecar.upstream.walk import FitCandidates

_FAMILY_GROUPS: Final = frozenset(
    name for family in HeaderFamily for name in (family.value, f"{family.value}_account")
)
_IDENTITY: Final = (b"Accept-Encoding: identity\r\n",)


async def call_for(
    call: Call, candidate: Candidate, dialects: Mapping[DialectName, Dialect]
) -> Call:
    """Return a call that was read as it is sent to a candidate of another API: without the query,
    and without header lines that only the app's own API has.
    """
    translation = call.translation
    assert translation is not None  # a plan holds no such candidate before
    target = translation.fit(candidate).dialect
    is_same_family = is_same_header_family(call.endpoint.dialect, target)
    body = await in_slices(translation.body_in_steps(candidate))
    return dataclasses.replace(
        call,
        endpoint=dialects[target].endpoints[0],
        query="",
        headers=_lines(call.headers, is_same_family=is_same_family),
        body=body,
        facts=BodyFacts(wants_stream=call.facts.wants_stream, is_written=True),
        give_back=None,
    )


async def fitted_plan(call: Call, plan: Plan, fit: FitCandidates) -> Plan:
    """Return a plan without the candidates that cannot serve a call in full. One at least can."""
    candidates, requested = await fit(call, plan.candidates), await fit(call, plan.requested)
    return Plan(candidates, plan.max_attempts, requested, plan.spare_attempts, plan.asked)


def _lines(lines: InboundLines, *, is_same_family: bool) -> InboundLines:
    kept = lines if is_same_family else {n: lines[n] for n in lines if n not in _FAMILY_GROUPS}
    return {**kept, "accept_encoding": _IDENTITY}
