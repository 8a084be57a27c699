"""The Kustomize components are written from the parts, and give the pods that the command gives."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.pod.kustomize import FOLDER, files
from sidecar import __version__
from sidecar.inject import pod
from sidecar.inject.pod_changes import with_sidecar

COMPONENTS = {pod.Mode.NATIVE: FOLDER, pod.Mode.CONTAINER: FOLDER / "container"}
SPEC: dict[str, Any] = {
    "containers": [{"name": "app", "image": "app:1"}, {"name": "b", "image": "b"}]
}
WORKLOADS: dict[str, dict[str, Any]] = {
    **{
        kind: {"apiVersion": "apps/v1", "kind": kind, "spec": {"template": {"spec": SPEC}}}
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
    },
    "Job": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": SPEC}}},
    "CronJob": {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}},
    },
    "Pod": {"apiVersion": "v1", "kind": "Pod", "spec": SPEC},
}


def _named(kind: str) -> dict[str, Any]:
    return {**WORKLOADS[kind], "metadata": {"name": kind.lower()}}


def _template(workload: dict[str, Any]) -> dict[str, Any]:
    if workload["kind"] == "Pod":
        return workload
    spec = workload["spec"]
    template: dict[str, Any] = (spec.get("jobTemplate") or {"spec": spec})["spec"]["template"]
    return template


def _wanted(mode: pod.Mode) -> dict[str, Any]:
    options = pod.PodOptions(image=f"plano-sidecar:{__version__}", mode=mode)
    return with_sidecar({"spec": SPEC}, options).template


def test_writing_the_components_anew_changes_nothing():
    """`python -m deploy.pod.kustomize` writes them; nothing else is there but what they are."""
    there = {str(path.relative_to(FOLDER)): path for path in FOLDER.rglob("*.yaml")}

    assert files() == {name: path.read_text() for name, path in there.items()}


def _merged(old: Any, new: Any) -> Any:
    """A strategic merge: items of lists are known by their names, and new ones come first."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        others = [each for each in old if each["name"] not in [item["name"] for item in new]]
        return [*new, *others]
    return new


@pytest.mark.parametrize("mode", list(pod.Mode))
@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_strategic_merge_gives_the_commands_pod(mode, kind):
    """Without Kustomize: variables first, as the inner component sets them, then the patch."""
    made = files()
    folder = "" if mode is pod.Mode.NATIVE else "container/"
    patches = yaml.safe_load(made[f"{folder}kustomization.yaml"])["patches"]
    (patch,) = [each["path"] for each in patches if kind in each["target"]["kind"].split("|")]
    variables = yaml.safe_load(made["variables/variables.yaml"])["env"]
    env = list(variables.values())
    spec = {"containers": [{**each, "env": env} for each in SPEC["containers"]]}
    template = _template(yaml.safe_load(made[folder + patch]))

    assert _wanted(mode)["spec"] == _merged(spec, template["spec"])
    assert template["metadata"]["labels"] == pod.pod_labels(pod.PodOptions(image="i"))


def _kustomized(folder: Path, mode: pod.Mode, workloads: list[dict[str, Any]]) -> dict[str, Any]:
    """Return by their names what kubectl's Kustomize makes of workloads."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which has Kustomize built in, is not installed")
    (folder / "all.yaml").write_text(yaml.safe_dump_all(workloads))
    component = os.path.relpath(COMPONENTS[mode], folder)
    kustomization = {"resources": ["all.yaml"], "components": [component]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run(
        ["kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(done.stdout)}


def test_replacements_replace_whole_variables():
    """A value beside the app's own `valueFrom` would be refused by Kubernetes."""
    made = yaml.safe_load(files()["variables/replacements.yaml"])
    paths = [path for each in made for to in each["targets"] for path in to["fieldPaths"]]

    assert all(path.endswith(("_URL]", "_KEY]")) for path in paths)


@pytest.mark.parametrize("mode", list(pod.Mode))
def test_a_variable_from_a_secret_has_one_source_afterwards(mode, tmp_path):
    """The placeholder, and neither both nor another variable's source lost."""
    source = {"secretKeyRef": {"name": "openai", "key": "token"}}
    env = [{"name": name, "valueFrom": source} for name in ("OPENAI_API_KEY", "OTHER")]
    workload = {**_named("Pod"), "spec": {"containers": [{"name": "app", "env": env}]}}
    made = _kustomized(tmp_path, mode, [workload])["pod"]["spec"]["containers"][-1]["env"]

    assert {"name": "OPENAI_API_KEY", "value": pod.PLACEHOLDER_KEY} == made[0]
    assert env[1] == made[1]
    assert 5 == len(made)


@pytest.mark.parametrize("mode", list(pod.Mode))
def test_kustomize_gives_the_commands_pods(mode, tmp_path):
    """As kubectl has it built in: every kind of workload; one that declines stays as it is."""
    declined = _named("Deployment")
    declined["metadata"] = {"name": "no", "annotations": {"plano-sidecar/inject": "false"}}
    found = _kustomized(tmp_path, mode, [*map(_named, WORKLOADS), declined])

    assert declined == found.pop("no")
    assert {kind.lower() for kind in WORKLOADS} == set(found)
    for each in found.values():
        template = _template(each)
        assert _wanted(mode)["spec"] == template["spec"]
        assert "true" == template["metadata"]["labels"][pod.INJECTED_LABEL]
