"""From the model that an app asks for to the configured entries that serve it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from sidecar.config.conventions import family_of, fits_path
from sidecar.config.providers import Provider
from sidecar.config.translation import translation_rule
from sidecar.domain.call import DialectName
from sidecar.domain.decision import Candidate, Decision, Source
from sidecar.domain.errors import DialectNotServed
from sidecar.domain.ids import MAX_NAME_BYTES
from sidecar.routing.owners import PathOwners
from sidecar.routing.resolved import Listed, Resolved
from sidecar.routing.unknown_model import unknown_model

_DATED: Final = re.compile(r"(.+?)-(?:\d{8}|\d{4}-\d{2}-\d{2})")
"""How Anthropic and OpenAI date ids: ``claude-haiku-4-5-20251001``, ``gpt-4o-2024-08-06``."""


class ModelNames:
    """Which configured model a name means, and the entries behind it.

    A configured model is named by alias, entry name, model or bare id. A wildcard's models are
    whatever follows its prefix; the callers invent them.
    """

    def __init__(
        self,
        providers: Sequence[Provider],
        aliases: Mapping[str, str],
        homes: Mapping[DialectName, str],
    ) -> None:
        self._wildcards = [provider for provider in providers if provider.is_wildcard]
        self._groups = _groups(providers)
        self._homes = homes
        names = _names(providers)
        targets = {alias: names.get(target, target) for alias, target in aliases.items()}
        usable = {alias: target for alias, target in targets.items() if self.entries(target)}
        self._gone = aliases.keys() - usable.keys()
        """Aliases of optional entries that are left out. They name nothing, not even a wildcard's
        model.
        """
        self._names = {**names, **usable}
        """Model name by any configured name; an alias goes before a name of the same spelling."""

    def configured(self, name: str) -> str | None:
        """Return the model that a configured name means; None for any other name."""
        return self._names.get(name)

    def is_grouped(self, model_name: str) -> bool:
        """Return whether a model is configured itself, and not only covered by a wildcard."""
        return model_name in self._groups

    def entries(self, model_name: str) -> tuple[Candidate, ...]:
        """Return the entries that serve a model, in config order; wildcards where it has none."""
        return self._groups.get(model_name) or self._by_wildcard(model_name)

    def find(self, requested_model: str, dialect: DialectName) -> str | None:
        """Return the model that an app's name means: by any configured name, by the name without
        its date, or by a wildcard. None where it means none.
        """
        found = self.named(requested_model)
        if found is not None or requested_model in self._gone:
            return found
        found = self._bare_by_wildcard(requested_model, dialect)
        return found if found is not None and self._by_wildcard(found) else None

    def named(self, requested_model: str) -> str | None:
        """As `find`, but without guessing whose a bare id is."""
        found = self._names.get(requested_model)
        if found is not None or requested_model in self._gone:
            return found
        dated = _DATED.fullmatch(requested_model)
        if dated is not None and dated[1] in self._names:
            return self._names[dated[1]]
        return requested_model if self._by_wildcard(requested_model) else None

    def _by_wildcard(self, model_name: str) -> tuple[Candidate, ...]:
        prefix, slash, model_id = model_name.partition("/")
        if not slash or model_id in ("", "*"):
            return ()  # a wildcard itself is no model
        entries = [entry for entry in self._wildcards if entry.prefix == prefix]
        # Callers invent the name, which is kept and sent in header lines.
        if not entries or not model_id.isprintable() or len(model_id.encode()) > MAX_NAME_BYTES:
            return ()
        if not fits_path(model_id):
            entries = [entry for entry in entries if not entry.has_model_in_path]
        return tuple(_candidate(entry, model_id) for entry in entries)

    def _bare_by_wildcard(self, model_id: str, dialect: DialectName) -> str | None:
        """Return the model of a bare id where wildcards of one prefix alone can serve it, or those
        of the dialect's home.
        """
        if model_id == "*" or model_id.endswith("/*"):
            return None
        prefixes = self.wildcard_prefixes(dialect)
        if self._homes.get(dialect) in prefixes:
            prefixes = [self._homes[dialect]]
        return f"{prefixes[0]}/{model_id}" if len(prefixes) == 1 else None

    def wildcard_prefixes(self, dialect: DialectName | None = None) -> list[str]:
        """Return the prefixes of the wildcards that speak a dialect, or where none does of those
        that serve it, in config order; of all for None.
        """
        entries = [(each.prefix, _candidate(each, "*")) for each in self._wildcards]
        speaking = [
            prefix for prefix, each in entries if dialect is None or dialect in each.dialects
        ]
        serving = [prefix for prefix, each in entries if dialect in each.served]
        return list(dict.fromkeys(speaking or serving))


class ModelTable:
    """All names under which an app may ask for a model, and what serves it."""

    def __init__(
        self,
        providers: Sequence[Provider],
        aliases: Mapping[str, str],
        *,
        unknown_uses_default: bool = False,
        homes: Mapping[DialectName, str] | None = None,
    ) -> None:
        """Args: ``homes`` says for each dialect which prefix serves a bare id where wildcards of
        several could; without it none does.
        """
        usable = [provider for provider in providers if not provider.is_router]
        self._names = ModelNames(usable, aliases, homes or {})
        self._default = next((provider.name for provider in usable if provider.is_default), None)
        self._unknown_default = self._default if unknown_uses_default else None
        """What serves a model that is not configured."""
        self._fallbacks = _fallbacks(usable)
        self.owners = PathOwners(usable, self._names, _candidate)
        self.listed = (*_listed_models(usable), *_listed_aliases(aliases, self._names))
        """What ``GET /v1/models`` shows: models in config order, then aliases; no wildcard."""
        self._known: dict[tuple[str, DialectName], Resolved] = {}
        self._known_candidates: dict[tuple[str, DialectName], tuple[Candidate, ...]] = {}

    def resolve(self, requested_model: str | None, dialect: DialectName) -> Resolved:
        """Return the entries that serve a requested model to a caller of ``dialect``; none where
        none does.

        Raises: ModelNotFound.
        """
        known = self._known.get((requested_model or "", dialect))
        if known is not None:
            return known
        resolved = self._resolve(requested_model, dialect)
        # The names of a wildcard's models are the callers' to invent: they are not remembered.
        if requested_model is None or self._names.configured(requested_model) is not None:
            self._known[requested_model or "", dialect] = resolved
        return resolved

    def requested(self, resolved: Resolved, dialect: DialectName) -> Decision:
        """Return the decision where only the requested model and its fallbacks are considered.

        Raises: DialectNotServed.
        """
        if resolved.decision.candidates:
            return resolved.decision
        model_name = resolved.model_name
        spoken = sorted(
            {name for candidate in self._names.entries(model_name) for name in candidate.dialects}
        )
        raise DialectNotServed(
            f"model {model_name!r} does not speak {dialect!r}; it speaks "
            f"{', '.join(spoken) or 'nothing'}",
            param="model",
        )

    def candidates_of(self, model_name: str, dialect: DialectName) -> tuple[Candidate, ...]:
        """Return the entries of a pinned or listed model that serve calls in ``dialect``; none if
        it is not configured here.
        """
        known = self._known_candidates.get((model_name, dialect))
        if known is not None:
            return known
        entries = self._names.entries(model_name)
        candidates = tuple(candidate for candidate in entries if dialect in candidate.served)
        if self._names.is_grouped(model_name):
            self._known_candidates[model_name, dialect] = candidates
        return candidates

    def entries_of(self, name: str) -> tuple[Candidate, ...]:
        """Return all entries behind a model's name, alias or bare id; none if it is unknown."""
        return self._names.entries(self._names.configured(name) or name)

    def describe(self, name: str) -> Listed:
        """Return a model or alias as ``GET /v1/models/{id}`` shows it.

        Raises: ModelNotFound.
        """
        found = next((listed for listed in self.listed if listed.name == name), None)
        if found is None:
            entries = self.entries_of(name)
            if not entries:
                raise unknown_model(name, self._listed_names, self._names.wildcard_prefixes())
            found = Listed(name=name, owner=family_of(entries[0].model_name))
        return found

    def _resolve(self, requested_model: str | None, dialect: DialectName) -> Resolved:
        source = Source.REQUESTED
        if requested_model is None:
            model_name, source = self._default, Source.DEFAULT
        else:
            model_name = self._names.find(requested_model, dialect)
            if model_name is None:
                model_name, source = self._unknown_default, Source.DEFAULT
        if model_name is None:
            prefixes = self._names.wildcard_prefixes(dialect)
            raise unknown_model(requested_model, self._listed_names, prefixes)
        of_wildcard = self._fallbacks.get(f"{family_of(model_name)}/*", ())
        following = tuple(
            candidate
            for fallback in self._fallbacks.get(model_name, of_wildcard)
            for candidate in self.entries_of(fallback)
            if dialect in candidate.served
        )
        usable = self.candidates_of(model_name, dialect)
        candidates = tuple(dict.fromkeys((*usable, *following)))
        return Resolved(model_name, Decision(source, candidates, requested=usable))

    @property
    def _listed_names(self) -> list[str]:
        return [listed.name for listed in self.listed]


def _listed_models(providers: Iterable[Provider]) -> Iterator[Listed]:
    for name in dict.fromkeys(each.model for each in providers if not each.is_wildcard):
        yield Listed(name=name, owner=family_of(name))


def _listed_aliases(aliases: Iterable[str], names: ModelNames) -> Iterator[Listed]:
    for alias in aliases:
        model_name = names.configured(alias)
        if model_name is not None:
            owner = family_of(names.entries(model_name)[0].model_name)
            yield Listed(name=alias, owner=owner)


def _fallbacks(providers: Sequence[Provider]) -> dict[str, tuple[str, ...]]:
    """Return each model's and wildcard's fallbacks; of several entries the first one's count."""
    return {name: p.fallbacks for p in reversed(providers) for name in (p.model, p.name)}


def _groups(providers: Iterable[Provider]) -> dict[str, tuple[Candidate, ...]]:
    """Return the entries of each configured model, and of each entry with a name of its own."""
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
    """Return the model that each name means: entry names go first, then models, then bare ids."""
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
    spoken = provider.spoken_by(model_id)
    return Candidate(
        provider=provider.name,
        model_name=f"{provider.prefix}/{model_id}",
        upstream_model=model_id,
        metric_model=provider.model,
        dialects=spoken,
        passthrough_auth=provider.passthrough_auth,
        price=provider.price,
        translation=translation_rule(spoken, provider.translate),
    )
