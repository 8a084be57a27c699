"""Helm 3 and Helm 4 themselves, without a cluster. All other tests of the chart render by the engine of Helm 4 inside a
Python package; that these texts are equal carries their results over to both programs.
"""

from __future__ import annotations

import re
import shutil

import pytest
import yaml

from tests.chart.rendered import CHART, SETS, SHOP, VERSIONS, render_texts, shop_chart
from tests.cluster.helm import HelmFailed

OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
RELEASE = ("web", "--namespace", "shop")


def _by_template(printed: str) -> dict[str, list[str]]:
    """What `helm template` printed: a template's path -> its documents. Helm orders by kind."""
    found: dict[str, list[str]] = {}
    for document in re.split(r"^---\n", printed, flags=re.MULTILINE)[1:]:
        source, _, text = document.partition("\n")
        found.setdefault(source.removeprefix("# Source: "), []).append(text.strip())
    return {path: sorted(texts) for path, texts in found.items()}


def _documents_of(texts: dict[str, str]) -> dict[str, list[str]]:
    """The same, of what the engine in the Python package gave."""
    found = {}
    for path, text in texts.items():
        pieces = re.split(r"^---\n", text, flags=re.MULTILINE) if path.endswith(".yaml") else []
        documents = [piece.strip() for piece in pieces if yaml.safe_load(piece)]
        if documents:
            found[path] = sorted(documents)
    return found


@pytest.mark.parametrize("kube_version", [OLDEST, "1.29.0", NEWEST])
@pytest.mark.parametrize("name", SETS)
def test_helm_renders_what_the_charts_other_tests_look_at(helm, kube_version, name):
    """Byte for byte, hooks included."""
    printed = helm.run(
        "template", *RELEASE, str(CHART), "--kube-version", kube_version, *helm.values(SETS[name])
    )
    texts = render_texts(SETS[name], kube_version, name="web", namespace="shop")

    assert _documents_of(texts) == _by_template(printed)


@pytest.mark.parametrize("kube_version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", SETS)
def test_helm_lint_minds_nothing(helm, kube_version, name):
    """Strictly: a warning fails, too."""
    printed = helm.run(
        "lint", "--strict", "--kube-version", kube_version, *helm.values(SETS[name]), str(CHART)
    )

    assert "1 chart(s) linted, 0 chart(s) failed" in printed
    assert "[WARNING]" not in printed


@pytest.mark.parametrize("values", [{"imagge": {}}, {"mode": "sidecar"}])
def test_helm_refuses_values_that_mean_nothing(helm, values):
    """Helm 3 and 4 have different readers of JSON Schema."""
    with pytest.raises(HelmFailed, match=r"(?i)schema"):
        helm.run("template", *RELEASE, str(CHART), *helm.values(values))


def test_a_cluster_that_is_too_old_is_refused(helm):
    """The chart says which it needs."""
    with pytest.raises(HelmFailed, match="chart requires kubeVersion"):
        helm.run("template", *RELEASE, str(CHART), "--kube-version", "1.27.0")


def test_a_packaged_chart_renders_the_same(helm, tmp_path):
    """Nothing that it needs is left out of the archive."""
    helm.run("package", str(CHART), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("plano-sidecar-*.tgz")
    values = helm.values(SETS["maximal"])

    assert helm.run("template", *RELEASE, str(CHART), *values) == helm.run(
        "template", *RELEASE, str(archive), *values
    )


def test_another_chart_has_it_as_a_dependency(helm, tmp_path):
    """`helm dependency update` packs it into the app's own chart, which includes its templates, and
    `build` does so again by the lock.
    """
    shop = tmp_path / "charts" / "shop"
    shutil.copytree(SHOP, shop)
    shutil.copytree(CHART, shop.parent / "plano-sidecar")
    printed = []
    for command in ("update", "build"):
        helm.run("dependency", command, str(shop))
        printed.append(helm.run("template", *RELEASE, str(shop), "--kube-version", NEWEST))
        shutil.rmtree(shop / "charts")
    texts = render_texts({}, NEWEST, shop_chart(tmp_path), name="web", namespace="shop")

    assert printed[0] == printed[1]
    assert _documents_of(texts) == _by_template(printed[0])
