"""Writes a config of this sidecar from a LiteLLM config, or from plano's first, flat one. Pure.

What has no counterpart here is told as a note with its place, and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sidecar.config.families import FAMILIES
from sidecar.config.hints import LITELLM_FAMILIES, family_of_id
from sidecar.config.yaml_nodes import Mapping, Node, Scalar, Sequence, is_null, to_bool

_ADDRESS: Final = {"azure_openai": "os.environ/AZURE_API_BASE"}
"""Where LiteLLM finds an address that a file does not give, by our family."""
_NO_FAMILY: Final = frozenset({"bedrock", "vertex_ai", "sagemaker", "huggingface", "cohere"})
"""LiteLLM's prefixes whose APIs are not served."""
_VARIABLE: Final = re.compile(
    r"os\.environ/(\w+)|^env\.(\w+)$|\{\{\s*(?:env\.)?(\w+)\s*\}\}|\$\{?(\w+)\}?"
)
_PARAMS: Final = frozenset({"model", "api_key", "api_base", "base_url", "api_version"})
_USED_AT_TOP: Final = {
    "model_list": None,
    "litellm_settings": ("fallbacks",),
    "router_settings": ("fallbacks", "model_group_alias"),
}
"""LiteLLM's sections, and which of their keys are carried over; None: looked at one by one."""
_NO_KEY: Final = frozenset({"none", "empty", "dummy", "not-needed", "no-key"})
"""What people write where a server of their own wants no key, and a client insists on one."""
_FLAT_KEYS: Final = frozenset(
    {"access_key", "base_url", "default", "endpoint", "model", "name", "protocol", "provider",
     "provider_interface"}
)  # fmt: skip
_FLAT_TOP: Final = frozenset({"llm_providers", "model_providers", "version"})


class Converted(msgspec.Struct, frozen=True):
    """What came of a file."""

    config: dict[str, Any]
    """Ours, as YAML would hold it."""
    notes: tuple[str, ...]
    """``line N: what is not carried over, and why or what to do``."""


def convert(root: Mapping) -> Converted | None:
    """Return a config of this sidecar; None for a file of neither kind."""
    models = root.get("model_list")
    if models is not None and isinstance(models.value, Sequence):
        return _FromLiteLlm(root).converted(models.value)
    flat = root.get("llm_providers") or root.get("model_providers")
    if flat is not None and isinstance(flat.value, Sequence):
        return _from_flat_plano(root, flat.value)
    return None


class _Keys:
    """Writes keys as references. One that stands in the file in clear is not repeated."""

    def __init__(self, notes: list[tuple[int, str]]) -> None:
        self._notes = notes
        self._variables: dict[str, str] = {}
        """By the key in clear."""

    def reference(self, written: str, family: str, line: int) -> str:
        """Return a reference to an environment variable, with a note where there was none."""
        if _VARIABLE.fullmatch(written):
            return _reference(written)
        if written not in self._variables:
            row = FAMILIES.get(family)
            name = (row.key_variable if row else None) or f"{family.upper()}_API_KEY"
            taken = sum(each.startswith(name) for each in self._variables.values())
            self._variables[written] = f"{name}_{taken + 1}" if taken else name
        variable = self._variables[written]
        self._notes.append((line, f"a key in clear is not carried over: put it into ${variable}"))
        return f"${variable}"


class _FromLiteLlm:
    """Reads LiteLLM's file: https://docs.litellm.ai/docs/proxy/configs."""

    def __init__(self, root: Mapping) -> None:
        self._root = root
        self._notes: list[tuple[int, str]] = []
        self._keys = _Keys(self._notes)
        self._entries: list[dict[str, Any]] = []
        self._groups: dict[str, list[str]] = {}
        """By LiteLLM's name of a model: the entries that serve it, in the order of the file."""

    def converted(self, models: Sequence) -> Converted:
        """Convert all of it."""
        for item in models.items:
            self._add_model(item)
        self._note_unused_sections()
        aliases = self._aliases()
        self._add_fallbacks(aliases)
        if self._entries:
            first = next((each for each in self._entries if "*" not in each["model"]), None)
            if first is not None:
                first["default"] = True
        config: dict[str, Any] = {"version": "v0.4.0", "model_providers": self._entries}
        if aliases:
            config["model_aliases"] = {name: {"target": to} for name, to in aliases.items()}
        return Converted(config, _lines(self._notes))

    def _add_model(self, item: Node) -> None:
        name, params = _text(item, "model_name"), _under(item, "litellm_params")
        model = _text(params, "model")
        if params is None or not model:
            self._notes.append((item.line, "an entry of model_list without litellm_params.model"))
            return
        prefix, bare = _litellm_model(model)
        if prefix in _NO_FAMILY or not prefix:
            all_providers = "write an entry such as openai/* for each provider"
            why = all_providers if model == "*" else "this API is not served"
            self._notes.append((item.line, f"{model}: {why}"))
            return
        entry: dict[str, Any] = {"model": f"{prefix}/{bare}"}
        base_url = (
            _text(params, "api_base") or _text(params, "base_url") or _ADDRESS.get(prefix, "")
        )
        if base_url:
            entry["base_url"] = _reference(base_url)
        version = _text(params, "api_version")
        if version and prefix == "azure_openai":
            entry["base_url"] = f"{entry.get('base_url', '')}?api-version={_reference(version)}"
        key = _text(params, "api_key") or ("" if base_url else _usual_key(prefix))
        if key and key.lower() not in _NO_KEY:
            entry["access_key"] = self._keys.reference(key, prefix, params.line)
        if prefix not in FAMILIES:
            entry["provider_interface"] = "openai"
        if any(each["model"] == entry["model"] for each in self._entries):
            entry["name"] = f"{entry['model']}#{len(self._entries) + 1}"
        for each in params.entries:
            if each.key not in _PARAMS:
                self._notes.append((each.line, f"litellm_params.{each.key} has no counterpart"))
        self._entries.append(entry)
        self._groups.setdefault(name or bare, []).append(entry.get("name", entry["model"]))

    def _aliases(self) -> dict[str, str]:
        """Return the names that are not the models' own, each with the first entry behind it."""
        aliases = {
            name: entries[0]
            for name, entries in self._groups.items()
            if "*" not in name and entries[0] not in {name, f"openai/{name}"}
        }
        of_group = _under(_under(self._root, "router_settings"), "model_group_alias")
        for each in of_group.entries if of_group is not None else ():
            if isinstance(each.value, Scalar) and each.value.text in self._groups:
                aliases[each.key] = self._groups[each.value.text][0]
        return aliases

    def _add_fallbacks(self, aliases: dict[str, str]) -> None:
        """Other entries of one name are tried after the first one, then what is named to follow."""
        by_name = {each.get("name", each["model"]): each for each in self._entries}
        following: dict[str, list[str]] = {
            name: entries[1:] for name, entries in self._groups.items()
        }
        for section in ("litellm_settings", "router_settings"):
            for name, others in _fallback_lists(_under(self._root, section)):
                for other in others:
                    following.setdefault(name, []).extend(self._groups.get(other, ()))
        for name, others in following.items():
            first = self._groups.get(name, [aliases.get(name, "")])[0]
            wanted = [other for other in dict.fromkeys(others) if other != first]
            if first in by_name and wanted:
                by_name[first]["fallbacks"] = wanted

    def _note_unused_sections(self) -> None:
        for section in self._root.entries:
            used = _USED_AT_TOP.get(section.key, ())
            if section.key not in _USED_AT_TOP:
                what = f"{section.key} has no counterpart"
                if _text(section.value, "master_key"):
                    what += ": callers are asked for no key here, the data port is on loopback"
                self._notes.append((section.line, what))
            elif used is not None and isinstance(section.value, Mapping):
                for each in section.value.entries:
                    if each.key not in used:
                        what = f"{section.key}.{each.key} has no counterpart"
                        self._notes.append((each.line, what))


def _usual_key(family: str) -> str:
    """Return the variable that LiteLLM reads where an entry names no key, as a reference."""
    row = FAMILIES.get(family)
    return f"${row.key_variable}" if row is not None and row.key_variable else ""


def _litellm_model(model: str) -> tuple[str, str]:
    """Return family and bare id of LiteLLM's name; an empty family where it cannot be told."""
    prefix, mark, bare = model.partition("/")
    if not mark:
        return family_of_id(model), model
    return LITELLM_FAMILIES.get(prefix, prefix), bare


def _fallback_lists(section: Mapping | None) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(name, names that follow)`` of ``fallbacks: [{a: [b, c]}]``."""
    entry = section.get("fallbacks") if section is not None else None
    if entry is None or not isinstance(entry.value, Sequence):
        return
    for item in entry.value.items:
        for each in item.entries if isinstance(item, Mapping) else ():
            if isinstance(each.value, Sequence):
                yield each.key, [one.text for one in each.value.items if isinstance(one, Scalar)]


def _from_flat_plano(root: Mapping, providers: Sequence) -> Converted:
    """Convert plano's first form, in which provider and model were keys of their own."""
    notes: list[tuple[int, str]] = []
    keys = _Keys(notes)
    entries: list[dict[str, Any]] = []
    for item in providers.items:
        entry = _flat_entry(item, keys, notes) if isinstance(item, Mapping) else None
        if entry is None:
            notes.append((item.line, "an entry without a model"))
        else:
            entries.append(entry)
    notes += _not_among(_FLAT_TOP, root)
    return Converted({"version": "v0.4.0", "model_providers": entries}, _lines(notes))


def _flat_entry(item: Mapping, keys: _Keys, notes: list[tuple[int, str]]) -> dict[str, Any] | None:
    model = _text(item, "model")
    if not model:
        return None
    own = model.partition("/")[0]
    family = _text(item, "provider") or _text(item, "provider_interface") or family_of_id(model)
    is_whole = "/" in model and (own in FAMILIES or own == family)
    entry: dict[str, Any] = {"model": model if is_whole else f"{family or 'openai'}/{model}"}
    if _text(item, "name"):
        entry["name"] = _text(item, "name")
    endpoint = _text(item, "endpoint")
    if endpoint:
        entry["base_url"] = f"{_text(item, 'protocol') or 'http'}://{endpoint}"
    elif _text(item, "base_url"):
        entry["base_url"] = _text(item, "base_url")
    family = entry["model"].partition("/")[0]
    if _text(item, "access_key"):
        entry["access_key"] = keys.reference(_text(item, "access_key"), family, item.line)
    if family not in FAMILIES:
        entry["provider_interface"] = "openai"
    if to_bool(_text(item, "default")):
        entry["default"] = True
    notes += _not_among(_FLAT_KEYS, item)
    return entry


def _not_among(carried: frozenset[str], mapping: Mapping) -> list[tuple[int, str]]:
    return [
        (each.line, f"{each.key} is not carried over")
        for each in mapping.entries
        if each.key not in carried
    ]


def _reference(text: str) -> str:
    """Return a text with other tools' references to environment variables written as ours."""
    return _VARIABLE.sub(lambda match: f"${{{next(filter(None, match.groups()))}}}", text)


def _lines(notes: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(f"line {line}: {what}" for line, what in sorted(notes))


def _under(node: Node | None, key: str) -> Mapping | None:
    entry = node.get(key) if isinstance(node, Mapping) else None
    return entry.value if entry is not None and isinstance(entry.value, Mapping) else None


def _text(node: Node | None, key: str) -> str:
    entry = node.get(key) if isinstance(node, Mapping) else None
    value = entry.value if entry is not None else None
    if not isinstance(value, Scalar) or (value.is_plain and is_null(value.text)):
        return ""
    return value.text
