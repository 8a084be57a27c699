"""Rewrites plano's older spellings in the tree of nodes before it is decoded, and names plano's
keys that are refused or do nothing here. Lines stay those of the file.
"""

from __future__ import annotations

from typing import Final

from sidecar.config.report import Path, Place, Report, did_you_mean, pattern_of, quote
from sidecar.config.yaml_nodes import Mapping, MappingEntry, Node, Scalar, Sequence, is_null

_LIFTED_FROM: Final = frozenset({"v0.3.0", "v0.2.0", "0.2.0", "v0.1.0", "v0.1", "0.1-beta"})
"""Versions in which preferences stand under their provider."""
_EGRESS: Final = "egress_traffic"


def migrate(root: Mapping, report: Report) -> Mapping:
    """Return the document as the newest version writes it.

    ``llm_providers`` becomes ``model_providers``; a listeners mapping becomes a list; preferences
    under a provider go to the top level. Source: plano's config_generator, whose merging rules
    these are.
    """
    return _lift_preferences(_listed_listeners(_renamed_providers(root, report), report), report)


def _renamed_providers(root: Mapping, report: Report) -> Mapping:
    old = root.get("llm_providers")
    if old is None:
        return root
    if root.get("model_providers") is not None:
        report.problem(
            ("llm_providers",),
            "is the old name of model_providers; keep one of them",
            line=old.line,
        )
        return root.without("llm_providers")
    entries = [
        MappingEntry("model_providers", e.line, e.value) if e.key == "llm_providers" else e
        for e in root.entries
    ]
    return Mapping(root.line, tuple(entries))


_OF_A_LISTENER: Final = frozenset({"address", "name", "port", "type"})
"""Keys of an entry of ``listeners``, which stand under it without a dash where that was forgotten.
"""


def _listed_listeners(root: Mapping, report: Report) -> Mapping:
    listeners = root.get("listeners")
    if listeners is None or not isinstance(listeners.value, Mapping):
        return root
    keys = {entry.key for entry in listeners.value.entries}
    if keys & _OF_A_LISTENER and _EGRESS not in keys:
        report.note_place(("listeners",), Place(listeners.line))
        report.problem(
            ("listeners",), "expected a list; put a dash before its first key: - type: model"
        )
        return root.without("listeners")
    items: list[Node] = []
    for entry in listeners.value.entries:
        here = ("listeners", entry.key)
        report.note_place(here, Place(entry.line))
        if entry.key == _EGRESS:
            items.append(_model_listener(entry.value))
        else:
            guess = did_you_mean(entry.key, [_EGRESS])
            report.problem(here, why_refused(here) or f"unknown key {quote(entry.key)}{guess}")
    if listeners.value.entries and not items:
        return root.without("listeners")
    return root.with_value("listeners", Sequence(listeners.line, tuple(items)))


def _model_listener(egress: Node) -> Node:
    """Return ``egress_traffic`` as an item of the list. Its message format was always OpenAI's."""
    if not isinstance(egress, Mapping):
        return egress
    kept = tuple(entry for entry in egress.entries if entry.key not in {"message_format", "name"})
    return Mapping(
        egress.line,
        (*kept, MappingEntry("name", egress.line, Scalar(egress.line, _EGRESS, is_plain=False))),
    )


def _lift_preferences(root: Mapping, report: Report) -> Mapping:
    providers = root.get("model_providers")
    if providers is None or not isinstance(providers.value, Sequence):
        return root
    version = root.get("version")
    is_old = (
        version is not None
        and isinstance(version.value, Scalar)
        and version.value.text in _LIFTED_FROM
    )
    lifted = _Lifted(root.get("routing_preferences"), report)
    items: list[Node] = []
    for index, item in enumerate(providers.value.items):
        inline = item.get("routing_preferences") if isinstance(item, Mapping) else None
        if inline is None or not isinstance(item, Mapping):
            items.append(item)
            continue
        path = ("model_providers", index, "routing_preferences")
        report.note_place(path, Place(inline.line))
        if is_old:
            lifted.add(path, inline.value, item.get("model"))
        else:
            report.warn(
                path,
                "is ignored from version v0.4.0 on; write it at the top level, with its models",
            )
        items.append(item.without("routing_preferences"))
    root = root.with_value("model_providers", Sequence(providers.value.line, tuple(items)))
    return lifted.into(root)


class _Lifted:
    """Preferences gathered from under providers: one for each name, with its models in the order of
    their providers.

    A preference of the same name at the top level wins; of several descriptions the first counts.
    """

    def __init__(self, top: MappingEntry | None, report: Report) -> None:
        self._report = report
        self._items: list[Node] = []
        self._listed = (
            top.value.items if top is not None and isinstance(top.value, Sequence) else ()
        )
        self._taken = {_name_of(item) for item in self._listed}
        self._models: dict[str, tuple[Mapping, list[Node]]] = {}

    def add(self, path: Path, inline: Node, model: MappingEntry | None) -> None:
        """Take in one provider's list."""
        if not isinstance(inline, Sequence):
            if not (isinstance(inline, Scalar) and inline.is_plain and is_null(inline.text)):
                self._report.problem(path, "expected a list")
            return
        if model is None or not isinstance(model.value, Scalar):
            return
        if model.value.text.endswith("/*"):
            self._report.problem(path, "a wildcard cannot have preferences: they need one model")
            return
        self._add_items(path, inline.items, model.value)

    def _add_items(self, path: Path, items: tuple[Node, ...], model: Scalar) -> None:
        seen: set[str] = set()
        for index, item in enumerate(items):
            name = _name_of(item)
            if name is None or not isinstance(item, Mapping):
                self._report.problem(
                    (*path, index), "needs a name and a description", line=item.line
                )
            elif name in seen:
                self._report.problem(
                    (*path, index), f"two preferences are named {quote(name)}", line=item.line
                )
            elif name not in self._taken:
                self._models.setdefault(name, (item, []))[1].append(model)
            seen.add(name or "")

    def into(self, root: Mapping) -> Mapping:
        """Return the document with the gathered preferences after those at its top level."""
        if not self._models:
            return root
        for item, models in self._models.values():
            self._items.append(item.with_value("models", Sequence(item.line, tuple(models))))
        return root.with_value(
            "routing_preferences", Sequence(self._items[0].line, (*self._listed, *self._items))
        )


def _name_of(item: Node) -> str | None:
    entry = item.get("name") if isinstance(item, Mapping) else None
    return entry.value.text if entry is not None and isinstance(entry.value, Scalar) else None


_AGENTS: Final = (
    "is not served: this sidecar serves model listeners, not agents, prompts or filters"
)

REFUSED: Final = {
    "agents": _AGENTS,
    "filters": _AGENTS,
    "prompt_targets": _AGENTS,
    "prompt_guards": _AGENTS,
    "endpoints": _AGENTS,
    "state_storage": "is not served: no conversation is stored here",
    "listeners.ingress_traffic": _AGENTS,
    "listeners[].type=agent": _AGENTS,
    "listeners[].type=prompt": _AGENTS,
    "listeners[].agents": _AGENTS,
    "listeners[].router": _AGENTS,
    "listeners[].input_filters": _AGENTS,
    "listeners[].output_filters": _AGENTS,
}
"""Plano's keys that cannot be accepted, since an operator counts on what they do."""

NOT_SERVED: Final = {
    "system_prompt": "is accepted but not served: the app's own stands",
    "routing_preferences[].system_prompt": "is accepted but not served: the app's own stands",
    "ratelimits": "is accepted but not served",
    "prompt_caching": "is accepted but not served",
    "routing.routing_budget": "is accepted but not served",
    "routing.route_on_user_only": "is accepted but not served",
    "routing.llm_provider": "is accepted but not served",
    "routing.model": "is accepted but not served",
    "listeners[].timeout": "is accepted but not served; see timeouts",
    "listeners[].max_retries": "is accepted but not served; see limits.attempts",
    "model_providers[].rate_limits": "is accepted but not served",
    "overrides.upstream_connect_timeout": "is accepted but not served; see timeouts.connect_s",
    "overrides.upstream_tls_ca_path": "is accepted but not served; set SSL_CERT_FILE",
    "overrides.agent_orchestration_model": "is accepted but not served; see "
    "overrides.llm_routing_model",
    "overrides.orchestrator_model_context_length": "is accepted but not served; see "
    "routing.router_context_tokens",
    "overrides.prompt_target_intent_matching_threshold": "is accepted but not served",
    "overrides.optimize_context_window": "is accepted but not served",
    "overrides.use_agent_orchestrator": "is accepted but not served",
    "overrides.disable_signals": "is accepted but not served",
    "tracing.trace_arch_internal": "is accepted but not served",
    "tracing.opentracing_grpc_endpoint": "is accepted but not served; see tracing.otlp_endpoint",
    "tracing.span_attributes": "is accepted but not served",
    "tracing.exporters": "is accepted but not served",
}
"""Plano's keys that may be ignored: without them a call is still served as it should be."""


def why_refused(path: Path, value: str | None = None) -> str | None:
    """Return why a key, or one value of it, is refused by name; None where it is not."""
    pattern = pattern_of(path)
    return REFUSED.get(pattern if value is None else f"{pattern}={value}")


def warn_of_unserved(report: Report) -> None:
    """Warn of every key that does nothing, once for each kind of key, at its first place."""
    seen: set[str] = set()
    for path in report.given:
        pattern = pattern_of(path)
        message = NOT_SERVED.get(pattern)
        if message is not None and pattern not in seen:
            seen.add(pattern)
            report.warn(path, message)
