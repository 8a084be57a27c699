"""Writes the chart's named templates of the pod's parts, from the same data as all other ways.

``python -m deploy.pod.chart_template`` writes helm/plano-sidecar/templates/_pod.tpl.

The parts are made with a placeholder in each option, which becomes the option's expression. What
is missing where a condition fails stands between ``{{- if }}`` and ``{{- end }}``. The options come
from the named template plano-sidecar.options, which is written by hand: a mapping with the names
below, of which uid, tenant, labels, annotations, env, volumeMounts and volumes may be missing, and
with ``native`` and ``scrape``, which are true or false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sidecar.inject import pod
from sidecar.inject.layout import Layout, block_lines

TEMPLATE: Final = Path(__file__).parents[2] / "helm/plano-sidecar/templates/_pod.tpl"

_HEAD: Final = """\
{{- /*
  Written by `python -m deploy.pod.chart_template` from sidecar/inject/pod.py; change that.
  Call each with the root context. What it depends on is the mapping of "plano-sidecar.options".
*/}}
"""
_OPTIONS: Final = '{{- $options := include "plano-sidecar.options" . | fromYaml -}}'


_Maker = Callable[[pod.PodOptions], Any]


class _Placeholder(NamedTuple):
    """What stands for an option, and the expression that becomes of it."""

    value: Any
    expression: str

    @property
    def text(self) -> str:
        """The value as it is written."""
        return str(self.value)


def _text(name: str) -> _Placeholder:
    return _Placeholder(f"Option.{name}.here", f"{{{{ $options.{name} | quote }}}}")


def _number(value: int, name: str) -> _Placeholder:
    """``value`` is a number that the parts have nowhere else."""
    return _Placeholder(value, f"{{{{ $options.{name} | int }}}}")


def _tree(name: str) -> _Placeholder:
    """A mapping; or an item of a list, in the place of which there may be more of them."""
    expression = f"{{{{- toYaml $options.{name} | nindent INDENT }}}}"
    return _Placeholder(f"Option.{name}.here", expression)


IMAGE, PULL_POLICY, CONFIG_MAP = _text("image"), _text("pullPolicy"), _text("configMap")
DATA_PORT, ADMIN_PORT = _number(910001, "dataPort"), _number(910002, "adminPort")
UID, GRACE = _number(910003, "uid"), _number(910004, "graceSeconds")
RESOURCES: Final = _tree("resources")
ENV, MOUNTS, VOLUMES = _tree("env"), _tree("volumeMounts"), _tree("volumes")
LABELS, ANNOTATIONS = _tree("labels"), _tree("annotations")
SECRET: Final = _Placeholder("Option.secret.here", "{{- toYaml . | nindent INDENT }}")
_TENANT: Final = 'get $options "tenant" | replace "$" "$$" | default "$(POD_NAMESPACE)"'
TENANT: Final = _Placeholder("Option.tenant.here", f"{{{{ {_TENANT} | quote }}}}")
PLACEHOLDERS: Final = (
    *(IMAGE, PULL_POLICY, CONFIG_MAP, DATA_PORT, ADMIN_PORT, UID, GRACE, RESOURCES),
    *(ENV, MOUNTS, VOLUMES, LABELS, ANNOTATIONS, SECRET, TENANT),
)
_MARK: Final = "#"
_KEY_OR_DASH: Final = re.compile(r"( *(?:- |[^ ]+: ))(.*)")
_MARKED: Final = re.compile(r'(?P<indent> *)(?:- )?"#(?P<text>.*?)"(?:: "")?')

_FULL: Final[dict[str, Any]] = {
    "image": IMAGE.value,
    "pull_policy": PULL_POLICY.value,
    "data_port": DATA_PORT.value,
    "admin_port": ADMIN_PORT.value,
    "config_map": CONFIG_MAP.value,
    "secrets": (SECRET.value,),
    "resources": RESOURCES.value,
    "tenant": TENANT.value,
    "uid": UID.value,
    "env": (ENV.value,),
    "mounts": (MOUNTS.value,),
    "volumes": (VOLUMES.value,),
    "labels": {LABELS.value: ""},
    "annotations": {ANNOTATIONS.value: ""},
    "termination_grace_s": GRACE.value,
}
_CONDITIONS: Final[tuple[tuple[str, str, Any, Any], ...]] = (
    ("if $options.native", "mode", pod.Mode.NATIVE, pod.Mode.CONTAINER),
    ("if not $options.native", "mode", pod.Mode.CONTAINER, pod.Mode.NATIVE),
    ("if $options.secrets", "secrets", (SECRET.value,), ()),
    ('if get $options "uid"', "uid", UID.value, None),
    ("if $options.scrape", "scrape", True, False),
    ('if get $options "labels"', "labels", {LABELS.value: ""}, {}),
    ('if get $options "annotations"', "annotations", {ANNOTATIONS.value: ""}, {}),
    ('if get $options "env"', "env", (ENV.value,), ()),
    ('if get $options "volumeMounts"', "mounts", (MOUNTS.value,), ()),
    ('if get $options "volumes"', "volumes", (VOLUMES.value,), ()),
)
"""Condition, its option, and the values for which it holds and fails."""
_PARTS: Final[tuple[tuple[str, str, _Maker], ...]] = (
    ("container", "The sidecar's container, without a dash.", pod.container),
    ("volumes", "The volumes that it mounts, as items of a list.", pod.volumes),
    ("appEnv", "The variables by which the app's SDKs find it, as items.", pod.app_environment),
    ("podLabels", "The pod's labels.", pod.pod_labels),
    ("podAnnotations", "The pod's annotations; there may be none.", pod.pod_annotations),
)


class _Pair(NamedTuple):
    """A part, or what is below one of its keys, where a condition holds and where it fails."""

    condition: str
    held: Any
    failed: Any


def template() -> str:
    """Return the text of _pod.tpl."""
    return _HEAD + "\n".join(_define(*part) for part in _PARTS)


def _define(name: str, text: str, make: _Maker) -> str:
    native, ordinary = (make(_options(mode=mode)) for mode in pod.Mode)
    marked = _marked(_union(native, ordinary), _pairs(make))
    lines = [_expressed(line) for line in block_lines(marked, Layout())]
    if lines[0].endswith(" }}") and lines[0].startswith("{{- if"):
        lines[0] = lines[0].removesuffix(" }}") + " -}}"
    head = f'{{{{- /* {text} */}}}}\n{{{{- define "plano-sidecar.{name}" }}}}'
    return "\n".join((head, _OPTIONS, *lines, "{{- end }}\n"))


def _options(**others: Any) -> pod.PodOptions:
    return pod.PodOptions(**{**_FULL, **others})


def _pairs(make: _Maker) -> list[_Pair]:
    """Return a part as each condition makes it, in both modes."""
    pairs = []
    for condition, option, held, failed in _CONDITIONS:
        for mode in pod.Mode:
            values = ({"mode": mode, option: value} for value in (held, failed))
            pairs.append(_Pair(condition, *(make(_options(**each)) for each in values)))
    return pairs


def _union(left: Any, right: Any) -> Any:
    """Return what two forms of a part have together, keys in an order that suits both."""
    if isinstance(left, list):
        return list(_union(_entries(left), _entries(right)).values())
    if not isinstance(left, dict):
        return left
    keys = list(left)
    before = -1
    for key in right:
        if key not in left:
            keys.insert(before + 1, key)
        before = keys.index(key)
    both = left.keys() & right.keys()
    return {
        key: _union(left[key], right[key]) if key in both else left.get(key, right.get(key))
        for key in keys
    }


def _marked(whole: Any, pairs: Sequence[_Pair]) -> Any:
    """Return a part with a mark before and behind what depends on conditions: a key, or an item."""
    if not isinstance(whole, dict | list):
        return whole
    made: list[tuple[str, Any]] = []
    opened: list[str] = []
    for key, entry in _entries(whole).items():
        value = entry
        wanted, below = _conditions_of(key, pairs)
        if entry == {"secret": {"name": SECRET.value}}:
            value = {"secret": SECRET.value}
            wanted.append("range $options.secrets")
        if wanted != opened:
            made += [(_MARK + "end", "")] * len(opened) + [(_MARK + each, "") for each in wanted]
            opened = wanted
        made.append((key, _marked(value, below)))
    made += [(_MARK + "end", "")] * len(opened)
    if isinstance(whole, list):
        return [key if key.startswith(_MARK) else value for key, value in made]
    # Marks must differ to be keys.
    return {
        f"{key}{' ' * n}" if key.startswith(_MARK) else key: value
        for n, (key, value) in enumerate(made)
    }


def _conditions_of(key: str, pairs: Sequence[_Pair]) -> tuple[list[str], list[_Pair]]:
    """Return the conditions without which ``key`` is missing, and the pairs of what is below it."""
    wanted, below = [], []
    for condition, held, failed in pairs:
        yes, no = _entries(held), _entries(failed)
        if key in yes and key in no:
            below.append(_Pair(condition, yes[key], no[key]))
        elif key in yes and condition not in wanted:
            wanted.append(condition)
    return wanted, below


def _entries(value: Any) -> dict[str, Any]:
    """Return a mapping, or a list as one: by the names of its items, else by the items."""
    if isinstance(value, dict):
        return value
    named = isinstance(value, list)
    return (
        {str(each.get("name", each) if isinstance(each, dict) else each): each for each in value}
        if named
        else {}
    )


def _expressed(line: str) -> str:
    """Return a line with its mark or its placeholder as Helm's template language says it."""
    mark = _MARKED.fullmatch(line)
    if mark is not None:
        text = mark["text"].replace('\\"', '"').strip()
        return f"{mark['indent']}{{{{- {text} }}}}"
    indent = len(line) - len(line.lstrip())
    for each in PLACEHOLDERS:
        head, found, tail = line.rpartition(each.text)
        if not found:
            continue
        if "INDENT" in each.expression:
            # An item, or the only key of a mapping, stands for more of its kind.
            stands_for_more = head.strip() in ("-", "")
            below = indent + (4 if head.lstrip().startswith("- ") else 2)
            depth = indent if stands_for_more else below
            start = "" if stands_for_more else head.rstrip() + "\n"
            return start + " " * depth + each.expression.replace("INDENT", str(depth))
        if head.endswith(' "') and tail == '"':
            return head[:-1] + each.expression.replace(" }}", " | quote }}")
        if head.endswith(": ") and not tail:
            return head + each.expression
        _, start, value = _KEY_OR_DASH.split(head)[:3]
        quote = "" if value.startswith('"') else '"'
        return f"{start}{quote}{value}{each.expression}{tail}{quote}"
    return line


if __name__ == "__main__":
    TEMPLATE.write_text(template())
