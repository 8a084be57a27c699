"""The chart, rendered by a real Helm engine and held against the API's own schemas."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "plano-sidecar"
DEPLOY = Path(__file__).parents[2] / "deploy"
VERSIONS = ("1.28.0", "1.29.3", "1.33.0", "1.36.0")
EVERYTHING: dict[str, Any] = {
    "podMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "kps"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "kps"}},
    "dashboard": {"enabled": True, "labels": {"grafana_dashboard": "1"}},
    "app": {"replicas": 2, "image": "python:3.11-slim"},
}

if (
    importlib.util.find_spec("helm_python") is None
    and os.environ.get("SIDECAR_REQUIRE_CHART") != "1"
):
    pytest.skip("helm-python-sdk is not installed; `make chart` has it", allow_module_level=True)


def _render(kube_version: str = "1.33.0", **values: Any) -> list[dict[str, Any]]:
    """Every object of the chart, as `helm template --kube-version` would give them."""
    from helm_python import Chart, _native, values_from_yaml

    with Chart.load(CHART) as chart:
        options = {"kube_version": f"v{kube_version}", "strict": True}
        merged = {**values_from_yaml((CHART / "values.yaml").read_text()), **values}
        merged["app"] = {
            **values_from_yaml((CHART / "values.yaml").read_text())["app"],
            **values.get("app", {}),
        }
        rendered = json.loads(
            _native.call_string(
                "helm_render", chart._raw(), json.dumps(merged), json.dumps(options)
            )
        )
    texts = [text for name, text in sorted(rendered.items()) if name.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def _one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def _pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = _one(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def _sidecar(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = [
        each
        for each in pod.get("initContainers", []) + pod["containers"]
        if each["name"] == "plano-sidecar"
    ]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("kube_version", VERSIONS)
@pytest.mark.parametrize("mode", ["auto", "native", "container"])
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_object_fits_the_apis_schema(kube_version, mode, values):
    """Strictly: an unknown field is an error, as it is for a server-side apply."""
    import kubernetes_validate

    objects = _render(kube_version, mode=mode, **values)

    assert {"ConfigMap", "Deployment"} <= {each["kind"] for each in objects}
    for each in objects:
        if each["apiVersion"] != "monitoring.coreos.com/v1":
            kubernetes_validate.validate(each, kube_version.rpartition(".")[0], strict=True)


@pytest.mark.parametrize(
    ("kube_version", "mode", "is_native"),
    [
        ("1.28.0", "auto", False),
        ("1.29.3", "auto", True),
        ("1.36.0", "auto", True),
        ("1.36.0", "container", False),
        ("1.28.0", "native", True),
    ],
)
def test_the_sidecar_is_native_where_the_cluster_can(kube_version, mode, is_native):
    """A native sidecar starts before the app and ends after it; older clusters get an ordinary
    container.
    """
    pod = _pod(_render(kube_version, mode=mode))
    names = [each["name"] for each in pod["containers"]]

    assert is_native == (_sidecar(pod).get("restartPolicy") == "Always")
    assert is_native == ("plano-sidecar" not in names)
    assert "lifecycle" not in _sidecar(pod)


@pytest.mark.parametrize("mode", ["native", "container"])
def test_the_pod_is_restricted(mode):
    """What the Pod Security Standard "restricted" asks for, and no token or writable root
    besides.
    """
    pod = _pod(_render(mode=mode))

    assert pod["automountServiceAccountToken"] is False
    assert True is pod["securityContext"]["runAsNonRoot"]
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    for each in pod.get("initContainers", []) + pod["containers"]:
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert ["ALL"] == context["capabilities"]["drop"]
        assert True is context["readOnlyRootFilesystem"]


def test_probes_ask_the_admin_port_and_nothing_remote():
    """Startup and readiness are the latch, liveness the loop; the port has a name that Kubernetes
    allows.
    """
    sidecar = _sidecar(_pod(_render()))
    paths = {
        probe: sidecar[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "readiness", "liveness")
    }
    (port,) = sidecar["ports"]

    assert {"startup": "/readyz", "readiness": "/readyz", "liveness": "/livez"} == paths
    assert ("plano-admin", 9901) == (port["name"], port["containerPort"])
    assert len(port["name"]) <= 15


def test_resources_are_set_without_a_cpu_limit():
    """A throttled loop delays every call; memory is bounded."""
    resources = _sidecar(_pod(_render()))["resources"]

    assert {"memory"} == set(resources["limits"])
    assert {"cpu", "memory"} == set(resources["requests"])


def test_no_image_is_latest():
    """What runs is what was tested."""
    pod = _pod(_render())

    for each in pod.get("initContainers", []) + pod["containers"]:
        assert each["image"].rpartition(":")[2] not in ("", "latest")


def test_the_grace_outlasts_the_drain():
    """Kubelet must not kill what is still being served."""
    objects = _render()
    config = yaml.safe_load(_one(objects, "ConfigMap")["data"]["config.yaml"])

    assert _pod(objects)["terminationGracePeriodSeconds"] > config["drain"]["grace_s"]


def test_a_changed_config_changes_the_pod():
    """The checksum annotation rolls the Deployment."""
    annotations = [
        _one(_render(config={"model_providers": [{"model": model}]}), "Deployment")["spec"][
            "template"
        ]["metadata"]["annotations"]["checksum/config"]
        for model in ("openai/a", "openai/b")
    ]

    assert 2 == len(set(annotations))


def test_the_config_is_one_that_the_sidecar_takes(tmp_path):
    """What the ConfigMap holds passes `check`, the Secret's files being there."""
    from sidecar.config.load import load_config

    text = _one(_render(), "ConfigMap")["data"]["config.yaml"]
    for name in ("openai", "anthropic"):
        (tmp_path / name).write_text("sk-test\n")
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("/var/run/secrets/plano-sidecar", str(tmp_path)))
    loaded = load_config(file, {})

    assert ["openai/gpt-4o-mini", "anthropic/claude-sonnet-5"] == [
        provider.name for provider in loaded.providers
    ]
    assert [] == loaded.warnings


def test_pages_for_operators_are_on_the_pods_loopback_alone(tmp_path):
    """At the port that the notes forward, which no container port tells other pods of."""
    from sidecar.config.load import load_config

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    entries = [{"model": "openai/a", "access_key": "k"}]
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps({"model_providers": entries, "admin": values["config"]["admin"]}))
    place, port = load_config(file, {}).config.admin.operators, values["ports"]["operators"]

    assert (port, ("127.0.0.1", "::1")) == (place.port, place.hosts)
    assert port not in [each["containerPort"] for each in _sidecar(_pod(_render()))["ports"]]


@pytest.mark.parametrize(
    "values", [{"mode": "sidecar"}, {"imagge": {}}, {"image": {"repository": "x", "tag": "latest"}}]
)
def test_values_that_mean_nothing_are_refused(values):
    """The schema catches a typo before the cluster does."""
    from helm_python import HelmError

    with pytest.raises(HelmError):
        _render(**values)


def test_the_chart_has_nothing_that_helm_lint_minds():
    """No error, no warning."""
    from helm_python import lint

    findings = lint(str(CHART), {}, strict=True, kube_version="v1.33.0")

    # Helm's severities: 1 is information (no icon), 2 a warning, 3 an error.
    assert [] == [each for each in findings.get("messages", []) if each["severity"] >= 2]


def test_a_pod_monitor_replaces_the_annotations():
    """With the operator, its object; without it, the annotations."""
    plain, monitored = _render(), _render(**EVERYTHING)
    annotations = [
        _one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]
        for objects in (plain, monitored)
    ]

    assert ["prometheus.io/port" in each for each in annotations] == [True, False]
    assert "plano-admin" == _one(monitored, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"]


def test_rules_and_dashboard_are_those_of_the_repository():
    """The same texts as below deploy/, their own templates untouched; none of them by default."""
    objects = _render(**EVERYTHING)
    (dashboard,) = [each for each in objects if "plano-sidecar.json" in each.get("data", {})]
    rules = _one(objects, "PrometheusRule")

    assert (DEPLOY / "grafana" / "plano-sidecar.json").read_text() == dashboard["data"][
        "plano-sidecar.json"
    ]
    assert yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text()) == rules["spec"]
    assert "1" == dashboard["metadata"]["labels"]["grafana_dashboard"]
    assert "kps" == rules["metadata"]["labels"]["release"]
    kinds = [each["kind"] for each in _render()]
    assert ["ConfigMap", "Deployment"] == sorted(kinds)


def test_the_dashboard_fits_into_a_config_map():
    """Kubernetes takes one MiB, and kubectl apply a quarter of that as an annotation."""
    assert len((DEPLOY / "grafana" / "plano-sidecar.json").read_bytes()) < 256 * 1024


def test_the_pod_monitor_makes_the_labels_of_the_other_one():
    """deploy/prometheus has one for all pods of a cluster: dashboards do not care which it was."""
    other = yaml.safe_load((DEPLOY / "prometheus" / "podmonitor.yaml").read_text())
    endpoints = [
        each["spec"]["podMetricsEndpoints"][0]
        for each in (_one(_render(**EVERYTHING), "PodMonitor"), other)
    ]

    assert endpoints[0]["relabelings"] == endpoints[1]["relabelings"]
