"""A real API server of Kubernetes with its etcd, on loopback, for as long as the tests run. There is no controller, no
scheduler and no kubelet: objects are admitted, validated and kept, and nothing acts on them.
"""

from __future__ import annotations

import json
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.net import free_port

START_S = 240.0
"""An API server needs about five seconds on two idle cores, and a hundred where many others want them."""


class ControlPlane:
    """etcd and kube-apiserver as two child processes; all that they keep is below one folder."""

    def __init__(self, tools: Path, folder: Path) -> None:
        self._tools = tools
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.token = secrets.token_hex(16)
        self.url = f"https://127.0.0.1:{free_port()}"
        self.ca = folder / "certificates" / "apiserver.crt"
        """The server's own certificate, and the CA that it made for it."""
        self.kubeconfig = folder / "kubeconfig.yaml"

    def start(self) -> None:
        """Returns when the server is ready; raises with the end of its log when it is not."""
        etcd = self._start_etcd()
        self._start_api_server(etcd)
        self._await_ready()
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))

    def stop(self) -> None:
        """Ends both, the server first, and removes what etcd kept."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder / "etcd", ignore_errors=True)

    def _start(self, name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            command = [str(self._tools / name), *arguments]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _start_etcd(self) -> str:
        clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._start(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        return clients

    def _start_api_server(self, etcd: str) -> None:
        key, tokens = self._folder / "service-account.key", self._folder / "tokens.csv"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
        )
        tokens.write_text(f"{self.token},tests,tests,system:masters\n")
        self._start(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.url.rpartition(':')[2]}",
            f"--cert-dir={self.ca.parent}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--allow-privileged",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # It would write its own address into a Service every ten seconds, which loopback cannot be.
            "--endpoint-reconciler-type=none",
        )

    def _await_ready(self) -> None:
        end = time.monotonic() + START_S
        while True:
            for process in self._processes:
                if process.poll() is not None:
                    raise AssertionError(f"{process.args!r} ended:\n{self._logs()}")
            try:
                request = urllib.request.Request(
                    f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"}
                )
                with urllib.request.urlopen(request, timeout=5, context=self.trust()):
                    return
            except (OSError, ssl.SSLError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"not ready ({error}):\n{self._logs()}") from error
            time.sleep(0.1)  # sleep: two processes that tell of their readiness when asked

    def trust(self) -> ssl.SSLContext:
        """What a client needs to know the server by; the file is there once the server listens."""
        return ssl.create_default_context(cafile=str(self.ca))

    def _logs(self) -> str:
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs
        )

    def _kubeconfig(self) -> dict[str, Any]:
        """YAML is a superset of JSON, so any client reads this."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {"server": self.url, "certificate-authority": str(self.ca)},
                }
            ],
            "users": [{"name": "tests", "user": {"token": self.token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        }
