"""What a kubelet does with a pod that holds an app and a sidecar: in which order it starts them, whom
it signals when, and when the pod has ended. Containers are processes of this machine.
"""

from __future__ import annotations

import asyncio
import enum
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.runtime.lifecycle import Tasks
from tests.support.sidecar_process import REPOSITORY, SidecarProcess

AT_LEAST_S = 15.0
"""How long a native sidecar has at the end of the pod's grace. A kubelet leaves 2 s; machines that
run tests are slower than its.
"""


class Mode(enum.StrEnum):
    """How the sidecar stands in the pod."""

    NATIVE = "native"
    """It starts before the app, and is signalled once the app has ended."""
    CONTAINER = "container"
    """It starts with the app, and is signalled together with it."""


class PodEnd(NamedTuple):
    """How a pod ended."""

    app: int
    """Exit code; minus the signal's number where one ended it."""
    sidecar: int
    killed: tuple[str, ...]
    """Which containers outlasted their grace."""


class Pod:
    """An app beside a sidecar.

    Args: ``app`` is the app's command; ``grace_s`` the pod's terminationGracePeriodSeconds;
        ``waits`` says whether the sidecar has the postStart hook of its mode.
    """

    def __init__(
        self,
        mode: Mode,
        config: dict[str, Any],
        app: Sequence[str],
        work: Path,
        *,
        grace_s: float = 60.0,
        waits: bool = True,
    ) -> None:
        self.mode = mode
        self.grace_s = grace_s
        arguments = ["--mode", mode]
        if mode is Mode.CONTAINER:
            arguments += ["--termination-grace", str(grace_s)]
        self._app_command, self._waits = app, waits
        self.sidecar = SidecarProcess(config, work, arguments)
        self.app: subprocess.Popen[bytes]
        self._killed: list[str] = []

    async def start(self) -> None:
        """Start the app when its turn has come."""
        if self.mode is Mode.NATIVE:
            await self.sidecar.wait_ready()  # startupProbe
        elif self._waits:
            await self._post_start()
        url = self.sidecar.data_url
        environment = {
            "SIDECAR_PORT": str(self.sidecar.data_port),
            "OPENAI_BASE_URL": f"{url}/v1",
            "ANTHROPIC_BASE_URL": url,
            "OPENAI_API_KEY": "the-sidecar-has-the-key",
            "ANTHROPIC_API_KEY": "the-sidecar-has-the-key",
        }
        self.app = subprocess.Popen(
            self._app_command, env=os.environ | environment, start_new_session=True
        )

    async def run_to_end(self) -> PodEnd:
        """Wait as for a Job's pod with ``restartPolicy: Never``: a native sidecar is signalled
        once the app has ended, one beside the app has to end by itself.
        """
        await asyncio.to_thread(self.app.wait, self.grace_s)
        if self.mode is Mode.NATIVE:
            await self._stop("sidecar", self.sidecar.process, self.grace_s)
        else:
            await asyncio.to_thread(self.sidecar.process.wait, self.grace_s)
        return self._end()

    async def delete(self) -> PodEnd:
        """End the pod, as a rolling update or `kubectl delete` does."""
        began_s = time.monotonic()
        if self.mode is Mode.CONTAINER:
            await asyncio.gather(
                self._stop("app", self.app, self.grace_s),
                self._stop("sidecar", self.sidecar.process, self.grace_s),
            )
            return self._end()
        app = Tasks().spawn(self._stop("app", self.app, self.grace_s), name="app's end")
        await asyncio.wait([app], timeout=self.grace_s)
        left_s = max(AT_LEAST_S, self.grace_s - (time.monotonic() - began_s))
        await self._stop("sidecar", self.sidecar.process, left_s)
        await app
        return self._end()

    async def clean_up(self) -> None:
        """End what a failed test has left running."""
        for process in (getattr(self, "app", None), self.sidecar.process):
            if process is not None and process.poll() is None:
                process.kill()
                await asyncio.to_thread(process.wait)

    async def _post_start(self) -> None:
        command = [sys.executable, "-m", "sidecar", "wait", "--port", str(self.sidecar.admin_port)]
        hook = await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY)
        assert await hook.wait() == 0, self.sidecar.log()

    async def _stop(self, name: str, process: subprocess.Popen[bytes], grace_s: float) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, grace_s)
        except subprocess.TimeoutExpired:
            self._killed.append(name)
            process.kill()
            await asyncio.to_thread(process.wait)

    def _end(self) -> PodEnd:
        return PodEnd(self.app.returncode, self.sidecar.process.returncode, tuple(self._killed))


CALL = f"""
import http.client, os, signal, sys, time

BODY = {json.dumps(json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}))}

def connect():
    return http.client.HTTPConnection("127.0.0.1", int(os.environ["SIDECAR_PORT"]))

def call(connection):
    connection.request("POST", "/v1/chat/completions", BODY, {{"content-type": "application/json"}})
    with connection.getresponse() as reply:
        reply.read()
        return reply.status

def until_sigterm():
    signal.sigwait([signal.SIGTERM])

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
"""
"""The beginning of an app in Python."""


def app_of(source: str) -> list[str]:
    """The command of an app: `CALL`, and then ``source``."""
    return [sys.executable, "-c", CALL + source]
