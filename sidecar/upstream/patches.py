"""What of a body is sent otherwise than it came: where it goes to a model that the app did not ask
for, what that one is known to refuse, by the table of `config.patch_table`; where the config wants
it, the session's name for the provider's prompt cache.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from sidecar.config.patch_table import PATCHED_FAMILIES, changes_for
from sidecar.config.providers import Provider
from sidecar.domain.call import Call, DialectName, Operation
from sidecar.domain.decision import Candidate
from sidecar.runtime.bounded import BoundedMap
from sidecar.runtime.steps import in_slices
from sidecar.upstream.cache_key import CacheKey
from sidecar.wire.changes import Action, Change
from sidecar.wire.edits import with_changes

_MAX_KNOWN: Final = 512

_HINT: Final = Change((b"prompt_cache_key",), Action.ADD)
"""Stands for the one that names a call's session."""

PatchKey = tuple[str, str, str, str]
"""The candidate's entry and bare id, the model that the app asked for, and the dialect."""


class Patches:
    """Makes the patches of one config's providers."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        providers = tuple(providers)
        self._families = {
            each.name: each.prefix
            for each in providers
            if each.patches and each.prefix in PATCHED_FAMILIES
        }
        self._hints = {
            each.name: (CacheKey(each.access_key.reveal()), each.conventions.cache_hints.member_in)
            for each in providers
            if each.cache_hint == "body" and each.access_key is not None
        }
        self.entries = self._families.keys() | self._hints.keys()
        """Entries whose models may need a patch."""
        self.known: BoundedMap[PatchKey, tuple[Change, ...]] = BoundedMap(_MAX_KNOWN)
        """What has been looked up; most of it is nothing."""

    async def patched(self, call: Call, candidate: Candidate, asked: str) -> Call:
        """Return the call as it is sent to a candidate: without what that one is known to refuse,
        and what the model that the app asked for takes; with the session's name for the prompt
        cache, where the entry wants it in the body. Its facts say what differs.

        What is passed through stays as it came. Args: ``asked`` is that model, ``prefix/model``;
        empty where there is none.
        """
        if call.endpoint.operation is Operation.PASSTHROUGH:
            return call
        if call.endpoint.dialect not in candidate.dialects:
            return call  # what is translated is written for the very model
        key = candidate.provider, candidate.upstream_model, asked, call.endpoint.dialect
        changes = self.known.get(key)
        if changes is None:
            changes = self.changes(candidate, asked, call.endpoint.dialect)
            hint = self._hints.get(candidate.provider)
            if hint is not None and call.endpoint.dialect in hint[1]:
                changes = (*changes, _HINT)
            self.known.add(key, changes)
        if changes and changes[-1] is _HINT:
            changes = self._with_hint(call, candidate, changes[:-1])
        if not changes:
            return call
        facts = await in_slices(with_changes(call.body, call.facts, changes))
        return call if facts is None else dataclasses.replace(call, facts=facts)

    def changes(self, candidate: Candidate, asked: str, dialect: DialectName) -> tuple[Change, ...]:
        """Return what a call of a dialect may have to be sent otherwise to a candidate.

        Args: ``asked`` as for `patched`.
        """
        family = self._families.get(candidate.provider)
        if family is None or candidate.model_name == asked or dialect not in candidate.dialects:
            return ()  # what is translated is written for the very model
        return changes_for(family, dialect, candidate.upstream_model, asked)

    def _with_hint(
        self, call: Call, candidate: Candidate, changes: tuple[Change, ...]
    ) -> tuple[Change, ...]:
        """Return the changes with the one that names the call's session, where it has one."""
        if call.session_id is None or call.endpoint.operation is not Operation.GENERATE:
            return changes
        text = f'"{self._hints[candidate.provider][0].of(call)}"'.encode()
        return (*changes, Change(_HINT.path, Action.ADD, text))
