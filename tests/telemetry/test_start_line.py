"""What the log says of a sidecar that has started."""

from __future__ import annotations

import hashlib

from sidecar.config.load import load_config
from sidecar.telemetry.log_events import LOG_EVENTS
from sidecar.telemetry.start_line import start_fields, store_place

LISTENING = {"data_port": 1, "admin_port": 2, "operators": "off"}
CONFIG = """
model_providers:
  - {model: openai/gpt-4o, access_key: sk-marked, default: true}
  - {model: anthropic/*, access_key: sk-marked}
  - {model: plano/Arch-Router, base_url: "http://router:8000"}
overrides: {llm_routing_model: plano/Arch-Router}
routing_preferences: [{name: code, description: code, models: [openai/gpt-4o]}]
routing: {session_cache: {type: redis, url: "rediss://user:sk-marked@cache:7000/1"}}
"""


def _loaded(tmp_path, text=CONFIG):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return load_config(file, {})


async def test_it_names_what_was_started_and_no_secret(tmp_path):
    """What an operator asks first: which version, which config, which models, where are pins."""
    loaded = _loaded(tmp_path)
    fields = start_fields(loaded, LISTENING, "fast")

    assert {
        "config": str(tmp_path / "c.yaml"),
        "config_hash": hashlib.sha256(CONFIG.encode()).hexdigest()[:12],
        "data_port": 1,
        "admin_port": 2,
        "operators": "off",
        "listener_path": "fast",
        "models": ["openai/gpt-4o", "anthropic/*"],
        "routes": ["code"],
        "router": "plano/Arch-Router",
        "store": "redis at cache:7000",
    }.items() <= fields.items()
    assert "sk-marked" not in str(fields)
    (ready,) = (each for each in LOG_EVENTS if each.name == "ready")
    assert ready.fields == tuple(fields)


async def test_a_config_of_the_environment_has_no_file_and_no_hash():
    """Its line says where it comes from."""
    loaded = load_config(None, {"OPENAI_API_KEY": "sk-x"})

    assert ("environment", "", None) == tuple(
        start_fields(loaded, LISTENING, "fast")[name]
        for name in ("config", "config_hash", "router")
    )
    assert "memory" == store_place(loaded.config)
