"""What a pod becomes that gets a sidecar."""

from __future__ import annotations

import contextlib

import pytest

from sidecar.inject import pod
from sidecar.inject.pod_changes import PodRefused, declines, with_sidecar

NATIVE = pod.PodOptions(image="i")
ORDINARY = pod.PodOptions(image="i", mode=pod.Mode.CONTAINER)


def _template(**spec):
    return {"spec": {"containers": [{"name": "app"}], **spec}}


def _names(changed, key="initContainers"):
    return [each["name"] for each in changed.template["spec"].get(key, [])]


def test_a_native_sidecar_comes_before_what_may_call_it():
    """Init containers run one after the other."""
    changed = with_sidecar(_template(initContainers=[{"name": "migrate"}]), NATIVE)

    assert ["plano-sidecar", "migrate"] == _names(changed)
    assert ["app"] == _names(changed, "containers")


@pytest.mark.parametrize("proxy", ["istio-proxy", "linkerd-proxy", "kuma-sidecar"])
def test_a_meshs_proxy_comes_before_the_sidecar(proxy):
    """Its own calls go through the mesh."""
    before = [{"name": "istio-init"}, {"name": proxy}, {"name": "migrate"}]
    changed = with_sidecar(_template(initContainers=before), NATIVE)

    assert ["istio-init", proxy, "plano-sidecar", "migrate"] == _names(changed)


def test_an_ordinary_sidecar_comes_before_the_app():
    """Its hook holds back what stands behind it; and `kubectl logs` looks at the app all the
    same.
    """
    changed = with_sidecar(_template(), ORDINARY)
    notes = {"annotations": {"kubectl.kubernetes.io/default-container": "other"}}
    other = with_sidecar({**_template(), "metadata": notes}, ORDINARY)

    assert ["plano-sidecar", "app"] == _names(changed, "containers")
    assert "initContainers" not in changed.template["spec"]
    assert ["app", "other"] == [
        each.template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"]
        for each in (changed, other)
    ]


def test_an_earlier_sidecar_stays_in_its_place_or_changes_lists():
    """A change of mode moves it, and leaves no empty list behind."""
    before = [{"name": "first"}, {"name": "plano-sidecar", "image": "old", "args": ["run"]}]
    native = with_sidecar(_template(initContainers=before), NATIVE)
    moved = with_sidecar(with_sidecar(_template(), NATIVE).template, ORDINARY)
    back = with_sidecar(moved.template, NATIVE)

    assert ["first", "plano-sidecar"] == _names(native)
    assert pod.container(NATIVE) == native.template["spec"]["initContainers"][1]
    assert "initContainers" not in moved.template["spec"]
    assert ["plano-sidecar", "app"] == _names(moved, "containers")
    assert (["plano-sidecar"], ["app"]) == (_names(back), _names(back, "containers"))


def test_only_callers_among_init_containers_get_variables():
    """Those with variables of OpenAI or Anthropic; and none where the sidecar does not run yet."""
    before = [
        {"name": "migrate", "env": [{"name": "A"}]},
        {"name": "ask", "env": [{"name": "OPENAI_MODEL", "value": "m"}]},
    ]
    native = with_sidecar(_template(initContainers=before), NATIVE).template["spec"]
    ordinary = with_sidecar(_template(initContainers=before), ORDINARY).template["spec"]

    assert before[0] == native["initContainers"][1]
    assert 5 == len(native["initContainers"][2]["env"])
    assert before == ordinary["initContainers"]


def test_every_container_of_the_app_gets_variables_but_a_meshs():
    """Unless some are named, which may be init containers."""
    spec = {
        "containers": [{"name": "a"}, {"name": "b"}, {"name": "istio-proxy"}],
        "initContainers": [{"name": "c"}],
    }
    every = with_sidecar({"spec": spec}, NATIVE).template["spec"]
    some = with_sidecar({"spec": spec}, NATIVE, ("b", "c")).template["spec"]

    assert [True, True, False] == ["env" in each for each in every["containers"]]
    assert [False, True, False] == ["env" in each for each in some["containers"]]
    assert [False, True] == ["env" in each["initContainers"][1] for each in (every, some)]


def test_volumes_are_added_once_and_follow_the_options():
    """One that is not mounted any more goes."""
    other = {"name": "data", "emptyDir": {}}
    once = with_sidecar(_template(volumes=[other]), NATIVE).template
    again = with_sidecar(once, pod.PodOptions(image="i", config_map="c", secrets=())).template

    assert [other, *pod.volumes(NATIVE)] == once["spec"]["volumes"]
    assert [other, {"name": pod.CONFIG_VOLUME, "configMap": {"name": "c"}}] == again["spec"][
        "volumes"
    ]


def test_labels_and_annotations_are_added():
    """A pod without metadata gets some, before its spec."""
    changed = with_sidecar(_template(), NATIVE).template

    assert ["metadata", "spec"] == list(changed)
    assert pod.pod_labels(NATIVE) == changed["metadata"]["labels"]
    assert pod.pod_annotations(NATIVE) == changed["metadata"]["annotations"]
    assert (
        "annotations"
        not in with_sidecar(_template(), pod.PodOptions(image="i", scrape=False)).template[
            "metadata"
        ]
    )


def test_an_apps_own_scraping_stays():
    """Prometheus' annotations name one port of a pod."""
    own = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    changed = with_sidecar({**_template(), "metadata": {"annotations": own}}, NATIVE)

    assert own == changed.template["metadata"]["annotations"]
    assert "PodMonitor" in changed.notes[0]


def test_scraping_of_an_earlier_sidecar_follows_its_port():
    """The old one's port is in its container."""
    old = with_sidecar(_template(), pod.PodOptions(image="i", admin_port=7000)).template
    changed = with_sidecar(old, NATIVE)

    assert "9901" == changed.template["metadata"]["annotations"]["prometheus.io/port"]
    assert () == changed.notes


@pytest.mark.parametrize(
    ("grace_s", "passed_s"),
    [(60, 60), (0, 1), (7200, 7200), (100_000, 86_400), (None, 30), ("60", 30)],
)
def test_an_ordinary_sidecar_is_told_the_pods_grace(grace_s, passed_s):
    """It must have ended before SIGKILL; the config is shared by pods of any grace."""
    (added, _) = with_sidecar(_template(terminationGracePeriodSeconds=grace_s), ORDINARY).template[
        "spec"
    ]["containers"]

    assert f"--termination-grace={passed_s}" in added["args"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"os": {"name": "windows"}}, "Windows"),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, "Windows"),
        ({"containers": []}, "no container of an app"),
        ({"containers": [{"name": "plano-sidecar"}]}, "no container of an app"),
        ({"containers": None}, "no container of an app"),
        ({"containers": {"name": "app"}}, "something else than a list"),
        ({"containers": [{"image": "x"}]}, "something else than a list"),
        ({"volumes": [1]}, "something else than a list of named items at volumes"),
        ({"containers": [{"name": "a", "env": ["A=b"]}]}, "at env"),
        ({"containers": [{"name": "a", "ports": [{"containerPort": 12000}]}]}, "port 12000"),
        ({"initContainers": [{"name": "a", "ports": [{"containerPort": 9901}]}]}, "port 9901"),
        ({"containers": [{"name": "a", "ports": [{}, {"containerPort": 9902}]}]}, "port 9902"),
        ({"containers": [{"name": "a", "ports": [1]}]}, "container a has .* mappings at ports"),
        ({"containers": [{"name": "a", "ports": 5}]}, "container a has .* mappings at ports"),
        ({"initContainers": [{"name": "plano-sidecar"}]}, "a container plano-sidecar of its own"),
        (
            {"initContainers": [{"name": "plano-sidecar", "image": "x", "args": ["serve"]}]},
            "a container plano-sidecar of its own",
        ),
        (
            {"initContainers": [{"name": "plano-sidecar", "args": ["run"], "command": ["x"]}]},
            "a container plano-sidecar of its own",
        ),
        (
            {"volumes": [{"name": "plano-sidecar-config", "persistentVolumeClaim": {}}]},
            "a volume plano-sidecar-config of its own",
        ),
        ({"volumes": [{"name": "plano-sidecar-keys"}]}, "a volume plano-sidecar-keys of its own"),
    ],
)
def test_pods_in_which_it_cannot_work_are_refused(spec, message):
    """With the reason."""
    with pytest.raises(PodRefused, match=message):
        with_sidecar(_template(**spec), NATIVE)


@pytest.mark.parametrize(
    "earlier",
    [
        {"image": "plano-sidecar"},
        {"image": "r.example.org:5000/team/plano-sidecar:1@sha256:0", "args": 1},
        {"image": "mirror/other:2", "args": ["run", "--config", "c"]},
        {"args": ["run"], "command": ["/usr/bin/plano-sidecar"], "ports": []},
    ],
)
def test_an_earlier_sidecar_is_known_by_its_image_or_its_arguments(earlier):
    """Whoever mirrors images names them otherwise, and older versions had other arguments."""
    spec = _template(initContainers=[{"name": "plano-sidecar", **earlier}])

    assert [pod.container(NATIVE)] == with_sidecar(spec, NATIVE).template["spec"]["initContainers"]


@pytest.mark.parametrize("wrong", [5, True, "x", [3], [[]], {"a": 1}, {"name": 1}, [{"name": 1}]])
@pytest.mark.parametrize("options", [NATIVE, ORDINARY])
def test_wrong_types_are_refused_or_left(options, wrong):
    """Anywhere in a pod: a manifest is written by hand."""
    app, ours = {"name": "app"}, {"name": "plano-sidecar", "args": ["run"]}
    variable = {"name": "NO_PROXY", "value": "a"}
    specs = [
        *({"containers": [{**app, key: wrong}]} for key in ("env", "envFrom", "ports", "args")),
        *({"containers": [app, {**ours, key: wrong}]} for key in ("env", "ports", "args", "image")),
        {"containers": [app, {**ours, "command": wrong}]},
        {"containers": [{**app, "env": [{"name": "HTTP_PROXY"}, {**variable, "value": wrong}]}]},
        {"containers": [{**app, "ports": [{"containerPort": wrong}]}]},
        {"volumes": [{"name": "plano-sidecar-config", "configMap": wrong}]},
        *({key: wrong} for key in ("os", "nodeSelector", "volumes", "initContainers")),
        {"terminationGracePeriodSeconds": wrong},
    ]
    templates = [_template(**spec) for spec in specs]
    templates += [{**_template(), "metadata": wrong}, {"spec": wrong}]
    templates += [{**_template(), "metadata": {key: wrong}} for key in ("labels", "annotations")]
    done = 0
    for template in templates:
        with contextlib.suppress(PodRefused):
            with_sidecar(template, options)
            done += 1
    assert done


def test_a_container_that_is_not_there_is_a_problem():
    """Its variables would be missed in silence."""
    with pytest.raises(PodRefused, match="has no container apq"):
        with_sidecar(_template(), NATIVE, ("apq",))


def test_ports_of_an_earlier_sidecar_are_its_own():
    """And ports that others use are other ports."""
    spec = {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}]}
    once = with_sidecar({"spec": spec}, ORDINARY).template

    assert once == with_sidecar(once, ORDINARY).template


@pytest.mark.parametrize(
    ("metadata", "declined"),
    [
        ({"annotations": {"plano-sidecar/inject": "false"}}, True),
        ({"annotations": {"plano-sidecar/inject": False}}, True),
        ({"annotations": {"plano-sidecar/inject": "true"}}, False),
        ({"annotations": None}, False),
        (None, False),
    ],
)
def test_an_annotation_declines(metadata, declined):
    """Of the workload or of the pod; anything but a no is a yes."""
    assert declined == declines({}, metadata)
