"""A release's life before a real API server, by Helm 3 and by Helm 4."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.chart.rendered import CHART, SETS
from tests.cluster.helm import Helm, HelmFailed
from tests.cluster.job_runner import JobRunner

HELMS = ("helm3", "helm4")


@pytest.fixture(params=HELMS)
def helm(request, tools, control_plane, tmp_path):
    """Each of the two Helms, before the API server."""
    return Helm(tools / request.param, tmp_path, control_plane.kubeconfig)


def _kept(api, namespace):
    """The objects of the release that are there, by kind."""
    kinds = [
        ("v1", "ConfigMap"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "Job"),
        ("monitoring.coreos.com/v1", "PodMonitor"),
        ("monitoring.coreos.com/v1", "PrometheusRule"),
    ]
    return {kind: api.names(version, kind, namespace) for version, kind in kinds}


def test_a_dry_run_on_the_server_keeps_nothing(helm, api, namespace):
    """`helm install --dry-run=server` renders by the server's own version and kinds."""
    before = _kept(api, namespace)
    printed = helm.run(
        "install", "web", str(CHART), "--namespace", namespace, "--dry-run=server",
        *helm.values(SETS["maximal"]),
    )  # fmt: skip

    assert "kind: Deployment" in printed
    assert before == _kept(api, namespace)


def test_a_release_is_installed_upgraded_rolled_back_and_uninstalled(helm, api, namespace):
    """The way there and the way back; its hooks run, and nothing is left at the end."""
    place = ("--namespace", namespace)
    empty = _kept(api, namespace)
    with JobRunner(api, namespace) as jobs:
        notes = helm.run("install", "web", str(CHART), *place, *helm.values(SETS["example"]))
        installed = _kept(api, namespace)
        helm.run("upgrade", "web", str(CHART), *place, *helm.values(SETS["maximal"]))
        upgraded = _kept(api, namespace)
        helm.run("rollback", "web", "1", *place)
        rolled_back = _kept(api, namespace)
        history = json.loads(helm.run("history", "web", *place, "--output", "json"))
        helm.run("uninstall", "web", *place)

    assert "STATUS: deployed" in notes
    assert installed["Deployment"]
    assert ["web"] == [each.partition("-")[0] for each in upgraded["PodMonitor"]]
    assert upgraded["PrometheusRule"]
    assert installed == rolled_back
    assert ["superseded", "superseded", "deployed"] == [each["status"] for each in history]
    assert empty == _kept(api, namespace)
    # Before the install and before the upgrade, whose values give it another name.
    assert {"web-plano-sidecar-check", "web-llm-check"} <= set(jobs.ended)


def test_the_readmes_install_is_admitted(helm, api, namespace):
    """As it stands there, into a namespace for restricted pods only."""
    (line,) = re.findall(r"^helm .* install .*$", (CHART / "README.md").read_text(), re.MULTILINE)
    arguments = line.replace("-n shop", f"-n {namespace}").replace("helm/plano-sidecar", str(CHART))
    with JobRunner(api, namespace) as jobs:
        notes = helm.run(*shlex.split(arguments)[1:])

    assert ["web-plano-sidecar-check"] == jobs.ended
    assert ["web-plano-sidecar-example"] == api.names("apps/v1", "Deployment", namespace)
    assert f"kubectl -n {namespace} rollout status deploy/web-plano-sidecar-example" in notes


def test_an_upgrade_with_the_same_values_changes_no_object(helm, api, namespace):
    """No pod is rolled by it: the Deployment keeps its generation."""
    place = ("--namespace", namespace)
    with JobRunner(api, namespace):
        helm.run("install", "web", str(CHART), *place, *helm.values(SETS["maximal"]))
        generations = [_generations(api, namespace)]
        helm.run("upgrade", "web", str(CHART), *place, *helm.values(SETS["maximal"]))
        generations.append(_generations(api, namespace))

    assert generations[0]
    assert generations[0] == generations[1]


def test_a_config_that_check_refuses_replaces_nothing(helm, api, namespace):
    """The hook's Job fails, and so does the upgrade; ConfigMap and Deployment stay as they are."""
    place = ("--namespace", namespace)
    with JobRunner(api, namespace):
        helm.run("install", "web", str(CHART), *place, *helm.values(SETS["example"]))
    before = _versions(api, namespace)
    other = {**SETS["example"], "config": SETS["minimal"]["config"]}
    with JobRunner(api, namespace, is_well=False), pytest.raises(HelmFailed, match="pre-upgrade"):
        helm.run("upgrade", "web", str(CHART), *place, *helm.values(other))

    assert before["web-plano-sidecar"]
    assert before == before | _versions(api, namespace)
    assert before.keys() == _versions(api, namespace).keys() - {"web-plano-sidecar-check"}


def _versions(api, namespace):
    """Name -> version, of what a wrong config could change."""
    kinds = [("v1", "ConfigMap"), ("apps/v1", "Deployment")]
    paths = [api.path({"apiVersion": version, "kind": kind}, namespace) for version, kind in kinds]
    return {
        each["metadata"]["name"]: each["metadata"]["resourceVersion"]
        for path in paths
        for each in api.request("GET", path).object["items"]
    }


def _generations(api, namespace):
    path = api.path({"apiVersion": "apps/v1", "kind": "Deployment"}, namespace)
    return {
        each["metadata"]["name"]: each["metadata"]["generation"]
        for each in api.request("GET", path).object["items"]
    }


def test_helm_4_goes_on_with_what_helm_3_installed(tools, control_plane, api, namespace, tmp_path):
    """Its server-side apply does not contradict what the other one applied."""
    place = ("web", str(CHART), "--namespace", namespace)
    old, new = (Helm(tools / name, tmp_path, control_plane.kubeconfig) for name in HELMS)
    with JobRunner(api, namespace):
        old.run("install", *place, *old.values(SETS["example"]))
        before = _generations(api, namespace)
        new.run("upgrade", *place, *new.values(SETS["example"]))

    assert before
    assert before == _generations(api, namespace)


def test_what_the_schema_refuses_is_not_installed(helm, api, namespace):
    """Nothing of it reaches the cluster."""
    with pytest.raises(HelmFailed, match=r"(?i)schema"):
        helm.run(
            "install", "web", str(CHART), "--namespace", namespace, *helm.values({"mode": "x"})
        )

    assert [] == api.names("apps/v1", "Deployment", namespace)
