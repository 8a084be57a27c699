"""The value of a key: JSON that plano and people can read. Pure; reading never raises.

The first lane's members stand at the top, where plano has them, the other lanes' under ``lanes``.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import msgspec

from sidecar.affinity.lanes import MAX_LANES, NO_LANES, Lanes, smaller
from sidecar.domain.decision import Binding

MAX_BYTES: Final = 8192
"""So many bytes of a value are fetched; one that has so many is not ours."""
_MAX_NAME_BYTES: Final = 512
"""So that the names of one lane always fit into a value."""
_MAX_UNIX_S: Final = 1e12
"""Later times are no seconds: somebody wrote milliseconds, or worse."""
_LANES: Final = "lanes"
_KNOWN: Final = frozenset(
    {
        "model_name",
        "anchor_model",  # plano's newer form: it is read, and not written
        "route_name",
        "requested_model",
        "provider",
        "generation",
        "bound_at",
        "home",
        "away_since",
        "failed_returns",
        "provisional",
        _LANES,
    }
)
_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_Members = dict[str, Any]


def fit(lanes: Lanes) -> tuple[Lanes, bytes]:
    """Return lanes as they can be written, and their value: lanes, then unknown members, are left
    out until it is short enough. The value of no lanes is empty.
    """
    while lanes.bindings:
        raw = _encode(lanes)
        if 0 < len(raw) < MAX_BYTES:
            return lanes, raw
        lanes = smaller(lanes)
    return NO_LANES, b""


def encode(lanes: Lanes) -> bytes:
    """Return the value of lanes; the same lanes give the same bytes."""
    return fit(lanes)[1]


def decode(raw: bytes) -> Lanes | None:
    """Return the lanes in a value, of plano or of this package, or of a later one: a member that
    cannot be used counts as absent. None for garbage, for a value without a model, and for one that
    is too long to be a session's.
    """
    if not raw or len(raw) >= MAX_BYTES:
        return None
    try:
        members = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    lane = members.get("requested_model")
    first = _binding_of(members, lane if isinstance(lane, str) else None)
    if first is None:
        return None
    others = _parts_of(members.get(_LANES))
    return _lanes_of(first, {lane: _parts_of(parts) for lane, parts in others.items()}, members)


def as_written(binding: Binding) -> Binding | None:
    """Return a binding as every reader will read it; None where its models cannot be written.

    A wildcard's model names are the clients' to invent: one that is too long would be read by some
    as a pin for every lane, or not at all. A route whose name cannot be written is left out.
    """
    lane, route_name = binding.requested_model, binding.route_name
    if _name(binding.model_name) is None or (lane is not None and _name(lane) is None):
        return None
    if route_name is None or _name(route_name) is not None:
        return binding
    return dataclasses.replace(binding, route_name=None)


def _encode(lanes: Lanes) -> bytes:
    """Return the value of lanes, however long it is; empty where a member cannot be written."""
    first, *others = lanes.bindings
    value = {**_facts_of(first, lanes, first.requested_model), **lanes.unknown.get(None, {})}
    if others:
        value[_LANES] = {each.requested_model: _facts_of(each, lanes, None) for each in others}
    try:
        return msgspec.json.encode(value)
    except (ValueError, OverflowError, RecursionError):  # a foreign member, or half a character
        return b""


def _facts_of(binding: Binding, lanes: Lanes, requested_model: str | None) -> dict[str, object]:
    """Return what is written of a lane: what applies, and what others have written beside it."""
    facts: dict[str, object] = {
        "model_name": binding.model_name,
        "route_name": binding.route_name,
    }
    if requested_model is not None:
        facts["requested_model"] = requested_model
    if binding.provider is not None:
        facts["provider"] = binding.provider
    if binding.generation:
        facts["generation"] = binding.generation
    if binding.bound_at_unix_s:
        facts["bound_at"] = binding.bound_at_unix_s
    if binding.home is not None:
        facts["home"] = _facts_of_home(binding.home, binding.home_provider)
    if binding.away_since_unix_s is not None:
        facts["away_since"] = binding.away_since_unix_s
    if binding.failed_returns:
        facts["failed_returns"] = binding.failed_returns
    if binding.provisional:
        facts["provisional"] = True
    if lanes.unknown and binding.requested_model is not None:
        facts.update(lanes.unknown.get(binding.requested_model, {}))
    return facts


def _facts_of_home(model_name: str, provider: str | None) -> dict[str, str]:
    home = {"model_name": model_name}
    return home if provider is None else {**home, "provider": provider}


def _lanes_of(first: Binding, others: dict[str, _Members], members: _Members) -> Lanes:
    """Return the first lane and those of the others that can be read, no more than there may be."""
    bindings = [first]
    unknown: dict[str | None, _Members] = {None: _unknown_in(members)}
    for lane, parts in others.items():
        binding = _binding_of(parts, lane)
        if binding is not None and lane != first.requested_model and len(bindings) < MAX_LANES:
            bindings.append(binding)
            unknown[lane] = _unknown_in(parts)
    return Lanes(tuple(bindings), {lane: kept for lane, kept in unknown.items() if kept})


def _unknown_in(members: _Members) -> _Members:
    return {name: member for name, member in members.items() if name not in _KNOWN}


def _binding_of(members: _Members, lane: str | None) -> Binding | None:
    get = members.get
    model_name = _name(get("model_name")) or _name(get("anchor_model"))
    if model_name is None:
        return None
    home = get("home")  # pins of before name the model alone, as a text
    home_name = _name(_parts_of(home).get("model_name", home))
    return Binding(
        model_name=model_name,
        route_name=_name(get("route_name")),
        # Compared with what calls ask for, and put nowhere: any text names a lane.
        requested_model=lane,
        generation=_count(get("generation")),
        bound_at_unix_s=_seconds(get("bound_at")) or 0.0,
        home=home_name,
        away_since_unix_s=_seconds(get("away_since")),
        failed_returns=_count(get("failed_returns")),
        provisional=get("provisional") is True,
        provider=_name(get("provider")),
        home_provider=None if home_name is None else _name(_parts_of(home).get("provider")),
    )


def _parts_of(member: object) -> _Members:
    """Return a member that is an object; else an empty one."""
    return member if isinstance(member, dict) else {}


def _name(value: object) -> str | None:
    """Return a name that may stand in a header line, else None."""
    if not isinstance(value, str) or not value or not value.isprintable():
        return None
    return value if len(value.encode()) <= _MAX_NAME_BYTES else None


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _seconds(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < _MAX_UNIX_S else None  # type: ignore[operator, arg-type]
