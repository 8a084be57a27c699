"""The list of models, read by the SDKs of all dialects."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

from sidecar.dialects.registry import ModelInfo, model_body, models_body
from tests.support.sdks import client_of

MODELS = [ModelInfo("openai/gpt-4o", "openai"), ModelInfo("fast", "openai", "Fast one")]


@pytest.mark.parametrize("module", [openai, anthropic])
def test_both_sdks_list_the_models(module):
    """In order, each by its id, on one page."""
    models = client_of(module, 200, "application/json", models_body(MODELS)).models.list()
    assert [model.id for model in models] == ["openai/gpt-4o", "fast"]


@pytest.mark.parametrize("module", [openai, anthropic])
def test_both_sdks_retrieve_a_model(module):
    """With the fields that each documents."""
    model = client_of(module, 200, "application/json", model_body(MODELS[1])).models.retrieve(
        "fast"
    )
    if module is openai:
        assert (model.id, model.object, model.created, model.owned_by) == (
            "fast",
            "model",
            0,
            "openai",
        )
    else:
        assert (
            model.id,
            model.type,
            model.display_name,
            model.created_at.timestamp(),
        ) == ("fast", "model", "Fast one", 0)


def test_an_empty_list_is_a_list():
    """No models, no first and no last."""
    assert json.loads(models_body([])) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_a_list_has_the_fields_of_both_apis():
    """One object for each model."""
    body = json.loads(models_body(MODELS))
    assert (body["first_id"], body["last_id"], body["has_more"]) == ("openai/gpt-4o", "fast", False)
    assert body["data"][0] == {
        "id": "openai/gpt-4o",
        "object": "model",
        "created": 0,
        "owned_by": "openai",
        "type": "model",
        "display_name": "openai/gpt-4o",
        "created_at": "1970-01-01T00:00:00Z",
    }
