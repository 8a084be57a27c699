"""The chart's objects before a real API server: validated, admitted and kept."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from tests.chart.rendered import SETS, VERSIONS, render, shop_chart
from tests.cluster.api import Refused
from tests.support.pod_security import pod_specs

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An app's own chart with this one as a dependency."""
    return shop_chart(tmp_path_factory.mktemp("charts"))


@pytest.fixture(
    params=[
        ("example", "1.28.0"),
        ("maximal", "1.28.0"),
        *((name, "1.36.0") for name in (*SETS, "shop")),
    ],
    ids="-".join,
)
def objects(request, shop):
    """As `helm template` prints them, with a native sidecar and with an ordinary container."""
    name, version = request.param
    return render({}, version, shop) if name == "shop" else render(SETS[name], version)


def _in(namespace, objects):
    """The same objects, for another namespace."""
    found = copy.deepcopy(objects)
    for each in found:
        each["metadata"].pop("namespace", None)
    return found


def test_every_object_is_taken_without_a_warning(api, namespace, objects):
    """First as a dry run, then kept; an unknown or repeated field is refused."""
    for is_dry in (True, False):
        for each in _in(namespace, objects):
            taken = api.apply(each, namespace, dry_run=is_dry)
            assert [] == taken.warnings, each["metadata"]["name"]

    for each in objects:
        assert each["metadata"]["name"] in api.names(each["apiVersion"], each["kind"], namespace)


def test_what_is_applied_again_changes_nothing(api, namespace, objects):
    """What GitOps tools do every few minutes: a value that the server writes differently would be
    seen as drift each time.
    """
    versions = [
        [
            api.apply(each, namespace).object["metadata"]["resourceVersion"]
            for each in _in(namespace, objects)
        ]
        for _ in range(2)
    ]

    assert versions[0] == versions[1]


def test_every_pod_is_admitted_where_only_restricted_ones_are(api, namespace, objects):
    """The Pod Security Standard, as the API server enforces it by the namespace's label."""
    for each in [spec for item in objects for spec in pod_specs(item)]:
        pod = api.create_pod(each, namespace)
        assert [] == pod.warnings


def test_an_unknown_field_is_refused(api, namespace, objects):
    """Or else the first test would tell nothing either."""
    wrong = copy.deepcopy(objects[0])
    wrong["metadata"].pop("namespace", None)
    wrong["specs"] = {}

    with pytest.raises(Refused, match=r"specs"):
        api.apply(wrong, namespace, dry_run=True)


def test_the_server_is_the_newest_that_the_chart_is_rendered_for(api):
    """A newer Kubernetes is a change of one go.mod."""
    version = api.request("GET", "/version").object

    assert VERSIONS[-1].split(".")[:2] == [version["major"], version["minor"]]
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")


def test_the_pod_monitor_for_a_whole_cluster_is_taken(api, namespace):
    """The one beside the rules, for pods of any chart."""
    monitor = yaml.safe_load((DEPLOY / "prometheus" / "podmonitor.yaml").read_text())
    monitor["metadata"].pop("namespace", None)

    assert [] == api.apply(monitor, namespace).warnings
