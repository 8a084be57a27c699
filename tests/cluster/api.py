"""A client of the API server: what these tests ask of it, and what it said against it."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.cluster.control_plane import ControlPlane

Object = dict[str, Any]

ONLY_RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
}
"""Labels of a namespace that takes only restricted pods, and warns of workloads that make others."""


class Refused(Exception):
    """The server said no; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Taken(NamedTuple):
    """An object as the server keeps it, and what it warned of."""

    object: Object
    warnings: list[str]


class Api:
    """Server-side apply, strictly: an unknown or repeated field is refused."""

    def __init__(self, server: ControlPlane) -> None:
        self._server = server
        self._resources: dict[str, dict[str, Object]] = {}
        """API version -> kind -> its resource, as the server lists them."""

    def request(
        self, method: str, path: str, body: Object | None = None, form: str = "application/json"
    ) -> Taken:
        """One request; raises Refused for what is not 2xx."""
        with closing(self.connect()) as connection:
            content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
            connection.request(method, path, content, self._headers(form))
            response = connection.getresponse()
            text = response.read().decode()
            warnings = [
                re.sub(r'^299 \S+ "(.*)"$', r"\1", each)
                for each in response.headers.get_all("Warning", [])
            ]
        answer = json.loads(text) if text.startswith("{") else {"message": text}
        if response.status >= 300:
            raise Refused(response.status, answer["message"])
        return Taken(answer, warnings)

    def apply(self, item: Object, namespace: str = "", *, dry_run: bool = False) -> Taken:
        """What `kubectl apply --server-side --validate=strict` does."""
        query = {"fieldManager": "tests", "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = f"{self.path(item, namespace)}/{item['metadata']['name']}?{urlencode(query)}"
        return self.request("PATCH", path, item, "application/apply-patch+yaml")

    def create_pod(self, spec: Mapping[str, Any], namespace: str) -> Taken:
        """A pod as a controller makes it of a workload's template."""
        self.create_service_account(namespace, spec.get("serviceAccountName", "default"))
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "pod-"},
            "spec": spec,
        }
        return self.request("POST", f"{self.path(pod, namespace)}?fieldValidation=Strict", pod)

    def create_namespace(self, name: str, labels: dict[str, str]) -> str:
        """A namespace, and what controllers would put there."""
        metadata = {"name": name, "labels": labels}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.create_service_account(name, "default")
        return name

    def create_service_account(self, namespace: str, name: str) -> None:
        """Without the one that it names, no pod is admitted."""
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        self.apply(account, namespace)

    def install_crd(self, definition: Object) -> None:
        """Returns when the server keeps objects of the new kind."""
        self.apply(definition)
        spec = definition["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        end = time.monotonic() + 30
        while True:
            try:
                self.request("GET", path)
            except Refused as refused:
                if refused.status not in (404, 429) or time.monotonic() > end:
                    raise
                time.sleep(0.05)  # sleep: "storage is (re)initializing" is a state without an event
            else:
                return

    def names(self, api_version: str, kind: str, namespace: str) -> list[str]:
        """Of all objects of one kind in a namespace."""
        path = self.path({"apiVersion": api_version, "kind": kind}, namespace)
        items = self.request("GET", path).object["items"]
        return sorted(each["metadata"]["name"] for each in items)

    def path(self, item: Object, namespace: str = "") -> str:
        """Of the collection in which the object belongs."""
        version, kind = item["apiVersion"], item["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if kind not in self._resources.get(version, {}):
            listed = self.request("GET", root).object["resources"]
            self._resources[version] = {
                each["kind"]: each for each in listed if "/" not in each["name"]
            }
        resource = self._resources[version][kind]
        where = item.get("metadata", {}).get("namespace", namespace)
        inside = f"/namespaces/{where}" if resource["namespaced"] else ""
        return f"{root}{inside}/{resource['name']}"

    def watch(self, connection: http.client.HTTPConnection, path: str) -> Iterator[Object]:
        """Every object below the path, now and whenever it changes, until the connection ends."""
        connection.request("GET", f"{path}?watch=true", headers=self._headers())
        for line in connection.getresponse():
            yield json.loads(line)["object"]

    def connect(self) -> http.client.HTTPSConnection:
        """A connection of its own for each use; the caller closes it."""
        place = urlsplit(self._server.url).netloc
        return http.client.HTTPSConnection(place, timeout=30, context=self._server.trust())

    def _headers(self, form: str = "application/json") -> dict[str, str]:
        return {"Authorization": f"Bearer {self._server.token}", "Content-Type": form}
