"""Reads price lists and latency queries of others into numbers by configured model. Pure.

A missing price is missing, never free. Units: USD per million tokens, seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from sidecar.domain.decision import Price
from sidecar.domain.errors import LoggableError

Prices = Mapping[str, Price]
Seconds = Mapping[str, float]

_TOKENS_PER_MTOK: Final = 1e6
_DECIMALS: Final = 9
_T = TypeVar("_T")


class SourceUnreadable(LoggableError):
    """The document is not what this kind of source gives. The message is for a log and holds
    nothing of the document.
    """


_Amount = float | str | None
"""A number; some APIs write their decimals as strings."""


class _DigitalOceanPricing(msgspec.Struct):
    """USD per token, whatever the names say."""

    input_price_per_million: _Amount = None
    output_price_per_million: _Amount = None
    cache_read_input_price_per_million: _Amount = None
    input_cache_read: _Amount = None


class _DigitalOceanModel(msgspec.Struct):
    model_id: str = ""
    pricing: _DigitalOceanPricing | None = None


class _DigitalOceanCatalog(msgspec.Struct):
    data: list[msgspec.Raw]


class _ModelsDevCost(msgspec.Struct):
    """USD per million tokens."""

    input: _Amount = None
    output: _Amount = None
    cache_read: _Amount = None


class _ModelsDevModel(msgspec.Struct):
    cost: _ModelsDevCost | None = None


class _ModelsDevProvider(msgspec.Struct):
    models: dict[str, msgspec.Raw] = {}


class _FilePrice(msgspec.Struct):
    """USD per million tokens, under the names of a provider's ``price:``."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None


class _Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[msgspec.Raw]


class _PrometheusResponse(msgspec.Struct):
    status: str
    data: _Vector | None = None


def read_digitalocean(data: bytes, aliases: Mapping[str, str]) -> Prices:
    """Return the prices of DigitalOcean's catalog (``GET /v2/gen-ai/models/catalog``), by
    ``model_id`` and by ``digitalocean/model_id``.

    Args: ``aliases`` rename catalog keys to configured models.
    Raises: SourceUnreadable.
    """
    prices: dict[str, Price] = {}
    for raw in _decoded(data, _DigitalOceanCatalog).data:
        model = _entry(raw, _DigitalOceanModel)
        if model is None or not model.model_id or model.pricing is None:
            continue
        pricing = model.pricing
        cached = _number(pricing.cache_read_input_price_per_million, _TOKENS_PER_MTOK)
        if cached is None:
            cached = _number(pricing.input_cache_read, _TOKENS_PER_MTOK)
        price = _price(
            _number(pricing.input_price_per_million, _TOKENS_PER_MTOK),
            _number(pricing.output_price_per_million, _TOKENS_PER_MTOK),
            cached,
        )
        if price is not None:
            prices[model.model_id] = prices[f"digitalocean/{model.model_id}"] = price
    return _renamed(prices, aliases)


def read_models_dev(data: bytes, aliases: Mapping[str, str]) -> Prices:
    """Return the prices of models.dev (``GET /api.json``), by ``provider/model`` as it spells them.

    Args: ``aliases`` rename catalog keys to configured models.
    Raises: SourceUnreadable.
    """
    prices: dict[str, Price] = {}
    for provider_id, raw_provider in _decoded(data, dict[str, msgspec.Raw]).items():
        provider = _entry(raw_provider, _ModelsDevProvider)
        for model_id, raw in (provider.models if provider is not None else {}).items():
            model = _entry(raw, _ModelsDevModel)
            if model is None or model.cost is None:
                continue
            cost = model.cost
            price = _price(_number(cost.input), _number(cost.output), _number(cost.cache_read))
            if price is not None:
                prices[f"{provider_id}/{model_id}"] = price
    return _renamed(prices, aliases)


def read_price_file(data: bytes, aliases: Mapping[str, str]) -> Prices:
    """Return the prices of an operator's file: a JSON object from model to ``{"input": 3.0,
    "output": 15.0, "cached_input": 0.3}``.

    Unlike in a catalog, one bad entry makes the whole file unreadable: its owner can mend it.

    Raises: SourceUnreadable.
    """
    prices: dict[str, Price] = {}
    for model, entry in _decoded(data, dict[str, _FilePrice]).items():
        price = _price(_number(entry.input), _number(entry.output), _number(entry.cached_input))
        if price is not None:
            prices[model] = price
    return _renamed(prices, aliases)


def read_prometheus(data: bytes, aliases: Mapping[str, str]) -> Seconds:
    """Return the seconds of a Prometheus instant vector (``GET /api/v1/query``), by its label
    ``model_name``.

    NaN, infinite and negative values are missing; of several series of one model the slowest
    counts. The vector may be empty: then no model was called lately.

    Raises: SourceUnreadable.
    """
    response = _decoded(data, _PrometheusResponse)
    vector = response.data
    if response.status != "success" or vector is None or vector.result_type != "vector":
        raise SourceUnreadable("the query did not answer with an instant vector")
    seconds: dict[str, float] = {}
    for raw in vector.result:
        sample = _entry(raw, _Sample)
        if sample is None:
            continue
        name, value = sample.metric.get("model_name", ""), _number(sample.value[1])
        if name and value is not None:
            name = aliases.get(name, name)
            seconds[name] = max(value, seconds.get(name, 0.0))
    return seconds


def _decoded(data: bytes, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=shape)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable("the answer has another shape than this source gives") from error


def _entry(raw: msgspec.Raw, shape: type[_T]) -> _T | None:
    """Return one entry of a catalog; None where it has another shape, since the rest of the catalog
    still counts.
    """
    try:
        return msgspec.json.decode(raw, type=shape)
    except (ValueError, RecursionError):
        return None


def _number(amount: _Amount, factor: float = 1.0) -> float | None:
    """Return a finite number that is not negative, else None."""
    try:
        number = math.nan if amount is None else float(amount) * factor
    except ValueError:
        return None
    # Rounded, since a price per token times a million is 0.37500000000000006 where 0.375 is meant.
    return round(number, _DECIMALS) if 0.0 <= number < math.inf else None


def _price(
    usd_per_mtok_in: float | None,
    usd_per_mtok_out: float | None,
    usd_per_mtok_cached_in: float | None,
) -> Price | None:
    """Return a price that names input or output, else None."""
    if usd_per_mtok_in is None and usd_per_mtok_out is None:
        return None
    return Price(usd_per_mtok_in, usd_per_mtok_out, usd_per_mtok_cached_in)


def _renamed(prices: dict[str, Price], aliases: Mapping[str, str]) -> Prices:
    """Return the prices under their own keys and under the models that the aliases name."""
    return prices | {model: prices[key] for key, model in aliases.items() if key in prices}
