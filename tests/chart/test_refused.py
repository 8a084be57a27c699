"""Values that would give objects that no cluster takes, or a pod that does not work."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from sidecar.commands import shell
from sidecar.inject.pod import CONFIG_FOLDER, KEYS_FOLDER
from tests.chart import api_schemas
from tests.chart.rendered import SETS, one, render, render_texts, require_engine
from tests.support.chart_reference import SCHEMA

require_engine()

EXAMPLE: dict[str, Any] = {"example": {"enabled": True}}
NUMBERS = {
    "nameOverride": "123",
    "fullnameOverride": "456",
    "redis": {"enabled": True, "passwordSecret": {"name": "789", "key": "1"}},
    "secrets": [{"name": "0"}],
}


class _UniqueKeys(yaml.SafeLoader):
    """As the API server reads YAML: a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return super().construct_mapping(node, deep)


def _notes(values: dict[str, Any]) -> str:
    return next(text for path, text in render_texts(values).items() if "NOTES" in path)


@pytest.mark.parametrize("name", ["123", "true", "1e3", "null"])
@pytest.mark.parametrize("values", [{}, NUMBERS, {"existingConfigMap": "123"}], ids=str)
def test_names_that_look_like_numbers_stay_text(name, values):
    """`helm install 123` is a release like any other."""
    for set_name in ("maximal", "example"):
        for each in render({**SETS[set_name], "fullnameOverride": "", **values}, name=name):
            api_schemas.validate(each, "1.33.0")


@pytest.mark.parametrize("override", ["123", "true"])
def test_a_release_may_be_named_as_the_chart_is_overridden(override):
    """Then every name is that of the release, bare."""
    values = {**SETS["maximal"], "nameOverride": override}
    for each in render(values, name=override):
        api_schemas.validate(each, "1.33.0")


@pytest.mark.parametrize("key", ["scrape", "port", "path"])
def test_an_annotation_that_the_chart_sets_can_be_set_otherwise(key):
    """It stands once, as the user wants it; the others stay."""
    values = {**EXAMPLE, "podAnnotations": {f"prometheus.io/{key}": "other"}}
    texts = render_texts(values)
    for path, text in texts.items():
        if path.endswith(".yaml"):
            list(yaml.load_all(text, _UniqueKeys))
    annotations = one(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    usual = {"scrape": "true", "port": "9901", "path": "/metrics", key: "other"}

    assert usual == {each: annotations[f"prometheus.io/{each}"] for each in usual}
    assert "plano-sidecar/restart-checksum" in annotations


def test_a_user_may_ask_for_scraping_beside_a_monitor():
    """With a PodMonitor only what the user names is there."""
    values = {
        **EXAMPLE,
        "podMonitor": {"enabled": True},
        "podAnnotations": {"prometheus.io/path": "/m"},
    }
    annotations = one(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert ["prometheus.io/path"] == [each for each in annotations if "prometheus" in each]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, "podLabels has app.kubernetes.io/name"),
        ({"podLabels": {"plano-sidecar/release": "x"}}, "podLabels has plano-sidecar/release"),
        ({"config": {"listeners": [{"address": "::1"}]}}, "variables name 127.0.0.1"),
        ({"config": {"listeners": [{"address": "0.0.0.0"}]}}, "variables name 127.0.0.1"),
        ({"config": {"admin": {"address": "::1"}}}, "neither the kubelet's probes"),
        ({"config": {"admin": {"address": "127.0.0.2"}}}, "neither the kubelet's probes"),
        ({"config": {"admin": {"port": 12000}}}, "are both 12000"),
        ({"config": {"admin": {"port": 11999}}}, "operators have port 12000"),
        ({"config": {"admin": {"operator_address": "127.0.0.1:9901"}}}, "have port 9901"),
        ({"config": {"admin": {"operator_address": "127.0.0.1:12000"}}}, "have port 12000"),
        ({"config": {"admin": {"port": 65535}}}, "no port comes after"),
        ({"configFile": "version: v0.4.0", "existingConfigMap": "c"}, "are both set"),
        (
            {
                "redis": {"enabled": True},
                "config": {"routing": {"session_cache": {"type": "memory"}}},
            },
            'session_cache.type is "memory"',
        ),
        ({"extraVolumes": [{"name": "plano-sidecar-keys"}]}, "a volume of the chart's own"),
        ({"extraEnv": [{"name": "N", "value": 1}]}, "extraEnv"),
        ({"extraEnv": [{"name": "N", "value": True}]}, "extraEnv"),
        ({"terminationGracePeriodSeconds": 86401}, "terminationGracePeriodSeconds"),
    ],
)
def test_what_cannot_work_is_refused(values, said):
    """Before a cluster sees it, with a sentence that names the value."""
    with pytest.raises(Exception, match=said):
        render({**EXAMPLE, **values})


@pytest.mark.parametrize(
    "folder", [CONFIG_FOLDER, f"{CONFIG_FOLDER}/", KEYS_FOLDER, f"/run/../{KEYS_FOLDER}/more"]
)
def test_no_mount_hides_a_folder_of_the_sidecar(folder):
    """Its config or its keys would be gone."""
    mounts = {
        "extraVolumes": [{"name": "ca", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": folder}],
    }
    with pytest.raises(Exception, match="choose another"):
        render({**EXAMPLE, **mounts})


def test_native_needs_a_cluster_that_can():
    """An older one would wait for the init container to end, for ever."""
    with pytest.raises(Exception, match=r"mode native needs Kubernetes 1\.29"):
        render({**EXAMPLE, "mode": "native"}, "1.28.0")


def test_the_grace_is_bounded_as_the_command_bounds_it():
    """What the schema takes, the sidecar starts with."""
    schema = json.loads(SCHEMA.read_text())["properties"]["terminationGracePeriodSeconds"]

    assert shell.SECONDS_AT_MOST == schema["maximum"]


@pytest.mark.parametrize("head", ["  ", "\n  ", "    # a comment\n  "])
def test_a_config_whose_first_line_is_indented_is_kept(head):
    """A block of YAML takes its indentation from its first line, unless it is told."""
    text = f"{head}version: v0.4.0\n  model_providers: []\n"
    maps = [each for each in render({"configFile": text}) if each["kind"] == "ConfigMap"]

    assert [text, text] == [each["data"]["config.yaml"] for each in maps]


def test_the_notes_name_every_key_that_a_secret_needs():
    """That of Redis too, in whichever Secret it is."""
    same = _notes({"redis": {"enabled": True}})
    other = _notes({"redis": {"enabled": True, "passwordSecret": {"name": "pins"}}})

    assert "plano-sidecar-keys --from-literal=openai=sk-... --from-literal=redis=..." in same
    assert "generic pins --from-literal=redis=..." in other


def test_the_notes_ask_for_no_optional_secret():
    """Pods start without it."""
    notes = _notes({"secrets": [{"name": "must"}, {"name": "may", "optional": True}]})

    assert "get secret must\n" in notes
    assert "may" not in notes.partition("Next")[0].split()
    assert "wait" not in _notes({"secrets": [{"name": "may", "optional": True}]})


@pytest.mark.parametrize("values", [{"configFile": "version: v0.4.0"}, {"existingConfigMap": "c"}])
def test_the_notes_warn_of_a_redis_that_the_config_does_not_name(values):
    """A config that comes whole is not added to."""
    assert "redis://web-plano-sidecar-redis:6379" in _notes({**values, "redis": {"enabled": True}})
    assert "WARNING" not in _notes(values)
