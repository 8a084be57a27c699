"""What a call is sent otherwise, where it goes to a model that the app did not ask for: what that
one is known to refuse, by the table of `config.patch_table`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from sidecar.config.patch_table import PATCHED_FAMILIES, changes_for
from sidecar.config.providers import Provider
from sidecar.domain.call import Call, DialectName
from sidecar.domain.decision import Candidate
from sidecar.runtime.bounded import BoundedMap
from sidecar.runtime.steps import in_steps
from sidecar.wire.changes import Change
from sidecar.wire.edits import with_changes

_MAX_KNOWN: Final = 512

PatchKey = tuple[str, str, str, str]
"""The candidate's entry and bare id, the model that the app asked for, and the dialect."""


class Patches:
    """Makes the patches of one config's providers."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._families = {
            each.name: each.prefix
            for each in providers
            if each.patches and each.prefix in PATCHED_FAMILIES
        }
        self.entries = frozenset(self._families)
        """Entries whose models may need a patch."""
        self.known: BoundedMap[PatchKey, tuple[Change, ...]] = BoundedMap(_MAX_KNOWN)
        """What has been looked up; most of it is nothing."""

    async def patched(self, call: Call, candidate: Candidate, asked: str) -> Call:
        """Return the call as it is sent to a candidate: without what that one is known to refuse,
        and what the model that the app asked for takes. Its facts say what differs.

        Args: ``asked`` is that model, ``prefix/model``; empty where there is none.
        """
        key = candidate.provider, candidate.upstream_model, asked, call.endpoint.dialect
        changes = self.known.get(key)
        if changes is None:
            changes = self.changes(candidate, asked, call.endpoint.dialect)
            self.known.add(key, changes)
        if not changes:
            return call
        facts = await in_steps(with_changes(call.body, call.facts, changes))
        return call if facts is None else dataclasses.replace(call, facts=facts)

    def changes(self, candidate: Candidate, asked: str, dialect: DialectName) -> tuple[Change, ...]:
        """Return what a call of a dialect may have to be sent otherwise to a candidate.

        Args: ``asked`` as for `patched`.
        """
        family = self._families.get(candidate.provider)
        if family is None or candidate.model_name == asked:
            return ()
        return changes_for(family, dialect, candidate.upstream_model, asked)
