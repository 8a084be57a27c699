"""The commented config that `plano-sidecar init` writes. Pure.

Prose begins with ``#`` and one blank. All other lines that begin with ``#`` are config, which can
be switched on where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.config.families import FAMILIES

_HEAD: Final = """\
# A config of plano-sidecar. `plano-sidecar check FILE` says whether it is right, `run FILE` serves
# it, `doctor --config FILE` asks whether the providers would serve. Apps call
# http://127.0.0.1:12000/v1 (OpenAI's SDKs) or http://127.0.0.1:12000 (Anthropic's), with any key.
# Lines like #model_aliases: are switched off: take away their first character, and nothing else.
version: v0.4.0

listeners:
  - {type: model, name: llm, address: 127.0.0.1, port: 12000}

# Who serves. `provider/*` serves every model of a provider, by the name that the app asks for. An
# entry of one model may have a price (USD per million tokens), and be the default for calls that
# name no model. Keys stay in the environment ($NAME) or in files (${file:/var/run/secrets/name}).
model_providers:
"""
_NO_KEY: Final = """\
  # No provider's key was found in the environment; this one's, for example:
"""
_TAIL: Final = """\
#  - {{model: {small}, access_key: {key}, default: true, price: {{input: 1.0, output: 2.0}}}}
  # The router model, for the preferences below: any small chat model, at its server.
#  - {{model: plano/Arch-Router, base_url: "http://router:8000"}}

# Other names for models.
#model_aliases:
#  fast: {{target: {small}}}

# Kinds of work, and the models that should do them, the first one first. The router model reads the
# conversation and names the kind.
#overrides: {{llm_routing_model: plano/Arch-Router}}
#routing_preferences:
#  - name: code generation
#    description: writing new functions, scripts or boilerplate
#    models: [{large}, {small}]
#  - name: summaries
#    description: summarizing notes, mails and documents
#    models: [{small}, {large}]

# A conversation stays with its model. In memory each sidecar keeps its own pins; in Redis all pods
# share them.
#routing:
#  session_cache: {{type: redis, url: "redis://redis:6379/0"}}
"""
_EXAMPLES: Final = {
    "openai": ("gpt-4o-mini", "gpt-4o"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-5"),
}
"""A small and a large model of a family."""


def starter_config(environ: Mapping[str, str]) -> str:
    """Return a config with a wildcard entry for each provider whose key is set; OpenAI's where none
    is. Names of variables stand in it, never a value.
    """
    found = {
        prefix: row.key_variable
        for prefix, row in FAMILIES.items()
        if row.key_variable is not None and environ.get(row.key_variable)
    }
    lines = [] if found else [_NO_KEY]
    found = found or {"openai": "OPENAI_API_KEY"}
    lines += [
        f"  - {{model: {prefix}/*, access_key: ${variable}}}\n"
        for prefix, variable in found.items()
    ]
    first = next((prefix for prefix in _EXAMPLES if prefix in found), next(iter(found)))
    small, large = (f"{first}/{each}" for each in _EXAMPLES.get(first, ("MODEL", "LARGER-MODEL")))
    return _HEAD + "".join(lines) + _TAIL.format(small=small, large=large, key=f"${found[first]}")
