"""Servers are made before a port is opened."""

from __future__ import annotations

from sidecar.build.foundation import build_foundation
from sidecar.build.generation import build_generation
from sidecar.build.listeners import build_servers
from sidecar.config.load import load_config
from sidecar.dialects.registry import DIALECTS


async def test_servers_are_made_without_a_connection(tmp_path):
    """Whoever wants to look into a sidecar without ports makes them and opens none."""
    file = tmp_path / "sidecar.yaml"
    file.write_text(
        '{"version": "v0.4.0", "model_providers": [{"model": "openai/gpt-4o", "access_key": "k"}]}'
    )
    loaded = load_config(file, {})
    foundation = build_foundation(loaded, {}, DIALECTS, lambda: None)
    generation = build_generation(loaded, foundation)

    data_server, admin_server = build_servers(generation, foundation)

    assert ([], []) == (list(data_server.connections), list(admin_server.connections))
    await generation.aclose()
