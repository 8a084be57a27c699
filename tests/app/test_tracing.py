"""Tracing is on where it is asked for and installed; otherwise nothing of it is there."""

from __future__ import annotations

import logging

import pytest

from sidecar.app import App
from sidecar.build import foundation as foundation_module
from sidecar.build.foundation import build_foundation
from sidecar.build.generation import build_generation
from sidecar.config.load import LoadedConfig, load_config
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.errors import ConfigError
from sidecar.domain.events import PinRead

OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def load(tmp_path, tracing: str = "{}", **environ: str) -> LoadedConfig:
    file = tmp_path / "sidecar.yaml"
    file.write_text(
        f"model_providers: [{{model: openai/gpt-4o, access_key: k}}]\ntracing: {tracing}\n"
    )
    return load_config(file, environ)


def test_without_tracing_none_of_it_is_made(tmp_path):
    """And what only spans need is not heard."""
    made = build_foundation(load(tmp_path), {}, DIALECTS, lambda: None)

    assert made.telemetry.tracer is None
    assert PinRead not in made.telemetry.observers.heard


def test_with_tracing_calls_are_heard_and_nothing_is_exported_yet(tmp_path):
    """A command that opens no port makes the same foundation."""
    loaded = load(tmp_path, "{random_sampling: 1}")
    made = build_foundation(loaded, {}, DIALECTS, lambda: None)

    assert made.telemetry.tracer is not None
    assert PinRead in made.telemetry.observers.heard


def test_tracing_that_is_asked_for_and_not_installed_is_a_config_error(tmp_path, monkeypatch):
    """One line, with what to do."""
    monkeypatch.setattr(foundation_module, "can_export_spans", lambda: False)
    with pytest.raises(ConfigError) as raised:
        App(load(tmp_path, "{random_sampling: 1}"), {})

    assert ["tracing needs the extra: pip install 'plano-sidecar[otel]'"] == raised.value.problems


async def test_tracing_that_only_the_environment_asks_for_may_be_missing(
    tmp_path, monkeypatch, caplog
):
    """The variable may be meant for another program; the log says that calls are not traced."""
    monkeypatch.setattr(foundation_module, "can_export_spans", lambda: False)
    loaded = load(tmp_path, **OTEL)
    with caplog.at_level(logging.WARNING):
        made = build_foundation(loaded, {}, DIALECTS, lambda: None)
    generation = build_generation(loaded, made)

    assert made.telemetry.tracer is None
    assert ["calls are not traced: tracing needs the extra: pip install 'plano-sidecar[otel]'"] == [
        record.message for record in caplog.records
    ]
    await generation.aclose()


def test_where_requests_go_is_what_the_serving_config_says(tmp_path):
    """Nothing before the first one, nor of entries that are gone."""
    assert foundation_module._server_of("openai/gpt-4o", None) is None
