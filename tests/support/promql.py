"""Reads PromQL, and holds it against the metrics that the code exports."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import promql_parser

from tests.support.metrics_reference import PREFIX, full_metrics, labels_of, vocabulary_of

TARGET_LABELS: Final = frozenset({"namespace", "app", "pod", "instance", "job"})
"""What a scrape adds to every series."""
COUNTED: Final = frozenset({"rate", "increase"})
"""Functions that only make sense of what counts up."""
_MACROS: Final = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
_VARIABLE: Final = re.compile(r"\$\{?\w+\}?")
_LITERALS: Final = re.compile(r"[\w.+-]+(\|[\w.+-]+)*")


class Exported(NamedTuple):
    """One name that a query may select."""

    counts: bool
    """Whether it is a counter, or a part of a histogram."""
    labels: Mapping[str, frozenset[str] | None]
    """Label -> all its values; None where the config, or what serves, decides them."""


def catalogue() -> dict[str, Exported]:
    """Return every name that a scrape of a sidecar can have, from the code's own registry."""
    found: dict[str, Exported] = {"up": Exported(False, {})}
    for family in full_metrics().registry.collect():
        is_ours = family.name.startswith(PREFIX)
        counts = family.type in ("counter", "histogram")
        labels: dict[str, frozenset[str] | None] = {}
        for label in labels_of(family):
            vocabulary = vocabulary_of(family, label) if is_ours else ""
            closed = isinstance(vocabulary, type) and issubclass(vocabulary, enum.StrEnum)
            labels[label] = frozenset(map(str, vocabulary)) if closed else None
        for sample in family.samples:
            bounds = {each.labels["le"] for each in family.samples if "le" in each.labels}
            le = {"le": frozenset(bounds)} if "le" in sample.labels else {}
            found[sample.name] = Exported(counts, {**labels, **le})
    return found


def recorded(
    rules: Iterable[Mapping[str, Any]], exported: Mapping[str, Exported]
) -> dict[str, Exported]:
    """Return what is exported, and what rules record of it, with the labels that they leave."""
    found = dict(exported)
    for rule in rules:
        labels: dict[str, frozenset[str] | None] = {}
        for selector in selectors(rule["expr"]):
            labels |= found[selector.name or ""].labels
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        if kept:
            labels = {label: values for label, values in labels.items() if label in kept}
        earlier = found.get(rule["record"], Exported(False, {})).labels
        for label, value in rule.get("labels", {}).items():
            labels[label] = (earlier.get(label) or frozenset()) | {value}
        found[rule["record"]] = Exported(False, labels)
    return found


def without_macros(expr: str) -> str:
    """Return a dashboard's expression as Prometheus would get it, all pods chosen."""
    for macro, value in _MACROS.items():
        expr = expr.replace(macro, value)
    return _VARIABLE.sub(".*", expr)


def nodes(expr: str) -> list[Any]:
    """Return all nodes of an expression. Raises: ValueError where it is not PromQL."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(without_macros(expr)), pre_visit=found.append)
    return found


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    """Return all selectors of an expression, those of ranges among them."""
    return [node for node in nodes(expr) if isinstance(node, promql_parser.VectorSelector)]


def names_in(expr: str) -> set[str]:
    """Return the names of all metrics that an expression selects."""
    return {selector.name or "" for selector in selectors(expr)}


def problems(expr: str, exported: Mapping[str, Exported]) -> list[str]:
    """Return what an expression asks for that no sidecar exports; nothing where it is right."""
    return [*_wrong_selectors(expr, exported), *_wrong_functions(expr, exported),
            *_wrong_groupings(expr, exported)]  # fmt: skip


def _wrong_selectors(expr: str, exported: Mapping[str, Exported]) -> Iterator[str]:
    for selector in selectors(expr):
        known = exported.get(selector.name or "")
        if known is None:
            yield f"{selector.name} is not exported"
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name in TARGET_LABELS:
                continue
            if matcher.name not in known.labels:
                yield f"{selector.name} has no label {matcher.name}"
                continue
            values = known.labels[matcher.name]
            if values is not None and not _values(matcher.value) <= values | {""}:
                yield f"{selector.name}{{{matcher.name}}} is never {matcher.value!r}"


def _values(text: str) -> set[str]:
    """Return the alternatives of a matcher's value. Other regular expressions match whatever they
    like: only plain alternatives are used.
    """
    if text and not _LITERALS.fullmatch(text):
        return {f"{text} (write alternatives out)"}
    return set(text.split("|")) if text else set()


def _wrong_functions(expr: str, exported: Mapping[str, Exported]) -> Iterator[str]:
    for node in nodes(expr):
        if not isinstance(node, promql_parser.Call) or node.func.name not in COUNTED:
            continue
        for name in (each.vector_selector.name for each in node.args):
            if name in exported and not exported[name].counts:
                yield f"{node.func.name} of {name}, which is a gauge"


def _wrong_groupings(expr: str, exported: Mapping[str, Exported]) -> Iterator[str]:
    """Labels by which is grouped or joined, that none of the metrics have."""
    had = {label for name in names_in(expr) if name in exported for label in exported[name].labels}
    for node in nodes(expr):
        modifier = getattr(node, "modifier", None)
        for labels in (
            getattr(modifier, "labels", None),
            getattr(getattr(modifier, "matching", None), "labels", None),
            getattr(modifier, "group_labels", None),
        ):
            for label in labels or ():
                if label not in had | TARGET_LABELS:
                    yield f"grouped by {label}, which no metric of the expression has"
