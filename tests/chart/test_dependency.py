"""The named templates in an app's own chart, which has this one as a dependency."""

from __future__ import annotations

import re
import shutil

import pytest
import yaml

from tests.chart import api_schemas
from tests.chart.rendered import (
    CHART,
    config_of,
    one,
    render,
    require_engine,
    shop_chart,
    sidecar_of,
)
from tests.support.pod_security import pod_specs, violations

require_engine()

DEPENDENCY = {"name": "plano-sidecar", "version": "0.1.0"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The app's chart as it is in the repository."""
    return shop_chart(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def aliased(tmp_path_factory):
    """The same, knowing the dependency by an alias."""
    return shop_chart(tmp_path_factory.mktemp("charts"), [{**DEPENDENCY, "alias": "llm"}])


@pytest.mark.parametrize("kube_version", ["1.28.0", "1.29.0", "1.36.0"])
def test_the_apps_pod_has_the_sidecar(shop, kube_version):
    """Container, volumes, labels, annotations and variables, by the values below the dependency's
    name.
    """
    objects = render({}, kube_version, shop)
    template = one(objects, "Deployment")["spec"]["template"]
    sidecar = sidecar_of(template["spec"])
    variables = {each["name"]: each["value"] for each in template["spec"]["containers"][-1]["env"]}

    for each in objects:
        api_schemas.validate(each, kube_version)
        assert [] == [line for spec in pod_specs(each) for line in violations(spec)]
    assert 9911 == sidecar["ports"][0]["containerPort"]
    assert "OTEL_RESOURCE_ATTRIBUTES" in [each["name"] for each in sidecar["env"]]
    assert "9911" == template["metadata"]["annotations"]["prometheus.io/port"]
    assert "http://127.0.0.1:12000" == variables["ANTHROPIC_BASE_URL"]
    config, keys = template["spec"]["volumes"]
    assert one(objects, "ConfigMap", "sidecar")["metadata"]["name"] == config["configMap"]["name"]
    assert [{"secret": {"name": "shop-keys"}}] == keys["projected"]["sources"]
    assert {"port": 9911} == config_of(objects)["admin"]


def test_what_the_app_sets_itself_is_not_set_twice(shop):
    """A server-side apply refuses a name twice, and the app's own value is the one that counts."""
    pod = one(render({}, chart=shop), "Deployment")["spec"]["template"]["spec"]
    names = [each["name"] for each in pod["containers"][-1]["env"]]

    assert len(names) == len(set(names))
    assert {"value": "http://127.0.0.1:12000/v1/", "name": "OPENAI_BASE_URL"} in pod["containers"][
        -1
    ]["env"]


def test_nothing_but_the_apps_objects_and_the_config_is_installed(shop):
    """No example comes with a dependency."""
    objects = render({"plano-sidecar": {"check": {"enabled": False}}}, chart=shop)

    assert {"Deployment": "web-shop", "ConfigMap": "web-plano-sidecar"} == {
        each["kind"]: each["metadata"]["name"] for each in objects
    }


@pytest.mark.parametrize("enabled", [True, False])
def test_it_can_be_left_out(tmp_path, enabled):
    """By its condition; then nothing of it is installed, and the app's chart includes nothing."""
    chart = shop_chart(tmp_path)
    (chart / "templates" / "deployment.yaml").write_text(
        '{{- if index .Values "plano-sidecar" "enabled" }}\n'
        'native: {{ include "plano-sidecar.isNative" . }}\n{{- end }}\n'
    )
    objects = render({"plano-sidecar": {"enabled": enabled}}, chart=chart)

    assert enabled == ({"native": True} in objects)
    assert enabled == bool(objects)


def test_values_stand_under_the_alias(aliased):
    """Names follow it, and what stands under another name is not read."""
    values = {"llm": {"config": {"admin": {"port": 9933}}, "podMonitor": {"enabled": True}}}
    objects = render(values, chart=aliased)
    template = one(objects, "Deployment")["spec"]["template"]
    selector = one(objects, "PodMonitor")["spec"]["selector"]["matchLabels"]

    assert 9933 == sidecar_of(template["spec"])["ports"][0]["containerPort"]
    assert "web-llm" == template["spec"]["volumes"][0]["configMap"]["name"]
    assert selector.items() <= template["metadata"]["labels"].items()
    assert "plano-sidecar:" in sidecar_of(template["spec"])["image"]


def test_each_of_two_is_named_by_its_context(tmp_path):
    """A dot would not say which; .Subcharts.ALIAS does."""
    both = [{**DEPENDENCY, "alias": alias} for alias in ("fast", "safe")]
    chart = shop_chart(tmp_path, both)
    with pytest.raises(Exception, match=r"as fast and safe; include .* such as .Subcharts.fast"):
        render({}, chart=chart)

    other = shop_chart(tmp_path / "other", both)
    file = other / "templates" / "deployment.yaml"
    named = re.compile(r'(include "plano-sidecar\.\w+" (?:\(list )?)\.(?=[ )])')
    text = named.sub(r"\1.Subcharts.safe", file.read_text())
    file.write_text(text)
    values = {"safe": {"config": {"admin": {"port": 9955}}}}
    objects = render(values, chart=other)
    template = one(objects, "Deployment")["spec"]["template"]

    assert 9955 == sidecar_of(template["spec"])["ports"][0]["containerPort"]
    assert {"web-fast", "web-safe"} == {
        each["metadata"]["name"]
        for each in objects
        if each["kind"] == "ConfigMap" and not each["metadata"]["name"].endswith("check")
    }


def test_a_chart_without_the_dependency_is_told_so(tmp_path):
    """Templates of one chart are those of all in a release: a sibling of the dependency may include
    them, and has not its values.
    """
    chart = shop_chart(tmp_path)
    sibling = chart / "charts" / "other"
    (sibling / "templates").mkdir(parents=True)
    (sibling / "Chart.yaml").write_text("{apiVersion: v2, name: other, version: 0.1.0}")
    text = 'x: {{ include "plano-sidecar.appEnv" . }}'
    (sibling / "templates" / "x.yaml").write_text(text)

    with pytest.raises(Exception, match="other includes its templates"):
        render({}, chart=chart)


def test_values_of_the_dependency_are_checked_too(shop):
    """A typo below plano-sidecar: is refused as one at the top is."""
    with pytest.raises(Exception, match="podMonitr"):
        render({"plano-sidecar": {"podMonitr": {}}}, chart=shop)


def test_helm_fetches_it_as_a_dependency(tmp_path):
    """`helm dependency update` finds it beside the app's chart, by its version."""
    from helm_python import dependency_update

    chart = shop_chart(tmp_path)
    shutil.rmtree(chart / "charts")
    shutil.copytree(CHART, tmp_path / "plano-sidecar")
    dependency_update(chart)

    assert ["plano-sidecar-0.1.0.tgz"] == [each.name for each in (chart / "charts").iterdir()]
    assert (
        "web-plano-sidecar"
        == one(render({}, chart=chart), "ConfigMap", "sidecar")["metadata"]["name"]
    )


def test_the_readmes_deployment_is_one(tmp_path):
    """What one copies from it renders in a chart, as a pod with the sidecar."""
    _, snippet, _ = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    chart = shop_chart(tmp_path)
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}}
    text = yaml.safe_dump(head) + "spec:\n  selector: {matchLabels: {app: shop}}\n" + snippet
    (chart / "templates" / "deployment.yaml").write_text(text)
    deployment = one(render({}, chart=chart), "Deployment")

    api_schemas.validate(deployment, "1.33.0")
    assert sidecar_of(deployment["spec"]["template"]["spec"])


def test_the_readme_shows_the_charts_version():
    """What one copies into Chart.yaml is there to be had."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]

    assert f"version: {version}\n" in (CHART / "README.md").read_text()


@pytest.mark.parametrize("kube_version", ["1.28.0", "1.33.0"])
def test_the_readmes_deployment_has_the_sidecar_in_both_modes(tmp_path, kube_version):
    """As a reader copies it: an init container that stays, else the first of the containers."""
    _, snippet, _ = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    made = shop_chart(tmp_path)
    head = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n"
        "spec:\n  selector: {matchLabels: {app: shop}}\n"
    )
    (made / "templates" / "deployment.yaml").write_text(head + snippet)
    deployment = one(render({}, kube_version, made), "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    found = [each["name"] for each in spec.get("initContainers", []) + spec["containers"]]

    api_schemas.validate(deployment, kube_version)
    assert ["plano-sidecar", "shop"] == found
    assert ("initContainers" in spec) == (kube_version != "1.28.0")
