"""Injected manifests are what Kubernetes' own schemas allow, and the same as the chart's pods."""

from __future__ import annotations

import copy
import importlib.util
import os
from pathlib import Path

import pytest
import yaml

from sidecar.cli import main
from tests.chart.rendered import render, require_engine, sidecar_of

if (
    importlib.util.find_spec("kubernetes_validate") is None
    and os.environ.get("SIDECAR_REQUIRE_CHART") != "1"
):
    pytest.skip(
        "kubernetes-validate is not installed; `make chart` has it", allow_module_level=True
    )

MANIFESTS = sorted((Path(__file__).parents[1] / "inject" / "manifests").iterdir())


def _objects(text: str):
    for each in yaml.safe_load_all(text):
        if each:
            yield from each["items"] if each["kind"] == "List" else [each]


@pytest.mark.parametrize("mode", ["native", "container"])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_injected_manifests_fit_the_apis_schema(path, mode, capsysbinary):
    """Strictly, as for a server-side apply: an unknown field or a key that stands twice is an
    error.
    """
    import kubernetes_validate

    version = "1.36" if mode == "native" else "1.28"
    assert 0 == main(["inject", "-f", str(path), "--mode", mode])
    text = capsysbinary.readouterr().out.decode("utf-8-sig").replace("\t", " ")

    for each in _objects(text):
        if each["kind"] != "CustomResourceDefinition":
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("mode", ["native", "container"])
def test_the_command_gives_the_charts_pod(mode, tmp_path, capsys):
    """The example's pod without its sidecar, injected: the very same pod again."""
    require_engine()
    (example,) = [
        each
        for each in render({"mode": mode, "example": {"enabled": True}})
        if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("example")
    ]
    spec = copy.deepcopy(example["spec"]["template"]["spec"])
    sidecar = sidecar_of(spec)
    spec.pop("initContainers", None)
    spec["containers"] = [each for each in spec["containers"] if each["name"] == "app"]
    del spec["containers"][0]["env"], spec["volumes"]
    bare = {**example, "spec": {**example["spec"], "template": {"spec": spec}}}
    file = tmp_path / "bare.yaml"
    file.write_text(yaml.safe_dump(bare))
    options = ["--mode", mode, "--image", sidecar["image"], "--config-map", "web-plano-sidecar"]

    assert 0 == main(["inject", "-f", str(file), *options])
    injected = yaml.safe_load(capsys.readouterr().out)
    assert example["spec"]["template"]["spec"] == injected["spec"]["template"]["spec"]
