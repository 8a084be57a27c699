"""Writes a config of this sidecar from a LiteLLM config, or from plano's first, flat one. Pure.

What has no counterpart here is told as a note with its place, and never guessed.
"""

from __future__ import annotations

from typing import Any, Final

from sidecar.config.convert_litellm import LiteLlmConversion
from sidecar.config.convert_parts import Converted, KeyWriter, lines_of, text_under
from sidecar.config.families import FAMILIES
from sidecar.config.hints import family_of_id
from sidecar.config.yaml_nodes import Mapping, Sequence, to_bool

_FLAT_KEYS: Final = frozenset(
    {"access_key", "base_url", "default", "endpoint", "model", "name", "protocol", "provider",
     "provider_interface"}
)  # fmt: skip
_FLAT_TOP: Final = frozenset({"llm_providers", "model_providers", "version"})


def convert(root: Mapping) -> Converted | None:
    """Return a config of this sidecar; None for a file of neither kind."""
    models = root.get("model_list")
    if models is not None and isinstance(models.value, Sequence):
        return LiteLlmConversion(root).converted(models.value)
    flat = root.get("llm_providers") or root.get("model_providers")
    if flat is not None and isinstance(flat.value, Sequence):
        return _from_flat_plano(root, flat.value)
    return None


def _from_flat_plano(root: Mapping, providers: Sequence) -> Converted:
    """Convert plano's first form, in which provider and model were keys of their own."""
    notes: list[tuple[int, str]] = []
    keys = KeyWriter(notes)
    entries: list[dict[str, Any]] = []
    for item in providers.items:
        entry = _flat_entry(item, keys, notes) if isinstance(item, Mapping) else None
        if entry is None:
            notes.append((item.line, "an entry without a model"))
        else:
            entries.append(entry)
    notes += _not_among(_FLAT_TOP, root)
    return Converted({"version": "v0.4.0", "model_providers": entries}, lines_of(notes))


def _flat_entry(
    item: Mapping, keys: KeyWriter, notes: list[tuple[int, str]]
) -> dict[str, Any] | None:
    model = text_under(item, "model")
    if not model:
        return None
    own = model.partition("/")[0]
    family = (
        text_under(item, "provider")
        or text_under(item, "provider_interface")
        or family_of_id(model)
    )
    is_whole = "/" in model and (own in FAMILIES or own == family)
    entry: dict[str, Any] = {"model": model if is_whole else f"{family or 'openai'}/{model}"}
    if text_under(item, "name"):
        entry["name"] = text_under(item, "name")
    endpoint = text_under(item, "endpoint")
    if endpoint:
        entry["base_url"] = f"{text_under(item, 'protocol') or 'http'}://{endpoint}"
    elif text_under(item, "base_url"):
        entry["base_url"] = text_under(item, "base_url")
    family = entry["model"].partition("/")[0]
    if text_under(item, "access_key"):
        entry["access_key"] = keys.reference(text_under(item, "access_key"), family, item.line)
    if family not in FAMILIES:
        entry["provider_interface"] = "openai"
    if to_bool(text_under(item, "default")):
        entry["default"] = True
    notes += _not_among(_FLAT_KEYS, item)
    return entry


def _not_among(carried: frozenset[str], mapping: Mapping) -> list[tuple[int, str]]:
    return [
        (each.line, f"{each.key} is not carried over")
        for each in mapping.entries
        if each.key not in carried
    ]
