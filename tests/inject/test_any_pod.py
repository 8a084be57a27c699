"""Whatever a pod is like: it gets its sidecar, and a second run changes nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.inject import pod
from sidecar.inject.manifests import InjectOptions, inject
from sidecar.inject.nodes import MappingNode, read_nodes
from tests.inject.test_editing import STYLES, TEXTS

VARIABLES = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(
                ["A", "OPENAI_BASE_URL", "OPENAI_API_KEY", "HTTPS_PROXY", "NO_PROXY", "no_proxy"]
            )
        },
        # A value with a line break that would have to be edited is refused; no list of hosts has one.
        optional={"value": TEXTS.filter(lambda text: "\n" not in text) | st.none()},
    ),
    max_size=5,
    unique_by=lambda each: str(each["name"]),
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["app", "b", "c", "istio-proxy"])},
        optional={
            "image": TEXTS,
            "env": VARIABLES | st.none(),
            "args": st.lists(TEXTS, max_size=2),
        },
    ),
    max_size=3,
    unique_by=lambda each: str(each["name"]),
)
SPECS = st.fixed_dictionaries(
    {"containers": CONTAINERS.filter(bool)},
    optional={
        "initContainers": CONTAINERS | st.none(),
        "volumes": st.just([{"name": "data", "emptyDir": {}}]) | st.just([]) | st.none(),
        "nodeName": TEXTS,
    },
)
METADATA = st.none() | st.fixed_dictionaries(
    {}, optional={"labels": st.just({"a": "b"}) | st.none(), "annotations": st.just({}) | st.none()}
)


@settings(max_examples=30, deadline=None)
@given(spec=SPECS, metadata=METADATA, style=st.sampled_from(sorted(STYLES)), data=st.data())
def test_any_pod_gets_its_sidecar_once(spec, metadata, style, data):
    """In any style, from any mode to any mode."""
    first, second = (data.draw(st.sampled_from(list(pod.Mode))) for _ in range(2))
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
    }
    content = STYLES[style](manifest).encode()
    for mode in (first, second):
        options = InjectOptions(pod.PodOptions(image="i", mode=mode))
        done = inject("f", content, options)
        again = inject("f", done.content, options)

        assert [] == [str(each) for each in done.findings if each.is_problem]
        assert (1, done.content) == (done.workloads, again.content)
        content = done.content
    root = read_nodes(content.decode())
    assert isinstance(root, MappingNode)
    key = "initContainers" if second is pod.Mode.NATIVE else "containers"
    assert pod.container(options.pod) in root.data["spec"][key]
    assert pod.volumes(options.pod) == root.data["spec"]["volumes"][-2:]
