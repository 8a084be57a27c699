"""The chart's pod has the very parts that all other ways give."""

from __future__ import annotations

import pytest

from sidecar.inject import pod
from tests.chart import test_chart as chart


@pytest.mark.parametrize("mode", list(pod.Mode))
@pytest.mark.parametrize("is_monitored", [False, True])
def test_the_chart_gives_the_same_parts(mode, is_monitored):
    """Container, volumes, variables, labels and annotations, for both modes."""
    objects = chart._render(
        mode=mode.value,
        podMonitor={**chart.EVERYTHING["podMonitor"], "enabled": is_monitored},
    )
    sidecar = chart._sidecar(chart._pod(objects))
    options = pod.PodOptions(
        image=sidecar["image"],
        mode=mode,
        config_map=chart._one(objects, "ConfigMap")["metadata"]["name"],
        resources=sidecar["resources"],
        scrape=not is_monitored,
    )
    template = chart._one(objects, "Deployment")["spec"]["template"]
    (app,) = [each for each in template["spec"]["containers"] if each is not sidecar]

    assert pod.container(options) == sidecar
    assert pod.volumes(options) == template["spec"]["volumes"]
    assert pod.app_environment(options) == app["env"]
    assert pod.pod_labels().items() <= template["metadata"]["labels"].items()
    annotations = template["metadata"]["annotations"]
    assert pod.pod_annotations(options) == {
        name: value for name, value in annotations.items() if name.startswith("prometheus.io/")
    }
