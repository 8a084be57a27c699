"""Writes a config of this sidecar from a LiteLLM config. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from sidecar.config.convert_parts import (
    Converted,
    KeyWriter,
    lines_of,
    mapping_under,
    reference_of,
    text_under,
)
from sidecar.config.families import FAMILIES
from sidecar.config.hints import LITELLM_FAMILIES, family_of_id
from sidecar.config.secret import is_no_secret
from sidecar.config.yaml_nodes import Mapping, Node, Scalar, Sequence

_ADDRESS: Final = {"azure_openai": "os.environ/AZURE_API_BASE"}
"""Where LiteLLM finds an address that a file does not give, by our family."""
_NO_FAMILY: Final = frozenset({"vertex_ai", "sagemaker", "huggingface", "cohere"})
"""LiteLLM's prefixes whose APIs are not served."""
_PARAMS: Final = frozenset(
    {"model", "api_key", "api_base", "base_url", "api_version", "aws_region_name", "extra_headers"}
)
_PRICES: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
}
"""LiteLLM's prices in USD per token, under ``litellm_params`` or ``model_info``; and ours, in USD
per million of them.
"""
_BEDROCK: Final = "amazon_bedrock"
_BEDROCK_URL: Final = "https://bedrock-runtime.{region}.amazonaws.com"
_BEDROCK_KEY: Final = "$AWS_BEARER_TOKEN_BEDROCK"
_KEYS: Final = {"azure_openai": "$AZURE_API_KEY", _BEDROCK: _BEDROCK_KEY}
"""Where LiteLLM finds the key of a family whose address is always given."""
_BEDROCK_ROUTES: Final = re.compile(
    r"\A(?:(?:converse|converse_like|invoke|[a-z]{2}-[a-z-]+-\d)/)+"
)
"""What LiteLLM puts before a model's id there: an API of Bedrock's own, or a region."""
_USED_AT_TOP: Final = {
    "model_list": None,
    "litellm_settings": ("fallbacks",),
    "router_settings": ("fallbacks", "model_group_alias"),
}
"""LiteLLM's sections, and which of their keys are carried over; None: looked at one by one."""
_ONE_KEY_EACH: Final = "write access_key at each entry"
_INSTEAD: Final = {
    "cache": "responses are not cached",
    "context_window_fallbacks": "fallbacks are tried where a prompt is too long, too",
    "credential_list": _ONE_KEY_EACH,
    "default_fallbacks": "write fallbacks at each entry",
    "drop_params": "what a model is known to refuse is left out of calls that another one was "
    "asked for",
    "environment_variables": "set them in the sidecar's environment",
    "litellm_credential_name": _ONE_KEY_EACH,
    "max_retries": "see limits.attempts",
    "num_retries": "see limits.attempts",
    "request_timeout": "see timeouts.response_s",
    "routing_strategy": "entries of one name are tried in their order",
    "stream_timeout": "see timeouts of the entry",
    "timeout": "see timeouts of the entry",
}
"""What to do about keys that are not carried over, where something can be done."""
_NO_NAME: Final = "no model_name here"


class LiteLlmConversion:
    """Reads LiteLLM's file: https://docs.litellm.ai/docs/proxy/configs."""

    def __init__(self, root: Mapping) -> None:
        self._root = root
        self._notes: list[tuple[int, str]] = []
        self._keys = KeyWriter(self._notes)
        self._entries: list[dict[str, Any]] = []
        self._groups: dict[str, list[str]] = {}
        """By LiteLLM's name of a model: the entries that serve it, in the order of the file."""

    def converted(self, models: Sequence) -> Converted:
        """Convert all of it."""
        for item in models.items:
            self._add_model(item)
        aliases = self._aliases()
        self._add_fallbacks(aliases)
        self._note_unused_sections()
        if self._entries:
            first = next((each for each in self._entries if "*" not in each["model"]), None)
            if first is not None:
                first["default"] = True
        config: dict[str, Any] = {"version": "v0.4.0", "model_providers": self._entries}
        if aliases:
            config["model_aliases"] = {name: {"target": to} for name, to in aliases.items()}
        return Converted(config, lines_of(self._notes))

    def _add_model(self, item: Node) -> None:
        name, params = text_under(item, "model_name"), mapping_under(item, "litellm_params")
        model = text_under(params, "model")
        if params is None or not model:
            self._notes.append((item.line, "an entry of model_list without litellm_params.model"))
            return
        prefix, bare = _litellm_model(model)
        if prefix in _NO_FAMILY or not prefix:
            all_providers = "write an entry such as openai/* for each provider"
            why = all_providers if model == "*" else "this API is not served"
            self._notes.append((item.line, f"{model}: {why}"))
            return
        if "*" in name and name not in ("*", bare, model, f"{prefix}/{bare}"):
            what = f"{name}: a wildcard has no other name here: ask for {prefix}/..."
            self._notes.append((item.line, what))
        entry = self._entry_of(params, prefix, bare)
        if price := self._price_of(params, mapping_under(item, "model_info")):
            entry["price"] = price
        if any(each["model"] == entry["model"] for each in self._entries):
            entry["name"] = f"{entry['model']}#{len(self._entries) + 1}"
        self._entries.append(entry)
        self._groups.setdefault(name or bare, []).append(entry.get("name", entry["model"]))

    def _entry_of(self, params: Mapping, prefix: str, bare: str) -> dict[str, Any]:
        """Return what ``litellm_params`` say of an entry but its price."""
        entry: dict[str, Any] = {"model": f"{prefix}/{bare}"}
        model = text_under(params, "model")
        if base_url := self._address_of(params, prefix, model):
            entry["base_url"] = base_url
        if key := _key_of(params, prefix, has_address=bool(base_url)):
            entry["access_key"] = self._keys.reference(key, prefix, params.line)
        if headers := self._keys.headers(mapping_under(params, "extra_headers")):
            entry["headers"] = headers
        if prefix not in FAMILIES:
            entry["provider_interface"] = "openai"
            missing = "" if base_url else ", whose base_url is to be written"
            what = f"{model}: taken for a server of OpenAI's API{missing}"
            self._notes.append((params.line, what))
        for each in params.entries:
            if each.key not in _PARAMS and each.key not in _PRICES:
                self._notes.append((each.line, _not_carried("litellm_params", each.key)))
        return entry

    def _address_of(self, params: Mapping, prefix: str, model: str) -> str:
        """Return the base URL of an entry; empty where it is that of its family."""
        written = text_under(params, "api_base") or text_under(params, "base_url")
        if prefix == _BEDROCK and not written:
            what = "base_url needs the host of your region, and the key is a Bedrock API key"
            self._notes.append((params.line, f"{model}: {what}, {_BEDROCK_KEY}, not AWS' own"))
            region = text_under(params, "aws_region_name") or "$AWS_REGION"
            return _BEDROCK_URL.format(region=reference_of(region))
        base_url = reference_of(written or _ADDRESS.get(prefix, ""))
        version = text_under(params, "api_version")
        if version and prefix == "azure_openai":
            return f"{base_url}?api-version={reference_of(version)}"
        return base_url

    def _price_of(self, params: Mapping, info: Mapping | None) -> dict[str, float]:
        """Return the prices that an entry gives, in our unit."""
        price: dict[str, float] = {}
        for theirs, ours in _PRICES.items():
            written = text_under(params, theirs) or text_under(info, theirs)
            usd_per_mtok = _usd_per_mtok(written)
            if usd_per_mtok is not None:
                price[ours] = usd_per_mtok
            elif written:
                self._notes.append((params.line, f"{theirs} is not carried over: it is no number"))
        return price

    def _aliases(self) -> dict[str, str]:
        """Return the names that are not the models' own, each with the first entry behind it."""
        aliases = {
            name: entries[0]
            for name, entries in self._groups.items()
            if "*" not in name and entries[0] not in {name, f"openai/{name}"}
        }
        of_group = mapping_under(mapping_under(self._root, "router_settings"), "model_group_alias")
        for each in of_group.entries if of_group is not None else ():
            named = each.value.text if isinstance(each.value, Scalar) else ""
            named = named or text_under(each.value, "model")
            if named in self._groups:
                aliases[each.key] = self._groups[named][0]
            else:
                what = f"model_group_alias.{each.key}: it names {_NO_NAME}"
                self._notes.append((each.line, what))
        return aliases

    def _add_fallbacks(self, aliases: dict[str, str]) -> None:
        """Other entries of one name are tried after the first one, then what is named to follow."""
        by_name = {each.get("name", each["model"]): each for each in self._entries}
        following: dict[str, list[str]] = {
            name: entries[1:] for name, entries in self._groups.items()
        }
        for section in ("litellm_settings", "router_settings"):
            for line, name, others in _fallback_lists(mapping_under(self._root, section)):
                if name not in self._groups and name not in aliases:
                    self._notes.append((line, f"fallbacks of {name}: it is {_NO_NAME}"))
                for other in others:
                    if other not in self._groups:
                        what = f"a fallback of {name}: {other} is {_NO_NAME}"
                        self._notes.append((line, what))
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
                what = _not_carried("", section.key)
                if text_under(section.value, "master_key"):
                    what += ": callers are asked for no key here, the data port is on loopback"
                self._notes.append((section.line, what))
            elif used is not None and isinstance(section.value, Mapping):
                for each in section.value.entries:
                    if each.key not in used:
                        self._notes.append((each.line, _not_carried(section.key, each.key)))


def _not_carried(section: str, key: str) -> str:
    """Return the note of a key."""
    instead, name = _INSTEAD.get(key), f"{section}.{key}" if section else key
    return (
        f"{name} has no counterpart"
        if instead is None
        else f"{name} is not carried over: {instead}"
    )


def _key_of(params: Mapping, family: str, *, has_address: bool) -> str:
    """Return the key of an entry, or the variable in which LiteLLM finds it; empty where there is
    none, or none is wanted.
    """
    written = text_under(params, "api_key")
    if written:
        return "" if is_no_secret(written) else written
    row = FAMILIES.get(family)
    usual = f"${row.key_variable}" if row is not None and row.key_variable else ""
    return _KEYS.get(family) or ("" if has_address else usual)


def _usd_per_mtok(usd_per_token: str) -> float | None:
    """Return a price per million tokens; None for what is no number."""
    try:
        price = float(usd_per_token) * 1e6
    except ValueError:
        return None
    return round(price, 6) if 0.0 <= price < math.inf else None


def _litellm_model(model: str) -> tuple[str, str]:
    """Return family and bare id of LiteLLM's name; an empty family where it cannot be told."""
    prefix, mark, bare = model.partition("/")
    if not mark:
        return family_of_id(model), model
    family = LITELLM_FAMILIES.get(prefix, prefix)
    return family, _BEDROCK_ROUTES.sub("", bare) if family == _BEDROCK else bare


def _fallback_lists(section: Mapping | None) -> Iterator[tuple[int, str, list[str]]]:
    """Yield ``(line, name, names that follow)`` of ``fallbacks: [{a: [b, c]}]``."""
    entry = section.get("fallbacks") if section is not None else None
    if entry is None or not isinstance(entry.value, Sequence):
        return
    for item in entry.value.items:
        for each in item.entries if isinstance(item, Mapping) else ():
            if isinstance(each.value, Sequence):
                others = [one.text for one in each.value.items if isinstance(one, Scalar)]
                yield each.line, each.key, others
