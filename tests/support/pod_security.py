"""The Pod Security Standard "restricted", asked of a pod's spec: what the API server's admission
would refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Spec = Mapping[str, Any]

_VOLUMES: Final = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
        "projected", "secret",
    }
)  # fmt: skip
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_syncookies", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
_SELINUX_TYPES: Final = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_SECCOMP: Final = frozenset({"RuntimeDefault", "Localhost"})
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_KINDS: Final = ("initContainers", "containers", "ephemeralContainers")


def pod_specs(manifest: Mapping[str, Any]) -> Iterator[Spec]:
    """Yield the spec of a Pod, or of the pods that a workload makes; of other objects nothing."""
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind == "List":
        for each in manifest.get("items") or []:
            yield from pod_specs(each)
    elif kind == "Pod":
        yield spec
    elif kind == "CronJob":
        yield spec["jobTemplate"]["spec"]["template"]["spec"]
    elif "template" in spec and "spec" in spec["template"]:
        yield spec["template"]["spec"]


def containers(spec: Spec) -> Iterator[Spec]:
    """Yield a pod's containers of all kinds."""
    for kind in _KINDS:
        yield from spec.get(kind) or []


def violations(spec: Spec) -> list[str]:
    """Return what "restricted" (as of Kubernetes 1.36) minds in a Linux pod's spec, a line each.

    Args: ``spec`` is that of a Pod or of a workload's template (`pod_specs`).
    """
    pod_context = spec.get("securityContext") or {}
    return [
        *(f"{key} is true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)),
        *_of_volumes(spec),
        *(
            f"sysctl {each['name']} is not safe"
            for each in pod_context.get("sysctls") or []
            if each["name"] not in _SYSCTLS
        ),
        *_of_context("the pod", pod_context),
        *(line for each in containers(spec) for line in _of_container(each, pod_context)),
    ]


def _of_volumes(spec: Spec) -> Iterator[str]:
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if not kinds <= _VOLUMES:
            yield f"volume {volume['name']} is of kind {', '.join(sorted(kinds - _VOLUMES))}"


def _of_context(whose: str, context: Spec) -> Iterator[str]:
    """What a pod and a container may say of the same things."""
    if context.get("runAsUser") == 0:
        yield f"{whose} runs as user 0"
    if context.get("runAsNonRoot") is False:
        yield f"{whose} sets runAsNonRoot to false"
    if (seccomp := context.get("seccompProfile")) and seccomp.get("type") not in _SECCOMP:
        yield f"{whose} has the seccomp profile {seccomp.get('type')}"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield f"{whose} is not confined by AppArmor"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{whose} is a host process"
    options = context.get("seLinuxOptions") or {}
    if options.get("type", "") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
        yield f"{whose} sets SELinux options"


def _of_container(container: Spec, pod_context: Spec) -> Iterator[str]:
    name, context = container["name"], container.get("securityContext") or {}
    yield from _of_context(name, context)
    if context.get("privileged"):
        yield f"{name} is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name} does not set allowPrivilegeEscalation to false"
    if context.get("procMount", "Default") != "Default":
        yield f"{name} sets procMount"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield f"{name} does not drop ALL capabilities"
    if added := set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield f"{name} adds {', '.join(sorted(added))}"
    # A container's own word goes before the pod's; one of them has to say it.
    if context.get("runAsNonRoot", pod_context.get("runAsNonRoot")) is not True:
        yield f"{name} does not have to run as another user than root"
    if not (context.get("seccompProfile") or pod_context.get("seccompProfile")):
        yield f"{name} has no seccomp profile"
    yield from (
        f"{name} has the host port {port['hostPort']}"
        for port in container.get("ports") or []
        if port.get("hostPort")
    )
    yield from _of_handlers(container)


def _of_handlers(container: Spec) -> Iterator[str]:
    """A probe or hook that names a host lets the kubelet call any address."""
    lifecycle = container.get("lifecycle") or {}
    handlers = {key: container.get(key) for key in _PROBES} | {
        key: lifecycle.get(key) for key in ("postStart", "preStop")
    }
    for key, handler in handlers.items():
        if any(((handler or {}).get(how) or {}).get("host") for how in ("httpGet", "tcpSocket")):
            yield f"{container['name']} names a host in its {key}"
