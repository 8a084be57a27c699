"""What of the chart is made from other files: the schema of its `config` value, and its README's
table of values.

``python -m tests.support.chart_reference`` writes both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from sidecar.config.json_schema import json_schema

CHART: Final = Path(__file__).parents[2] / "helm" / "plano-sidecar"
SCHEMA: Final = CHART / "values.schema.json"
VALUES: Final = CHART / "values.yaml"
README: Final = CHART / "README.md"
_PREFIX: Final = "config."
"""Of the config's definitions among the chart's own."""
_SHOWN_AT_MOST: Final = 60
"""Characters of a default value in the table."""

Schema = Mapping[str, Any]


def with_config(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the values' schema with the config's own schema under `config`, so that Helm refuses
    a misspelt key before a cluster sees it.
    """
    config = json.loads(re.sub(r'"#/\$defs/', f'"#/definitions/{_PREFIX}', _config_schema()))
    own = {
        name: each for name, each in schema["definitions"].items() if not name.startswith(_PREFIX)
    }
    added = {_PREFIX + name: each for name, each in config["$defs"].items()}
    description = schema["properties"]["config"]["description"]
    place = {"description": description, "allOf": [{"$ref": config["$ref"]}]}
    properties = {**schema["properties"], "config": place}
    return {**schema, "properties": properties, "definitions": {**own, **added}}


def with_table(text: str) -> str:
    """Return the README's text with its table of values as it should be now."""
    mark = re.compile(r"(<!-- values -->\n).*?(<!-- /values -->\n)", re.DOTALL)
    assert len(mark.findall(text)) == 1
    table = values_table(json.loads(SCHEMA.read_text()), yaml.safe_load(VALUES.read_text()))
    return mark.sub(lambda found: found[1] + table + found[2], text)


def values_table(schema: Schema, values: Schema) -> str:
    """Return every value, a row each, in the order of the schema."""
    rows = [("value", "type", "default", "meaning"), ("---",) * 4, *_rows(schema, values, "")]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _config_schema() -> str:
    return json.dumps(json_schema())


def _rows(section: Schema, defaults: Any, prefix: str) -> Iterator[tuple[str, ...]]:
    for name, each in section["properties"].items():
        key = prefix + name
        default = defaults.get(name) if isinstance(defaults, dict) else None
        is_section = "properties" in each
        shown = "" if is_section or default is None else _shown(default)
        yield f"`{key}`", _type_name(each), shown, each["description"]
        if is_section:
            yield from _rows(each, default, f"{key}.")
        elif "properties" in each.get("items", {}):
            yield from _rows(each["items"], None, f"{key}[].")


def _type_name(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value != "")
    if "allOf" in schema:
        return _REFERRED.get(schema["allOf"][0]["$ref"].rpartition("/")[2], "mapping")
    kinds = schema["type"]
    return " or ".join(_NAMES[each] for each in ([kinds] if isinstance(kinds, str) else kinds))


_NAMES: Final = {
    "array": "list",
    "boolean": "bool",
    "integer": "int",
    "null": "null",
    "object": "mapping",
    "string": "text",
}
_REFERRED: Final = {
    "mounts": "list",
    "named": "list",
    "names": "list of text",
    "texts": "map of text",
    "user": "int or null",
    "variables": "list",
}


def _shown(default: Any) -> str:
    text = default if isinstance(default, str) else json.dumps(default)
    if text == "":
        return ""
    is_short = len(text) <= _SHOWN_AT_MOST and "\n" not in text
    return f"`{text}`" if is_short else "[values.yaml](values.yaml)"


if __name__ == "__main__":
    made = with_config(json.loads(SCHEMA.read_text()))
    SCHEMA.write_text(json.dumps(made, indent=2) + "\n")
    README.write_text(with_table(README.read_text()))
