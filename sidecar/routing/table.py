"""From the model that an app asks for to the configured entries that serve it. Pure; built once
from the config.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sidecar.config.providers import Provider
from sidecar.domain.call import DialectName
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.errors import DialectNotServed, ModelNotFound
from sidecar.routing.resolved import Listed, Resolved

_DATED: Final = re.compile(r"(.+?)-(?:\d{8}|\d{4}-\d{2}-\d{2})")
"""``claude-haiku-4-5-20251001`` and ``gpt-4o-2024-08-06``: how Anthropic and OpenAI date their
ids.
"""

_LISTED_AT_MOST: Final = 20
"""Known names that a 404 lists: enough to see a typo, short enough for a log line."""


class ModelTable:
    """All names under which an app may ask for a model.

    Source: "Lookup of a requested model" in the contract: alias, entry name, model, bare id,
        undated id, wildcard.
    Args: ``homes`` says for each dialect which prefix serves a bare id where wildcards of several
        could; without it none does.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        aliases: Mapping[str, str],
        *,
        unknown_uses_default: bool = False,
        homes: Mapping[DialectName, str] | None = None,
    ) -> None:
        served = [provider for provider in providers if not provider.is_router]
        self._unknown_uses_default = unknown_uses_default
        self._homes = homes or {}
        self._wildcards = [provider for provider in served if provider.is_wildcard]
        self._groups = _groups(served)
        self._fallbacks = {
            name: p.fallbacks for p in reversed(served) for name in (p.model, p.name)
        }
        self._default = next((provider.name for provider in served if provider.is_default), None)
        names = _names(served)
        targets = {alias: names.get(target, target) for alias, target in aliases.items()}
        self._names = {alias: group for alias, group in targets.items() if self._entries(group)}
        self._gone = aliases.keys() - self._names.keys()
        """Aliases of optional entries that are left out. They name nothing, not even a wildcard's
        model.
        """
        self._names.update(
            {name: group for name, group in names.items() if name not in self._names}
        )
        self.listed = tuple(
            self._list(served, [alias for alias in aliases if alias in self._names])
        )
        self._passthrough = {p.prefix: _candidate(p, p.model_id) for p in reversed(served)}
        self._passthrough.update({p.name: _candidate(p, p.model_id) for p in served})
        self._known: dict[tuple[str, DialectName], Resolved] = {}
        self._known_candidates: dict[tuple[str, DialectName], tuple[Candidate, ...]] = {}

    def _list(self, served: Iterable[Provider], aliases: Iterable[str]) -> Iterable[Listed]:
        for name in dict.fromkeys(provider.model for provider in served):
            yield Listed(name=name, owner=name.partition("/")[0])
        for alias in aliases:
            yield Listed(name=alias, owner=self.entries_of(alias)[0].model_name.partition("/")[0])

    def resolve(self, requested_model: str | None, dialect: DialectName) -> Resolved:
        """The entries that serve a requested model to a caller of ``dialect``; none where it does
        not speak that.

        Raises: ModelNotFound.
        """
        known = self._known.get((requested_model or "", dialect))
        if known is not None:
            return known
        resolved = self._resolve(requested_model, dialect)
        # A wildcard's names are the client's to invent: only configured names are remembered.
        if requested_model is None or requested_model in self._names:
            self._known[requested_model or "", dialect] = resolved
        return resolved

    def requested(self, resolved: Resolved, dialect: DialectName) -> Decision:
        """The decision where nothing but the requested model and its fallbacks comes into question.

        Raises: DialectNotServed.
        """
        if resolved.decision.candidates:
            return resolved.decision
        model_name = resolved.model_name
        spoken = sorted(
            {name for candidate in self._entries(model_name) for name in candidate.dialects}
        )
        raise DialectNotServed(
            f"model {model_name!r} does not speak {dialect!r}; it speaks "
            f"{', '.join(spoken) or 'nothing'}",
            param="model",
        )

    def candidates_of(self, model_name: str, dialect: DialectName) -> tuple[Candidate, ...]:
        """The entries of a pinned or listed model that speak ``dialect``; empty if it is not
        configured here.
        """
        known = self._known_candidates.get((model_name, dialect))
        if known is not None:
            return known
        entries = self._entries(model_name)
        candidates = tuple(candidate for candidate in entries if dialect in candidate.dialects)
        if model_name in self._groups:
            self._known_candidates[model_name, dialect] = candidates
        return candidates

    def entries_of(self, name: str) -> tuple[Candidate, ...]:
        """All entries behind a model's name, alias or bare id, of any dialect; empty if it is
        unknown.
        """
        group = self._names.get(name, name)
        return self._entries(group)

    def describe(self, name: str) -> Listed:
        """A model or alias as ``GET /v1/models/{id}`` shows it.

        Raises: ModelNotFound.
        """
        found = next((listed for listed in self.listed if listed.name == name), None)
        if found is None and (name in self._names or self._by_wildcard(name)):
            (first, *_) = self._entries(self._names.get(name, name))
            found = Listed(name=name, owner=first.model_name.partition("/")[0])
        if found is None:
            raise self._not_found(name)
        return found

    def passthrough(self, provider: str) -> Candidate:
        """The entry that a ``passthrough`` path names: by entry name, else the first one of that
        prefix.

        Raises: KeyError for a name that no entry has; the config was checked for that.
        """
        return self._passthrough[provider]

    def _resolve(self, requested_model: str | None, dialect: DialectName) -> Resolved:
        source = Source.REQUESTED
        if requested_model is None:
            model_name, source = self._default, Source.DEFAULT
        else:
            model_name = self._find(requested_model, dialect)
            if model_name is None and self._unknown_uses_default:
                model_name, source = self._default, Source.DEFAULT
        if model_name is None:
            raise self._not_found(requested_model)
        usable = self.candidates_of(model_name, dialect)
        following = tuple(
            candidate
            for fallback in self._fallbacks.get(model_name, ())
            for candidate in self.entries_of(fallback)
            if dialect in candidate.dialects
        )
        return Resolved(model_name, Decision(source, tuple(dict.fromkeys((*usable, *following)))))

    def _find(self, requested_model: str, dialect: DialectName) -> str | None:
        found = self._names.get(requested_model)
        if found is not None:
            return found
        if requested_model in self._gone or not requested_model.isprintable():
            return None  # a wildcard's names stand in header lines
        dated = _DATED.fullmatch(requested_model)
        if dated is not None and dated[1] in self._names:
            return self._names[dated[1]]
        if self._by_wildcard(requested_model):
            return requested_model
        return self._bare_by_wildcard(requested_model, dialect)

    def _entries(self, group: str) -> tuple[Candidate, ...]:
        return self._groups.get(group) or self._by_wildcard(group)

    def _by_wildcard(self, model_name: str) -> tuple[Candidate, ...]:
        prefix, slash, model_id = model_name.partition("/")
        if not slash or model_id in ("", "*"):
            return ()  # a wildcard itself is no model
        return tuple(
            _candidate(entry, model_id) for entry in self._wildcards if entry.prefix == prefix
        )

    def _bare_by_wildcard(self, model_id: str, dialect: DialectName) -> str | None:
        if model_id == "*" or model_id.endswith("/*"):
            return None
        prefixes = list(
            dict.fromkeys(
                entry.prefix for entry in self._wildcards if dialect in entry.paths.by_dialect
            )
        )
        if self._homes.get(dialect) in prefixes:
            prefixes = [self._homes[dialect]]
        return f"{prefixes[0]}/{model_id}" if len(prefixes) == 1 else None

    def _not_found(self, requested_model: str | None) -> ModelNotFound:
        if requested_model is None:
            return ModelNotFound(
                "the request names no model, and no provider is the default", param="model"
            )
        names = [listed.name for listed in self.listed]
        shown = ", ".join(names[:_LISTED_AT_MOST]) + (
            ", ..." if len(names) > _LISTED_AT_MOST else ""
        )
        return ModelNotFound(
            f"model {_shorten(requested_model)!r} is not configured; known: {shown}", param="model"
        )


def _groups(providers: Iterable[Provider]) -> dict[str, tuple[Candidate, ...]]:
    groups: dict[str, tuple[Candidate, ...]] = {}
    for provider in providers:
        if not provider.is_wildcard:
            groups[provider.model] = (
                *groups.get(provider.model, ()),
                _candidate(provider, provider.model_id),
            )
    # An entry with a name of its own inside a group can be asked for alone.
    for provider in providers:
        if provider.name != provider.model and not provider.is_wildcard:
            groups.setdefault(provider.name, (_candidate(provider, provider.model_id),))
    return groups


def _names(providers: Iterable[Provider]) -> dict[str, str]:
    names: dict[str, str] = {}
    concrete = [provider for provider in providers if not provider.is_wildcard]
    for provider in concrete:
        names.setdefault(provider.name, provider.name)
    for provider in concrete:
        names.setdefault(provider.model, provider.model)
    for provider in concrete:
        names.setdefault(provider.model_id, provider.model)
    return names


def _candidate(provider: Provider, model_id: str) -> Candidate:
    return Candidate(
        provider=provider.name,
        model_name=f"{provider.prefix}/{model_id}",
        upstream_model=model_id,
        metric_model=provider.model,
        dialects=frozenset(provider.paths.by_dialect),
        passthrough_auth=provider.passthrough_auth,
        price=provider.price,
    )


def _shorten(name: str) -> str:
    return name if len(name) <= 128 else name[:125] + "..."
