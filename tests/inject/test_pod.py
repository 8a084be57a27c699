"""The parts of a pod, as every way into one uses them."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.inject import pod

NATIVE = pod.PodOptions(image="example.org/plano-sidecar:1.2.3")
CONTAINER = pod.PodOptions(image="example.org/plano-sidecar:1.2.3", mode=pod.Mode.CONTAINER)


@pytest.mark.parametrize("options", [NATIVE, CONTAINER])
def test_the_container_is_restricted(options):
    """What the Pod Security Standard "restricted" asks for, whatever the pod itself says."""
    context = pod.container(options)["securityContext"]

    assert context["allowPrivilegeEscalation"] is False
    assert {"drop": ["ALL"]} == context["capabilities"]
    assert {"type": "RuntimeDefault"} == context["seccompProfile"]
    assert (True, True, 65532) == (
        context["runAsNonRoot"],
        context["readOnlyRootFilesystem"],
        context["runAsUser"],
    )


def test_the_user_may_be_left_to_the_cluster():
    """OpenShift gives each namespace a range of its own, and refuses any other number."""
    options = pod.PodOptions(image="i", uid=None)

    assert "runAsUser" not in pod.container(options)["securityContext"]


def test_native_and_ordinary_differ_by_how_they_stand_in_the_pod():
    """By restart policy and arguments; and an ordinary one holds the app back until it serves, by a
    postStart hook. A native one has no hook: its preStop would run while the app works.
    """
    options: dict[str, Any] = {"image": "i", "termination_grace_s": 60, "admin_port": 9999}
    native = pod.container(pod.PodOptions(**options))
    ordinary = pod.container(pod.PodOptions(**options, mode=pod.Mode.CONTAINER))
    (hook,) = ordinary.pop("lifecycle").items()

    assert "Always" == native.pop("restartPolicy")
    assert ["--mode=native"] == native.pop("args")[3:]
    assert ["--mode=container", "--termination-grace=60"] == ordinary.pop("args")[3:]
    assert ("postStart", ["plano-sidecar", "wait", "--port=9999"]) == (
        hook[0],
        hook[1]["exec"]["command"],
    )
    assert native == ordinary


def test_probes_ask_this_process_alone():
    """Startup and readiness are the latch, liveness the loop, all at a port that has a name which
    Kubernetes allows.
    """
    made = pod.container(NATIVE)
    (port,) = made["ports"]
    paths = [
        made[f"{each}Probe"]["httpGet"]["path"] for each in ("startup", "readiness", "liveness")
    ]

    assert ["/readyz", "/readyz", "/livez"] == paths
    assert {"name": "plano-admin", "containerPort": 9901, "protocol": "TCP"} == port
    assert len(port["name"]) <= 15


def test_resources_are_bounded_but_for_the_cpu():
    """A throttled loop delays every call; memory, and the log on the node's disk, are bounded."""
    resources = pod.container(NATIVE)["resources"]

    assert {"memory", "ephemeral-storage"} == set(resources["limits"])
    assert {"cpu", "memory", "ephemeral-storage"} == set(resources["requests"])


def test_files_are_mounted_as_folders_and_readable():
    """What is mounted by subPath never changes; and a pod without fsGroup gives files to root."""
    made = pod.container(NATIVE)
    config, keys = pod.volumes(NATIVE)

    assert [] == [each for each in made["volumeMounts"] if "subPath" in each]
    assert [each["name"] for each in made["volumeMounts"]] == [config["name"], keys["name"]]
    assert all(each["readOnly"] for each in made["volumeMounts"])
    assert 0o444 == keys["projected"]["defaultMode"]


def test_secrets_share_a_folder_or_there_is_none():
    """Keys of several Secrets are files of one folder; without a Secret nothing is mounted."""
    two = pod.PodOptions(image="i", secrets=("keys", "redis"))
    none = pod.PodOptions(image="i", secrets=())

    assert [{"secret": {"name": "keys"}}, {"secret": {"name": "redis"}}] == pod.volumes(two)[1][
        "projected"
    ]["sources"]
    assert [pod.CONFIG_VOLUME] == [each["name"] for each in pod.volumes(none)]
    assert [pod.CONFIG_VOLUME] == [each["name"] for each in pod.container(none)["volumeMounts"]]


@pytest.mark.parametrize(
    ("tenant", "value"),
    [("", "$(POD_NAMESPACE)"), ("acme", "acme"), ("$(HOME)", "$$(HOME)")],
)
def test_the_tenant_is_the_namespace_or_what_is_said(tenant, value):
    """Kubernetes fills in the namespace; a tenant's own text is never filled in."""
    namespace, said, *_ = pod.container(pod.PodOptions(image="i", tenant=tenant))["env"]

    assert "metadata.namespace" == namespace["valueFrom"]["fieldRef"]["fieldPath"]
    assert {"name": "PLANO_TENANT", "value": value} == said


def test_what_is_added_stands_behind_the_sidecars_own():
    """More variables, mounts and volumes, in the order given."""
    options = pod.PodOptions(
        image="i",
        env=({"name": "HTTPS_PROXY", "value": "http://proxy:3128"},),
        mounts=({"name": "ca", "mountPath": "/ca"},),
        volumes=({"name": "ca", "configMap": {"name": "ca"}},),
    )
    made = pod.container(options)

    assert "HTTPS_PROXY" == made["env"][-1]["name"]
    assert "ca" == made["volumeMounts"][-1]["name"] == pod.volumes(options)[-1]["name"]


def test_the_apps_sdks_find_the_sidecar():
    """OpenAI's base URL ends with /v1, Anthropic's does not; both SDKs refuse to start without a
    key.
    """
    found = {
        each["name"]: each["value"]
        for each in pod.app_environment(pod.PodOptions(image="i", data_port=8080))
    }

    assert "http://127.0.0.1:8080/v1" == found["OPENAI_BASE_URL"]
    assert "http://127.0.0.1:8080" == found["ANTHROPIC_BASE_URL"]
    assert found["OPENAI_API_KEY"] == found["ANTHROPIC_API_KEY"] == pod.PLACEHOLDER_KEY


def test_the_pod_is_found_by_what_looks_for_it():
    """By its label; and by annotations where no PodMonitor scrapes."""
    options = pod.PodOptions(image="i", admin_port=9999)

    assert {"plano-sidecar/injected": "true"} == pod.pod_labels(NATIVE)
    assert "9999" == pod.pod_annotations(options)["prometheus.io/port"]
    assert {} == pod.pod_annotations(pod.PodOptions(image="i", scrape=False))


def test_resources_change_by_amount():
    """What is named replaces what is measured; an empty amount takes one away."""
    made = pod.resources({"cpu": "1"}, {"ephemeral-storage": ""})

    assert {"cpu": "1", "memory": "96Mi", "ephemeral-storage": "64Mi"} == made["requests"]
    assert {"memory": "192Mi"} == made["limits"]
    assert pod.RESOURCES == pod.resources(None, None)


def test_secrets_may_be_chosen_by_key():
    """In the form of a projected volume's source; a name alone gives all of its keys."""
    chosen = {"name": "b", "items": [{"key": "k", "path": "openai"}], "optional": True}
    options = pod.PodOptions(image="i", secrets=("a", chosen))
    (keys,) = [each for each in pod.volumes(options) if each["name"] == pod.KEYS_VOLUME]

    assert [{"name": "a"}, chosen] == [each["secret"] for each in keys["projected"]["sources"]]


def test_a_pod_has_labels_and_annotations_of_its_own():
    """Behind those of every pod with a sidecar."""
    options = pod.PodOptions(image="i", labels={"a": "1"}, annotations={"b": "2"}, scrape=False)

    assert {pod.INJECTED_LABEL: "true", "a": "1"} == pod.pod_labels(options)
    assert {"b": "2"} == pod.pod_annotations(options)
