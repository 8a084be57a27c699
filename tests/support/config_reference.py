"""The tables of `sidecar/config/README.md`, made from the schema's structs and the families' rows.

``python -m tests.support.config_reference`` writes them into it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect

from sidecar.config.conventions import Conventions
from sidecar.config.decode import bare
from sidecar.config.families import FAMILIES
from sidecar.config.patch_table import PATCHES
from sidecar.config.patches import Patch
from sidecar.config.schema import Config
from sidecar.domain.call import MESSAGES
from sidecar.wire.changes import Action, Change, Plain

README: Final = Path(__file__).parents[2] / "sidecar" / "config" / "README.md"
_UNITS: Final = {"_s": "s", "_ms": "ms", "_bytes": "bytes", "_tokens": "tokens", "_percent": "%"}
_PRICE_PREFIX: Final = "usd_per_mtok_"


def with_tables(text: str) -> str:
    """Return the README's text with all tables as they should be now."""
    tables = {
        "families": family_table(),
        "patches": patch_table(),
        "cache-hints": cache_hint_table(),
        "keys": config_table(),
    }
    for name, table in tables.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->\n)", re.DOTALL)
        assert len(mark.findall(text)) == 1, name
        text = mark.sub(lambda found, table=table: found[1] + table + found[2], text)  # type: ignore[misc]
    return text


def family_table() -> str:
    """Return every provider family, a row each."""
    head = ("prefix", "address", "dialects", "key goes into", "key variable")
    return _table(
        head,
        (
            (
                f"`{prefix}`",
                f"`{row.origin}{row.base_path}`" if row.origin else "`base_url` is needed",
                _dialects_of(row),
                _key_headers_of(row),
                f"`{row.key_variable}`" if row.key_variable else "",
            )
            for prefix, row in FAMILIES.items()
        ),
    )


def _dialects_of(row: Conventions) -> str:
    spoken = ", ".join(row.dialects)
    if row.claude_dialects is None:
        return spoken
    return f"{spoken}; Claude models {', '.join(row.claude_dialects)}"


def _key_headers_of(row: Conventions) -> str:
    headers = f"`{row.credential.header}`"
    messages = row.credential_for(MESSAGES).header
    if MESSAGES in row.dialects and messages != row.credential.header:
        headers += f", for messages `{messages}`"
    if row.native_credential is not None:
        headers += f", for its own API `{row.native_credential.header}`"
    return headers


def patch_table() -> str:
    """Return every patch, a row each."""
    head = ("prefix", "dialect", "models", "sent", "by")
    return _table(
        head,
        (
            (
                ", ".join(f"`{family}`" for family in each.families),
                str(each.dialect),
                each.models.shown,
                "; ".join(_changes_of(each)),
                f"[{urlsplit(each.source).hostname}]({each.source})",
            )
            for each in PATCHES
        ),
    )


def cache_hint_table() -> str:
    """Return what is known of each family's prompt cache, a row each."""
    head = ("prefix", "headers of the app's", "made of the session", "`prompt_cache_key` in")
    return _table(
        head,
        (
            (
                f"`{prefix}`",
                ", ".join(f"`{name}`" for name in row.cache_hints.headers),
                f"`{row.cache_hints.made}`" if row.cache_hints.made else "",
                ", ".join(row.cache_hints.member_in),
            )
            for prefix, row in FAMILIES.items()
            if row.cache_hints.headers or row.cache_hints.member_in
        ),
    )


def _changes_of(patch: Patch) -> list[str]:
    """Changes of one kind and for the same values together, in their order."""
    names: dict[str, list[str]] = {}
    for change in patch.changes:
        shown = f"`{change.shown}`"
        others = names.setdefault(_form_of(change), [])
        if shown not in others:
            others.append(shown)
    return [form.format(names=", ".join(shown)) for form, shown in names.items()]


def _form_of(change: Change) -> str:
    """What is done, with a gap for what it is done to."""
    condition = _condition_of(change)
    match change.action:
        case Action.RENAME:
            return f"{{names}} as `{change.text.decode()}`"
        case Action.REPLACE:
            text = change.text.decode().replace("{", "{{").replace("}", "}}")
            return f"{{names}} as `{text}`{condition}"
        case Action.AT_MOST:
            return f"{{names}} {change.most} at most"
        case _:
            return f"without {{names}}{condition}"


def _condition_of(change: Change) -> str:
    where = change.where
    subject = f"`{b'.'.join(where.path).decode()}`" if where.path else "it"
    kept = [each for each in where.keeps if each is not None]
    if where.only is not None:  # a name of the change's own says which value is meant
        is_told = change.name and not where.path
        return "" if is_told else f" where {subject} is {_plain(where.only)}"
    if kept:
        return f" where {subject} is not {_plain(kept)}"
    return f" beside {subject}" if where.path else ""


def _plain(values: Iterable[Plain]) -> str:
    return ", ".join(f"`{json.dumps(each)}`" for each in values)


def config_table() -> str:
    """Return every key of the config, a row each, in the order of the schema."""
    head = ("key", "type", "unit", "default", "meaning")
    return _table(head, _rows(inspect.type_info(Config), ""))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _rows(kind: inspect.Type, prefix: str) -> Iterator[tuple[str, str, str, str, str]]:
    """(key, type, unit, default, meaning) of each field of a struct, and behind it those of the
    structs inside.
    """
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        assert isinstance(field.type, inspect.Metadata)
        meaning = (field.type.extra_json_schema or {})["description"]
        key = f"{prefix}{field.encode_name}"
        yield f"`{key}`", _type_name(field.type), _unit(field.name), _default(field), meaning
        for suffix, inner in _inside(field.type):
            yield from _rows(inner, f"{key}{suffix}.")


def _inside(kind: inspect.Type) -> Iterator[tuple[str, inspect.StructType]]:
    """The structs that a field holds, each with what follows the key in their paths."""
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        yield "", kind
    elif isinstance(kind, inspect.VarTupleType):
        yield from (("[]" + suffix, inner) for suffix, inner in _inside(kind.item_type))
    elif isinstance(kind, inspect.DictType):
        yield from ((".NAME" + suffix, inner) for suffix, inner in _inside(kind.value_type))
    elif isinstance(kind, inspect.UnionType):
        for choice in kind.types:
            yield from _inside(choice)


def _type_name(kind: inspect.Type) -> str:
    kind = bare(kind)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(
            _type_name(each) for each in kind.types if not isinstance(each, inspect.NoneType)
        )
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.EnumType):
        return ", ".join(f"`{value.value}`" for value in kind.cls)
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {_type_name(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"map of {_type_name(kind.value_type)}"
    return _NAMES[type(kind)]


_NAMES: Final[dict[type[inspect.Type], str]] = {
    inspect.AnyType: "any",
    inspect.StructType: "mapping",
    inspect.StrType: "text",
    inspect.CustomType: "secret",
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "number",
}


def _unit(name: str) -> str:
    """The unit that a Python name carries: every name that has one ends or begins with it."""
    if name.startswith(_PRICE_PREFIX):
        return "USD per million tokens"
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if isinstance(bare(field.type), inspect.StructType) or field.default is None:
        return ""
    if field.default is msgspec.NODEFAULT:
        return "`{}`"
    value = msgspec.to_builtins(field.default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
