"""The commented config that `plano-sidecar init` writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.config.families import FAMILIES

_HEAD: Final = """\
# A config of plano-sidecar: `plano-sidecar check FILE` says whether it is right,
# `plano-sidecar run FILE` serves it. Apps call http://127.0.0.1:12000/v1 (OpenAI's SDKs)
# or http://127.0.0.1:12000 (Anthropic's).
version: v0.4.0

listeners:
  - {type: model, name: llm, address: 127.0.0.1, port: 12000}

# Who serves. `provider/*` serves every model of a provider, by the name that the app asks for.
# An entry of one model, such as `model: openai/gpt-4o-mini`, may have a price, and
# `default: true` for calls that name no model. Keys stay in the environment, or in files:
# access_key: ${file:/var/run/secrets/openai}
model_providers:
"""
_NO_KEY: Final = """\
  # No provider's key was found in the environment. A key of OpenAI's, for example:
"""
_TAIL: Final = """
# Other names for models.
# model_aliases:
#   fast: {target: openai/gpt-4o-mini}

# Kinds of work, and the models that should do them. A small router model reads the conversation
# and names the kind; it needs an entry of its own, and `overrides` says which one it is:
# - {model: plano/Arch-Router, base_url: http://router:8000}
# overrides: {llm_routing_model: plano/Arch-Router}
# routing_preferences:
#   - name: code generation
#     description: writing new functions, scripts or boilerplate
#     models: [anthropic/claude-sonnet-4-5, openai/gpt-4o]
#     selection_policy: {prefer: none}        # or cheapest, fastest

# A conversation stays with its model. In memory each sidecar keeps its own pins; with Redis all
# pods share them.
# routing:
#   session_cache: {type: redis, url: "redis://redis:6379/0"}
"""


def starter_config(environ: Mapping[str, str]) -> str:
    """Return a config with a wildcard entry for each provider whose key is set; OpenAI's where none
    is. Names of variables stand in it, never a value.
    """
    found = [
        (prefix, row.key_variable)
        for prefix, row in FAMILIES.items()
        if row.key_variable is not None and environ.get(row.key_variable)
    ]
    lines = [] if found else [_NO_KEY]
    for prefix, variable in found or [("openai", "OPENAI_API_KEY")]:
        lines.append(f"  - {{model: {prefix}/*, access_key: ${variable}}}\n")
    return _HEAD + "".join(lines) + _TAIL
