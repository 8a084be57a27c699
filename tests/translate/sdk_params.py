"""The parameter types of the installed SDKs: all paths in them, and whether a body fits one."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from typing import Any, Required

from anthropic.types import message_create_params as messages_params
from anthropic.types.beta import message_create_params as beta_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as responses_params
from typing_extensions import get_type_hints, is_typeddict

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName

ROOTS: dict[DialectName, tuple[Any, ...]] = {
    CHAT: (
        chat_params.CompletionCreateParamsNonStreaming,
        chat_params.CompletionCreateParamsStreaming,
    ),
    RESPONSES: (
        responses_params.ResponseCreateParamsNonStreaming,
        responses_params.ResponseCreateParamsStreaming,
    ),
    MESSAGES: (
        messages_params.MessageCreateParamsNonStreaming,
        messages_params.MessageCreateParamsStreaming,
        beta_params.MessageCreateParamsNonStreaming,
        beta_params.MessageCreateParamsStreaming,
    ),
}
"""The types of each API's requests, Anthropic's beta included."""

hints_of = functools.cache(functools.partial(get_type_hints, include_extras=True))


def paths_of(api: DialectName) -> set[str]:
    """Return the path of every field and kind of object, as the table of fields writes them."""
    found: set[str] = set()
    for root in ROOTS[api]:
        _walk(root, "", (), found)
    return found


def _walk(holder: Any, path: str, inside: tuple[Any, ...], found: set[str]) -> None:
    for name, hint in hints_of(holder).items():
        field = f"{path}.{name}".strip(".")
        found.add(field)
        for kind in _kinds(hint):
            if kind in inside:
                continue
            for label in _labels(kind):
                labelled = f"{field}[{label}]" if label else field
                found.add(labelled)
                _walk(kind, labelled, (*inside, kind), found)


def _kinds(hint: Any) -> Iterator[Any]:
    """Yield the kinds of objects that a type may hold."""
    if is_typeddict(hint):
        yield hint
    elif typing.get_origin(hint) is not typing.Literal:
        for each in typing.get_args(hint):
            yield from _kinds(each)


def _labels(kind: Any) -> list[str]:
    """Return what tells a kind of object from its neighbours."""
    for name in ("type", "role"):
        words = [each for each in _literals(hints_of(kind).get(name)) if isinstance(each, str)]
        if words:
            return words
    return [""]


def _literals(hint: Any) -> list[Any]:
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [value for each in typing.get_args(hint) for value in _literals(each)]


def fits(value: Any, hint: Any) -> bool:
    """Return whether a decoded JSON value is of a type, with no member that it does not have."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_typeddict(hint):
        return isinstance(value, dict) and _fits_object(value, hint)
    if origin is typing.Literal:
        return value in args
    if origin is Required or origin is typing.Annotated:
        return fits(value, args[0])
    if origin is typing.Union:
        return any(fits(value, each) for each in args)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, args[1]) for each in value.values())
    if origin is not None:
        return isinstance(value, list) and all(fits(each, args[0]) for each in value)
    if hint is object:
        return True
    if hint is type(None):
        return value is None
    wanted = (int, float) if hint is float else hint
    return isinstance(value, wanted) and (hint is bool or not isinstance(value, bool))


def _is_required(hint: Any) -> bool:
    return typing.get_origin(hint) is Required


def _fits_object(value: dict[str, Any], hint: Any) -> bool:
    hints = hints_of(hint)
    needed = {name for name, each in hints.items() if _is_required(each)}
    return needed <= value.keys() <= hints.keys() and all(
        fits(each, hints[name]) for name, each in value.items()
    )
