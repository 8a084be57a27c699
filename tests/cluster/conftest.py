"""The programs that `make cluster` builds, and one API server for all tests."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.api import ONLY_RESTRICTED, Api
from tests.cluster.control_plane import ControlPlane
from tests.cluster.helm import Helm


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of the programs; without it, whoever needs one is skipped."""
    found = os.environ.get("SIDECAR_CLUSTER_TOOLS")
    if not found:
        pytest.skip("neither Helm nor an API server is built; `make cluster` does that")
    return Path(found)


@pytest.fixture(scope="session")
def control_plane(tools, tmp_path_factory) -> Iterator[ControlPlane]:
    """Started once; tests have namespaces of their own."""
    server = ControlPlane(tools, tmp_path_factory.mktemp("control-plane"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def api(control_plane, tools) -> Api:
    """The server, with the kinds of the Prometheus operator."""
    client = Api(control_plane)
    for path in sorted(tools.glob("monitoring.coreos.com_*.yaml")):
        client.install_crd(yaml.safe_load(path.read_text()))
    return client


_numbers = itertools.count(1)


@pytest.fixture
def namespace(api, request) -> str:
    """One of the test's own, which takes restricted pods only and warns of workloads with others."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    return api.create_namespace(f"{name[:50].strip('-')}-{next(_numbers)}", ONLY_RESTRICTED)


@pytest.fixture(params=["helm3", "helm4"])
def helm(request, tools, tmp_path) -> Helm:
    """Each of the two Helms that people have, without a cluster."""
    return Helm(tools / request.param, tmp_path)
