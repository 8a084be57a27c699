"""What deploy/ ships fits the repository and itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.config.load import load_config
from tests.support.net import exchange, free_port, json_request

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def _dockerfile() -> list[str]:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _final_stage() -> list[str]:
    lines = _dockerfile()
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    return lines[last:]


def test_the_image_runs_as_nobody_in_particular():
    """A numeric user, so that runAsNonRoot can be checked without looking into the image."""
    (user,) = [line for line in _final_stage() if line.startswith("USER ")]

    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", user)


@pytest.mark.parametrize("verb", ["ENTRYPOINT", "CMD"])
def test_the_process_gets_its_signals(verb):
    """The exec form: no shell stands between kubelet's SIGTERM and the sidecar."""
    (line,) = [line for line in _final_stage() if line.startswith(verb)]

    assert isinstance(json.loads(line.removeprefix(verb)), list)


def test_the_command_is_found_in_the_image():
    """`kubectl exec POD -- plano-sidecar tail`, and the preStop hook of the listener's README."""
    (environment,) = [line for line in _final_stage() if line.startswith("ENV ")]
    (entry,) = [line for line in _final_stage() if line.startswith("ENTRYPOINT ")]
    folder = Path(json.loads(entry.removeprefix("ENTRYPOINT "))[0]).parent

    assert f"PATH={folder}:$PATH" in environment.split()


def test_everything_copied_exists_and_is_in_the_build_context():
    """Sources of COPY are files of the repository that .dockerignore lets through."""
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copies = [
        line.split()[1:-1]
        for line in _dockerfile()
        if line.startswith("COPY ") and "--from" not in line
    ]

    for source in (source for sources in copies for source in sources):
        assert (ROOT / source).exists()
        assert any(source == each or source.startswith(each + "/") for each in allowed)


def test_the_final_stage_builds_nothing():
    """It only copies what the stages before it made."""
    assert [] == [line for line in _final_stage() if line.startswith("RUN ")]


def _compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def test_compose_refers_to_files_that_exist():
    """Every bind mount and build file is there; each app shares the network of its sidecar."""
    services = _compose()

    sidecars = {"app-a": "service:sidecar-a", "app-b": "service:sidecar-b"}
    others = {"provider", "redis", "sidecar-a", "sidecar-b", "prometheus", "grafana"}
    assert {*sidecars, *others} == set(services)
    assert sidecars == {name: services[name]["network_mode"] for name in sidecars}
    for service in services.values():
        for volume in service.get("volumes", []):
            assert (DEPLOY / volume.partition(":")[0]).is_file()
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_what_compose_opens_is_open_to_this_machine_alone():
    """Prometheus and Grafana ask for no password."""
    ports = [port for service in _compose().values() for port in service.get("ports", [])]

    assert ["127.0.0.1:9090:9090", "127.0.0.1:3000:3000"] == ports


def test_composes_config_is_one_that_the_sidecar_takes():
    """`check` has no problem with it, and what its app asks for is there."""
    loaded = load_config(
        DEPLOY / "compose" / "sidecar.yaml", {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    )

    names = ["openai/gpt-4o-mini", "openai/gpt-4o", "openai/error-529", "anthropic/claude-sonnet-5"]
    assert ([*names, "plano/demo-router"], []) == (
        [provider.name for provider in loaded.providers],
        loaded.warnings,
    )


def test_composes_prometheus_takes_its_config_and_rules(tmp_path):
    """As it is mounted; it scrapes both sidecars by the port that their config opens."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("SIDECAR_REQUIRE_ALL") == "1":
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed")
    for volume in _compose()["prometheus"]["volumes"]:
        source, target, _ = volume.split(":")
        shutil.copy(DEPLOY / source, tmp_path / Path(target).name)
    config = tmp_path / "prometheus.yml"
    checked = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, check=False
    )
    (job,) = yaml.safe_load(config.read_text())["scrape_configs"]
    port = yaml.safe_load((DEPLOY / "compose" / "sidecar.yaml").read_text())["admin"]["port"]

    assert 0 == checked.returncode, checked.stdout + checked.stderr
    assert [f"sidecar-a:{port}", f"sidecar-b:{port}"] == [
        target for each in job["static_configs"] for target in each["targets"]
    ]


def test_composes_grafana_finds_its_data_source_and_its_dashboard():
    """The provisioned folder holds the dashboard, and the data source is the Prometheus beside it."""
    grafana, folder = _compose()["grafana"], DEPLOY / "compose" / "grafana"
    (source,) = yaml.safe_load((folder / "datasources.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards.yaml").read_text())["providers"]
    mounted = {volume.split(":")[0]: volume.split(":")[1] for volume in grafana["volumes"]}

    assert ("prometheus", "http://prometheus:9090", True) == (
        source["type"],
        source["url"],
        source["isDefault"],
    )
    place = mounted["./grafana/plano-sidecar.json"]
    assert ("file", str(Path(place).parent)) == (provider["type"], provider["options"]["path"])
    assert place == grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    for name in ("datasources", "dashboards"):
        assert f"/etc/grafana/provisioning/{name}/" in mounted[f"./compose/grafana/{name}.yaml"]


async def test_the_demo_provider_runs_as_a_process_of_its_own():
    """It answers a call and ends with 0 on SIGTERM."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar.demo", "--port", str(port), "--router-port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"provider http://127.0.0.1" in await process.stdout.readline()
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    reply = await exchange(port, json_request("/v1/chat/completions", body))
    process.send_signal(signal.SIGTERM)

    assert 200 == reply.status
    assert 0 == await process.wait()
