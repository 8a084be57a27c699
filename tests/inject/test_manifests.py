"""Whole files: what gets a sidecar, what stays as it is, what is refused and how that is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.inject import nodes, pod
from sidecar.inject.manifests import BYTES_AT_MOST, InjectOptions, inject

MANIFESTS = sorted((Path(__file__).parent / "manifests").iterdir())
OPTIONS = {
    mode.value: InjectOptions(pod.PodOptions(image="example.org/plano-sidecar:1", mode=mode))
    for mode in pod.Mode
}
NATIVE = OPTIONS["native"]
REWRITTEN = {"earlier-sidecar.yaml", "proxies.yaml", "flow-lines.yaml", "pretty.json"}
"""Files in which values change beside what is added: an old sidecar's, and NO_PROXY."""
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: app\n"


def _text(text, options=NATIVE):
    done = inject("f.yaml", text.encode(), options)
    return done.content.decode(), [str(each) for each in done.findings]


def _kept(old: str, new: str) -> bool:
    """Whether all characters of the old text stand in the new one, in order."""
    rest = iter(new)
    return all(character in rest for character in old)


@pytest.mark.parametrize("mode", OPTIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_of_any_style_get_a_sidecar_and_keep_their_own(path, mode):
    """Nothing of theirs is lost, and a second run changes nothing, byte for byte."""
    before = path.read_bytes()
    once = inject(path.name, before, OPTIONS[mode])
    twice = inject(path.name, once.content, OPTIONS[mode])

    assert [] == [str(each) for each in once.findings if each.is_problem]
    assert once.workloads >= 1
    assert once.content == twice.content
    if path.name not in REWRITTEN and "null" not in path.name and "empty" not in path.name:
        assert _kept(before.decode(), once.content.decode())
    if path.suffix == ".json":
        json.loads(once.content)


def test_lines_end_as_they_did():
    """A file from Windows has no line of another kind afterwards."""
    (path,) = [each for each in MANIFESTS if each.name == "windows-lines.yaml"]
    content = inject(path.name, path.read_bytes(), NATIVE).content

    assert content.count(b"\n") == content.count(b"\r\n")


def test_a_mark_of_the_byte_order_stays():
    """Editors on Windows put one at the begin of a file."""
    (path,) = [each for each in MANIFESTS if each.name == "byte-order-mark.yaml"]
    content = inject(path.name, path.read_bytes(), NATIVE).content

    assert content.startswith(b"\xef\xbb\xbf#")
    assert b"\xef\xbb\xbf" not in content[3:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\n---\n",
        "just text",
        "- a\n- b\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: kind}\n",
        "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {}\n",
        "apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {spec: {}}}\n",
        "kind: [Deployment]\n",
        "apiVersion: v1\nkind: List\nitems: {}\n",
        "apiVersion: v1\nkind: List\nitems: [1, {kind: List, items: []}]\n",
    ],
)
def test_what_holds_no_pod_stays_as_it_is(text):
    """Other kinds, the same kind of another API, and what is no object at all."""
    assert (text, []) == _text(text)


def test_lists_nest_only_so_deep():
    """Kubernetes has no list of lists of lists of lists."""
    item: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "a"}]},
    }
    for _ in range(5):
        item = {"kind": "List", "items": [item]}

    assert (json.dumps(item), []) == _text(json.dumps(item))
    assert json.dumps(item["items"][0]["items"][0]) != _text(
        json.dumps(item["items"][0]["items"][0])
    )


def test_items_of_a_typed_list_need_no_kind():
    """What `kubectl get --raw` gives says the kind once."""
    text = "kind: PodList\napiVersion: v1\nitems:\n- metadata: {name: p}\n  spec: {containers: [{name: a}]}\n"
    new, findings = _text(text)

    assert [] == findings
    assert "plano-sidecar" == yaml.safe_load(new)["items"][0]["spec"]["initContainers"][0]["name"]


@pytest.mark.parametrize("value", ['"false"', "false", "disabled", '"no"'])
@pytest.mark.parametrize("place", ["workload", "pod"])
def test_a_workload_may_decline(value, place):
    """By an annotation of its own or of its pod."""
    notes = f"{{annotations: {{plano-sidecar/inject: {value}}}}}"
    inner = notes if place == "pod" else "{}"
    outer = notes if place == "workload" else "{}"
    text = (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {outer}\nspec:\n  template:\n"
        f"    metadata: {inner}\n    spec:\n      containers:\n      - name: a\n"
    )

    assert (text, []) == _text(text)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("kind: Pod\nkind: Pod\n", "f.yaml:2: document 1", "key 'kind' stands twice"),
        ("a: b\n---\nkind: {{ .Values.kind }}\n", "f.yaml:3: document 2", "Helm template"),
        (
            "kind: x\n{{- if .Values.a }}\na: b\n{{- end }}\n",
            "f.yaml:",
            "helm template",
        ),
        ("kind: Pod\n\tspec: {}\n", "f.yaml:2: document 1", "not YAML"),
        ("kind: Pod\n\x00", "f.yaml:1: document 1", "control characters"),
        ("kind: *none\n", "f.yaml:1: document 1", "not YAML: found undefined alias"),
        ("kind: a\nb: &b [*b]\n", "f.yaml:2: document 1", "what it is part of"),
        ("kind: a\nb:\n  <<: 1\n", "f.yaml:3: document 1", "a merge key needs"),
        ("{kind: a,\tb: c", "f.yaml:", "not YAML"),
        ("kind: a\nb: " + "[" * 2000, "f.yaml:", "nest"),
        ("kind: a\n" + "".join(" " * n + "a:\n" for n in range(200)), "f.yaml:", "deeper than 100"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text, place, message):
    """The file, the line in it and the document; what was there stays."""
    new, (finding,) = _text(text)

    assert text == new
    assert finding.startswith(place)
    assert message in finding


def test_a_document_holds_so_many_values_at_most(monkeypatch):
    """Each costs memory while it is read."""
    monkeypatch.setattr(nodes, "_NODES_AT_MOST", 100)
    _, (finding,) = _text("kind: a\nb: [" + "1," * 101 + "]")

    assert "f.yaml:2: document 1: holds more than 100 values" == finding


def test_a_billion_laughs_are_not_told():
    """Aliases of aliases mean more values than any memory holds."""
    lines = ["kind: a", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    _, (finding,) = _text("\n".join(lines))

    assert "once aliases are followed" in finding


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfek\x00", "is not UTF-8"), (b"#" * (BYTES_AT_MOST + 1), "is larger than 8 MiB")],
)
def test_a_file_that_is_no_manifest_is_refused_as_a_whole(content, message):
    """Before anything of it is read."""
    done = inject("f", content, NATIVE)

    assert content == done.content
    assert [f"f: {message}"] == [str(each) for each in done.findings]


def test_what_has_a_problem_stays_and_the_rest_gets_its_sidecar():
    """One problem does not hide another."""
    refused = POD.replace("spec:\n", "spec:\n  hostNetwork: true\n")
    done = inject("f", f"{refused}---\n{POD}---\n{refused}".encode(), NATIVE)

    assert 1 == done.workloads
    assert ["document 1, Pod/p", "document 3, Pod/p"] == [
        each.where.removeprefix("f: ") for each in done.findings
    ]
    assert done.content.decode().startswith(f"{refused}---\n")


@pytest.mark.parametrize(
    "below", ["", "spec:\n", "spec: {template: 1}\n", "spec: {template: {}}\n", "spec: [1]\n"]
)
def test_a_workload_without_a_pod_is_a_problem(below):
    """Its author thinks that there is one."""
    _, (finding,) = _text(f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\n{below}")

    assert finding.startswith("f.yaml: document 1, Deployment/d: has no pod")


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_a_job_beside_an_ordinary_container_is_warned_of(kind):
    """It never ends by itself; a native sidecar lets it end."""
    pod_text = "spec: {containers: [{name: a}]}"
    inner = f"template: {{{pod_text}}}"
    spec = inner if kind == "Job" else f"jobTemplate: {{spec: {{{inner}}}}}"
    text = f"apiVersion: batch/v1\nkind: {kind}\nmetadata: {{generateName: j-}}\nspec: {{{spec}}}\n"

    assert [] == _text(text)[1]
    (finding,) = _text(text, OPTIONS["container"])[1]
    assert f"{kind}/j-: does not end" in finding


def test_an_object_without_a_name_is_named_so():
    """A finding still says its kind."""
    text = "apiVersion: v1\nkind: Pod\nmetadata: 1\nspec: {hostNetwork: yes, containers: [{name: a}]}\n"

    assert "document 1, Pod/?" in _text(text)[1][0]


def test_an_anchor_that_others_use_is_not_edited():
    """What would change there would change elsewhere too."""
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- &pod\n  apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n  spec: &spec\n"
        "    containers:\n    - name: a\n"
        "- apiVersion: example.org/v1\n  kind: Pod\n  metadata: {name: q}\n  spec: *spec\n"
    )
    new, (finding,) = _text(text)

    assert text == new
    assert "stands behind an anchor" in finding


def test_a_finding_is_one_line_whatever_names_hold():
    """A name with a line break, or what moves a terminal's cursor, could forge another line."""
    text = POD.replace("name: app", r'name: "a\nb: \e[2K\u2028c"').replace(
        "{name: p}", r'{name: "p\n"}'
    )
    done = inject(
        "f\n.yaml", text.encode() + b"    env: [{name: OPENAI_BASE_URL, value: x}]\n", NATIVE
    )
    (line,) = [str(each) for each in done.findings]

    assert line.startswith(r"f\n.yaml: document 1, Pod/p\n: container a\nb: \x1b[2K\u2028c sets")
    assert line.isprintable()


def test_a_document_that_grows_too_large_is_told_so(monkeypatch):
    """It may be read, and its result may not."""
    monkeypatch.setattr(nodes, "_NODES_AT_MOST", 40)
    new, (finding,) = _text(POD)

    assert POD == new
    assert "with the sidecar: holds more than 40 values" in finding
    assert "anchor" not in finding


@pytest.mark.parametrize("end", ["...\n", "... # end\n# next\n\n", "...\r\n"])
def test_directives_behind_an_end_belong_to_the_next_document(end):
    """So says YAML: `...` ends a document, and directives may follow."""
    new, findings = _text(f"{POD}{end}%YAML 1.1\n---\n{POD}")

    assert [] == findings
    assert [1, 1] == [len(each["spec"]["initContainers"]) for each in yaml.safe_load_all(new)]
    assert f"{end}%YAML 1.1\n---\n" in new
