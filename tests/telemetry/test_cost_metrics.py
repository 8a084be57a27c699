"""Dollars by usage and price: what is not known adds nothing."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, MESSAGES, DialectName, Endpoint, Operation
from sidecar.domain.decision import Candidate, Decision, Price, Source
from sidecar.domain.events import CallEnded
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Outcome, Served, Timing, Usage
from sidecar.domain.vocabulary import CallOutcome
from sidecar.telemetry.cost_metrics import PriceBook
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from tests.support.values import a_call

MODEL = Candidate("eu", "openai/gpt-4o", "gpt-4o", "openai/*", frozenset())
MILLION = 1_000_000
PRICE = Price(2.0, 10.0, 0.5)
CACHED = Usage(MILLION, 0, MILLION // 4)


class CostSource(NamedTuple):
    """What cost sources say."""

    prices: dict[str, Price]


def counted(
    usage: Usage | None,
    price: Price | None = PRICE,
    dialect: DialectName = CHAT,
    source: Source = Source.PINNED,
) -> tuple[float | None, float | None]:
    """Cost and savings after one call, None where there is no such series."""
    metrics = Metrics(ScrapeSnapshot, cache_apart=DIALECTS.cache_apart)
    metrics.pricing.book = CostSource({} if price is None else {MODEL.model_name: price})
    call = a_call(endpoint=Endpoint("/v1/x", dialect, Operation.GENERATE))
    outcome = Outcome(CallOutcome.OK, 200, Timing(1.0), False, Served(usage), MODEL)
    Observers(metrics.observers).emit(CallEnded(call, Decision(source, (MODEL,)), outcome))
    value = metrics.registry.get_sample_value
    return (
        value("plano_sidecar_cost_usd_total", {"account": "eu", "model": "openai/*"}),
        value("plano_sidecar_affinity_saved_usd_total", {"model": "openai/*"}),
    )


@pytest.mark.parametrize(
    ("usage", "dialect", "usd"),
    [
        (Usage(MILLION, MILLION), CHAT, 12.0),
        (Usage(MILLION, None), CHAT, 2.0),
        (CACHED, CHAT, 1.5 + 0.125),
        (Usage(1, 0, MILLION), CHAT, 0.5),
        (CACHED, MESSAGES, 2.0 + 0.125),
        (Usage(MILLION, 0, 0, MILLION), MESSAGES, 4.0),
    ],
)
def test_a_call_costs_its_input_cached_input_and_output(usage, dialect, usd):
    """Anthropic counts the cache's tokens apart; what is written to it costs as other input."""
    assert pytest.approx(usd) == counted(usage, dialect=dialect)[0]


@pytest.mark.parametrize(
    ("usage", "price"),
    [(None, PRICE), (CACHED, None), (CACHED, Price(None, 10.0)), (CACHED, Price(2.0, None))],
)
def test_without_a_usage_or_a_price_nothing_is_counted(usage, price):
    """Unknown is not free."""
    assert (None, None) == counted(usage, price)


def test_a_cached_token_of_unknown_price_costs_as_any_other_and_saves_nothing():
    """Never less than was paid."""
    assert (2.0, 0.0) == counted(CACHED, Price(2.0, 10.0))


@pytest.mark.parametrize(
    ("source", "saved"), [(Source.PINNED, 0.375), (Source.ROUTED, 0.0), (Source.REQUESTED, 0.0)]
)
def test_a_pinned_call_saves_the_difference_for_its_cached_tokens(source, saved):
    """Other calls may hit a cache too, but no pin brought them there."""
    assert saved == counted(CACHED, source=source)[1]


@pytest.mark.parametrize("book", [None, CostSource({"x/m": Price(9.0, 9.0)})])
def test_a_call_costs_what_its_entry_says_before_any_source(book: PriceBook | None):
    """The operator knows best."""
    metrics = Metrics(ScrapeSnapshot)
    metrics.pricing.book = book
    priced = Candidate("eu", "x/m", "m", "x/m", frozenset(), price=PRICE)
    outcome = Outcome(CallOutcome.OK, 200, Timing(1.0), False, Served(CACHED), priced)
    for _ in range(2):
        Observers(metrics.observers).emit(CallEnded(a_call(), None, outcome))
    labels = {"account": "eu", "model": "x/m"}

    assert 3.25 == metrics.registry.get_sample_value("plano_sidecar_cost_usd_total", labels)
