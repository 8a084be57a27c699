"""The config in effect as operators see it."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.config.load import load_config
from sidecar.listener.config_page import ConfigInEffect, ConfigPage, OlderConfig, config_facts
from sidecar.listener.operators import OperatorAccess, Operators
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request


def _config(tmp_path: Path) -> ConfigInEffect:
    (tmp_path / "key").write_text("sk-marked-file")
    file = tmp_path / "c.yaml"
    file.write_text(
        "model_providers:\n"
        "  - {model: openai/a, access_key: sk-marked-text, headers: {x-t: marked}}\n"
        "  - {model: openai/b, access_key: '${file:key}', base_url: $URL}\n"
        "tracing: {otlp_endpoint: 'http://u:marked@otel:4318', span_attributes: [marked]}\n"
    )
    loaded = load_config(file, {"URL": "http://marked.example/v1"})
    older = OlderConfig(1, "abc", 2.0)
    return ConfigInEffect(loaded, 2, 5.0, [older], {"is_successful": False})


async def test_it_shows_the_config_its_hash_files_and_warnings(tmp_path):
    """Under the names of its keys, for people indented."""
    config = _config(tmp_path)
    pages = ConfigPage(lambda: config).pages()
    async with running_pages(Operators(pages, OperatorAccess()).handle) as running:
        reply = await exchange(running.port, raw_request("GET", "/config_dump"))
    facts = reply.json()

    assert config_facts(config) == facts
    assert (config.loaded.hash, 2, 5.0, False) == tuple(
        facts[name] for name in ("hash", "generation", "since_unix_s", "is_zero_config")
    )
    assert {"is_successful": False} == facts["reload"]
    assert [{"generation": 1, "hash": "abc", "since_unix_s": 2.0}] == facts["older"]
    assert [str(tmp_path / name) for name in ("c.yaml", "key")] == facts["files"]
    assert any("tracing.span_attributes" in warning for warning in facts["warnings"])
    assert ["openai/a", "openai/b"] == [
        entry["model"] for entry in facts["config"]["model_providers"]
    ]
    assert 9901 == facts["config"]["admin"]["port"]
    assert b'\n  "config": {' in reply.body


async def test_it_shows_no_secret(tmp_path):
    """Neither one in the file, nor in a file beside it, nor in the environment."""
    facts = config_facts(_config(tmp_path))

    assert "marked" not in json.dumps([facts["config"], facts["warnings"]])
