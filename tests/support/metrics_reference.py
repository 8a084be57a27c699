"""Writes the reference of all metrics, from a registry in which each of them has its series.

``python -m tests.support.metrics_reference`` puts it between the markers of
sidecar/telemetry/README.md.
"""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import Metric

from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, Endpoint, Operation
from sidecar.domain.decision import Candidate, Decision, Price, Source
from sidecar.domain.events import (
    AffinityOperation,
    AttemptEnded,
    CallDecided,
    CallEnded,
    CallTranslated,
    DownstreamClosed,
    Event,
    FailedOver,
    RequestRefused,
    RouterAsked,
    UsageRefused,
)
from sidecar.domain.observers import Observers
from sidecar.domain.outcome import Attempt, Outcome, Served, Timing, Usage
from sidecar.domain.ports import CandidateSnapshot, StoreSnapshot
from sidecar.domain.translation import LostField
from sidecar.domain.vocabulary import (
    AttemptOutcome,
    CallOutcome,
    CandidateCondition,
    ConnectionEnd,
    ConnectionState,
    FailureClass,
    PinOperation,
    PinOutcome,
    RouterOutcome,
    SpanDrop,
    TokenKind,
)
from sidecar.telemetry.gauges import ScrapeSnapshot
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.span_metrics import SpanMetrics
from tests.support.values import a_call

README: Final = Path(__file__).parents[2] / "sidecar" / "telemetry" / "README.md"
BEGINS: Final = "<!-- metrics, written by tests/support/metrics_reference.py -->"
ENDS: Final = "<!-- /metrics -->"

PREFIX: Final = "plano_sidecar_"
_MODEL: Final = (
    "a model of the config, `prefix/model`; `prefix/*` for all models of a wildcard entry"
)
_ACCOUNT: Final = "the name of an entry of `model_providers`"
_FAMILY: Final = "the family of an entry of `model_providers`: `openai`, `anthropic`, `vllm`, ..., the prefix of its model"

IN_WORDS: Final = {
    "memory_used_bytes share": "`bodies`, `short_bodies`, `pins`, `heads`, `replies`, `response_heads`, `unread`, `price_lists`",
    "model": _MODEL,
    "from_model": _MODEL,
    "to_model": _MODEL,
    "provider": _FAMILY,
    "account": _ACCOUNT,
    "route": "a configured route's name; `other` for a route that the request's body brought; `none` where no route was chosen",
    "stream": "`stderr`, where the log goes, or `stdout`, where the access log goes",
    "streamed": "`true` where the app asked for a stream, else `false`",
    "dialect": ", ".join(f"`{each}`" for each in DIALECTS.by_name) + "; `passthrough` for paths that are passed through",
    "translated_calls dialect": "`chat`, `responses`, `messages`: the app's API",
    "upstream_dialect": "the same, in which the model was asked",
    "field": "a field of the app's API by its path, such as `tools.strict`; `unknown` for one that it does not have; "
    "of a response the kind of content, such as `thinking`",
    "route_candidates_serving route": "a configured route's name",
    "candidate_state reason": "as of `plano_sidecar_failovers_total`: the failure that it goes last for; empty for other states",
    "price_age_seconds source": "the provider of an entry of `model_metrics_sources`",
    "version": "of the sidecar",
    "python": "of its interpreter",
    "loop": "`uvloop`, or `asyncio` where that is not installed",
    "compiled": "`true` where the hot path is compiled, else `false`",
    "hash": "the first 12 hex digits of the file's SHA-256; empty for a config of the environment alone",
    "listener_path": "`fast`; `plain` where the installed aiohttp lacks what the fast path relies on",
}  # fmt: skip
"""``label`` or ``metric label`` -> its values, where no enum has them."""

BY_ENUM: Final[dict[str, type[enum.StrEnum]]] = {
    "requests outcome": CallOutcome,
    "source": Source,
    "router_requests outcome": RouterOutcome,
    "operation": PinOperation,
    "affinity_operations outcome": PinOutcome,
    "upstream_attempts outcome": AttemptOutcome,
    "failovers reason": FailureClass,
    "kind": TokenKind,
    "upstream_connections state": ConnectionState,
    "downstream_connections state": ConnectionState,
    "downstream_closed reason": ConnectionEnd,
    "candidate_state state": CandidateCondition,
    "spans_dropped reason": SpanDrop,
}
"""``label`` or ``metric label`` -> the enum that has all its values."""


def every_event() -> Iterator[Event]:
    """Events of every type, which have every member of every vocabulary between them."""
    price = Price(2.0, 8.0, 0.5)
    model = "openai/gpt-4o"
    candidate = Candidate("openai", model, "gpt-4o", model, frozenset(), price=price)
    call, usage = a_call(), Usage(9, 2, 3, 4, 5)
    kinds = [(each, Operation.GENERATE) for each in DIALECTS.by_name]
    kinds.append((CHAT, Operation.PASSTHROUGH))
    for (dialect, operation), result in itertools.product(kinds, CallOutcome):
        ended = a_call(endpoint=Endpoint("/v1/x", dialect, operation))
        for served in (Served(usage), Served()):
            outcome = Outcome(result, 200, Timing(1.0), bool(served.usage), served, candidate)
            yield CallEnded(ended, Decision(Source.PINNED, (candidate,)), outcome)
    yield RequestRefused(CHAT, 400, "invalid_body")
    for source in Source:
        yield CallDecided(call, Decision(source, (candidate,), "code"), 0.001)
    for how in AttemptOutcome:
        yield AttemptEnded(call, Attempt(candidate, how, 200, 0.1, 0.2))
    yield CallTranslated(call, candidate, "chat>messages", (LostField("seed", is_known=True),))
    yield DownstreamClosed(ConnectionEnd.IDLE)
    yield UsageRefused(candidate)
    for reason in FailureClass:
        yield FailedOver(call, candidate, candidate, reason)
    for answer in RouterOutcome:
        yield RouterAsked(answer, 0.1)
    for operation_on_pin, came_of_it in itertools.product(PinOperation, PinOutcome):
        yield AffinityOperation(operation_on_pin, came_of_it, 0.001)


def full_metrics() -> Metrics:
    """Metrics of a sidecar with Redis, in which everything has happened once."""
    snapshot = ScrapeSnapshot(
        1,
        [("openai", 1, 1)],
        [
            CandidateSnapshot(
                "openai", "openai/gpt-4o", CandidateCondition.EJECTED, FailureClass.QUOTA
            )
        ],
        [("digitalocean", 1.0)],
        StoreSnapshot(1, 1, is_up=True, is_tracking=True),
        routes=[("code", 1)],
        dropped_lines=[("stderr", 1), ("stdout", 1)],
        memory_limit_bytes=1,
        memory_used=[("bodies", 1)],
    )
    metrics = Metrics(lambda: snapshot)
    SpanMetrics(metrics.registry)
    observers = Observers(metrics.observers)
    for event in every_event():
        observers.emit(event)
    return metrics


def families() -> list[Metric]:
    """The families of the sidecar's own metrics, by name."""
    mine = [each for each in full_metrics().registry.collect() if each.name.startswith(PREFIX)]
    return sorted(mine, key=lambda family: family.name)


def labels_of(family: Metric) -> dict[str, set[str]]:
    """The labels of a family with the values that they have, without the buckets' own."""
    found: dict[str, set[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                found.setdefault(label, set()).add(value)
    return found


def vocabulary_of(family: Metric, label: str) -> type[enum.StrEnum] | str:
    """What the reference says about a label: an enum, or words. Raises: KeyError."""
    name = family.name.removeprefix(PREFIX)
    for key in (f"{name} {label}", label):
        if key in IN_WORDS:
            return IN_WORDS[key]
        if key in BY_ENUM:
            return BY_ENUM[key]
    raise KeyError(f"{name} {label}")


def meanings(vocabulary: type[enum.StrEnum]) -> dict[str, str]:
    """Each member's value with the docstring below it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(vocabulary))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for member, text in itertools.pairwise(body.body):
        if isinstance(member, ast.Assign) and isinstance(member.value, ast.Constant):
            assert isinstance(text, ast.Expr), vocabulary.__name__
            assert isinstance(text.value, ast.Constant)
            found[str(member.value.value)] = " ".join(str(text.value.value).split()).replace(
                "``", "`"
            )
    return found


def reference() -> str:
    """The reference: a table of metrics, one of labels, one of buckets, and one of each enum's
    values.
    """
    return "\n".join((*_metrics(), "", *_labels(), "", *_buckets(), "", *_values()))


def _exposed(family: Metric) -> str:
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return f"`{family.name}{suffix}`"


def _metrics() -> Iterator[str]:
    yield from ("## Metrics", "", "| metric | type | labels | meaning |", "|---|---|---|---|")
    for family in families():
        labels = ", ".join(f"`{label}`" for label in labels_of(family))
        yield f"| {_exposed(family)} | {family.type} | {labels} | {family.documentation} |"


def _labels() -> Iterator[str]:
    yield from ("## Labels", "", "| label | of | values |", "|---|---|---|")
    rows: dict[tuple[str, str], list[str]] = {}
    for family in families():
        for label in labels_of(family):
            vocabulary = vocabulary_of(family, label)
            words = (
                vocabulary
                if isinstance(vocabulary, str)
                else ", ".join(f"`{each}`" for each in vocabulary)
            )
            rows.setdefault((label, words), []).append(_exposed(family))
    for (label, words), names in sorted(rows.items()):
        yield f"| `{label}` | {', '.join(names)} | {words} |"


def _buckets() -> Iterator[str]:
    yield from ("## Buckets", "", "| histogram | upper bounds, in seconds |", "|---|---|")
    for family in families():
        if family.type == "histogram":
            edges = dict.fromkeys(
                each.labels["le"] for each in family.samples if "le" in each.labels
            )
            bounds = [
                f"{float(each):.10f}".rstrip("0").rstrip(".") for each in edges if each != "+Inf"
            ]
            yield f"| {_exposed(family)} | {', '.join(bounds)} |"


def _values() -> Iterator[str]:
    exposed = {each.name.removeprefix(PREFIX): _exposed(each) for each in families()}
    yield "## Values"
    for key, vocabulary in BY_ENUM.items():
        metric, _, label = key.rpartition(" ")
        of = f" of {exposed[metric]}" if metric else ""
        yield from ("", f"### `{label}`{of}", "", inspect.cleandoc(vocabulary.__doc__ or ""), "")
        yield from ("| value | meaning |", "|---|---|")
        for value, meaning in meanings(vocabulary).items():
            yield f"| `{value}` | {meaning} |"


def main() -> None:
    """Rewrite what stands between the markers."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    README.write_text(f"{before}{BEGINS}\n\n{reference()}\n\n{ENDS}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
