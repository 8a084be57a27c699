"""The fields of the response and event types that the installed SDKs have."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Container, Iterator
from typing import Any

import anthropic.types as messages_types
import openai.types.chat as chat_types
import openai.types.responses as responses_types
from anthropic.types import beta as beta_types
from pydantic import BaseModel

Model = type[BaseModel]

ROOTS = (
    chat_types.ChatCompletion,
    chat_types.ChatCompletionChunk,
    responses_types.Response,
    responses_types.ResponseStreamEvent,
    messages_types.Message,
    messages_types.RawMessageStreamEvent,
    beta_types.BetaMessage,
    beta_types.BetaRawMessageStreamEvent,
)


def fields_of(left_out: Container[str]) -> Iterator[str]:
    """Return what a reader of responses may meet: each class, and each field of one.

    Args: ``left_out`` are those whose inside is of no interest.
    """
    waiting: list[Model] = [model for root in ROOTS for model in _models(root)]
    seen: set[Model] = set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        name = name_of(model)
        yield name
        if name in left_out:
            continue
        for field_name, field in model.model_fields.items():
            path = f"{name}.{field.alias or field_name}"
            yield path
            if path not in left_out:
                waiting += _models(field.annotation)


def name_of(model: Model) -> str:
    """Return ``module.Class``: some modules have classes of the same name."""
    return f"{model.__module__.rpartition('.')[2]}.{model.__name__}"


def kinds_of(union: Any) -> dict[str, str]:
    """Return the word in ``type`` of each member of a union, by the member's name."""
    found = {}
    for model in _models(union):
        literal = _bare(model.model_fields["type"].annotation)
        found[name_of(model)] = str(typing.get_args(literal)[0])
    return found


def _bare(annotation: Any) -> Any:
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _models(annotation: Any) -> list[Model]:
    annotation = _bare(annotation)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, list):
        return [model for each in typing.get_args(annotation) for model in _models(each)]
    return []
