"""What deploy/ ships fits the repository and itself."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

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
    """It only copies what the first stage made."""
    assert [] == [line for line in _final_stage() if line.startswith("RUN ")]


def test_compose_refers_to_files_that_exist():
    """Every bind mount and build file is there; app and sidecar share a network; there are two
    sidecars.
    """
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]

    assert {"app", "provider", "redis", "sidecar-a", "sidecar-b"} == set(services)
    assert "service:sidecar-a" == services["app"]["network_mode"]
    for service in services.values():
        for volume in service.get("volumes", []):
            assert (DEPLOY / volume.partition(":")[0]).is_file()
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_composes_config_is_one_that_the_sidecar_takes():
    """`check` has no problem with it."""
    loaded = load_config(
        DEPLOY / "compose" / "sidecar.yaml", {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    )

    names = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-5", "plano/demo-router"]
    assert (names, []) == ([provider.name for provider in loaded.providers], loaded.warnings)


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
