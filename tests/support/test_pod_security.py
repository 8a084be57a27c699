"""The checker of "restricted" minds what the API server's admission minds."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.support.pod_security import pod_specs, violations

RESTRICTED: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "initContainers": [],
    "containers": [
        {
            "name": "app",
            "image": "app:1",
            "ports": [{"containerPort": 8080}],
            "livenessProbe": {"httpGet": {"path": "/", "port": 8080}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
        }
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}],
}


CASES: list[tuple[str, Any, str]] = [
    ("hostNetwork", True, "hostNetwork is true"),
    ("hostPID", True, "hostPID is true"),
    ("volumes", [{"name": "v", "hostPath": {"path": "/"}}], "volume v is of kind hostPath"),
    ("securityContext.sysctls", [{"name": "kernel.msgmax"}], "sysctl kernel.msgmax"),
    ("securityContext.runAsUser", 0, "the pod runs as user 0"),
    ("securityContext.seccompProfile.type", "Unconfined", "the seccomp profile Unconfined"),
    ("securityContext.seccompProfile", None, "app has no seccomp profile"),
    ("securityContext.runAsNonRoot", None, "app does not have to run as another user"),
    ("containers.0.securityContext.runAsNonRoot", False, "sets runAsNonRoot to false"),
    ("containers.0.securityContext.appArmorProfile", {"type": "Unconfined"}, "AppArmor"),
    ("containers.0.securityContext.windowsOptions", {"hostProcess": True}, "host process"),
    ("containers.0.securityContext.seLinuxOptions", {"type": "spc_t"}, "SELinux"),
    ("containers.0.securityContext.privileged", True, "app is privileged"),
    ("containers.0.securityContext.allowPrivilegeEscalation", None, "PrivilegeEscalation"),
    ("containers.0.securityContext.procMount", "Unmasked", "procMount"),
    ("containers.0.securityContext.capabilities.drop", None, "does not drop ALL"),
    ("containers.0.securityContext.capabilities.add", ["NET_RAW"], "adds NET_RAW"),
    ("containers.0.ports.0.hostPort", 80, "the host port 80"),
    ("containers.0.livenessProbe.httpGet.host", "10.0.0.1", "a host in its livenessProbe"),
    (
        "containers.0.lifecycle",
        {"preStop": {"tcpSocket": {"host": "x", "port": 80}}},
        "in its preStop",
    ),
    (
        "initContainers",
        [{"name": "first", "image": "app:1"}],
        "first does not drop ALL capabilities",
    ),
]
"""Path and value of what makes it another, and the words of what is minded; a real API server minds the same."""


def changed(path: str, value: Any) -> dict[str, Any]:
    """RESTRICTED with another value at a path such as ``containers.0.securityContext``."""
    spec = copy.deepcopy(RESTRICTED)
    *parents, last = path.split(".")
    place: Any = spec
    for each in parents:
        place = place[int(each)] if each.isdigit() else place.setdefault(each, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return spec


def test_a_restricted_pod_passes() -> None:
    """Whether the pod says it or each container."""
    own = changed("securityContext", None)
    own["containers"][0]["securityContext"] |= RESTRICTED["securityContext"]

    assert [] == violations(RESTRICTED) == violations(own)


@pytest.mark.parametrize(("path", "value", "said"), CASES)
def test_what_the_admission_refuses_is_named(path: str, value: Any, said: str) -> None:
    """One change of a good pod, and the line that names it."""
    assert [line for line in violations(changed(path, value)) if said in line]


def test_pods_are_found_in_every_workload() -> None:
    """Lists are looked into, and objects without pods have none."""
    template = {"template": {"spec": RESTRICTED}}
    manifests = [
        {"kind": "Pod", "spec": RESTRICTED},
        {"kind": "Deployment", "spec": template},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": template}}},
    ]

    assert [RESTRICTED] * 3 == list(pod_specs({"kind": "List", "items": manifests}))
    assert [] == list(pod_specs({"kind": "ConfigMap", "data": {}}))
    assert [] == list(pod_specs({"kind": "Service", "spec": {"ports": []}}))
