"""Decodes nodes into the schema's structs, key by key, so that one reading finds every problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import inspect

from sidecar.config.expand import Expanded, Expander
from sidecar.config.migrate import why_refused
from sidecar.config.report import Path, Place, Report, did_you_mean, quote
from sidecar.config.secret import ExpandedText, Secret, SecretSource
from sidecar.config.yaml_nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    is_null,
    is_text,
    to_bool,
    to_float,
    to_int,
)

BAD: Final = object()
"""Given in place of a value that cannot be used. Why it cannot has been reported."""

_CONTAINERS: Final = (inspect.StructType, inspect.DictType, inspect.VarTupleType)


class Decoder:
    """Decodes one document. A key whose value cannot be used is reported and keeps its default."""

    def __init__(self, expander: Expander, report: Report) -> None:
        self._expander = expander
        self._report = report
        self._among = Mapping(0, ())
        """The mapping whose key is being read, for messages that name its other keys."""
        self._readers: dict[type[inspect.Type], Callable[[Node, Any, Path], Any]] = {
            inspect.StructType: self._struct,
            inspect.DictType: self._dict,
            inspect.VarTupleType: self._list,
            inspect.UnionType: self._union,
            inspect.StrType: self._str,
            inspect.CustomType: self._secret,
            inspect.BoolType: self._bool,
            inspect.IntType: self._int,
            inspect.FloatType: self._float,
            inspect.LiteralType: self._literal,
            inspect.EnumType: self._enum,
        }

    def read(self, node: Node, kind: inspect.Type, path: Path = ()) -> Any:  # noqa: ANN401 - as many types as the schema has
        """Return the value of ``node`` as the schema's ``kind``, or `BAD`. Raises: nothing."""
        kind = bare(kind)
        if isinstance(kind, inspect.AnyType):
            # A key of plano's that is not served is not read, so it can neither be wrong nor leak.
            return None
        return self._readers[type(kind)](node, kind, path)

    def _struct(self, node: Node, kind: inspect.StructType, path: Path) -> Any:  # noqa: ANN401
        if not isinstance(node, Mapping):
            from sidecar.config.hints import wrong_shape  # of mistakes alone, as all of hints

            return self._expected(wrong_shape(path, node, "a mapping"), path)
        values = self._fields(node, kind, path)
        given = {entry.key for entry in node.entries}
        required = [field for field in kind.fields if field.required]
        for field in required:
            if field.encode_name not in given:
                self._report.problem(path, f"needs {field.encode_name}")
        if any(field.name not in values for field in required):
            return BAD
        return kind.cls(**values)

    def _fields(self, node: Mapping, kind: inspect.StructType, path: Path) -> dict[str, Any]:
        """Return the usable values of a struct's fields, by Python name. A key without a value is
        left out where that means the default.
        """
        fields = {field.encode_name: field for field in kind.fields}
        values: dict[str, Any] = {}
        for entry in node.entries:
            here = (*path, entry.key)
            self._note(here, entry.line, entry.value)
            field = fields.get(entry.key)
            if field is None:
                self._unknown(here, entry.key, list(fields), node)
            elif not (_is_null(entry.value) and _may_be_null(field)):
                self._among = node
                value = self.read(entry.value, field.type, here)
                if value is not BAD:
                    values[field.name] = value
        return values

    def _dict(self, node: Node, kind: inspect.DictType, path: Path) -> Any:  # noqa: ANN401
        if not isinstance(node, Mapping):
            from sidecar.config.hints import wrong_shape

            return self._expected(wrong_shape(path, node, "a mapping"), path)
        values: dict[Any, Any] = {}
        for entry in node.entries:
            here = (*path, entry.key)
            self._note(here, entry.line, entry.value)
            key: Any = entry.key
            if isinstance(kind.key_type, inspect.EnumType):
                key = self._member(entry.key, kind.key_type, here)
            value = self.read(entry.value, kind.value_type, here)
            if key is not BAD and value is not BAD:
                values[key] = value
        return values

    def _list(self, node: Node, kind: inspect.VarTupleType, path: Path) -> Any:  # noqa: ANN401
        if not isinstance(node, Sequence):
            from sidecar.config.hints import wrong_shape

            return self._expected(wrong_shape(path, node, "a list"), path)
        values: list[Any] = []
        kept: list[int] = []
        for index, item in enumerate(node.items):
            here = (*path, index)
            self._note(here, item.line, item)
            value = self.read(item, kind.item_type, here)
            if value is not BAD:
                values.append(value)
                kept.append(index)
        if len(node.items) < (kind.min_length or 0):
            self._report.problem(path, "must not be empty")
            return BAD
        self._report.note_kept(path, kept, of=len(node.items))
        return tuple(values)

    def _union(self, node: Node, kind: inspect.UnionType, path: Path) -> Any:  # noqa: ANN401
        choices = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        if len(choices) == 1:
            return self.read(node, choices[0], path)
        if isinstance(choices[0], inspect.BoolType):
            return self._bool(node, choices[1], path)
        for shape, wanted in ((Sequence, inspect.VarTupleType), (Mapping, inspect.DictType)):
            if isinstance(node, shape):
                return self.read(
                    node, next(each for each in choices if isinstance(each, wanted)), path
                )
        return self._expected("a list or a mapping", path)

    def _str(self, node: Node, kind: inspect.StrType, path: Path) -> Any:  # noqa: ANN401
        expanded = self._text(node, path)
        if expanded is None:
            return BAD
        text = expanded.text
        if len(text) < (kind.min_length or 0):
            return self._bad(path, "must not be empty")
        if kind.pattern is not None and not re.fullmatch(kind.pattern, text):
            from sidecar.config.hints import wrong_text

            return self._bad(path, wrong_text(kind.pattern, self._among))
        return ExpandedText(text) if expanded.is_from_outside else text

    def _secret(self, node: Node, _: inspect.CustomType, path: Path) -> Any:  # noqa: ANN401
        expanded = self._text(node, path)
        if expanded is None:
            return BAD
        assert isinstance(node, Scalar)  # else there were no text
        source = None
        if expanded.files:
            source = SecretSource(node.text, expanded.files, self._expander.read_again)
        return Secret(expanded.text, source)

    def _bool(self, node: Node, kind: inspect.Type, path: Path) -> Any:  # noqa: ANN401
        words = kind.values if isinstance(kind, inspect.LiteralType) else ()
        if isinstance(node, Scalar) and node.text in words:
            return node.text
        value = self._typed(node, lambda text: text if text in words else to_bool(text), path)
        is_none, expected = value is None, " or ".join(("true or false", *map(str, words)))
        return self._expected(expected, path) if is_none else value

    def _int(self, node: Node, kind: inspect.IntType, path: Path) -> Any:  # noqa: ANN401
        value = self._typed(node, to_int, path)
        if value is None:
            return self._expected("a whole number", path)
        return self._ranged(value, kind, path)

    def _float(self, node: Node, kind: inspect.FloatType, path: Path) -> Any:  # noqa: ANN401
        value = self._typed(node, to_float, path)
        is_none = value is None
        return self._expected("a number", path) if is_none else self._ranged(value, kind, path)

    def _literal(self, node: Node, kind: inspect.LiteralType, path: Path) -> Any:  # noqa: ANN401
        choices = [str(each) for each in kind.values]
        expanded = self._text(node, path, " or ".join(choices))
        return BAD if expanded is None else self._choose(expanded.text, choices, path)

    def _enum(self, node: Node, kind: inspect.EnumType, path: Path) -> Any:  # noqa: ANN401
        expanded = self._text(node, path)
        if expanded is None:
            return BAD
        return self._member(expanded.text, kind, path)

    def _member(self, text: str, kind: inspect.EnumType, path: Path) -> Any:  # noqa: ANN401
        value = self._choose(text, [each.value for each in kind.cls], path)
        return BAD if value is BAD else kind.cls(value)

    def _choose(self, text: str, choices: list[str], path: Path) -> Any:  # noqa: ANN401
        if text in choices:
            return text
        refusal = why_refused(path, text)
        if refusal is not None:
            return self._bad(path, refusal)
        return self._bad(path, f"expected {' or '.join(choices)}{did_you_mean(text, choices)}")

    def _text(
        self, node: Node, path: Path, wanted: str = "text; put it in quotes"
    ) -> Expanded | None:
        """Return a scalar's text after expansion; None, with a problem reported, if it has none."""
        if not isinstance(node, Scalar):
            self._expected("text", path)
            return None
        expanded = self._expand(node, path)
        is_written_so = expanded is not None and node.is_plain and not expanded.is_changed
        if is_written_so and not is_text(node.text):
            self._bad(path, "has no value" if is_null(node.text) else f"expected {wanted}")
            return None
        return expanded

    def _typed(self, node: Node, parse: Callable[[str], Any], path: Path) -> Any:  # noqa: ANN401
        """Return a scalar's value by the core schema: None where it is of another type, `BAD` where
        a problem has been reported already.
        """
        if not isinstance(node, Scalar):
            return None
        expanded = self._expand(node, path)
        if expanded is None:
            return BAD
        # A quoted value is text, unless the quotes are around a reference, which many people quote
        # out of habit.
        return parse(expanded.text) if node.is_plain or expanded.is_changed else None

    def _expand(self, node: Scalar, path: Path) -> Expanded | None:
        expanded = self._expander.expand(node.text)
        self._report.note_expanded(path, is_from_outside=expanded.is_from_outside)
        for problem in expanded.problems:
            self._report.problem(path, problem)
        return None if expanded.problems else expanded

    def _ranged(self, value: Any, kind: inspect.IntType | inspect.FloatType, path: Path) -> Any:  # noqa: ANN401
        if value is BAD:
            return BAD
        if kind.gt is not None and value <= kind.gt:
            return self._bad(path, f"must be above {kind.gt}")
        if kind.ge is not None and value < kind.ge:
            return self._bad(path, f"must be at least {kind.ge}")
        if kind.le is not None and value > kind.le:
            return self._bad(path, f"must be at most {kind.le}")
        return value

    def _unknown(self, path: Path, key: str, known: list[str], among: Mapping) -> None:
        kind = among.get("type")
        named = kind.value.text if kind is not None and isinstance(kind.value, Scalar) else ""
        if why_refused((*path[:-1], "type"), named):
            return  # all of the mapping is refused, in one line
        from sidecar.config.hints import unknown_key

        message = why_refused(path) or unknown_key(path, key, among)
        self._report.problem(path, message or f"unknown key {quote(key)}{did_you_mean(key, known)}")

    def _note(self, path: Path, line: int, node: Node) -> None:
        self._report.note_place(path, Place(line, node.text if isinstance(node, Scalar) else None))

    def _expected(self, what: str, path: Path) -> Any:  # noqa: ANN401
        return self._bad(path, f"expected {what}")

    def _bad(self, path: Path, message: str) -> Any:  # noqa: ANN401
        self._report.problem(path, message)
        return BAD


def bare(kind: inspect.Type) -> inspect.Type:
    """Return a type without the metadata around it."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_plain and is_null(node.text)


def _may_be_null(field: inspect.Field) -> bool:
    """Return whether a key without a value means the default, as for a section whose keys are all
    commented out, or for an optional key.
    """
    return not field.required and isinstance(
        bare(field.type), (*_CONTAINERS, inspect.UnionType, inspect.AnyType)
    )
