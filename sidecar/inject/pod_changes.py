"""What a pod becomes that gets a sidecar, as plain data: its container, volumes, variables, labels
and annotations. A pod that has one already gets the parts of today in their place.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from sidecar.inject import pod
from sidecar.inject.app_env import app_variables, calls_models

OPT_OUT: Final = "plano-sidecar/inject"
"""The annotation by which a pod or its workload declines: "false"."""
_MESH: Final = frozenset({
    *("istio-init", "istio-validation", "istio-proxy"),
    *("linkerd-init", "linkerd-network-validator", "linkerd-proxy"),
    *("kuma-init", "kuma-validation", "kuma-sidecar"),
    *("consul-connect-inject-init", "consul-dataplane"),
})  # fmt: skip
"""Containers that carry a pod's traffic: the sidecar starts after them, and they call no model."""
_SOURCES: Final = frozenset({"configMap", "secret", "projected"})
"""What the sidecar's volumes are taken from, in this version and in those before."""
_RENAME: Final = "it is not the sidecar's, which would take its place; give it another name"
_GRACE_S: Final = range(1, 86_401)
"""What `run --termination-grace` takes."""
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


class PodRefused(Exception):
    """A pod cannot have a sidecar."""


class ChangedPod(msgspec.Struct, frozen=True):
    """A pod with its sidecar."""

    template: dict[str, Any]
    """`metadata` and `spec`, beside whatever else there was."""
    notes: tuple[str, ...]
    """What a person should know of it."""


def declines(*metadata: Any) -> bool:  # noqa: ANN401
    """Return whether the metadata of a pod, or of its workload, decline a sidecar."""
    return any(
        str(_mapping(each, "annotations").get(OPT_OUT)).lower() in ("false", "disabled", "no")
        for each in metadata
        if isinstance(each, dict)
    )


def with_sidecar(
    template: dict[str, Any], options: pod.PodOptions, only: Collection[str] = ()
) -> ChangedPod:
    """Return the pod of a template as it is with the sidecar.

    Args: ``only`` are the app's containers that get variables; empty: all of them.

    Raises: PodRefused.
    """
    spec = template.get("spec")
    if not isinstance(spec, dict):
        raise PodRefused("has no pod spec")
    before, apps = _named_items(spec, "initContainers"), _named_items(spec, "containers")
    _refuse(spec, before, apps, options)
    unknown = set(only) - {str(each["name"]) for each in (*before, *apps)}
    if unknown:
        raise PodRefused(f"has no container {min(unknown)}")
    notes: list[str] = []
    is_native = options.mode is pod.Mode.NATIVE
    old = [each for each in (*before, *apps) if each["name"] == pod.CONTAINER_NAME]
    if is_native:
        before = [
            _with_variables(each, options, notes) if _calls(each, only) else each for each in before
        ]
    apps = [_with_variables(each, options, notes) if _is_app(each, only) else each for each in apps]
    options = _with_grace(options, spec)
    changed = _with_container(spec, before, apps, options)
    changed["volumes"] = _with_volumes(_named_items(spec, "volumes"), options)
    metadata = _with_metadata(template.get("metadata"), options, old, notes)
    if not is_native:
        # The sidecar is the first container, at which `kubectl logs` and `exec` would look.
        app = next(each["name"] for each in apps if each["name"] != pod.CONTAINER_NAME)
        metadata["annotations"] = {_DEFAULT_CONTAINER: app, **_mapping(metadata, "annotations")}
    return ChangedPod(
        _in_order(template, {"metadata": metadata, "spec": changed}, "metadata", "spec"),
        tuple(notes),
    )


def _with_grace(options: pod.PodOptions, spec: dict[str, Any]) -> pod.PodOptions:
    """Return the options with the grace of the pod, where it says one."""
    grace_s = spec.get("terminationGracePeriodSeconds")
    if not isinstance(grace_s, int):
        return options
    taken_s = min(max(grace_s, _GRACE_S[0]), _GRACE_S[-1])
    return msgspec.structs.replace(options, termination_grace_s=taken_s)


def _refuse(
    spec: dict[str, Any],
    before: list[dict[str, Any]],
    apps: list[dict[str, Any]],
    options: pod.PodOptions,
) -> None:
    """Raises: PodRefused, for a pod in which the sidecar cannot work, or must not."""
    if not [each for each in apps if each["name"] != pod.CONTAINER_NAME]:
        raise PodRefused("has no container of an app")
    if spec.get("hostNetwork") is True:
        raise PodRefused(
            "uses the node's network (hostNetwork): every process of the node could spend the "
            "sidecar's keys at its port, and two such pods of a node would want one port"
        )
    system = _mapping(spec, "os").get("name") or _mapping(spec, "nodeSelector").get(
        "kubernetes.io/os"
    )
    if system == "windows":
        raise PodRefused("runs on Windows, for which the sidecar has no image")
    _refuse_taken_names(spec, before, apps)
    ours = (options.data_port, options.admin_port, options.operator_port)
    for each in (*before, *apps):
        for number in _ports(each):
            if number in ours and each["name"] != pod.CONTAINER_NAME:
                raise PodRefused(
                    f"has a container {each['name']} that listens at port {number}, which the "
                    f"sidecar needs: give the sidecar another one, in its config and here"
                )


def _refuse_taken_names(
    spec: dict[str, Any], before: list[dict[str, Any]], apps: list[dict[str, Any]]
) -> None:
    """Raises: PodRefused, where what has a name of the sidecar's is something else."""
    for each in (*before, *apps):
        if each["name"] == pod.CONTAINER_NAME and not _is_sidecar(each):
            raise PodRefused(f"has a container {pod.CONTAINER_NAME} of its own: {_RENAME}")
    for each in _named_items(spec, "volumes"):
        if each["name"] in pod.VOLUME_NAMES and not _SOURCES & each.keys():
            raise PodRefused(f"has a volume {each['name']} of its own: {_RENAME}")


def _ports(container: dict[str, Any]) -> list[Any]:
    """Return the ports that a container declares. Raises: PodRefused."""
    ports = container.get("ports") or []
    if not isinstance(ports, list) or not all(isinstance(each, dict) for each in ports):
        name = container["name"]
        raise PodRefused(f"container {name} has something else than a list of mappings at ports")
    return [each.get("containerPort") for each in ports]


def _is_sidecar(container: dict[str, Any]) -> bool:
    """Return whether a container of the sidecar's name is one, by its image or its arguments."""
    image = str(container.get("image")).partition("@")[0].rpartition("/")[2].partition(":")[0]
    if image == pod.CONTAINER_NAME:
        return True
    command, arguments = container.get("command"), container.get("args")
    if isinstance(command, list) and command:
        if str(command[0]).rpartition("/")[2] != "plano-sidecar":
            return False
    elif command:
        return False
    return isinstance(arguments, list) and "run" in arguments


def _calls(container: dict[str, Any], only: Collection[str]) -> bool:
    """Return whether an init container gets variables: one that is named, or seems to call models.
    In container mode none does, since the sidecar does not run yet.
    """
    name = container["name"]
    seems = not only and name != pod.CONTAINER_NAME and calls_models(_variables(container))
    return name in only or seems


def _is_app(container: dict[str, Any], only: Collection[str]) -> bool:
    name = container["name"]
    return name in only or not (only or name in _MESH or name == pod.CONTAINER_NAME)


def _with_variables(
    container: dict[str, Any], options: pod.PodOptions, notes: list[str]
) -> dict[str, Any]:
    more = bool(container.get("envFrom"))
    made, said = app_variables(_variables(container), options, has_more=more)
    notes += [f"container {container['name']} {each}" for each in said]
    return {**container, "env": made}


def _with_container(
    spec: dict[str, Any],
    before: list[dict[str, Any]],
    apps: list[dict[str, Any]],
    options: pod.PodOptions,
) -> dict[str, Any]:
    """Return the pod spec with the sidecar in the right list: where it stands there already, else
    before all init containers but those of a mesh, or before the app, which its hook holds back.
    """
    is_native = options.mode is pod.Mode.NATIVE
    first = max((at for at, each in enumerate(before) if each["name"] in _MESH), default=-1) + 1
    made = {
        "initContainers": _placed(before, first, pod.container(options) if is_native else None),
        "containers": _placed(apps, 0, None if is_native else pod.container(options)),
    }
    if made["initContainers"]:
        return _in_order(spec, made, "initContainers", "containers")
    left_out = {"initContainers"} if before else set()
    kept = {name: each for name, each in spec.items() if name not in left_out}
    return {**kept, "containers": made["containers"]}


def _placed(
    containers: list[dict[str, Any]], at: int, sidecar: dict[str, Any] | None
) -> list[dict[str, Any]]:
    names = [each["name"] for each in containers]
    others = [each for each in containers if each["name"] != pod.CONTAINER_NAME]
    if sidecar is None:
        return others
    if pod.CONTAINER_NAME in names:
        at = names.index(pod.CONTAINER_NAME)
    return [*others[:at], sidecar, *others[at:]]


def _with_volumes(volumes: list[dict[str, Any]], options: pod.PodOptions) -> list[dict[str, Any]]:
    wanted = {each["name"]: each for each in pod.volumes(options)}
    kept = [
        wanted.pop(each["name"], each)
        for each in volumes
        if each["name"] in wanted or each["name"] not in pod.VOLUME_NAMES
    ]
    return [*kept, *wanted.values()]


def _with_metadata(
    metadata: Any,  # noqa: ANN401
    options: pod.PodOptions,
    old: list[dict[str, Any]],
    notes: list[str],
) -> dict[str, Any]:
    made = dict(metadata) if isinstance(metadata, dict) else {}
    made["labels"] = {**_mapping(made, "labels"), **pod.pod_labels(options)}
    has, wanted = _mapping(made, "annotations"), pod.pod_annotations(options)
    said = {name: value for name, value in has.items() if name in wanted}
    ours = {str(number) for each in old for number in _ports(each)}
    if said and said != wanted and str(said.get("prometheus.io/port")) not in ours:
        notes.append(
            "has prometheus.io annotations of its own, which are left: scrape the sidecar's port "
            f"{options.admin_port} by a PodMonitor"
        )
        return made
    if wanted:
        made["annotations"] = {**has, **wanted}
    return made


def _in_order(
    given: dict[str, Any], changes: dict[str, Any], new: str, behind: str
) -> dict[str, Any]:
    """Return a mapping with changes. The key ``new``, where it is new, comes before ``behind``."""
    made: dict[str, Any] = {}
    for name, each in given.items():
        if name == behind and new not in given:
            made[new] = changes[new]
        made[name] = changes.get(name, each)
    return made


def _variables(container: dict[str, Any]) -> list[dict[str, Any]]:
    return _named_items(container, "env")


def _named_items(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of mappings that have names. Raises: PodRefused."""
    items = holder.get(key)
    if items is None:
        return []
    if not isinstance(items, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in items
    ):
        raise PodRefused(f"has something else than a list of named items at {key}")
    return items


def _mapping(holder: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping below a key; an empty one where there is something else, or nothing."""
    found = holder.get(key)
    return found if isinstance(found, dict) else {}
