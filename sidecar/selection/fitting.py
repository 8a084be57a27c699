"""Which candidates can serve a call in full: those that serve it by translation are asked what it
would lose.

The body is read for that once, and only where a call may come to such a candidate. What was read is
kept with the call, for the request that is written from it, and let go with its body.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Final, Protocol

from sidecar.domain.call import Call, Operation
from sidecar.domain.decision import Candidate, Decision
from sidecar.domain.errors import (
    BodyTooLarge,
    DialectNotServed,
    Overloaded,
    PathNotFound,
    SidecarError,
)
from sidecar.domain.translation import CallTranslation, Fit, LostField
from sidecar.runtime.single_flight import SingleFlight
from sidecar.runtime.steps import in_slices

_COPIES: Final = 2
"""Of a body, as long as it may be translated: what it is read into, and what is written of it."""
_NAMED_AT_MOST: Final = 8
"""So many candidates, and fields of each, are named in an error."""
_FIELD_CHARS: Final = 64
"""The names of unknown fields are the caller's to invent."""

ReadCall = Callable[[Call], Generator[None, None, CallTranslation]]
"""Reads a call, to be written in other APIs. Others go on wherever it yields. Raises: InvalidBody.
"""


LoadReader = Callable[[], Awaitable[ReadCall]]
"""Loads what reads calls, which takes time and memory. Raises: OSError where it cannot be now."""


class BodyRoom(Protocol):
    """The memory that request bodies take."""

    @property
    def longest_bytes(self) -> int:
        """The longest body that can be held at all."""
        ...

    async def take(self, size: int) -> None:
        """Take room for so many bytes, waiting for it. Raises: Overloaded."""
        ...

    def give_back(self, size: int) -> None:
        """Give the room back."""
        ...


class Fitting:
    """Finds the candidates that can serve a call in full. What reads calls is loaded once one is to
    be read.
    """

    def __init__(self, load: LoadReader, room: BodyRoom) -> None:
        self._load = load
        self._room = room
        self._loads = SingleFlight[str, ReadCall]("load translation")
        self._read: ReadCall | None = None

    async def load(self) -> ReadCall:
        """Load what reads calls, unless it is there; once, however many calls ask for it.

        Raises: Overloaded where that cannot be done now.
        """
        if self._read is None:
            try:
                self._read = await self._loads.run("", self._begin)
            except OSError as error:
                raise Overloaded("what translates requests cannot be loaded now") from error
        return self._read

    async def aclose(self) -> None:
        """End a load that is under way."""
        await self._loads.aclose()

    async def _begin(self) -> ReadCall:
        return await self._load()

    async def decision(self, call: Call, decision: Decision) -> Decision:
        """Return a decision with the candidates that can serve the call in full, as `fitted` orders
        them. The first one given serves it by translation.

        Raises: DialectNotServed where there is none; PathNotFound where the call is a count of
            tokens, which no other API has; InvalidBody, BodyTooLarge, Overloaded where the body
            cannot be read, and no candidate speaks the call's dialect.
        """
        first = decision.candidates[0]
        if call.endpoint.operation is not Operation.GENERATE:
            raise PathNotFound(
                f"{first.model_name} ({first.provider}) would serve this request, and its API has "
                "no counter of tokens"
            )
        candidates = await self._fitted(call, decision.candidates)
        return dataclasses.replace(
            decision,
            candidates=candidates,
            requested=usable(call, decision.requested),
            returns_home=decision.returns_home and candidates[0] is first,
        )

    async def candidates(
        self, call: Call, candidates: tuple[Candidate, ...]
    ) -> tuple[Candidate, ...]:
        """Return those of some candidates that can serve the call in full, as `fitted` orders them;
        none where none can.
        """
        try:
            return await self._fitted(call, candidates)
        except SidecarError:
            return ()

    async def fits(self, call: Call, candidates: Sequence[Candidate]) -> tuple[Fit | None, ...]:
        """Return beside each candidate how well it can serve the call by translation; None for one
        that speaks its dialect.

        Raises: InvalidBody, BodyTooLarge, Overloaded where the body cannot be read.
        """
        dialect, found = call.endpoint.dialect, list[Fit | None]()
        for each in candidates:
            is_native = dialect in each.dialects
            found.append(None if is_native else (await self._translation_of(call)).fit(each))
        return tuple(found)

    async def _fitted(self, call: Call, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Raises: as `decision`, where there are none of those that were given."""
        dialect = call.endpoint.dialect
        native = tuple(each for each in candidates if dialect in each.dialects)
        if len(native) == len(candidates):
            return candidates
        if call.endpoint.operation is Operation.GENERATE:
            try:
                return fitted(call, candidates, await self._translation_of(call))
            except SidecarError:
                if not native:
                    raise
        return native

    async def _translation_of(self, call: Call) -> CallTranslation:
        if call.translation is not None:
            return call.translation
        read = await self.load()
        size, room = _COPIES * len(call.body), self._room
        if size > room.longest_bytes:
            raise BodyTooLarge(
                "the request is too long to be translated for a model that does not speak its API: "
                f"limits.memory_bytes has no room for {size} bytes more"
            )
        await room.take(size)
        try:
            translation = await in_slices(read(call))
        except BaseException:
            room.give_back(size)
            raise
        call.keep_translation(translation, size)
        return translation


def usable(call: Call, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that would lose nothing decisive of a call, in their order; where it
    was not read, those that speak its dialect.
    """
    dialect, translation = call.endpoint.dialect, call.translation
    return tuple(
        each
        for each in candidates
        if dialect in each.dialects
        or (translation is not None and not translation.fit(each).is_left_out)
    )


def fitted(
    call: Call, candidates: Sequence[Candidate], translation: CallTranslation
) -> tuple[Candidate, ...]:
    """Return the candidates that can serve a call, in their order: without those that would lose
    something decisive, and with those last that would lose what others need not.

    Raises: DialectNotServed where there is none, naming each and what it would lose.
    """
    dialect = call.endpoint.dialect
    fits = [None if dialect in each.dialects else translation.fit(each) for each in candidates]
    found = in_order(candidates, fits)
    if not found:
        beside = zip(candidates, fits, strict=True)
        raise _not_served(call, [(each, fit) for each, fit in beside if fit is not None])
    return found


def in_order(candidates: Sequence[Candidate], fits: Sequence[Fit | None]) -> tuple[Candidate, ...]:
    """Return the candidates that can serve a call with these fits beside them, as `fitted` orders
    them.
    """
    whole, behind = list[Candidate](), list[Candidate]()
    for each, fit in zip(candidates, fits, strict=True):
        if fit is None or not (fit.is_left_out or fit.goes_behind):
            whole.append(each)
        elif not fit.is_left_out:
            behind.append(each)
    return (*whole, *behind)


def names_of(lost: Sequence[LostField]) -> list[str]:
    """Return the names of what would be lost, as a person is shown them: cut, and not too many."""
    names = list(dict.fromkeys(each.name[:_FIELD_CHARS] for each in lost))
    return names[:_NAMED_AT_MOST] + ["..."] * (len(names) > _NAMED_AT_MOST)


def _not_served(call: Call, left_out: Sequence[tuple[Candidate, Fit]]) -> DialectNotServed:
    would_lose = "; ".join(
        f"{each.model_name} ({each.provider}), asked in {fit.dialect!r}, would lose "
        f"{', '.join(names_of(fit.decisive))}"
        for each, fit in left_out[:_NAMED_AT_MOST]
    )
    return DialectNotServed(
        f"no model that may serve this request speaks {call.endpoint.dialect!r}, and "
        f"translation would lose what it relies on: {would_lose}",
        param=names_of(left_out[0][1].decisive)[0],
    )
