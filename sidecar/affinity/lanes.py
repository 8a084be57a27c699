"""The pins of one session, one for each of its lanes, and how they change. Pure.

Every change is made from what stood when it was looked at. `merge` makes it again on what stands
now: what another lane has changed meanwhile stays, and the same lane's change is adopted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from sidecar.domain.decision import Binding

MAX_LANES: Final = 16
"""An agent has a handful; the names of a wildcard's models are the clients' to invent."""
FIRST_LANE: Final = ""
"""The lane of a call that names no model: whichever came first in its session. Nothing is bound to
it.
"""

Unknown = Mapping[str | None, Mapping[str, object]]
"""Members that this version does not know: those of a lane by its name, those of the whole
value by None. They are kept when a value is written anew."""


_NONE_UNKNOWN: Final[Unknown] = {}


@final
@dataclass(init=False, unsafe_hash=True)
class Lanes:
    """The bindings of a session's lanes. The first lane's stands where plano reads and writes it;
    the others follow in the order in which they came.
    """

    bindings: Final[tuple[Binding, ...]]
    unknown: Final[Unknown]

    def __init__(self, bindings: tuple[Binding, ...], unknown: Unknown | None = None) -> None:
        self.bindings = bindings
        self.unknown = unknown or _NONE_UNKNOWN

    def of(self, lane: str | None) -> Binding | None:
        """Return a lane's binding; of None that which names no lane, of `FIRST_LANE` the first."""
        for binding in self.bindings:
            if binding.requested_model == lane:
                return binding
        return self.bindings[0] if lane == FIRST_LANE and self.bindings else None


NO_LANES: Final = Lanes(())


def claim(lanes: Lanes, lane: str, binding: Binding) -> Lanes:
    """Bind a lane unless it is bound. A binding that names no lane, as plano writes it, becomes
    that of the lane that asks first.
    """
    own = binding if binding.requested_model == lane else _for_lane(binding, lane)
    if not lanes.bindings:
        return Lanes((own,))
    if lanes.of(lane) is not None:
        return lanes
    if lanes.of(None) is not None:
        return labelled(lanes, lane)
    return _bounded([*lanes.bindings, own], lanes.unknown)


def replace(lanes: Lanes, lane: str, seen: Binding, binding: Binding) -> Lanes:
    """Put a binding in the place of the one that was seen, if that still stands."""
    if lanes.of(lane) != seen:
        return lanes
    moved = binding if binding.requested_model == lane else _for_lane(binding, lane)
    return Lanes(
        tuple(moved if each.requested_model == lane else each for each in lanes.bindings),
        lanes.unknown,
    )


def release(lanes: Lanes, lane: str, seen: Binding) -> Lanes:
    """Drop the binding that was seen, if it still stands; the oldest lane succeeds a first one."""
    if lanes.of(lane) != seen:
        return lanes
    left = [each for each in lanes.bindings if each.requested_model != lane]
    return _bounded(_succeeded(left, lanes), lanes.unknown)


def labelled(lanes: Lanes, lane: str) -> Lanes:
    """Return the lanes with the binding that names no lane given to one."""
    return Lanes(
        tuple(
            _for_lane(each, lane) if each.requested_model is None else each
            for each in lanes.bindings
        ),
        lanes.unknown,
    )


def merge(base: Lanes, mine: Lanes, theirs: Lanes, *, revives: bool = False) -> Lanes:
    """Make the changes from ``base`` to ``mine`` on ``theirs``, which stands now.

    A lane that both have changed is theirs. One that they have dropped stays dropped, unless
    ``revives``: then they may have lost it. A value without a lane's name is plano's: it is the
    first lane's, and the other lanes that are known here stand beside it.
    """
    first = mine.bindings[0].requested_model if mine.bindings else None
    if first is not None and theirs.of(None) is not None:
        theirs, revives = labelled(theirs, first), True
    if mine == base and not revives:
        return theirs
    bindings: list[Binding] = []
    for standing in theirs.bindings:
        lane = standing.requested_model
        own, was = mine.of(lane), base.of(lane)
        if own == was or standing != was:
            bindings.append(standing)
        elif own is not None:
            bindings.append(own)
    bindings = _succeeded(bindings, theirs)
    for own in mine.bindings:
        lane = own.requested_model
        if theirs.of(lane) is None and (revives or base.of(lane) is None):
            bindings.append(own)
    if tuple(bindings) == theirs.bindings:
        return theirs
    return _bounded(bindings, {**mine.unknown, **theirs.unknown})


def smaller(lanes: Lanes) -> Lanes:
    """Return the lanes with less in them: without the lane that was bound longest ago, the first
    one excepted; then without unknown members; then nothing.
    """
    if len(lanes.bindings) > 1:
        return Lanes(tuple(_without_oldest(list(lanes.bindings))), lanes.unknown)
    return Lanes(lanes.bindings) if lanes.unknown else NO_LANES


def _for_lane(binding: Binding, lane: str) -> Binding:
    return dataclasses.replace(binding, requested_model=lane)


def _bounded(bindings: list[Binding], unknown: Unknown) -> Lanes:
    while len(bindings) > MAX_LANES:
        # The one that was just added stays, whatever its clock says.
        bindings = [*_without_oldest(bindings[:-1]), bindings[-1]]
    return Lanes(tuple(bindings), unknown)


def _without_oldest(bindings: list[Binding]) -> list[Binding]:
    oldest = min(bindings[1:], key=_bound_at)
    return [each for each in bindings if each is not oldest]


def _succeeded(bindings: list[Binding], former: Lanes) -> list[Binding]:
    """Return bindings with the oldest one first, if the former first lane is not among them."""
    if not bindings or bindings[0].requested_model == former.bindings[0].requested_model:
        return bindings
    oldest = min(bindings, key=_bound_at)
    return [oldest, *(each for each in bindings if each is not oldest)]


def _bound_at(binding: Binding) -> float:
    return binding.bound_at_unix_s
