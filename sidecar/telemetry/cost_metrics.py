"""What calls cost, and what pins saved, by the providers' usage figures and the known prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, final

from prometheus_client import CollectorRegistry

from sidecar.domain.call import DialectName
from sidecar.domain.decision import Candidate, Price, Source
from sidecar.domain.events import CallEnded, Listeners, UsageRefused
from sidecar.domain.outcome import Usage
from sidecar.telemetry.families import CounterFamily, CounterSeries

_USD_A_TOKEN: Final = 1e-6
"""Of a price, which is for a million tokens."""


class PriceBook(Protocol):
    """Prices from outside, by model name. An entry's own price goes before them."""

    @property
    def prices(self) -> Mapping[str, Price]:
        """What is known now; replaced as a whole, never changed."""
        ...


@final
class Pricing:
    """Where prices come from, and how the usage figures of an API are to be read."""

    def __init__(self, cache_apart: frozenset[DialectName] = frozenset()) -> None:
        """Args: ``cache_apart`` are the dialects whose input tokens leave out what was read from
        the cache or written to it.
        """
        self.cache_apart: Final = cache_apart
        self.book: PriceBook | None = None
        """Of the config that serves new calls; None where entries alone have prices."""

    def cost_usd(self, event: CallEnded) -> float | None:
        """Return what a call cost; None where its price or usage is not known."""
        costs = self.costs_usd(event)
        return None if costs is None else costs[0]

    def costs_usd(self, event: CallEnded) -> tuple[float, float] | None:
        """Return `costs_usd` of a call; None also where it brought no usage."""
        served, candidate = event.outcome.served, event.outcome.candidate
        if served is None or served.usage is None or candidate is None:
            return None
        price = candidate.price
        if price is None and self.book is not None:
            price = self.book.prices.get(candidate.model_name)
        if price is None:
            return None
        is_apart = event.call.endpoint.dialect in self.cache_apart
        return costs_usd(price, served.usage, is_apart=is_apart)


class UsageMetrics:
    """Counts who refuses to be asked for usage: what such a stream costs is not known."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._refused = CounterFamily(
            registry,
            "plano_sidecar_usage_refused",
            "Refusals to be asked for usage (usage: ask), after which a model is not asked again.",
            ("model",),
        )

    def listeners(self) -> Listeners:
        """Hear of each."""
        return {UsageRefused: self._usage_refused}

    def _usage_refused(self, event: UsageRefused) -> None:
        self._refused.with_labels(event.candidate.metric_model).value += 1


class CostMetrics:
    """Counts dollars. A call whose price or usage is not known adds nothing."""

    def __init__(self, registry: CollectorRegistry, pricing: Pricing) -> None:
        self._pricing = pricing
        self._cost = CounterFamily(
            registry,
            "plano_sidecar_cost_usd",
            "What calls cost, where the price is known.",
            ("account", "model"),
        )
        self._saved = CounterFamily(
            registry,
            "plano_sidecar_affinity_saved_usd",
            "What pinned calls saved, since the provider read a part of the prompt from its cache.",
            ("model",),
        )
        self._cost_series: dict[str, tuple[CounterSeries, CounterSeries]] = {}
        """By entry, which has one model in metrics: cost, savings."""

    def listeners(self) -> Listeners:
        """Hear how calls end."""
        return {CallEnded: self._call_ended}

    def _call_ended(self, event: CallEnded) -> None:
        candidate, costs = event.outcome.candidate, self._pricing.costs_usd(event)
        if candidate is None or costs is None:
            return
        cost_usd, saved_usd = costs
        series = self._cost_series.get(candidate.provider)
        if series is None:
            series = self._cost_series[candidate.provider] = self._series_of(candidate)
        decision = event.decision
        if saved_usd > 0 and decision is not None and decision.source is Source.PINNED:
            series[1].value += saved_usd
        series[0].value += cost_usd

    def _series_of(self, candidate: Candidate) -> tuple[CounterSeries, CounterSeries]:
        model = candidate.metric_model
        return self._cost.with_labels(candidate.provider, model), self._saved.with_labels(model)


def costs_usd(price: Price, usage: Usage, *, is_apart: bool) -> tuple[float, float] | None:
    """Return what tokens cost, and how much less that is since some were read from the provider's
    cache; None where the price of input or output is not known.

    Args: ``is_apart`` is whether the input tokens leave out what was read from the cache or written
        to it.
    """
    input_usd, output_usd = price.usd_per_mtok_in, price.usd_per_mtok_out
    if input_usd is None or output_usd is None:
        return None
    cached, cached_usd = usage.cached_input_tokens or 0, price.usd_per_mtok_cached_in
    tokens = usage.input_tokens or 0
    if is_apart:
        # No price of what was written to the cache is known: it costs as other input.
        tokens += cached + (usage.cache_write_tokens or 0)
    usd = max(tokens, cached) * input_usd + (usage.output_tokens or 0) * output_usd
    saved_usd = 0.0
    if cached and cached_usd is not None:
        saved_usd = cached * (input_usd - cached_usd)
    return max(0.0, usd - saved_usd) * _USD_A_TOKEN, saved_usd * _USD_A_TOKEN
