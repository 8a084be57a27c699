"""The schema of the chart's values, and the README that is made of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.rendered import CHART, SETS, render, require_engine
from tests.support.chart_reference import README, SCHEMA, VALUES, with_table

require_engine()

schema = json.loads(SCHEMA.read_text())
values = yaml.safe_load(VALUES.read_text())
VALIDATOR = jsonschema.Draft7Validator(schema)
OPEN = {"config", "global"}
"""`config` has a schema of its own, and `global` is of other charts."""


def _leaves(section: Any, schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every value that the schema knows: those of values.yaml are among them."""
    for name, each in schema["properties"].items():
        yield (*path, name)
        if "properties" in each:
            yield from _leaves(section.get(name, {}), each, (*path, name))


PATHS = [path for path in _leaves(values, schema) if path[0] not in OPEN]


def _with(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(values)
    place = changed
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    return changed


def _known(section: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every value of values.yaml, down to what the chart's own schema names."""
    for name, each in section.items():
        yield (*path, name)
        if isinstance(each, dict) and (*path, name) in SECTIONS:
            yield from _known(each, (*path, name))


SECTIONS = {path[:-1] for path in PATHS if len(path) > 1}


def test_the_schema_is_draft_7():
    """Helm 3 and Helm 4 read schemas by different libraries; both know this draft."""
    jsonschema.Draft7Validator.check_schema(schema)

    assert "http://json-schema.org/draft-07/schema#" == schema["$schema"]
    assert "$defs" not in SCHEMA.read_text()


def test_every_value_has_a_schema_and_a_default():
    """values.yaml shows all that there is, and nothing that the schema does not know."""
    assert set(PATHS) == {path for path in _known(values) if path[0] not in OPEN}


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_every_wrong_type_is_refused(path):
    """No value may be of any type: one of each kind that is not its own is refused."""
    wrong = [
        value for value in (True, 1.5, "?/?\n", ["?", 1], {"?": 1}) if not _is_like(path, value)
    ]

    assert len(wrong) >= 4
    for value in wrong:
        assert not VALIDATOR.is_valid(_with(path, value)), value


def _is_like(path: tuple[str, ...], value: Any) -> bool:
    """Whether a value is of the same kind as the default; free text takes any text."""
    default: Any = values
    for each in path:
        default = default[each]
    return type(default) is type(value) and isinstance(value, bool | str)


@pytest.mark.parametrize("path", [path for path in PATHS if path in SECTIONS], ids=".".join)
def test_every_unknown_key_is_refused(path):
    """A typo is told before a cluster sees it."""
    assert not VALIDATOR.is_valid(_with((*path, "enabledd"), True))


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges values: mappings into mappings, all else replaced."""
    made = {**under, **over}
    for key in under.keys() & over.keys():
        if isinstance(under[key], dict) and isinstance(over[key], dict):
            made[key] = _merged(under[key], over[key])
    return made


@pytest.mark.parametrize("name", SETS)
def test_the_sets_fit(name):
    """Another validator than Helm's says so as well."""
    VALIDATOR.validate(_merged(values, SETS[name]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mode": "sidecar"}, "mode"),
        ({"imagge": {}}, "imagge"),
        ({"image": {"tag": "latest"}}, "tag"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"secrets": ["keys"]}, "secrets"),
        ({"extraVolumeMounts": [{"name": "a", "mountPath": "/a", "subPath": "a"}]}, "subPath"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"runAsUser": 0}, "runAsUser"),
        ({"config": {"modell_providers": []}}, "modell_providers"),
        ({"config": {"routing_preferences": [{"name": "code"}]}}, "description"),
        ({"config": {"limits": {"in_flight": [1]}}}, "in_flight"),
    ],
)
def test_helm_refuses_what_means_nothing(changed, said):
    """By the engine itself, and with the name of what is wrong; keys of the config too."""
    with pytest.raises(Exception, match=said):
        render(changed)


def test_a_reference_may_stand_for_a_value_of_the_config():
    """As in the file itself."""
    assert render({"config": {"limits": {"in_flight": "${IN_FLIGHT:-10}"}}})


def test_the_readmes_table_is_current():
    """``python -m tests.support.chart_reference`` writes it."""
    assert with_table(README.read_text()) == README.read_text()
    assert CHART == README.parent
