"""Injected manifests are what Kubernetes' own schemas allow, and the same as the chart's pods."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import yaml

from sidecar.cli import main

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
