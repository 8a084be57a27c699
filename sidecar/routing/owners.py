"""Which entry a path goes to that is no call: the one that the config names, or the one that can be
meant where it names none. Pure.

Without a session's pin that is decided in this order: the entry of the model that the body names;
the default entry, where its family serves the path; the first entry, in the config's order, whose
family does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from sidecar.config.api_paths import is_known_to_serve, is_of_kind
from sidecar.config.providers import Provider
from sidecar.domain.api_paths import ApiPath
from sidecar.domain.call import Endpoint
from sidecar.domain.decision import Binding, Candidate, Decision, Source
from sidecar.domain.errors import ModelNotFound, PathNotFound
from sidecar.routing.resolved import shorten

NOBODY: Final = "no entry is known to serve it"
REFUSED: Final = "`unlisted_paths` refuses those that the config does not name"
MakeCandidate = Callable[[Provider, str], Candidate]


class _Names(Protocol):
    def named(self, requested_model: str) -> str | None: ...

    def entries(self, model_name: str) -> tuple[Candidate, ...]: ...


class PathOwners:
    """The entries that paths go to."""

    def __init__(
        self, providers: Sequence[Provider], names: _Names, candidate_of: MakeCandidate
    ) -> None:
        """Args: ``providers`` are in the config's order, without router models; ``candidate_of``
        makes a model of an entry a candidate.
        """
        self._providers = providers
        self._names = names
        self._candidate_of = candidate_of
        own = {each.name: each for each in providers}
        self._entries = {**{each.prefix: each for each in reversed(providers)}, **own}
        """By prefix and by name; of one prefix the first."""

    def entry_of(self, provider: str) -> str:
        """Return the name of the entry that ``passthrough`` names: by its name, else the first of
        that prefix.

        Raises: KeyError for a name that no entry has; the config was checked for that.
        """
        return self._entries[provider].name

    def configured(self, provider: str) -> Decision:
        """Return the decision for a path that ``passthrough`` gives to a provider."""
        entry = self._entries[provider]
        candidates = (self._candidate_of(entry, entry.model_id),)
        return Decision(Source.REQUESTED, candidates, requested=candidates)

    def serves(self, endpoint: Endpoint) -> bool:
        """Return whether any entry is known to serve a path."""
        return bool(self._serving(endpoint))

    def is_choice(self, endpoint: Endpoint) -> bool:
        """Return whether several entries are known to serve a path."""
        return len(self._serving(endpoint)) > 1

    def default(self, endpoint: Endpoint) -> Provider | None:
        """Return the entry that is meant where nothing says so; None where no entry is known to
        serve the path.
        """
        serving = self._serving(endpoint)
        return next((each for each in serving if each.is_default), next(iter(serving), None))

    def requested(self, endpoint: Endpoint, requested_model: str | None) -> Decision:
        """Return the decision for a path, where no pin makes one.

        Raises: PathNotFound where nothing can be meant; ModelNotFound for a name that no model has.
        """
        if requested_model is not None and not requested_model.isprintable():
            raise ModelNotFound(
                f"model {shorten(requested_model)!r} is no name that a model has", param="model"
            )
        named = () if requested_model is None else self._named(requested_model)
        usable = self._usable(named, endpoint)
        if usable:
            return Decision(Source.REQUESTED, usable[:1], requested=usable[:1])
        if named:
            model, place = shorten(requested_model or ""), named[0].provider
            raise not_served(endpoint.path, f"{model!r} is at {place!r}, which does not serve it")
        entry = self.default(endpoint)
        if entry is None:
            raise not_served(endpoint.path, NOBODY)
        candidates = (self._candidate_of(entry, requested_model or entry.model_id),)
        return Decision(Source.DEFAULT, candidates, requested=candidates)

    def pinned(self, endpoint: Endpoint, pin: Binding) -> Decision | None:
        """Return the decision that a session's pin makes for a path; None where its entry is not
        configured here, or is not known to serve the path.
        """
        for each in self._names.entries(pin.model_name):
            is_pinned = pin.provider in (None, each.provider)
            if is_pinned and self._is_serving(each, endpoint):
                return Decision(Source.PINNED, (each,), requested=(each,))
        return None

    def lane_of(self, requested_model: str | None) -> str:
        """Return the lane of a call that names a configured model; empty for any other."""
        return (requested_model and self._names.named(requested_model)) or ""

    def _named(self, requested_model: str) -> tuple[Candidate, ...]:
        """Return the entries of the model that a body names; none where its name says none: then it
        is the provider's to know.
        """
        name = self._names.named(requested_model)
        if name is not None:
            return self._names.entries(name)
        prefix, _, model_id = requested_model.partition("/")
        if model_id in ("", "*"):
            return ()
        return tuple(
            self._candidate_of(each, model_id) for each in self._providers if each.prefix == prefix
        )

    def _usable(self, named: tuple[Candidate, ...], endpoint: Endpoint) -> tuple[Candidate, ...]:
        """Return those of the entries that are known to serve a path; else those of its kind, since
        who names a model knows what it can do.
        """
        serving = tuple(each for each in named if self._is_serving(each, endpoint))
        return serving or tuple(
            each for each in named if is_of_kind(self._entries[each.provider], endpoint.dialect)
        )

    def _is_serving(self, candidate: Candidate, endpoint: Endpoint) -> bool:
        return _serves(self._entries[candidate.provider], endpoint)

    def _serving(self, endpoint: Endpoint) -> list[Provider]:
        return [each for each in self._providers if _serves(each, endpoint)]


def _serves(entry: Provider, endpoint: Endpoint) -> bool:
    api_path: ApiPath | None = endpoint.api_path
    return api_path is not None and is_known_to_serve(entry, api_path, endpoint.dialect)


def not_served(path: str, why: str) -> PathNotFound:
    """Return the error for a path of providers' APIs that no entry can be meant for."""
    return PathNotFound(
        f"{shorten(path)} is a path of providers, and {why}; `passthrough` in the config names the "
        "provider that a path goes to"
    )
