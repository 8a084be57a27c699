"""The list of models, in one shape that the SDKs of all dialects can read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class ModelInfo(msgspec.Struct, frozen=True):
    """A configured model or alias, as ``/v1/models`` lists it."""

    id: str
    """What an app puts into ``model``."""
    owned_by: str
    """The provider prefix."""
    display_name: str | None = None
    """None: the id."""


class _Model(msgspec.Struct, frozen=True):
    """OpenAI's fields and Anthropic's. When a model was made is unknown here: both dates are the
    epoch.
    """

    id: str
    owned_by: str
    display_name: str
    object: str = "model"
    created: int = 0
    type: str = "model"
    created_at: str = "1970-01-01T00:00:00Z"


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model]
    first_id: str | None
    last_id: str | None
    object: str = "list"
    has_more: bool = False


def models_body(models: Sequence[ModelInfo]) -> bytes:
    """Write the body of ``GET /v1/models``, in the order given: one page that both SDKs read."""
    data = [_model(model) for model in models]
    return msgspec.json.encode(
        _Models(data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None)
    )


def model_body(model: ModelInfo) -> bytes:
    """Write the body of ``GET /v1/models/{id}``."""
    return msgspec.json.encode(_model(model))


def _model(model: ModelInfo) -> _Model:
    return _Model(model.id, model.owned_by, model.display_name or model.id)
