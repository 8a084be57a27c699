"""The config in the chart's ConfigMap, and what follows from it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.config import changes
from sidecar.inject.pod import CONFIG_FOLDER, KEYS_FOLDER
from tests.chart.rendered import (
    CHART,
    SETS,
    config_of,
    one,
    render,
    render_texts,
    require_engine,
    sidecar_of,
)

require_engine()

KEYS = ("openai", "anthropic", "anthropic-key", "redis-password", "redis", "ca.crt")


def _pod(**values: Any) -> dict[str, Any]:
    objects = render({"example": {"enabled": True}, **values})
    pod: dict[str, Any] = one(objects, "Deployment")["spec"]["template"]["spec"]
    return pod


def _annotations(config: dict[str, Any]) -> dict[str, str]:
    objects = render({"example": {"enabled": True}, "config": config})
    template = one(objects, "Deployment")["spec"]["template"]
    annotations: dict[str, str] = template["metadata"]["annotations"]
    return annotations


def _load(config: dict[str, Any], folder: Path) -> Any:
    """What the sidecar makes of it, with the Secrets' files in a folder."""
    from sidecar.config.load import load_config

    for name in KEYS:
        (folder / name).write_text("sk-test\n")
    file = folder / "config.yaml"
    text = json.dumps(config).replace(KEYS_FOLDER, str(folder))
    file.write_text(text.replace("/etc/plano-sidecar-ca", str(folder)))
    return load_config(file, {"POD_NAMESPACE": "shop"})


@pytest.mark.parametrize("name", SETS)
def test_the_sidecar_takes_the_config(tmp_path, name):
    """What the ConfigMap holds passes, the Secrets' files being there. The Redis for a trial speaks
    no TLS, which is told; nothing else is worth a warning.
    """
    loaded = _load(config_of(render(SETS[name])), tmp_path)

    warned = [each.partition("routing.session_cache.")[2] for each in loaded.warnings]
    in_clear = "url: the password goes over the network in the clear: use rediss://"
    assert ([in_clear] if name == "maximal" else []) == warned


def test_the_default_config_needs_one_key():
    """The other provider is left out until its key comes."""
    providers = config_of(render())["model_providers"]

    assert [False, True] == [each.get("optional", False) for each in providers]


def test_numbers_stay_numbers():
    """Helm's own values are floating point: 33554432 must not become 3.3554432e+07."""
    text = one(render(SETS["maximal"]), "ConfigMap", "web-llm")["data"]["config.yaml"]

    assert "body_bytes: 33554432\n" in text
    assert "port: 12100\n" in text


def test_ports_are_those_of_the_config(tmp_path):
    """They stand in one place: container port, variables and notes follow, and all is where the
    sidecar listens.
    """
    values = {**SETS["maximal"], "example": {"enabled": True}}
    objects, texts = render(values), render_texts(values)
    loaded = _load(config_of(objects), tmp_path).config
    pod = one(objects, "Deployment", "example")["spec"]["template"]["spec"]
    variables = {each["name"]: each["value"] for each in pod["containers"][-1]["env"]}
    (notes,) = [text for path, text in texts.items() if "NOTES" in path]

    assert [loaded.admin.port] == [each["containerPort"] for each in sidecar_of(pod)["ports"]]
    assert f":{loaded.listeners[0].port}/v1" in variables["OPENAI_BASE_URL"]
    assert f"{loaded.admin.operators.port}\n" in notes
    assert ("127.0.0.1",) == loaded.admin.operators.hosts


@pytest.mark.parametrize(
    ("admin", "port"),
    [
        ({}, 9902),
        ({"port": 9950}, 9951),
        ({"operator_address": "[::1]:9000"}, 9000),
    ],
)
def test_pages_for_operators_have_the_next_port(tmp_path, admin, port):
    """Where the sidecar puts them by itself; on the pod's loopback, so no container port."""
    values = {"example": {"enabled": True}, "config": {"admin": admin}}
    (notes,) = [text for path, text in render_texts(values).items() if "NOTES" in path]
    loaded = _load(config_of(render(values)), tmp_path).config

    assert port == loaded.admin.operators.port
    assert f"port-forward deploy/web-plano-sidecar-example {port}\n" in notes
    assert port not in [each["containerPort"] for each in sidecar_of(_pod(**values))["ports"]]


@pytest.mark.parametrize("address", ["off", "unix:/run/sidecar.sock"])
def test_notes_forward_no_port_that_is_not_there(address):
    """Pages may be off, or on a socket."""
    values = {"example": {"enabled": True}, "config": {"admin": {"operator_address": address}}}
    (notes,) = [text for path, text in render_texts(values).items() if "NOTES" in path]

    assert 1 == notes.count("port-forward")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"admin": {"port": "$ADMIN_PORT"}}, "config.admin.port must be a number"),
        ({"listeners": [{"port": "${P:-12000}"}]}, "must be a number from 1024 to 65535"),
        ({"listeners": [{"port": 0}]}, "must be a number from 1024"),
        ({"admin": {"address": "127.0.0.1"}}, "neither the kubelet's probes nor Prometheus"),
    ],
)
def test_ports_that_the_pod_cannot_know_are_refused(config, said):
    """A port that only the process knows has no probe."""
    with pytest.raises(Exception, match=said):
        render({"config": config})


def test_a_whole_config_goes_in_as_it_is(tmp_path):
    """With its comments, in plano's oldest form too; ports are read from it."""
    text = (
        "# our models\nversion: v0.1\n"
        "listeners: {egress_traffic: {address: 127.0.0.1, port: 12345}}\n"
        f"llm_providers:\n  - {{model: openai/a, access_key: '${{file:{KEYS_FOLDER}/openai}}'}}\n"
        "admin: {port: 9944}\n"
    )
    objects = render({"configFile": text, "example": {"enabled": True}})
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]

    assert text == one(objects, "ConfigMap", "sidecar")["data"]["config.yaml"]
    assert 9944 == sidecar_of(pod)["ports"][0]["containerPort"]
    assert "http://127.0.0.1:12345/v1" == pod["containers"][-1]["env"][0]["value"]
    assert 12345 == _load(config_of(objects), tmp_path).config.listeners[0].port
    with pytest.raises(Exception, match="configFile is not a mapping in YAML"):
        render({"configFile": "a: [1"})


def test_a_config_map_may_be_there_already():
    """Of several releases that share one."""
    objects = render({"existingConfigMap": "shared", "example": {"enabled": True}})
    volumes = [
        volume["configMap"]["name"]
        for kind, suffix in (("Deployment", "example"), ("Job", "check"))
        for volume in one(objects, kind, suffix)["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    ]

    assert ["shared", "shared"] == volumes
    assert "ConfigMap" not in [each["kind"] for each in objects]


def test_the_tenant_is_the_namespace(tmp_path):
    """By the downward API, so that two namespaces share no pins in one Redis."""
    loaded = _load(config_of(render()), tmp_path).config
    variables = {each["name"]: each for each in sidecar_of(_pod())["env"]}
    reference = {"fieldRef": {"fieldPath": "metadata.namespace"}}

    assert "shop" == loaded.routing.session_cache.tenant
    assert reference == variables["POD_NAMESPACE"]["valueFrom"]


@pytest.mark.parametrize("cache", [{"tenant_header": "x-org-id"}, {"tenant": "acme"}])
def test_a_tenant_of_the_configs_own_stays(cache):
    """A fixed tenant would win over the header without a word."""
    routing = config_of(render({"config": {"routing": {"session_cache": cache}}}))["routing"]

    assert cache == routing["session_cache"]


def test_a_redis_of_the_configs_own_stays():
    """The one for trials takes the place of none."""
    cache = {"type": "redis", "url": "rediss://redis.shop:6379"}
    values = {"redis": {"enabled": True}, "config": {"routing": {"session_cache": cache}}}
    made = config_of(render(values))["routing"]["session_cache"]

    assert {**cache, "tenant": "$POD_NAMESPACE"} == made


def test_what_reloads_restarts_nothing():
    """Models, routes, limits: the kubelet brings the file, and the sidecar reads it."""
    plain = _annotations({})
    for config in (
        {"model_providers": [{"model": "openai/b", "access_key": "k"}]},
        {"limits": {"in_flight": 7}},
        {"routing": {"router_timeout_ms": 7, "session_ttl_seconds": 60}},
        {"routing": {"session_cache": {"tenant": "acme", "call_budget_ms": 30}}},
        {"logging": {"level": "debug"}},
    ):
        assert plain == _annotations(config)


CHANGED: dict[tuple[str | int, ...], Any] = {
    ("listeners", 0, "address"): "127.0.0.1",
    ("listeners", 0, "port"): 12001,
    ("admin", "address"): "0.0.0.0",
    ("admin", "port"): 9911,
    ("admin", "operator_address"): "127.0.0.1:9999",
    ("routing", "session_cache", "type"): "memory",
    ("routing", "session_cache", "url"): "redis://r",
    ("routing", "session_cache", "username"): "app",
    ("routing", "session_cache", "password"): "$PASSWORD",
    ("routing", "session_cache", "tls"): {"ca_file": "/ca.crt"},
    ("routing", "session_cache", "key_prefix"): "p:",
    ("routing", "session_cache", "near_cache"): False,
    ("logging", "format"): "logfmt",
}
"""Another value of each key that the sidecar reads once."""


def test_every_key_that_is_read_once_is_among_those():
    """The sidecar's own list; tracing is beside it, since a part of it reloads."""
    assert set(changes._NEEDS_RESTART) == set(CHANGED)


@pytest.mark.parametrize("path", [*CHANGED, ("tracing", "otlp_endpoint")], ids=str)
def test_what_needs_a_restart_gets_one(path):
    """By an annotation of the pods."""
    value: Any = CHANGED.get(path, "http://otel:4318")
    for key in reversed(path):
        value = [value] if key == 0 else {key: value}

    assert _annotations({}) != _annotations(value)


def test_the_readme_lists_the_keys_that_restart():
    """All of them and no other, before it names some that are live."""
    (row,) = re.findall(
        r"^\| (`listeners\[0\].*?) \|", (CHART / "README.md").read_text(), re.MULTILINE
    )
    named = [key.rpartition(".")[2] for key in re.findall(r"`([^`]+)`", row)]
    prefix = ["session_cache"]
    last = [str(path[-1]) for path in changes._NEEDS_RESTART]

    assert sorted([*last, *prefix, "tracing"]) == sorted(named)


def test_the_folders_are_those_of_the_pod():
    """Values, notes and templates name the folder that the container mounts."""
    values = (CHART / "values.yaml").read_text()

    assert f"${{file:{KEYS_FOLDER}/openai}}" in values
    assert f"{CONFIG_FOLDER}/config.yaml" in (CHART / "templates" / "check.yaml").read_text()
    assert KEYS_FOLDER in (CHART / "templates" / "_helpers.tpl").read_text()


def test_the_readmes_yaml_is_taken(tmp_path):
    """Its values render, and its config passes; its dependency is written as Helm wants it."""
    dependencies, _, production = re.findall(
        r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL
    )
    config = config_of(render(yaml.safe_load(production)))
    loaded = _load(json.loads(json.dumps(config).replace("/etc/redis-ca", str(tmp_path))), tmp_path)

    assert [] == loaded.warnings
    assert "shop" == loaded.config.routing.session_cache.tenant
    assert "plano-sidecar" == yaml.safe_load(dependencies)["dependencies"][0]["name"]
