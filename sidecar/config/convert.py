"""Writes a config of this sidecar from a LiteLLM config, or from plano's first, flat one. Pure.

What has no counterpart here is told as a note with its place, and never guessed.
"""

from __future__ import annotations

from typing import Any, Final

from sidecar.config.convert_litellm import LiteLlmConversion
from sidecar.config.convert_parts import Converted, KeyWriter, data_of, lines_of, text_under
from sidecar.config.families import FAMILIES
from sidecar.config.hints import family_of_id
from sidecar.config.migrate import migrate
from sidecar.config.report import Report
from sidecar.config.yaml_nodes import Mapping, Scalar, Sequence, to_bool

_FLAT_KEYS: Final = frozenset(
    {"access_key", "base_url", "default", "endpoint", "model", "name", "passthrough_auth",
     "protocol", "provider", "provider_interface", "routing_preferences"}
)  # fmt: skip
_OF_FLAT_ENTRIES: Final = ("endpoint", "protocol", "provider")
_PROVIDERS: Final = ("llm_providers", "model_providers")
_AS_THEY_ARE: Final = ("listeners", "model_aliases", "overrides", "routing_preferences")
"""Sections that are ours too, and hold no key."""
_FIRST: Final = "v0.1"
"""Of what version a flat file is that does not say it."""


def convert(root: Mapping) -> Converted | None:
    """Return a config of this sidecar; None for a file of neither kind, an empty one for a file
    that is read as it stands.
    """
    models = root.get("model_list")
    if models is not None and isinstance(models.value, Sequence):
        return LiteLlmConversion(root).converted(models.value)
    flat = root.get("llm_providers") or root.get("model_providers")
    if flat is not None and isinstance(flat.value, Sequence):
        return _from_flat_plano(root, flat.value)
    return None


def _from_flat_plano(root: Mapping, providers: Sequence) -> Converted:
    """Convert plano's first form, in which provider and model were keys of their own.

    Returns: an empty config for a file that is read as it stands.
    """
    items = [each for each in providers.items if isinstance(each, Mapping)]
    if not any(map(_is_flat, items)):
        return Converted({}, ())
    notes: list[tuple[int, str]] = []
    keys = KeyWriter(notes)
    entries: list[dict[str, Any]] = []
    for item in providers.items:
        entry = _flat_entry(item, keys, notes) if isinstance(item, Mapping) else None
        if entry is None:
            notes.append((item.line, "an entry without a model"))
        else:
            entries.append(entry)
    notes += _not_among(frozenset({*_PROVIDERS, *_AS_THEY_ARE, "version"}), root)
    config = {"version": "v0.4.0", "model_providers": entries}
    return Converted({**config, **_as_they_are(root, providers)}, lines_of(notes))


def _as_they_are(root: Mapping, providers: Sequence) -> dict[str, Any]:
    """Return the sections that are ours too, in the form that they have now, by the new names of
    models.
    """
    items = tuple(
        item.with_value("model", Scalar(item.line, _model_of(item), is_plain=False))
        for item in providers.items
        if isinstance(item, Mapping) and text_under(item, "model")
    )
    named = root.without(_PROVIDERS[0]).with_value(_PROVIDERS[1], Sequence(providers.line, items))
    if root.get("version") is None:
        named = named.with_value("version", Scalar(root.line, _FIRST, is_plain=False))
    migrated = migrate(named, Report(""))  # what is wrong here, `check` says of what is made
    return {each.key: data_of(each.value) for each in migrated.entries if each.key in _AS_THEY_ARE}


def _is_flat(item: Mapping) -> bool:
    """Return whether an entry is in the first form, which is read no more."""
    model = text_under(item, "model")
    is_told = any(item.get(key) is not None for key in _OF_FLAT_ENTRIES)
    return bool(model) and (is_told or "/" not in model)


def _model_of(item: Mapping) -> str:
    """Return ``provider/model`` of an entry that has a model."""
    model = text_under(item, "model")
    family = (
        text_under(item, "provider")
        or text_under(item, "provider_interface")
        or family_of_id(model)
    )
    own, mark, _ = model.partition("/")
    is_whole = not _is_flat(item) or (mark and (own in FAMILIES or own == family))
    return model if is_whole else f"{family or 'openai'}/{model}"


def _flat_entry(
    item: Mapping, keys: KeyWriter, notes: list[tuple[int, str]]
) -> dict[str, Any] | None:
    if not text_under(item, "model"):
        return None
    entry: dict[str, Any] = {"model": _model_of(item)}
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
    for switch in ("default", "passthrough_auth"):
        if to_bool(text_under(item, switch)):
            entry[switch] = True
    notes += _not_among(_FLAT_KEYS, item)
    return entry


def _not_among(carried: frozenset[str], mapping: Mapping) -> list[tuple[int, str]]:
    return [
        (each.line, f"{each.key} is not carried over")
        for each in mapping.entries
        if each.key not in carried
    ]
