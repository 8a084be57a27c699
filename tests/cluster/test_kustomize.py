"""The Kustomize component, built by kustomize itself, before a real API server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.pod_security import pod_specs
from tests.support.test_pod_security import RESTRICTED

COMPONENTS = sorted(
    path.parent for path in (Path(__file__).parents[2] / "deploy").rglob("workload.yaml")
)
"""One for a native sidecar, one for an ordinary container."""
LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": RESTRICTED}
ENDING = {"metadata": {"labels": LABELS}, "spec": {**RESTRICTED, "restartPolicy": "Never"}}
WORKLOADS = [
    ("apps/v1", "Deployment", {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}),
    (
        "apps/v1",
        "StatefulSet",
        {"serviceName": "web", "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
    ),
    ("apps/v1", "DaemonSet", {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}),
    ("batch/v1", "Job", {"template": ENDING}),
    ("batch/v1", "CronJob", {"schedule": "@daily", "jobTemplate": {"spec": {"template": ENDING}}}),
    ("v1", "Pod", RESTRICTED),
]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda path: path.name)
def test_every_workload_is_taken_with_the_sidecar(tools, api, namespace, tmp_path, component):
    """Without a warning, and its pods where only restricted ones are admitted."""
    manifests = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": kind.lower()}, "spec": spec}
        for version, kind, spec in WORKLOADS
    ]
    (tmp_path / "app.yaml").write_text(yaml.safe_dump_all(manifests))
    overlay = {
        "resources": ["app.yaml"],
        "components": [os.path.relpath(component, tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))

    built = subprocess.run(
        [tools / "kustomize", "build", tmp_path], capture_output=True, text=True, check=True
    )
    objects = list(yaml.safe_load_all(built.stdout))

    assert "" == built.stderr
    assert len(manifests) == len(objects)
    for each in objects:
        assert [] == api.apply(each, namespace).warnings
        (spec,) = pod_specs(each)
        assert [] == api.create_pod(spec, namespace).warnings
        together = spec.get("initContainers", []) + spec["containers"]
        assert "plano-sidecar" in [container["name"] for container in together]
