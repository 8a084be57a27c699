"""RankInputs from the answers that price lists and Prometheus really give."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.decision import Price
from sidecar.routing.catalogs import (
    SourceUnreadable,
    read_digitalocean,
    read_models_dev,
    read_price_file,
    read_prometheus,
)

DIGITALOCEAN = json.dumps(
    {
        "data": [
            {
                "id": "11efb190-0000-0000-0000-4e013e2ddde4",
                "model_id": "openai-gpt-4o",
                "name": "OpenAI GPT-4o",
                "availability": ["serverless"],
                "context_window": "128000",
                "pricing": {
                    "input_price_per_million": 0.0000025,
                    "output_price_per_million": 0.00001,
                    "cache_read_input_price_per_million": 0.00000125,
                },
                "pricing_detail": {"variants": [{"prices": {"input_price_per_million": 0.5}}]},
            },
            {
                "model_id": "kimi-k2.5",
                "pricing": {"input_price_per_million": "0.000000375", "output_price_per_million": "0.000002025", "input_cache_read": "0.000000203"},
            },
            {"model_id": "half", "pricing": {"input_price_per_million": 0.000001}},
            {"model_id": "free", "pricing": {"input_price_per_million": 0, "output_price_per_million": 0}},
            {"model_id": "bge-m3", "name": "BGE M3"},
            {"model_id": "no-price", "pricing": {}},
            {"model_id": "null-price", "pricing": {"input_price_per_million": None, "output_price_per_million": None}},
            {"model_id": "odd-price", "pricing": {"input_price_per_million": -1, "output_price_per_million": "call us"}},
            {"model_id": 7, "pricing": {}},
            {"pricing": {"input_price_per_million": 1}},
            "not a model",
        ],
        "links": {},
        "meta": {"total": 11},
    }
).encode()  # fmt: skip

GPT_4O = Price(2.5, 10.0, 1.25)


def test_digitaloceans_catalog_is_per_token():
    """Whatever its field names say; numbers may be strings, cached rates have two names, what is
    missing is missing.
    """
    prices = read_digitalocean(
        DIGITALOCEAN, {"openai-gpt-4o": "openai/gpt-4o", "not-there": "openai/x"}
    )

    expected = {
        "openai-gpt-4o": GPT_4O,
        "openai/gpt-4o": GPT_4O,
        "kimi-k2.5": Price(0.375, 2.025, 0.203),
        "half": Price(1.0, None, None),
        "free": Price(0.0, 0.0, None),
    }
    assert expected == {
        model: price for model, price in prices.items() if not model.startswith("digitalocean/")
    }
    assert GPT_4O == prices["digitalocean/openai-gpt-4o"]


MODELS_DEV = json.dumps(
    {
        "openai": {
            "id": "openai",
            "name": "OpenAI",
            "env": ["OPENAI_API_KEY"],
            "models": {
                "gpt-4o": {
                    "id": "gpt-4o",
                    "cost": {"input": 2.5, "output": 10, "cache_read": 1.25},
                    "limit": {"context": 128000, "output": 16384},
                },
                "o-free": {"id": "o-free", "cost": {"input": 0, "output": 0}},
                "unpriced": {"id": "unpriced"},
                "no-cost": {"id": "no-cost", "cost": {}},
                "odd": {"id": "odd", "cost": "much"},
            },
        },
        "openrouter": {
            "models": {"anthropic/claude-sonnet-4.5": {"cost": {"input": 3, "output": 15}}}
        },
        "empty": {"id": "empty"},
        "odd": [],
    }
).encode()


def test_models_dev_is_per_million():
    """Keys are provider/model, also where the model's id holds a slash; aliases add ours."""
    expected = {
        "openai/gpt-4o": GPT_4O,
        "azure_openai/gpt-4o": GPT_4O,
        "openai/o-free": Price(0.0, 0.0, None),
        "openrouter/anthropic/claude-sonnet-4.5": Price(3.0, 15.0, None),
    }
    assert expected == read_models_dev(MODELS_DEV, {"openai/gpt-4o": "azure_openai/gpt-4o"})


def test_an_alias_goes_before_a_key_of_that_name():
    """The operator's word counts."""
    prices = read_models_dev(MODELS_DEV, {"openai/o-free": "openai/gpt-4o"})

    assert Price(0.0, 0.0, None) == prices["openai/gpt-4o"]


def test_our_own_file_has_the_names_of_the_config():
    """As under a provider's ``price:``."""
    data = b'{"openai/gpt-4o": {"input": 2.5, "output": 10, "cached_input": 1.25}, "b": {"input": 1}, "c": {}}'

    assert {
        "openai/gpt-4o": GPT_4O,
        "b": Price(1.0, None, None),
        "d": Price(1.0, None, None),
    } == read_price_file(data, {"b": "d"})


def vector(*samples: object) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": "vector", "result": samples}}
    ).encode()


def sample(model: str, value: str, **labels: str) -> dict[str, object]:
    return {"metric": {"model_name": model, **labels}, "value": [1700000000.123, value]}


def test_prometheus_answers_with_a_vector():
    """By the label model_name; what is no duration is missing, and the slowest series of a model
    counts.
    """
    data = vector(
        sample("openai/gpt-4o", "0.42"),
        sample("b", "NaN"),
        sample("c", "+Inf"),
        sample("d", "-1"),
        sample("e", "0.5", pod="1"),
        sample("e", "0.7", pod="2"),
        sample("e", "0.6", pod="3"),
        sample("named by them", "0.1"),
        {"metric": {"model": "f"}, "value": [1, "1"]},
        {"metric": {"model_name": "g"}},
        {"metric": {"model_name": "h"}, "value": [1, "x"]},
        3,
    )

    assert {"openai/gpt-4o": 0.42, "e": 0.7, "ours": 0.1} == read_prometheus(
        data, {"named by them": "ours"}
    )


def test_an_empty_vector_is_an_answer():
    """Nobody was called lately."""
    assert {} == read_prometheus(vector(), {})


NO_VECTOR = "the query did not answer with an instant vector"
OTHER_SHAPE = "the answer has another shape than this source gives"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"status":"error","errorType":"bad_data","error":"parse error"}', NO_VECTOR),
        (b'{"status":"success"}', NO_VECTOR),
        (b'{"status":"success","data":{"resultType":"matrix","result":[]}}', NO_VECTOR),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}', NO_VECTOR),
        (b"<html>", OTHER_SHAPE),
        (b"", OTHER_SHAPE),
    ],
)
def test_what_is_no_vector_is_unreadable(data, reason):
    """An error of Prometheus, another kind of result, another server."""
    with pytest.raises(SourceUnreadable, match=reason):
        read_prometheus(data, {})


@pytest.mark.parametrize(
    "read", [read_digitalocean, read_models_dev, read_price_file, read_prometheus]
)
@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[]", b"3", b"\xff", b'{"data":3}', b'{"data":' * 100_000]
)
def test_what_is_no_catalog_is_unreadable(read, data):
    """A gateway's page, another shape, hostile nesting."""
    if read is read_models_dev and data == b'{"data":3}':
        assert {} == read(data, {})
        return
    with pytest.raises(SourceUnreadable, match=OTHER_SHAPE):
        read(data, {})


def test_one_bad_entry_makes_our_file_unreadable():
    """It is the operator's own: a mistake in it should be heard."""
    with pytest.raises(SourceUnreadable, match=OTHER_SHAPE):
        read_price_file(b'{"a": {"input": 1, "output": 2}, "b": {"input": "1"}}', {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["data", "model_id", "pricing", "input_price_per_million", "models", "cost", "input", "result", "metric", "value", "status"]),
            inner,
        )
    ),
)  # fmt: skip


@given(JSON, st.sampled_from([read_digitalocean, read_models_dev, read_price_file]))
def test_any_json_gives_prices_or_is_unreadable(value, read):
    """Never another error, never a negative or endless price."""
    try:
        prices = read(json.dumps(value).encode(), {})
    except SourceUnreadable:
        prices = {}

    amounts = [
        amount
        for price in prices.values()
        for amount in (price.usd_per_mtok_in, price.usd_per_mtok_out, price.usd_per_mtok_cached_in)
    ]
    assert [] == [
        amount for amount in amounts if amount is not None and not 0.0 <= amount < float("inf")
    ]
