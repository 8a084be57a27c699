"""Manifests to which `plano-sidecar inject` has added the sidecar, before a real API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sidecar.cli import main
from tests.cluster.api import Refused
from tests.support.pod_security import pod_specs

MANIFESTS = sorted((Path(__file__).parents[1] / "inject" / "manifests").glob("*.*"))


def _objects(path, text):
    """Every object of a file, lists taken apart, for whichever namespace it is applied to."""
    text = text.removeprefix("\ufeff")
    for each in [json.loads(text)] if path.suffix == ".json" else yaml.safe_load_all(text):
        for item in each["items"] if each and each["kind"] == "List" else [each]:
            if item:
                item["metadata"].pop("namespace", None)
                yield item


def _pods(item):
    """The pods that it makes, with the volumes that a StatefulSet's controller adds."""
    claims = [
        {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}}
        for name in [
            each["metadata"]["name"]
            for each in (item.get("spec") or {}).get("volumeClaimTemplates") or []
        ]
    ]
    for spec in pod_specs(item):
        yield {**spec, "volumes": [*(spec.get("volumes") or []), *claims]}


@pytest.fixture
def open_namespace(api, namespace):
    """One that takes any pod, as most do."""
    return api.create_namespace(f"{namespace}-open", {})


@pytest.mark.parametrize("mode", ["native", "container"])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_what_was_taken_is_taken_with_the_sidecar(
    api, open_namespace, namespace, path, mode, capsys
):
    """Each object without a word more than before; where only restricted pods are admitted, the
    sidecar costs no pod its admission.
    """
    assert 0 == main(["inject", "-f", str(path), "--mode", mode])
    before = list(_objects(path, path.read_text()))
    after = list(_objects(path, capsys.readouterr().out))

    assert [each["metadata"]["name"] for each in before] == [
        each["metadata"]["name"] for each in after
    ]
    for old, new in zip(before, after, strict=True):
        taken = api.apply(old, open_namespace, dry_run=True)
        assert taken.warnings == api.apply(new, open_namespace, dry_run=True).warnings
        for was, now in zip(_pods(old), _pods(new), strict=True):
            api.create_pod(now, open_namespace)
            if _is_admitted(api, was, namespace):
                api.create_pod(now, namespace)


def _is_admitted(api, spec, namespace):
    try:
        api.create_pod(spec, namespace)
    except Refused:
        return False
    return True
