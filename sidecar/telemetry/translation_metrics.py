"""Metrics of calls that were served by a model that does not speak the app's API."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from sidecar.domain.events import CallTranslated, Listeners
from sidecar.telemetry.families import CounterFamily

UNKNOWN_FIELD: Final = "unknown"
"""Any field that the caller's API does not have: their names are the callers' to invent."""


class TranslationMetrics:
    """Counts translated calls, and what they lost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = CounterFamily(
            registry,
            "plano_sidecar_translated_calls",
            "Calls whose model was asked in another API than the app's.",
            ("dialect", "upstream_dialect", "model"),
        )
        self._losses = CounterFamily(
            registry,
            "plano_sidecar_translation_losses",
            "Translated calls that lost a field of theirs, or a kind of content of the response.",
            ("field",),
        )

    def listeners(self) -> Listeners:
        """Hear of translated calls."""
        return {CallTranslated: self._call_translated}

    def _call_translated(self, event: CallTranslated) -> None:
        dialect, _, upstream_dialect = event.way.partition(">")
        model = event.candidate.metric_model
        self._calls.with_labels(dialect, upstream_dialect, model).value += 1
        for field in {each.name if each.is_known else UNKNOWN_FIELD for each in event.lost}:
            self._losses.with_labels(field).value += 1
