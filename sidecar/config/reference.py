"""The schema, written for people as a Markdown table and for editors as JSON Schema. Both come from
the structs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

from sidecar.config.conventions import DialectKey
from sidecar.config.decode import bare
from sidecar.config.schema import Config
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.secret import Secret

TABLE_BEGINS: Final = "<!-- config-table -->"
TABLE_ENDS: Final = "<!-- /config-table -->"
"""Between these two lines the README holds `config_reference`'s text."""

_UNITS: Final = {"_s": "s", "_ms": "ms", "_bytes": "bytes", "_tokens": "tokens", "_percent": "%"}
_LEGACY_LISTENERS: Final = {
    "type": "object",
    "properties": {"egress_traffic": {"type": "object"}},
    "required": ["egress_traffic"],
    "additionalProperties": False,
}
_PRICE_PREFIX: Final = "usd_per_mtok_"
_RETYPED: Final = frozenset({"integer", "number", "boolean"})
_AS_THEY_ARE: Final = frozenset({"default", "required", "properties", "propertyNames"})
_REFERENCE: Final = {"type": "string", "pattern": r"\$"}
"""What an editor must let pass wherever a value of another type stands: it may come from the
environment.
"""


def config_reference() -> str:
    """Every key of the config, a row each, in the order of the schema. Ends with a newline."""
    head = "| key | type | unit | default | meaning |\n|---|---|---|---|---|\n"
    rows = _rows(inspect.type_info(Config), "")
    return head + "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows
    )


def _rows(kind: inspect.Type, prefix: str) -> Iterator[tuple[str, str, str, str, str]]:
    """(key, type, unit, default, meaning) of each field of a struct, and behind it those of the
    structs inside.
    """
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        assert isinstance(field.type, inspect.Metadata)
        meaning = (field.type.extra_json_schema or {})["description"]
        key = f"{prefix}{field.encode_name}"
        yield f"`{key}`", _type_name(field.type), _unit(field.name), _default(field), meaning
        for suffix, inner in _inside(field.type):
            yield from _rows(inner, f"{key}{suffix}.")


def _inside(kind: inspect.Type) -> Iterator[tuple[str, inspect.StructType]]:
    """The structs that a field holds, each with what follows the key in their paths."""
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        yield "", kind
    elif isinstance(kind, inspect.VarTupleType):
        yield from (("[]" + suffix, inner) for suffix, inner in _inside(kind.item_type))
    elif isinstance(kind, inspect.DictType):
        yield from ((".NAME" + suffix, inner) for suffix, inner in _inside(kind.value_type))
    elif isinstance(kind, inspect.UnionType):
        for choice in kind.types:
            yield from _inside(choice)


def _type_name(kind: inspect.Type) -> str:
    kind = bare(kind)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(
            _type_name(each) for each in kind.types if not isinstance(each, inspect.NoneType)
        )
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.EnumType):
        return ", ".join(f"`{value.value}`" for value in kind.cls)
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {_type_name(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"map of {_type_name(kind.value_type)}"
    return _NAMES[type(kind)]


_NAMES: Final[dict[type[inspect.Type], str]] = {
    inspect.AnyType: "any",
    inspect.StructType: "mapping",
    inspect.StrType: "text",
    inspect.CustomType: "secret",
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "number",
}


def _unit(name: str) -> str:
    """The unit that a Python name carries: every name that has one ends or begins with it."""
    if name.startswith(_PRICE_PREFIX):
        return "USD per million tokens"
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if isinstance(bare(field.type), inspect.StructType) or field.default is None:
        return ""
    if field.default is msgspec.NODEFAULT:
        return "`{}`"
    value = msgspec.to_builtins(field.default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def json_schema() -> dict[str, Any]:
    """The config as JSON Schema (2020-12), older spellings and references such as ``$PORT``
    included.
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
    """The schema with a reference allowed wherever anything but free text is wanted, and null where
    the file may.
    """
    if isinstance(schema, list):
        return [_loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {
        key: value if key in _AS_THEY_ARE else _loosened(value) for key, value in schema.items()
    }
    if "properties" in schema:
        required = schema.get("required", ())
        named = {key: _loosened(value) for key, value in schema["properties"].items()}
        inner["properties"] = {
            key: value if key in required else _or_null(value) for key, value in named.items()
        }
    if inner.get("type") in _RETYPED or "enum" in inner or "pattern" in inner:
        return _either(inner, _REFERENCE)
    return inner


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A key that has a default may stand without a value where the value is a section or a list."""
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
