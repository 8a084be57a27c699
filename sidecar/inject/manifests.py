"""Adds the sidecar to the workloads of a file: which of its documents hold pods, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sidecar.inject import pod
from sidecar.inject.editing import edited
from sidecar.inject.nodes import UnreadableManifest, read_nodes
from sidecar.inject.pod_changes import PodRefused, declines, with_sidecar

BYTES_AT_MOST: Final = 8 * 1024 * 1024
"""Of a file. A cluster takes objects of 1.5 MiB."""
_MARKER: Final = re.compile(
    r"^(?:\.\.\.(?:[ \t\r][^\n]*)?\n(?P<head>(?:[%#][^\n]*\n|[ \t\r]*\n)*))?---(?=\s|$)",
    re.MULTILINE,
)
"""Where a document begins: `head` are directives and comments, which may stand behind a `...`."""
_HELM: Final = (
    "this is a Helm template: render it first (helm template ... | plano-sidecar inject -f -), or "
    "include the chart's named templates in it"
)
_BOM: Final = "\ufeff"
_LISTS_AT_MOST: Final = 3
"""Of lists inside lists."""

_APPS: Final = ("apps/v1", "apps/v1beta1", "apps/v1beta2", "extensions/v1beta1")
_BATCH: Final = ("batch/v1", "batch/v1beta1")
_TEMPLATE: Final = ("spec", "template")
_KINDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "Deployment": (_APPS, _TEMPLATE),
    "StatefulSet": (_APPS, _TEMPLATE),
    "DaemonSet": (_APPS, _TEMPLATE),
    "ReplicaSet": (_APPS, _TEMPLATE),
    "ReplicationController": (("v1",), _TEMPLATE),
    "Job": (_BATCH, _TEMPLATE),
    "CronJob": (_BATCH, ("spec", "jobTemplate", "spec", "template")),
    "PodTemplate": (("v1",), ("template",)),
    "Pod": (("v1",), ()),
}
"""Kind -> the API versions that mean it, and where its pod stands."""
_ENDS: Final = ("Job", "CronJob")
_NO_END: Final = (
    "does not end while the sidecar runs beside the app: let the app end it by POST /quitquitquit "
    "on the operators' port, or use native mode (Kubernetes 1.29 and later)"
)


class InjectOptions(msgspec.Struct, frozen=True):
    """What is added, and to which containers."""

    pod: pod.PodOptions
    only: tuple[str, ...] = ()
    """The app's containers that get variables; none named: all."""


class InjectFinding(msgspec.Struct, frozen=True):
    """What a person should know of a file, one line."""

    where: str
    """The file, and as far as known the document and the object."""
    message: str
    is_problem: bool
    """Whether the object is left as it is; else it has its sidecar all the same."""

    def __str__(self) -> str:
        """Return the line: what is not printable, as names may hold it, is escaped."""
        return _one_line(f"{self.where}: {self.message}")


def _one_line(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


class InjectedFile(msgspec.Struct, frozen=True):
    """A file after injection."""

    content: bytes
    """What has a problem stands in it unchanged."""
    findings: tuple[InjectFinding, ...]
    workloads: int
    """How many pods of it have a sidecar now."""


class _Workload(msgspec.Struct, frozen=True):
    """An object that holds a pod."""

    kind: str
    name: str
    path: tuple[str | int, ...]
    """From the document's root to the pod's template."""
    metadata: Any


def inject(file: str, content: bytes, options: InjectOptions) -> InjectedFile:
    """Return a file's content with the sidecar in every pod of its workloads.

    Everything else stays as it is, byte for byte. ``file`` is how findings name it.
    """
    if len(content) > BYTES_AT_MOST:
        return _unread(file, content, f"is larger than {BYTES_AT_MOST // 1024 // 1024} MiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _unread(file, content, "is not UTF-8")
    bom = _BOM if text.startswith(_BOM) else ""
    made, findings, workloads, line = [bom], [], 0, 0
    for number, document in enumerate(_documents(text.removeprefix(bom)), 1):
        where = f"{file}: document {number}"
        try:
            result, found, count = _injected(document, where, options)
        except UnreadableManifest as error:
            hint = f"; {_HELM}" if "{{" in document else ""
            place = f"{file}:{line + error.line}: document {number}"
            found = [InjectFinding(place, error.message + hint, is_problem=True)]
            result, count = document, 0
        made.append(result)
        findings += found
        workloads += count
        line += document.count("\n")
    return InjectedFile("".join(made).encode(), tuple(findings), workloads)


def _unread(file: str, content: bytes, message: str) -> InjectedFile:
    return InjectedFile(content, (InjectFinding(file, message, is_problem=True),), 0)


def _documents(text: str) -> Iterator[str]:
    """Return the documents, each with its marker and all that follows it. What holds comments and
    directives alone belongs to the document behind it.
    """
    markers = _MARKER.finditer(text)
    starts = [each.start() if each["head"] is None else each.start("head") for each in markers]
    if starts and all(
        not line.strip() or line[0] in "#%" for line in text[: starts[0]].splitlines()
    ):
        starts[0] = 0
    else:
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text[start:end]


def _injected(
    text: str, where: str, options: InjectOptions
) -> tuple[str, list[InjectFinding], int]:
    """Return a document with sidecars, what there is to know, and the number of pods that have one.

    Raises: UnreadableManifest.
    """
    root = read_nodes(text) if "kind" in text else None
    if root is None:
        return text, [], 0
    wanted, findings, count = root.data, [], 0
    for workload in _workloads(root.data):
        place = f"{where}, {workload.kind}/{workload.name}"
        template = _at(wanted, workload.path)
        if declines(
            workload.metadata, template.get("metadata") if isinstance(template, dict) else None
        ):
            continue
        if not isinstance(template, dict):
            findings.append(InjectFinding(place, "has no pod template", is_problem=True))
            continue
        try:
            changed = with_sidecar(template, options.pod, options.only)
        except PodRefused as error:
            findings.append(InjectFinding(place, str(error), is_problem=True))
            continue
        wanted = _put(wanted, workload.path, changed.template)
        findings += [InjectFinding(place, each, is_problem=False) for each in changed.notes]
        if workload.kind in _ENDS and options.pod.mode is pod.Mode.CONTAINER:
            findings.append(InjectFinding(place, _NO_END, is_problem=False))
        count += 1
    return edited(text, root, wanted), findings, count


def _workloads(data: Any, path: tuple[str | int, ...] = (), kind: str = "") -> Iterator[_Workload]:  # noqa: ANN401
    """Return the objects of a document that hold pods, those of lists too.

    Args: ``kind`` is what a typed list says of an item that does not say it itself.
    """
    if not isinstance(data, dict):
        return
    kind = str(data.get("kind") or kind)
    items = data.get("items")
    if kind.endswith("List") and isinstance(items, list) and len(path) < 2 * _LISTS_AT_MOST:
        for at, item in enumerate(items):
            yield from _workloads(item, (*path, "items", at), kind.removesuffix("List"))
        return
    versions, below = _KINDS.get(kind, ((), ()))
    if data.get("apiVersion", versions[0] if path and versions else None) in versions:
        metadata = data.get("metadata")
        name = (
            metadata.get("name") or metadata.get("generateName")
            if isinstance(metadata, dict)
            else None
        )
        yield _Workload(kind, str(name or "?"), (*path, *below), metadata)


def _at(data: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401
    for each in path:
        is_there = isinstance(each, int) or (isinstance(data, dict) and each in data)
        if not is_there:
            return None
        data = data[each]
    return data


def _put(data: Any, path: tuple[str | int, ...], value: Any) -> Any:  # noqa: ANN401
    """Return data with another value at a path; what is beside the path is shared."""
    if not path:
        return value
    first, *rest = path
    changed = _put(data[first], tuple(rest), value)
    if isinstance(first, int):
        return [*data[:first], changed, *data[first + 1 :]]
    return {**data, first: changed}
