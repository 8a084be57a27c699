"""Writes the Kustomize components, from the same data as all other ways.

``python -m deploy.pod.kustomize`` writes deploy/kustomize: a component with a native sidecar, below
container/ one with an ordinary one, and below variables/ what both begin with.

A strategic merge adds container, volumes, labels and annotations; what a patch adds to a list comes
first, so before the init containers that are there. A merge cannot say "every container", and a
replacement can: it sets the app's variables, from an object that is not part of the output, and is
a component of its own since it must be done before the sidecar is a container too. A variable is
replaced as a whole: Kubernetes refuses one that has a value beside its own `valueFrom`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import sidecar
from sidecar.inject import pod
from sidecar.inject.layout import Layout, block_lines
from sidecar.inject.pod_changes import OPT_OUT

FOLDER: Final = Path(__file__).parents[1] / "kustomize"
_HEAD: Final = (
    "# Written by `python -m deploy.pod.kustomize` from sidecar/inject/pod.py; change that.\n"
)
_WANTED: Final = f"{OPT_OUT}!=false"
_TEMPLATE_KINDS: Final = "Deployment|StatefulSet|DaemonSet|ReplicaSet|ReplicationController|Job"
_KINDS: Final = (
    # File, the kinds of its target, and where their pod stands.
    ("workload.yaml", _TEMPLATE_KINDS, "apps/v1", "Deployment", ("spec", "template")),
    ("cronjob.yaml", "CronJob", "batch/v1", "CronJob", ("spec", "jobTemplate", "spec", "template")),
    ("pod.yaml", "Pod", "v1", "Pod", ()),
)
_COMPONENT: Final = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
_VARIABLES: Final = "plano-sidecar-variables"
"""An object that Kustomize reads and does not print, of a kind that no cluster knows."""
_VARIABLES_KIND: Final = "PlanoSidecarVariables"


def files() -> dict[str, str]:
    """Return the texts of all files by their paths below the folder."""
    made: dict[str, Any] = {
        "variables/kustomization.yaml": {
            **_COMPONENT,
            "resources": ["variables.yaml"],
            "replacements": [{"path": "replacements.yaml"}],
        },
        "variables/variables.yaml": _variables(_options(pod.Mode.NATIVE)),
        "variables/replacements.yaml": _replacements(_options(pod.Mode.NATIVE)),
    }
    for mode, folder, variables in (
        (pod.Mode.NATIVE, "", "variables"),
        (pod.Mode.CONTAINER, "container/", "../variables"),
    ):
        patches = [
            {"path": file, "target": {"kind": kinds, "annotationSelector": _WANTED}}
            for file, kinds, *_ in _KINDS
        ]
        kustomization = {**_COMPONENT, "components": [variables], "patches": patches}
        made[f"{folder}kustomization.yaml"] = kustomization
        for file, _, version, kind, path in _KINDS:
            patch = {"apiVersion": version, "kind": kind, "metadata": {"name": "any"}}
            made[folder + file] = patch | _nested(_pod(_options(mode)), path, patch["metadata"])
    texts = {path: "\n".join(block_lines(each, Layout())) for path, each in made.items()}
    return {path: f"{_HEAD}{text}\n" for path, text in texts.items()}


def _options(mode: pod.Mode) -> pod.PodOptions:
    return pod.PodOptions(image=f"plano-sidecar:{sidecar.__version__}", mode=mode)


def _pod(options: pod.PodOptions) -> dict[str, Any]:
    is_native = options.mode is pod.Mode.NATIVE
    metadata = {"labels": pod.pod_labels(options), "annotations": pod.pod_annotations(options)}
    containers = "initContainers" if is_native else "containers"
    spec = {containers: [pod.container(options)], "volumes": pod.volumes(options)}
    return {"metadata": metadata, "spec": spec}


def _nested(template: dict[str, Any], path: tuple[str, ...], metadata: Any) -> dict[str, Any]:
    """Return a pod's template below a path; a bare pod has the metadata of the object itself."""
    if not path:
        return {**template, "metadata": {**metadata, **template["metadata"]}}
    for key in reversed(path):
        template = {key: template}
    return template


def _variables(options: pod.PodOptions) -> dict[str, Any]:
    return {
        "apiVersion": "plano-sidecar/v1",
        "kind": _VARIABLES_KIND,
        "metadata": {
            "name": _VARIABLES,
            "annotations": {"config.kubernetes.io/local-config": "true"},
        },
        "env": {each["name"]: each for each in pod.app_environment(options)},
    }


def _replacements(options: pod.PodOptions) -> list[dict[str, Any]]:
    """Return what sets the variables in every container that is not the sidecar."""
    made = []
    for name in (each["name"] for each in pod.app_environment(options)):
        targets = []
        for _, kinds, _, _, path in _KINDS:
            place = ".".join((*path, "spec.containers.*.env")) + f".[name={name}]"
            targets += [
                {
                    "select": {"kind": kind, "annotationSelector": _WANTED},
                    "fieldPaths": [place],
                    "options": {"create": True},
                }
                for kind in kinds.split("|")
            ]
        source = {"kind": _VARIABLES_KIND, "name": _VARIABLES, "fieldPath": f"env.{name}"}
        made.append({"source": source, "targets": targets})
    return made


if __name__ == "__main__":
    for path, text in files().items():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
