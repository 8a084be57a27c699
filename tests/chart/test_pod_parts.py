"""The chart's pod has the very parts that all other ways give."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.inject import pod
from tests.chart.rendered import MAXIMAL, one, render, require_engine, sidecar_of

require_engine()


@pytest.mark.parametrize("mode", list(pod.Mode))
@pytest.mark.parametrize("values", [{}, MAXIMAL], ids=["default", "maximal"])
def test_the_chart_gives_the_same_parts(mode, values):
    """Container, volumes, variables, labels and annotations, for both modes."""
    objects = render({**values, "mode": mode.value, "example": {"enabled": True}})
    template = one(objects, "Deployment", "example")["spec"]["template"]
    sidecar = sidecar_of(template["spec"])
    options = _options(values, mode, sidecar["image"])
    (app,) = [each for each in template["spec"]["containers"] if each["name"] == "app"]
    labels = template["metadata"]["labels"]

    assert pod.container(options) == sidecar
    assert pod.volumes(options) == template["spec"]["volumes"]
    assert pod.app_environment(options) == app["env"]
    assert pod.pod_labels(options).items() <= labels.items()
    assert pod.pod_annotations(options).items() <= template["metadata"]["annotations"].items()


def _options(values: dict[str, Any], mode: pod.Mode, image: str) -> pod.PodOptions:
    """The options that say what the chart's values say."""
    if not values:
        return pod.PodOptions(image=image, mode=mode, config_map="web-plano-sidecar")
    password = {"name": "pins", "items": [{"key": "redis", "path": "redis-password"}]}
    return pod.PodOptions(
        image=image,
        mode=mode,
        pull_policy="Always",
        data_port=12100,
        admin_port=9911,
        operator_port=9921,
        termination_grace_s=60,
        config_map="web-llm",
        secrets=(*values["secrets"], password),
        env=tuple(values["extraEnv"]),
        mounts=tuple(values["extraVolumeMounts"]),
        volumes=tuple(values["extraVolumes"]),
        labels={"plano-sidecar/release": "web-llm", **values["podLabels"]},
        annotations=values["podAnnotations"],
        scrape=False,
    )
