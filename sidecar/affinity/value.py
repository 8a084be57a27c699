"""The value of a key: JSON that plano and people can read. Pure; reading never raises."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from sidecar.domain.decision import Binding

MAX_BYTES: Final = 4096
"""A longer value is not ours, and is not fetched."""
_MAX_NAME_CHARS: Final = 512
_MAX_UNIX_S: Final = 1e12
"""Later times are no seconds: somebody wrote milliseconds, or worse."""


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_NAME_CHARS)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_UnixSeconds = Annotated[float, msgspec.Meta(ge=0.0, lt=_MAX_UNIX_S)]


class _Home(msgspec.Struct, omit_defaults=True):
    model_name: _Name
    provider: _Name | None = None


class _Value(msgspec.Struct, omit_defaults=True):
    """A value as this package writes it."""

    model_name: _Name
    route_name: _Name | None
    requested_model: str | None = None
    generation: _Count = 0
    bound_at: _UnixSeconds = 0.0
    home: _Home | None = None
    away_since: _UnixSeconds | None = None
    failed_returns: _Count = 0
    provisional: bool = False
    provider: _Name | None = None


class _Loose(msgspec.Struct):
    """Any JSON object: plano's two fields, its newer ``anchor_model`` form, our own, or
    another's.
    """

    model_name: Any = None
    anchor_model: Any = None
    route_name: Any = None
    requested_model: Any = None
    generation: Any = 0
    bound_at: Any = 0.0
    home: Any = None
    away_since: Any = None
    failed_returns: Any = 0
    provisional: Any = False
    provider: Any = None


_decoder: Final = msgspec.json.Decoder(_Value)
_loose_decoder: Final = msgspec.json.Decoder(_Loose)


def encode(binding: Binding) -> bytes:
    """Return a binding's value; the same binding gives the same bytes."""
    return msgspec.json.encode(
        _Value(
            binding.model_name,
            binding.route_name,
            binding.requested_model,
            binding.generation,
            binding.bound_at_unix_s,
            None if binding.home is None else _Home(binding.home, binding.home_provider),
            binding.away_since_unix_s,
            binding.failed_returns,
            binding.provisional,
            binding.provider,
        )
    )


def decode(raw: bytes) -> Binding | None:
    """Return the binding in a value; None for garbage, for a value without a model, and for one
    that is too long to be a pin.
    """
    if not raw or len(raw) >= MAX_BYTES:
        return None
    try:
        value = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode_leniently(raw)
    home = value.home
    home_name, home_provider = (None, None) if home is None else (home.model_name, home.provider)
    names = (value.model_name, value.route_name, value.provider, home_name, home_provider)
    for name in names:
        if name is not None and not name.isprintable():
            return decode_leniently(raw)
    return Binding(
        value.model_name,
        value.route_name,
        value.requested_model,
        value.generation,
        value.bound_at,
        home_name,
        value.away_since,
        value.failed_returns,
        value.provisional,
        value.provider,
        home_provider,
    )


def decode_leniently(raw: bytes) -> Binding | None:
    """Return the binding in a value that this package may not have written: a field that cannot be
    used counts as absent.
    """
    try:
        value = _loose_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    model_name = _name(value.model_name) or _name(value.anchor_model)
    if model_name is None:
        return None
    home_name, home_provider = _home(value.home)
    return Binding(
        model_name=model_name,
        route_name=_name(value.route_name),
        # Compared with what calls ask for, and put nowhere: any text names a lane, as it does to
        # the scripts.
        requested_model=value.requested_model if isinstance(value.requested_model, str) else None,
        generation=_count(value.generation),
        bound_at_unix_s=_seconds(value.bound_at) or 0.0,
        home=home_name,
        away_since_unix_s=_seconds(value.away_since),
        failed_returns=_count(value.failed_returns),
        provisional=value.provisional is True,
        provider=_name(value.provider),
        home_provider=home_provider,
    )


def as_written(binding: Binding) -> Binding | None:
    """Return a binding as every reader will read it; None where its models cannot be written.

    A wildcard's model names are the clients' to invent: one that is too long would be read by some
    as a pin for every lane, or not at all. A route whose name cannot be written is left out.
    """
    if binding.requested_model is not None and _name(binding.requested_model) is None:
        return None
    read = decode(encode(binding))
    if read is None or (read.model_name, read.requested_model) != (
        binding.model_name,
        binding.requested_model,
    ):
        return None
    return read


def _home(value: object) -> tuple[str | None, str | None]:
    """Return model and entry of a home; pins of before name the model alone, as a text."""
    if not isinstance(value, dict):
        return _name(value), None
    model_name = _name(value.get("model_name"))
    return model_name, None if model_name is None else _name(value.get("provider"))


def _name(value: object) -> str | None:
    """Return a name that may stand in a header line, else None."""
    if (
        not isinstance(value, str)
        or not value
        or len(value) > _MAX_NAME_CHARS
        or not value.isprintable()
    ):
        return None
    return value


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _seconds(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < _MAX_UNIX_S else None  # type: ignore[operator, arg-type]
