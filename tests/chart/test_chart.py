"""The chart, rendered by a real Helm engine and held against the API's own schemas."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar import __version__
from tests.chart import api_schemas
from tests.chart.rendered import (
    CHART,
    MAXIMAL,
    SETS,
    VERSIONS,
    config_of,
    hook_of,
    one,
    render,
    render_texts,
    require_engine,
    sidecar_of,
)
from tests.support.pod_security import containers, pod_specs, violations

require_engine()

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLE: dict[str, Any] = {"example": {"enabled": True}}
JOB: dict[str, Any] = {"example": {"job": {"enabled": True}}}


@cache
def _set(name: str, kube_version: str = "1.33.0") -> list[dict[str, Any]]:
    return render(SETS[name], kube_version)


def _pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (spec,) = pod_specs(one(objects, "Deployment", "example"))
    return dict(spec)


def _example(**values: Any) -> dict[str, Any]:
    return _pod(render({**EXAMPLE, **values}))


@pytest.mark.parametrize("kube_version", VERSIONS)
@pytest.mark.parametrize("name", SETS)
def test_every_object_fits_the_apis_schema(kube_version, name):
    """Of the oldest Kubernetes that the chart is for to the newest; hooks included."""
    for each in _set(name, kube_version):
        api_schemas.validate(each, kube_version)


@pytest.mark.parametrize("kube_version", VERSIONS)
@pytest.mark.parametrize("name", SETS)
def test_every_pod_is_restricted(kube_version, name):
    """By the Pod Security Standard, and with a root that cannot be written and no token
    besides.
    """
    specs = [spec for each in _set(name, kube_version) for spec in pod_specs(each)]

    assert (name == "minimal") == (not specs)
    for spec in specs:
        assert [] == violations(spec)
        assert spec["automountServiceAccountToken"] is False
        assert all(
            each["securityContext"]["readOnlyRootFilesystem"] is True for each in containers(spec)
        )


def test_openshift_chooses_the_user():
    """Its admission refuses a pod that names one, and still none may be root."""
    values = {
        **MAXIMAL,
        "runAsUser": None,
        "redis": {**MAXIMAL["redis"], "runAsUser": None},
    }
    specs = [spec for each in render(values) for spec in pod_specs(each)]

    assert "runAsUser" not in json.dumps(specs)
    assert [] == [line for spec in specs for line in violations(spec)]


@pytest.mark.parametrize(
    ("kube_version", "mode", "is_native"),
    [
        ("1.28.0", "auto", False),
        ("1.29.3", "auto", True),
        ("1.30.0-eks-1", "auto", True),
        ("1.36.0", "auto", True),
        ("1.36.0", "container", False),
        ("1.29.0", "native", True),
    ],
)
@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_the_sidecar_is_native_where_the_cluster_can(kube_version, mode, is_native, kind):
    """A native sidecar starts before the app and ends after it; older clusters get an ordinary
    container, before the app's.
    """
    values = {"mode": mode, "check": {"enabled": False}}
    objects = render({**values, **(EXAMPLE if kind == "Deployment" else JOB)}, kube_version)
    (pod,) = pod_specs(one(objects, kind))
    names = [each["name"] for each in pod["containers"]]

    assert is_native == (sidecar_of(dict(pod)).get("restartPolicy") == "Always")
    assert (["app"] if is_native else ["plano-sidecar", "app"]) == names
    assert not (is_native and "lifecycle" in sidecar_of(dict(pod)))


def test_probes_ask_the_admin_port_and_nothing_remote():
    """Startup and readiness are the latch, liveness the loop; the port has a name that Kubernetes
    allows.
    """
    sidecar = sidecar_of(_example())
    paths = {
        probe: sidecar[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "readiness", "liveness")
    }
    (port,) = sidecar["ports"]

    assert {"startup": "/readyz", "readiness": "/readyz", "liveness": "/livez"} == paths
    assert ("plano-admin", 9901) == (port["name"], port["containerPort"])
    assert len(port["name"]) <= 15


@pytest.mark.parametrize("name", ["example", "maximal"])
def test_memory_and_disk_are_bounded_and_the_cpu_is_not(name):
    """A throttled loop delays every call. Container logs count as disk, of which a kubelet keeps
    five files of 10 MiB: a lower limit would evict the pod for its log.
    """
    for spec in [spec for each in _set(name) for spec in pod_specs(each)]:
        for each in containers(spec):
            resources = each["resources"]
            assert {"memory", "ephemeral-storage"} == set(resources["limits"])
            assert {"cpu", "memory", "ephemeral-storage"} == set(resources["requests"])
            assert int(resources["limits"]["ephemeral-storage"].removesuffix("Mi")) > 50


@pytest.mark.parametrize("name", SETS)
def test_no_image_is_latest(name):
    """What runs is what was tested; a digest goes before a tag."""
    images = {
        each["image"]
        for found in _set(name)
        for spec in pod_specs(found)
        for each in containers(spec)
    }

    assert not [image for image in images if re.search(r"(:latest|/[^:@]+)$", image)]
    assert (name == "maximal") == any("@sha256:" in image for image in images)


def test_the_chart_is_of_the_packages_version():
    """An image of the chart's appVersion knows all that the chart's values may say."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == __version__
    assert sidecar_of(_example())["image"] == f"plano-sidecar:{__version__}"


def test_the_grace_outlasts_the_drain():
    """Kubelet must not kill what is still being served."""
    for name in ("example", "maximal"):
        drain = config_of(_set(name)).get("drain", {})
        grace_s = _pod(_set(name))["terminationGracePeriodSeconds"]

        assert grace_s >= drain.get("grace_s", 25) + 5
        assert isinstance(grace_s, int)


def test_an_ordinary_container_knows_the_pods_grace():
    """It drains while the app does, and has to end before both are killed."""
    pod = _example(mode="container", terminationGracePeriodSeconds=90)

    assert 90 == pod["terminationGracePeriodSeconds"]
    assert ["--mode=container", "--termination-grace=90"] == sidecar_of(pod)["args"][3:]


def test_secrets_are_files_of_one_folder():
    """Several, chosen keys, optional ones; never variables, which no pod sees change."""
    pod = _pod(_set("maximal"))
    (volume,) = [each for each in pod["volumes"] if each["name"] == "plano-sidecar-keys"]
    (mount,) = [
        each for each in sidecar_of(pod)["volumeMounts"] if each["name"] == "plano-sidecar-keys"
    ]

    assert [
        {"name": "plano-sidecar-keys"},
        {"name": "claude", "items": [{"key": "key", "path": "anthropic-key"}], "optional": True},
        {"name": "pins", "items": [{"key": "redis", "path": "redis-password"}]},
    ] == [each["secret"] for each in volume["projected"]["sources"]]
    assert "/var/run/secrets/plano-sidecar" == mount["mountPath"]
    assert "secretKeyRef" not in json.dumps(_set("maximal"))
    assert "subPath" not in json.dumps(_set("maximal"))


def test_without_secrets_there_is_no_folder_of_keys():
    """A projected volume without sources would be refused."""
    assert "plano-sidecar-keys" not in json.dumps(_example(secrets=[]))


def test_no_variable_is_set_twice():
    """Helm 4 applies on the server's side, which refuses a list with a name twice."""
    for each in _set("maximal"):
        for spec in pod_specs(each):
            for container in containers(spec):
                names = [variable["name"] for variable in container.get("env", [])]
                assert len(names) == len(set(names))
    with pytest.raises(Exception, match="extraEnv has POD_NAMESPACE"):
        _example(extraEnv=[{"name": "POD_NAMESPACE", "value": "x"}])
    with pytest.raises(Exception, match="extraEnv has A"):
        _example(extraEnv=[{"name": "A", "value": "x"}, {"name": "A", "value": "y"}])


@pytest.mark.parametrize("release", ["w", "web", "r" * 53])
@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "f" * 63}, {"nameOverride": "n" * 63}])
def test_every_name_fits_into_a_label(release, values):
    """Helm lets a release's name have 53 characters, Kubernetes a label 63; and no two objects of a
    kind have one name.
    """
    objects = render({**MAXIMAL, "nameOverride": "", **values}, name=release)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]

    assert len(names) == len(set(names))
    for each in objects:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", each["metadata"]["name"])
        assert len(each["metadata"]["name"]) <= 63
        for value in each["metadata"].get("labels", {}).values():
            assert re.fullmatch(r"([A-Za-z0-9]([-\w.]*[A-Za-z0-9])?)?", value)
            assert len(value) <= 63


def test_a_release_named_like_the_chart_is_not_named_twice():
    """As charts do that `helm create` makes."""
    assert (
        "plano-sidecar"
        == one(render(name="plano-sidecar"), "ConfigMap", "sidecar")["metadata"]["name"]
    )


def test_a_job_of_the_next_revision_is_another_one():
    """A Job's pods cannot be changed, so that an upgrade of the same one would be refused."""
    names = {one(render(JOB, revision=n), "Job", f"job-{n}")["metadata"]["name"] for n in (1, 2)}

    assert {"web-plano-sidecar-job-1", "web-plano-sidecar-job-2"} == names


def test_a_jobs_app_ends_the_ordinary_sidecar_and_no_native_one():
    """A native sidecar ends by itself once the app has."""
    variables = [
        {each["name"] for each in pod["containers"][-1]["env"]}
        for version in ("1.28.0", "1.29.0")
        for pod in pod_specs(one(render(JOB, version), "Job", "job-1"))
    ]

    assert ["QUIT_URL" in each for each in variables] == [True, False]
    with pytest.raises(Exception, match="operator_address"):
        render({**JOB, "config": {"admin": {"operator_address": "off"}}}, "1.28.0")


def test_the_jobs_app_calls_once_and_ends_the_sidecar():
    """What it runs, run: against a server that notes what it is asked."""
    asked: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((self.command, self.path))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    (pod,) = pod_specs(one(render(JOB, "1.28.0"), "Job", "job-1"))
    app = pod["containers"][-1]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = {
            each["name"]: re.sub(r":\d+", f":{server.server_port}", each["value"])
            for each in app["env"]
        }
        subprocess.run([sys.executable, *app["command"][1:]], env=environ, check=True, timeout=30)
        server.shutdown()

    assert [("POST", "/v1/chat/completions"), ("POST", "/quitquitquit")] == asked


def test_pods_with_ipv6_alone_are_served():
    """No address of one family is written anywhere but loopback, which every pod has in both."""
    objects = _set("maximal")
    text = json.dumps(
        [each for each in objects if each["kind"] in {"Deployment", "Service", "Job"}]
    )
    config = config_of(objects)

    assert {"127.0.0.1"} == set(re.findall(r"\d+\.\d+\.\d+\.\d+", text))
    assert "address" not in config["listeners"][0]
    assert "address" not in config["admin"]
    assert "PreferDualStack" == one(objects, "Service")["spec"]["ipFamilyPolicy"]
    assert (
        "'*' '-::*'"
        in one(objects, "Deployment", "redis")["spec"]["template"]["spec"]["containers"][0][
            "command"
        ][-1]
    )


def test_the_chart_has_nothing_that_helm_lint_minds():
    """No error, no warning."""
    from helm_python import lint

    for values in SETS.values():
        findings = lint(str(CHART), values, strict=True, kube_version="v1.33.0")

        # Helm's severities: 1 is information (no icon), 2 a warning, 3 an error.
        assert [] == [each for each in findings.get("messages", []) if each["severity"] >= 2]


def test_a_pod_monitor_replaces_the_annotations():
    """With the operator, its object, which finds the release's pods; without it, the
    annotations.
    """
    templates = [
        one(_set(name), "Deployment", "example")["spec"]["template"]["metadata"]
        for name in ("example", "maximal")
    ]
    monitor = one(_set("maximal"), "PodMonitor")["spec"]

    assert ["prometheus.io/port" in each["annotations"] for each in templates] == [True, False]
    assert "plano-admin" == monitor["podMetricsEndpoints"][0]["port"]
    assert monitor["selector"]["matchLabels"].items() <= templates[1]["labels"].items()


def test_rules_and_dashboard_are_those_of_the_repository():
    """The same texts as below deploy/, their own templates untouched; none of them by default."""
    objects = _set("maximal")
    dashboard, rules = one(objects, "ConfigMap", "-dashboard"), one(objects, "PrometheusRule")

    assert (DEPLOY / "grafana" / "plano-sidecar.json").read_text() == dashboard["data"][
        "plano-sidecar.json"
    ]
    assert yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text()) == rules["spec"]
    assert "1" == dashboard["metadata"]["labels"]["grafana_dashboard"]
    assert "kps" == rules["metadata"]["labels"]["release"]
    assert ["ConfigMap"] == [each["kind"] for each in _set("default") if not hook_of(each)]


def test_the_dashboard_fits_into_a_config_map():
    """Kubernetes takes one MiB, and kubectl apply a quarter of that as an annotation."""
    assert len((DEPLOY / "grafana" / "plano-sidecar.json").read_bytes()) < 256 * 1024


def test_the_pod_monitor_makes_the_labels_of_the_other_one():
    """deploy/prometheus has one for all pods of a cluster: dashboards do not care which it was."""
    other = yaml.safe_load((DEPLOY / "prometheus" / "podmonitor.yaml").read_text())
    api_schemas.validate(other, "1.33.0")
    endpoints = [
        each["spec"]["podMetricsEndpoints"][0]
        for each in (one(_set("maximal"), "PodMonitor"), other)
    ]

    assert endpoints[0]["relabelings"] == endpoints[1]["relabelings"]


def test_the_network_policy_closes_the_admin_port_alone():
    """To all but the monitoring namespace; the app's own ports are as open as they were."""
    policy = one(_set("maximal"), "NetworkPolicy", "web-llm")["spec"]
    scrape, others = policy["ingress"]
    labels = one(_set("maximal"), "Deployment", "example")["spec"]["template"]["metadata"]["labels"]

    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert [{"protocol": "TCP", "port": 9911}] == scrape["ports"]
    assert 2 == len(scrape["from"])
    assert "from" not in others
    tcp = [(each["port"], each["endPort"]) for each in others["ports"] if each["protocol"] == "TCP"]
    assert [(1, 9910), (9912, 65535)] == tcp


def test_what_the_policy_does_to_other_ports_is_chosen():
    """Either default would be wrong somewhere: it closes the app, or opens what another policy
    closes.
    """
    denying = render({"networkPolicy": {"enabled": True, "otherPorts": "deny"}})

    assert 1 == len(one(denying, "NetworkPolicy")["spec"]["ingress"])
    with pytest.raises(Exception, match="otherPorts"):
        render({"networkPolicy": {"enabled": True}})


@pytest.mark.parametrize(
    ("mesh", "annotation"),
    [
        ("istio", "traffic.sidecar.istio.io/excludeInboundPorts"),
        ("linkerd", "config.linkerd.io/skip-inbound-ports"),
    ],
)
def test_a_mesh_leaves_the_admin_port_alone(mesh, annotation):
    """So that probes and Prometheus reach it without the mesh's certificates."""
    objects = render({**EXAMPLE, "mesh": mesh})
    annotations = one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert "9901" == annotations[annotation]


def test_the_trial_redis_is_for_this_releases_pods():
    """It keeps nothing on a disk, and lets in the pods that carry the sidecar, by a policy."""
    objects = _set("maximal")
    pod = one(objects, "Deployment", "redis")["spec"]["template"]
    policy = one(objects, "NetworkPolicy", "redis")["spec"]
    labels = one(objects, "Deployment", "example")["spec"]["template"]["metadata"]["labels"]
    ((peer,),) = [each["from"] for each in policy["ingress"]]

    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    # With no rule of that kind, nothing is let out; an empty list the server would drop each time.
    assert (["Ingress", "Egress"], None) == (policy["policyTypes"], policy.get("egress"))
    assert ["secret", "emptyDir"] == [
        next(key for key in each if key != "name") for each in pod["spec"]["volumes"]
    ]
    session_cache = config_of(objects)["routing"]["session_cache"]
    service = one(objects, "Service")["metadata"]["name"]
    assert f"redis://{service}:6379/0" == session_cache["url"]
    assert "${file:/var/run/secrets/plano-sidecar/redis-password}" == session_cache["password"]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_the_trial_redis_takes_its_password_from_a_file(tmp_path):
    """Any password that a Secret may hold on one line, and none in a list of processes."""
    (container,) = one(_set("maximal"), "Deployment", "redis")["spec"]["template"]["spec"][
        "containers"
    ]
    (tmp_path / "password").write_text('a "b" \\c $d\n')
    script = container["command"][-1].replace("/run/secrets/redis", str(tmp_path))
    # Redis prints its settings, instead of serving, when its config cannot be used.
    script = script.replace("/run/redis", str(tmp_path)).replace("exec redis-server", "exec echo")
    subprocess.run(["sh", "-euc", script], check=True, timeout=30)
    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "redis.conf", "--port", "0", "--unixsocket", socket, "--save", ""],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not socket.exists():
            assert server.poll() is None
        asked = ["redis-cli", "-s", socket, "ping"]
        environ = {**os.environ, "REDISCLI_AUTH": 'a "b" \\c $d'}
        refused = subprocess.run(asked, capture_output=True, text=True, check=False)
        served = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
    finally:
        server.terminate()
        server.wait()

    assert "NOAUTH" in refused.stdout
    assert "PONG\n" == served.stdout


def test_the_check_runs_before_anything_changes():
    """It has the config that is to come, not the one of the release, and goes when it has
    passed.
    """
    objects = _set("maximal")
    hooks = [each for each in objects if hook_of(each)]
    weights = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in hooks]
    config_map, job = hooks
    (pod,) = pod_specs(job)

    assert ["ConfigMap", "Job"] == [each["kind"] for each in hooks]
    assert weights == sorted(weights)
    assert weights[0] < weights[1]
    assert {"pre-install,pre-upgrade"} == {hook_of(each) for each in hooks}
    assert config_map["data"] == one(objects, "ConfigMap", "web-llm")["data"]
    mounted = next(each for each in pod["volumes"] if each["name"] == "plano-sidecar-config")
    assert config_map["metadata"]["name"] == mounted["configMap"]["name"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert not [key for key in labels if key.startswith("plano-sidecar/")]


def test_the_check_waits_for_no_secret():
    """A pod that waits for one would hold the install until its deadline, and tell nothing."""
    (pod,) = pod_specs(one(_set("maximal"), "Job", "check"))
    (keys,) = [each for each in pod["volumes"] if each["name"] == "plano-sidecar-keys"]

    assert all(each["secret"]["optional"] for each in keys["projected"]["sources"])


@pytest.mark.parametrize(
    ("missing", "is_upgrade", "is_lenient"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("warn", True, True),
        ("fail", False, False),
    ],
)
def test_missing_files_fail_an_upgrade_and_no_install(missing, is_upgrade, is_lenient):
    """At an install, Secrets may come later; at an upgrade, pods have them."""
    objects = render({"check": {"missingFiles": missing}}, is_upgrade=is_upgrade)
    (pod,) = pod_specs(one(objects, "Job", "check"))

    assert is_lenient == ("--allow-missing-files" in pod["containers"][0]["args"])


def test_the_notes_tell_the_next_step():
    """A call through the example; without it, how the sidecar gets into a pod."""
    notes = {
        name: next(text for path, text in render_texts(values).items() if "NOTES" in path)
        for name, values in SETS.items()
    }

    assert "kubectl -n shop exec deploy/web-llm-example" in notes["maximal"]
    assert "port-forward deploy/web-llm-example 9921" in notes["maximal"]
    assert "plano-sidecar inject -f" in notes["default"]
    assert "plano-sidecar-keys" in notes["default"]
    assert "Secret" not in notes["minimal"].partition("Next")[0]
