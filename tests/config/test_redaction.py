"""No secret is shown of a config, whichever key it stands under: every key of the schema is tried."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import inspect

from sidecar.config.decode import BAD, Decoder
from sidecar.config.expand import Expander
from sidecar.config.report import Report
from sidecar.config.schema import Config
from sidecar.config.schema_providers import MODEL_PATTERN, PATH_PATTERN
from sidecar.config.schema_routing import BODY_KEY_PATTERN, KEY_PREFIX_PATTERN
from sidecar.config.secret import ExpandedText, redacted
from sidecar.config.yaml_nodes import read_document
from tests.config.loading import load

MARK = "S3CRET"
SHAPES = {
    MODEL_PATTERN: "openai/{}",
    PATH_PATTERN: "/{}",
    BODY_KEY_PATTERN: "{}",
    KEY_PREFIX_PATTERN: "{}",
    None: "{}",
}
"""Pattern of a text -> a text that fits it, around a marked part."""
AT_LEAST = 55
"""Texts and secrets that the schema has: a walk that finds fewer has overlooked some."""


class _Planter:
    """Makes a config with a marked text in every place that takes one.

    Args: ``plant`` returns what stands in the file for the text that is to be read there.
    """

    def __init__(self, plant: Any) -> None:
        self.planted = 0
        self._plant = plant

    def tree(self, kind: inspect.Type) -> Any:
        """A value of a type, as the file would hold it."""
        if isinstance(kind, inspect.Metadata):
            return self.tree(kind.type)
        if isinstance(kind, inspect.StructType):
            return {field.encode_name: self.tree(field.type) for field in kind.fields}
        if isinstance(kind, inspect.UnionType):
            choices = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            return self.tree(choices[-1])
        if isinstance(kind, inspect.VarTupleType):
            return [self.tree(kind.item_type)]
        if isinstance(kind, inspect.DictType):
            is_closed = isinstance(kind.key_type, inspect.EnumType)
            return {"chat" if is_closed else "x-key": self.tree(kind.value_type)}
        return self._leaf(kind)

    def _leaf(self, kind: inspect.Type) -> Any:
        if isinstance(kind, inspect.StrType):
            return self._text(kind.pattern)
        if isinstance(kind, inspect.CustomType | inspect.AnyType):
            return self._text(None)
        if isinstance(kind, inspect.LiteralType):
            return kind.values[0]
        if isinstance(kind, inspect.EnumType):
            return next(iter(kind.cls)).value
        if isinstance(kind, inspect.IntType):
            return kind.ge or 1
        return kind.__class__ is not inspect.BoolType and 1

    def _text(self, pattern: str | None) -> str:
        self.planted += 1
        return str(
            self._plant(self.planted, SHAPES[pattern].format(f"{MARK}{self.planted}"), pattern)
        )


def _dump(planter: _Planter, environ: dict[str, str], folder: Any) -> str:
    tree = read_document(json.dumps(planter.tree(inspect.type_info(Config)))).root
    assert tree is not None
    report = Report("c.yaml")
    config = Decoder(Expander(environ, folder), report).read(tree, inspect.type_info(Config))

    assert ([], True) == (report.problems, config is not BAD)
    assert planter.planted >= AT_LEAST
    return json.dumps(redacted(config))


def test_nothing_out_of_the_environment_is_shown(tmp_path):
    """Under whichever key."""
    environ: dict[str, str] = {}

    def plant(number: int, text: str, _: str | None) -> str:
        environ[f"V{number}"] = text
        return f"${{V{number}}}"

    assert MARK not in _dump(_Planter(plant), environ, tmp_path)


def test_nothing_out_of_a_file_is_shown(tmp_path):
    """Under whichever key."""

    def plant(number: int, text: str, _: str | None) -> str:
        (tmp_path / f"f{number}").write_text(text)
        return f"${{file:f{number}}}"

    assert MARK not in _dump(_Planter(plant), {}, tmp_path)


def test_no_user_password_or_query_of_a_url_is_shown(tmp_path):
    """Wherever a text may be a URL."""

    def plant(_: int, text: str, pattern: str | None) -> str:
        if pattern is not None:
            return text.replace(MARK, "open")
        return f"https://u:{MARK}@h.example/p?token={MARK}"

    assert MARK not in _dump(_Planter(plant), {}, tmp_path)


def test_a_loaded_config_has_ordinary_texts_and_shows_none_that_came_from_outside():
    """JSON encoders take no subclass of a text; a route's name goes into the router's prompt."""
    text = """
model_providers:
  - {model: "openai/${M}", name: $N, access_key: k, base_url: "http://$H/v1", default: true}
routing_preferences: [{name: $R, description: $R, models: [$N]}]
model_aliases: {x: {target: $N}}
passthrough: [{path: "/v1/$M", provider: $N}]
"""
    values = {"M": "marked-m", "N": "marked-n", "H": "marked-h", "R": "marked-r"}
    loaded = load(text, **values)
    config, provider = loaded.config, loaded.providers[0]
    texts = [
        provider.name,
        provider.model,
        provider.model_id,
        provider.server.host,
        config.routing_preferences[0].name,
        config.routing_preferences[0].models[0],
        config.model_aliases["x"].target,
        config.passthrough[0].path,
    ]

    assert {str} == set(map(type, texts))
    assert b"marked-r" in msgspec.json.encode([texts, config.routing_preferences])
    assert "marked" not in json.dumps(loaded.shown)
    assert "marked" not in repr(config)
    assert [{"path": "***", "provider": "***"}] == loaded.shown["passthrough"]


def test_a_text_from_outside_is_masked_in_a_repr_too():
    """A traceback or a debugger shows it so."""
    assert MARK not in repr({"api": ExpandedText(MARK)})
