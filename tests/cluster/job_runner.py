"""Says of every Job that it has ended well, as the Job controller does once its pod has: nothing runs pods here."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import socket
import threading
from typing import Any, Self

from tests.cluster.api import Api


class JobRunner:
    """A context in which the Jobs of one namespace end as soon as they are created."""

    def __init__(self, api: Api, namespace: str, *, is_well: bool = True) -> None:
        """With ``is_well`` false, every Job fails."""
        self._api = api
        self._is_well = is_well
        self._path = api.path({"apiVersion": "batch/v1", "kind": "Job"}, namespace)
        self._connection = api.connect()
        self._thread = threading.Thread(target=self._end_jobs, daemon=True)
        self.ended: list[str] = []
        """The names, in order; a Job created anew counts again."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def _end_jobs(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, json.JSONDecodeError):
            for job in self._api.watch(self._connection, self._path):
                if "startTime" not in job.get("status", {}):
                    self._end(job["metadata"]["name"])

    def _end(self, name: str) -> None:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kinds = ("SuccessCriteriaMet", "Complete") if self._is_well else ("FailureTarget", "Failed")
        status: dict[str, Any] = {
            "startTime": now,
            "uncountedTerminatedPods": {},
            "conditions": [
                {"type": kind, "status": "True", "reason": "Tests", "lastTransitionTime": now}
                for kind in kinds
            ],
        }
        status |= {"succeeded": 1, "completionTime": now} if self._is_well else {"failed": 1}
        form = "application/merge-patch+json"
        self._api.request("PATCH", f"{self._path}/{name}/status", {"status": status}, form)
        self.ended.append(name)
