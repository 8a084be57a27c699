"""Asks for one provider entry what its account's list did not tell: whether the model is there, and
whether the key serves calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from sidecar.doctor.account_check import AccountFacts
from sidecar.doctor.entry_facts import (
    ExaminedEntry,
    has_to_show_usage,
    is_settled,
    needs_look,
)
from sidecar.domain.errors import UpstreamError
from sidecar.runtime.timers import Timeout
from sidecar.upstream.entry_probe import NO_SUCH_MODEL, EntryProbe

_ERROR: Final = 400


async def check_entry(
    probe: EntryProbe,
    account: AccountFacts,
    timeout_s: float,
    monotonic_s: Callable[[], float],
    *,
    may_spend: bool,
) -> ExaminedEntry:
    """Return what was learnt of an entry within what ``timeout_s`` leaves behind its account.

    Args: ``may_spend`` allows the smallest call, where nothing cheaper tells. Raises: nothing.
    """
    provider = probe.provider
    facts = ExaminedEntry(
        provider=provider,
        account=account,
        has_credential=probe.has_credential,
        is_model_in_path=probe.is_model_in_path,
        path=probe.path_for(provider.model_id) if probe.speaks else "",
        report=None if account.error is None else probe.report(account.error),
        may_ask_usage=probe.may_ask_usage(provider.model_id),
    )
    left_s, began_s = max(0.0, timeout_s - account.spent_s), monotonic_s()
    facts = await _ask(probe, facts, left_s, monotonic_s, may_spend=may_spend)
    if not may_spend or not has_to_show_usage(facts):
        return facts
    with contextlib.suppress(UpstreamError, TimeoutError):  # the entry serves calls all the same
        async with Timeout(max(0.0, left_s - (monotonic_s() - began_s))):
            facts = facts.learn(is_usage_told=await probe.tells_usage(provider.model_id))
    return facts


async def _ask(
    probe: EntryProbe,
    facts: ExaminedEntry,
    left_s: float,
    monotonic_s: Callable[[], float],
    *,
    may_spend: bool,
) -> ExaminedEntry:
    """Return the facts with what shows whether calls are served."""
    provider, began_s = probe.provider, monotonic_s()
    try:
        async with Timeout(left_s):
            if needs_look(facts):
                shown = await probe.show_model(provider.model_id)
                facts = facts.learn(is_shown=shown.status < _ERROR)
            if is_settled(facts) or not may_spend:
                return facts
            wanted = NO_SUCH_MODEL if provider.is_wildcard else provider.model_id
            generated = await probe.generate(wanted)
            return facts.learn(generated=generated, took_s=monotonic_s() - began_s)
    except UpstreamError as error:
        return facts.learn(error=error, report=probe.report(error))
    except TimeoutError:
        return facts.learn(is_late=True)
