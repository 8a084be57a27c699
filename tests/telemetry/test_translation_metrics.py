"""Translated calls are counted, and what they lost."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sidecar.domain.decision import Candidate
from sidecar.domain.events import CallTranslated
from sidecar.domain.observers import Observers
from sidecar.domain.translation import LostField
from sidecar.telemetry.translation_metrics import TranslationMetrics
from tests.support.values import a_call

MODEL = Candidate("claude", "anthropic/c", "c", "anthropic/*", frozenset())


def test_translated_calls_are_counted_with_what_they_lost():
    """Each field once a call; the names of unknown ones are the callers' to invent."""
    registry = CollectorRegistry()
    observers = Observers([TranslationMetrics(registry)])
    lost = (
        LostField("seed", is_known=True),
        LostField("seed", is_known=True),
        LostField("a", is_known=False),
        LostField("b", is_known=False),
    )
    observers.emit(CallTranslated(a_call(), MODEL, "chat>messages", lost))
    observers.emit(CallTranslated(a_call(), MODEL, "chat>messages"))
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }

    assert {
        ("plano_sidecar_translated_calls_total", "chat", "messages", "anthropic/*"): 2,
        ("plano_sidecar_translation_losses_total", "seed"): 1,
        ("plano_sidecar_translation_losses_total", "unknown"): 1,
    } == counted
