"""The sidecar's parts of a pod, as plain data in the order in which they are printed.

Every way into a pod takes them from here: the command, the chart's named templates and the
Kustomize component.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

Part = dict[str, Any]
"""A mapping of a manifest, as YAML would be read into plain Python."""

CONTAINER_NAME: Final = "plano-sidecar"
CONFIG_VOLUME: Final = "plano-sidecar-config"
KEYS_VOLUME: Final = "plano-sidecar-keys"
VOLUME_NAMES: Final = (CONFIG_VOLUME, KEYS_VOLUME)
PORT_NAME: Final = "plano-admin"
CONFIG_FOLDER: Final = "/etc/plano-sidecar"
KEYS_FOLDER: Final = "/var/run/secrets/plano-sidecar"
INJECTED_LABEL: Final = "plano-sidecar/injected"
"""On every pod with a sidecar: what selects them, such as a NetworkPolicy, goes by it."""
PLACEHOLDER_KEY: Final = "the-sidecar-has-the-key"
"""SDKs refuse to start without a key, and the sidecar replaces it by the provider's."""

RESOURCES: Final[Part] = {
    "requests": {"cpu": "50m", "memory": "96Mi", "ephemeral-storage": "64Mi"},
    # No CPU limit: throttling one event loop delays every call of the pod. What the sidecar keeps
    # on the node's disk is its log, of which a kubelet keeps five files of 10 MiB by default.
    "limits": {"memory": "192Mi", "ephemeral-storage": "128Mi"},
}


def resources(requests: dict[str, str] | None, limits: dict[str, str] | None) -> Part:
    """Return the container's resources, with other requests and limits where some are named. An
    empty amount leaves one out.
    """
    made: Part = {}
    for kind, others in (("requests", requests), ("limits", limits)):
        amounts = {**RESOURCES[kind], **(others or {})}
        made[kind] = {name: amount for name, amount in amounts.items() if amount}
    return made


class Mode(enum.Enum):
    """How the sidecar runs beside the app."""

    NATIVE = "native"
    """An init container that stays."""
    CONTAINER = "container"
    """An ordinary container, for clusters older than 1.29."""


class PodOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may differ between pods."""

    image: str
    pull_policy: str = "IfNotPresent"
    mode: Mode = Mode.NATIVE
    data_port: int = 12000
    admin_port: int = 9901
    operator_port: int = 9902
    """On the pod's loopback, so no container port: it must only be free."""
    termination_grace_s: int = 30
    """The pod's `terminationGracePeriodSeconds`."""
    config_map: str = "plano-sidecar"
    """Holds `config.yaml`."""
    secrets: tuple[str | Part, ...] = ("plano-sidecar-keys",)
    """Their keys are files of one folder, `KEYS_FOLDER`; none: no such folder. Each by its name, or
    as a projected volume's source: with chosen keys, or optional.
    """
    resources: Part = msgspec.field(default_factory=lambda: dict(RESOURCES))
    tenant: str = ""
    """The sessions' tenant, for configs that say `tenant: $PLANO_TENANT`; empty: the namespace."""
    uid: int | None = 65532
    """None leaves the choice to the cluster, as OpenShift wants it, else to the image."""
    scrape: bool = True
    """Whether annotations ask a Prometheus without its operator to scrape the pod."""
    env: tuple[Part, ...] = ()
    mounts: tuple[Part, ...] = ()
    volumes: tuple[Part, ...] = ()
    """More of each, behind the sidecar's own."""
    labels: Part = msgspec.field(default_factory=dict)
    annotations: Part = msgspec.field(default_factory=dict)
    """More of the pod's own."""


def container(options: PodOptions) -> Part:
    """Return the sidecar's container."""
    is_native = options.mode is Mode.NATIVE
    made: Part = {
        "name": CONTAINER_NAME,
        "image": options.image,
        "imagePullPolicy": options.pull_policy,
    }
    if is_native:
        made["restartPolicy"] = "Always"
    made["args"] = ["run", "--config", f"{CONFIG_FOLDER}/config.yaml", *_stand(options)]
    made["env"] = [*_environment(options), *options.env]
    made["ports"] = [
        {"name": PORT_NAME, "containerPort": options.admin_port, "protocol": "TCP"},
    ]
    made |= _probes()
    if not is_native:
        # Kubelets start what is listed behind it once this has ended. No preStop in either mode:
        # it would run while the app still works.
        wait = ["plano-sidecar", "wait", f"--port={options.admin_port}"]
        made["lifecycle"] = {"postStart": {"exec": {"command": wait}}}
    made["resources"] = options.resources
    made["securityContext"] = _security_context(options.uid)
    made["terminationMessagePolicy"] = "FallbackToLogsOnError"
    made["volumeMounts"] = [*_mounts(options), *options.mounts]
    return made


def volumes(options: PodOptions) -> list[Part]:
    """Return the volumes that the container mounts: whole folders, since what is mounted by
    subPath never changes.
    """
    made: list[Part] = [{"name": CONFIG_VOLUME, "configMap": {"name": options.config_map}}]
    if options.secrets:
        # Readable by everyone in the only container that mounts it: a pod without fsGroup gives
        # files to root, and the sidecar does not run as root.
        sources = [
            {"secret": {"name": each} if isinstance(each, str) else each}
            for each in options.secrets
        ]
        made.append({"name": KEYS_VOLUME, "projected": {"defaultMode": 0o444, "sources": sources}})
    return [*made, *options.volumes]


def app_environment(options: PodOptions) -> list[Part]:
    """Return the variables by which the app's SDKs find the sidecar."""
    origin = f"http://127.0.0.1:{options.data_port}"
    return [
        {"name": "OPENAI_BASE_URL", "value": f"{origin}/v1"},
        {"name": "OPENAI_API_KEY", "value": PLACEHOLDER_KEY},
        {"name": "ANTHROPIC_BASE_URL", "value": origin},
        {"name": "ANTHROPIC_API_KEY", "value": PLACEHOLDER_KEY},
    ]


def pod_labels(options: PodOptions) -> Part:
    """Return the labels of a pod that has a sidecar."""
    return {INJECTED_LABEL: "true", **options.labels}


def pod_annotations(options: PodOptions) -> Part:
    """Return the annotations of a pod that has a sidecar."""
    scraping = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(options.admin_port),
        "prometheus.io/path": "/metrics",
    }
    return {**(scraping if options.scrape else {}), **options.annotations}


def _stand(options: PodOptions) -> list[str]:
    """Return how it stands in its pod, which a config that many pods share cannot know."""
    mode = f"--mode={options.mode.value}"
    if options.mode is Mode.NATIVE:
        return [mode]
    return [mode, f"--termination-grace={options.termination_grace_s}"]


def _environment(options: PodOptions) -> list[Part]:
    # Kubernetes puts a variable's value where a later one says $(NAME), and $$ escapes that.
    tenant = options.tenant.replace("$", "$$") or "$(POD_NAMESPACE)"
    namespace = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    return [
        {"name": "POD_NAMESPACE", "valueFrom": namespace},
        {"name": "PLANO_TENANT", "value": tenant},
    ]


def _probes() -> Part:
    """Return probes that ask this process alone: were Redis, the router model or a provider asked
    too, their outage would take every app out of service.
    """
    ready: Part = {"httpGet": {"path": "/readyz", "port": PORT_NAME}}
    live: Part = {"httpGet": {"path": "/livez", "port": PORT_NAME}}
    return {
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {
            **live,
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
    }


def _security_context(uid: int | None) -> Part:
    """Return what the Pod Security Standard "restricted" asks for, and a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        **({} if uid is None else {"runAsUser": uid}),
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _mounts(options: PodOptions) -> list[Part]:
    made: list[Part] = [{"name": CONFIG_VOLUME, "mountPath": CONFIG_FOLDER, "readOnly": True}]
    if options.secrets:
        made.append({"name": KEYS_VOLUME, "mountPath": KEYS_FOLDER, "readOnly": True})
    return made
