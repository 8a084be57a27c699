"""The schema as JSON Schema, for editors and other validators. It is made from the structs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from sidecar.config.conventions import DialectKey
from sidecar.config.schema import Config
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.secret import Secret

_LEGACY_LISTENERS: Final = {
    "type": "object",
    "properties": {"egress_traffic": {"type": "object"}},
    "required": ["egress_traffic"],
    "additionalProperties": False,
}
_RETYPED: Final = frozenset({"integer", "number", "boolean"})
_AS_THEY_ARE: Final = frozenset({"default", "required", "properties", "propertyNames"})
_REFERENCE: Final = {"type": "string", "pattern": r"\$"}
"""What an editor must accept in place of any value: a reference to the environment."""


def json_schema() -> dict[str, Any]:
    """Return the config as JSON Schema (2020-12). It accepts older spellings, and references such
    as ``$PORT`` in place of any value.
    """
    # Through JSON, since msgspec leaves tuples among the defaults.
    schema = msgspec.json.decode(
        msgspec.json.encode(msgspec.json.schema(Config, schema_hook=_secret_schema))
    )
    definitions = schema["$defs"]
    config, provider = (
        definitions["Config"]["properties"],
        definitions[ModelProvider.__name__]["properties"],
    )
    config["llm_providers"] = {
        **config["model_providers"],
        "description": "the old name of model_providers",
    }
    definitions["Config"]["required"] = []
    definitions["Config"]["oneOf"] = [
        {"required": ["model_providers"]},
        {"required": ["llm_providers"]},
    ]
    provider["routing_preferences"] = {
        "type": "array",
        "description": "before v0.4.0; now at the top level",
    }
    by_dialect = next(each for each in provider["dialects"]["anyOf"] if each["type"] == "object")
    by_dialect["propertyNames"] = {"enum": [key.value for key in DialectKey]}
    config["listeners"] = {
        "description": config["listeners"]["description"],
        "anyOf": [config["listeners"], _LEGACY_LISTENERS],
    }
    loosened: dict[str, Any] = _loosened(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plano-sidecar config",
        **loosened,
    }


def _secret_schema(kind: type) -> dict[str, Any]:
    assert kind is Secret
    return {"type": "string"}


def _loosened(schema: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return the schema with a reference allowed wherever anything but free text is wanted, and
    null where a file may have a key without a value.
    """
    if isinstance(schema, list):
        return [_loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {
        key: value if key in _AS_THEY_ARE else _loosened(value) for key, value in schema.items()
    }
    if "properties" in schema:
        inner["properties"] = _loosened_members(schema["properties"], schema.get("required", ()))
    if inner.get("type") in _RETYPED or "enum" in inner or "pattern" in inner:
        return _either(inner, _REFERENCE)
    return inner


def _loosened_members(members: dict[str, Any], required: Collection[str]) -> dict[str, Any]:
    """Return the schemas of a section's keys, each `_loosened`."""
    loosened = {key: _loosened(value) for key, value in members.items()}
    return {key: value if key in required else _or_null(value) for key, value in loosened.items()}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section or list that has a default: its key may have no value."""
    return (
        _either(schema, {"type": "null"})
        if schema.get("type") in {"object", "array"} or "$ref" in schema
        else schema
    )


def _either(schema: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    outer: dict[str, Any] = {
        key: schema.pop(key) for key in ("description", "default") if key in schema
    }
    return {**outer, "anyOf": [schema, other]}
