"""Configs in plano's older spellings load as plano would read them."""

from __future__ import annotations

import pytest

from sidecar.config.migrate import migrate
from sidecar.config.report import Report
from sidecar.config.schema_routing import RoutingPreference, SelectionPolicy
from sidecar.config.yaml_nodes import Mapping, read_document
from tests.config.loading import ONE_PROVIDER, load, problems, warnings

ROUTER = "overrides: {llm_routing_model: plano/R}\n"
LIFTED = (
    ROUTER
    + """version: v0.3.0
model_providers:
  - {model: plano/R, base_url: "http://r"}
  - model: openai/a
    access_key: k
    routing_preferences:
      - {name: code, description: writing code}
      - {name: chat, description: small talk}
  - model: openai/b
    access_key: k
    routing_preferences: [{name: code, description: other words}]
  - {model: openai/c, access_key: k, routing_preferences: ~}
"""
)


def test_the_newest_spelling_is_left_alone():
    """Every key where it was, without a word."""
    text = "model_providers: [{model: openai/a}]\nlisteners: []"
    root, report = read_document(text).root, Report("f")
    assert isinstance(root, Mapping)

    assert [(each.key, each.line) for each in root.entries] == [
        (each.key, each.line) for each in migrate(root, report).entries
    ]
    assert ([], []) == (report.problems, report.warnings)


def test_old_name_of_providers():
    """``llm_providers`` is ``model_providers``."""
    assert (
        load("llm_providers: [{model: openai/a, access_key: k}]").config.model_providers[0].model
        == "openai/a"
    )


def test_both_names_of_providers():
    """Both names together are an error at the old one's line."""
    expected = ["2: llm_providers: is the old name of model_providers; keep one of them"]
    assert expected == problems(ONE_PROVIDER + "llm_providers: []\n")


def test_preferences_are_lifted():
    """Before v0.4.0 those under providers go to the top level: models by provider order, the first
    description.
    """
    keep = SelectionPolicy()
    assert (
        RoutingPreference("code", "writing code", ("openai/a", "openai/b"), keep),
        RoutingPreference("chat", "small talk", ("openai/a",), keep),
    ) == load(LIFTED).config.routing_preferences


def test_top_level_wins():
    """A preference of that name at the top level stands as it is; the others follow it."""
    text = LIFTED + "routing_preferences: [{name: code, description: mine, models: [openai/c]}]\n"
    found = load(text).config.routing_preferences
    assert [(each.name, each.models) for each in found] == [
        ("code", ("openai/c",)),
        ("chat", ("openai/a",)),
    ]


@pytest.mark.parametrize("version", ["version: v0.4.0\n", ""])
def test_newest_version_ignores_them_loudly(version):
    """From v0.4.0 on they are ignored, as plano does, but not in silence."""
    text = (
        version
        + "model_providers:\n  - {model: openai/a, access_key: k, default: true, routing_preferences: [{name: x}]}\n"
    )
    line = 3 if version else 2
    expected = (
        f"{line}: model_providers[0].routing_preferences: is ignored from version v0.4.0 on; "
        "write it at the top level, with its models"
    )
    assert [expected] == warnings(text)
    assert load(text).config.routing_preferences == ()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{model: openai/*, access_key: k, routing_preferences: [{name: x, description: d}]}",
         ["3: model_providers[0].routing_preferences: a wildcard cannot have preferences: they need one model"]),
        ("{model: openai/a, access_key: k, routing_preferences: 5}",
         ["3: model_providers[0].routing_preferences: expected a list"]),
        ("{model: openai/a, access_key: k, routing_preferences: [x]}",
         ["3: model_providers[0].routing_preferences[0]: needs a name and a description"]),
        ("{model: openai/a, access_key: k, routing_preferences: [{name: x, description: d}, {name: x, description: e}]}",
         ["3: model_providers[0].routing_preferences[1]: two preferences are named 'x'"]),
        ("{model: openai/a, access_key: k, default: true, routing_preferences: [{name: x}]}",
         ["3: routing_preferences[0]: needs description"]),
        ("{access_key: k, routing_preferences: [{name: x}]}", ["3: model_providers[0]: needs model"]),
        ("{model: [], routing_preferences: [{name: x}]}", ["3: model_providers[0].model: expected text"]),
    ],
)  # fmt: skip
def test_lifted_problems(entry, expected):
    """What cannot be lifted is reported at its own line."""
    assert expected == problems(f"version: v0.3.0\nmodel_providers:\n  - {entry}\n")


def test_version_that_is_no_text():
    """A version that cannot be read lifts nothing and is reported."""
    text = "version: [v0.3.0]\nmodel_providers: [{model: openai/a, access_key: k, routing_preferences: [x]}]\n"
    assert problems(text) == ["1: version: expected text"]


def test_egress_listener():
    """The legacy listeners object becomes a model listener on the same port."""
    text = (
        ONE_PROVIDER
        + "listeners: {egress_traffic: {address: 127.0.0.1, port: 12345, message_format: openai, timeout: 30s}}"
    )
    listener = load(text).config.listeners[0]
    assert (listener.name, listener.address, listener.port) == (
        "egress_traffic",
        "127.0.0.1",
        12345,
    )
    assert warnings(text) == ["2: listeners[0].timeout: is accepted but not served; see timeouts"]


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        ("{ingress_traffic: {}}", ("2: listeners.ingress_traffic: is not served: this sidecar serves model listeners, "
         "not agents, prompts or filters")),
        ("{egress_trafic: {}}", "2: listeners.egress_trafic: unknown key 'egress_trafic'; did you mean 'egress_traffic'?"),
        ("{egress_traffic: 5}", "2: listeners[0]: expected a mapping"),
        ("{}", "2: listeners: must not be empty"),
    ],
)  # fmt: skip
def test_legacy_listeners_that_are_not_served(listeners, expected):
    """Prompt listeners are refused by name, and nothing else may stand there."""
    assert [expected] == problems(f"{ONE_PROVIDER}listeners: {listeners}")
