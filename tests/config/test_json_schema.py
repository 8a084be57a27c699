"""The published table and JSON Schema say what the structs say."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest
import yaml

from sidecar.config.json_schema import json_schema
from sidecar.config.migrate import NOT_SERVED
from sidecar.config.schema import Config
from tests.config.loading import ONE_PROVIDER
from tests.config.test_load import CONTRACT
from tests.config.test_migrate import LIFTED
from tests.support import chart_reference
from tests.support.config_reference import README, config_table, family_table, with_tables

SCHEMA = jsonschema.Draft202012Validator(json_schema())


def accepts(text: str) -> bool:
    """Whether the published schema accepts a config file's text, as YAML 1.2 reads it."""
    return SCHEMA.is_valid(yaml.safe_load(text))


def test_schema_is_valid():
    """Somebody else's validator takes it for JSON Schema, and it is plain JSON."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema() == msgspec.json.decode(msgspec.json.encode(json_schema()))


@pytest.mark.parametrize(
    "text",
    [
        CONTRACT.replace("mode: off", "mode: 'off'"),
        LIFTED,
        ONE_PROVIDER,
        "llm_providers: [{model: openai/a}]",
        ONE_PROVIDER + "listeners: {egress_traffic: {port: 1}}",
        ONE_PROVIDER
        + "admin: {port: $PORT, mutations: '${M:-true}'}\ntimeouts: {connect_s: $T}\naccess_log: {mode: $M}",
        ONE_PROVIDER + "timeouts:\nlimits:\npropagate:\nmodel_aliases:\nratelimits: 5\n",
        "model_providers: [{model: $MODEL, dialects: [$D], provider_interface: $I}]",
        "model_providers: [{model: openai/a, dialects: {messages: {path: /m}}, headers: {a: $H}}]",
    ],
)
def test_schema_accepts(text):
    """Every config that loads is valid, references and older spellings included."""
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ONE_PROVIDER + "llm_providers: [{model: openai/a}]",
        ONE_PROVIDER + "listners: []",
        ONE_PROVIDER + "admin: {port: 70000}",
        ONE_PROVIDER + "admin: {port: many}",
        ONE_PROVIDER + "agents: []",
        ONE_PROVIDER + "access_log: {mode: some}",
        "model_providers: [{model: openai/a, acess_key: x}]",
        "model_providers: [{model: gpt}]",
        "model_providers: [{model: openai/a, dialects: {chats: {}}}]",
        "model_providers: []",
    ],
)
def test_schema_rejects(text):
    """Unknown keys and wrong values are invalid."""
    assert not accepts(text)


def keys_of_table() -> list[str]:
    return [line.split("`")[1] for line in config_table().splitlines()[2:]]


def test_table_holds_every_key():
    """Every key of every struct has one row, with a meaning."""
    keys = keys_of_table()
    assert len(keys) == len(set(keys))
    assert {
        "model_providers[].timeouts.connect_s",
        "model_aliases.NAME.target",
        "routing.session_cache.tls.ca_file",
    } < set(keys)
    assert {field.encode_name for field in msgspec.structs.fields(Config)} == {
        key for key in keys if "." not in key
    }
    assert all(line.rstrip("| ").count(" | ") >= 4 for line in config_table().splitlines()[2:])


@pytest.mark.parametrize(
    "row",
    [
        "| `routing.session_ttl_seconds` | int | s | `600` | how long a pin lives |",
        "| `limits.body_bytes` | int | bytes | `33554432` | a longer request body, as it comes or decompressed, is refused with 413; on `passthrough` paths it is sent on as it comes |",
        "| `propagate` | list of text |  | `[]` | more request headers that go to all providers |",
        "| `model_providers[].price.input` | number | USD per million tokens |  | input |",
        (
            "| `tracing.random_sampling` | number | % |  | share of new traces that are sampled; one that the app samples always is. "
            "Unset: as `OTEL_TRACES_SAMPLER` says, or none; 0 without `otlp_endpoint`: off |"
        ),
        (
            "| `model_providers[].model` | text |  | required | `prefix/model`, or `prefix/*` for all models of a provider; "
            "the provider gets what follows the first slash |"
        ),
    ],
)
def test_rows(row):
    """Type, unit, default and meaning come from the struct."""
    assert row in config_table().splitlines()


def test_the_rooms_readme_is_current():
    """What is published is what the structs and rows say; `python -m
    tests.support.config_reference` writes it.
    """
    text = README.read_text(encoding="utf-8")

    assert with_tables(text) == text


def test_the_charts_schema_is_current():
    """Helm refuses a misspelt key of the config, and no new one; `python -m
    tests.support.chart_reference` writes it.
    """
    schema = json.loads(chart_reference.SCHEMA.read_text(encoding="utf-8"))

    assert chart_reference.with_config(schema) == schema


@pytest.mark.parametrize(
    "row",
    [
        "| `anthropic` | `https://api.anthropic.com/v1` | messages | `x-api-key` | `ANTHROPIC_API_KEY` |",
        (
            "| `azure_openai` | `base_url` is needed | chat, responses, embeddings; Claude models messages "
            "| `api-key` |  |"
        ),
        (
            "| `gemini` | `https://generativelanguage.googleapis.com/v1beta/openai` | chat, embeddings "
            "| `Authorization`, for its own API `x-goog-api-key` | `GEMINI_API_KEY` |"
        ),
    ],
)
def test_families(row):
    """Address, dialects and credential come from the family's row."""
    assert row in family_table().splitlines()


def test_tables_of_unserved_keys_name_real_keys():
    """A key that is listed as doing nothing is a key of the schema."""
    assert set() == set(NOT_SERVED) - set(keys_of_table())
