"""Secrets are shown by nothing but `reveal`."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from sidecar.config.secret import Secret
from tests.config.loading import load


def test_every_way_of_printing():
    """repr, str, format and f-strings show three stars; only `reveal` gives the text."""
    secret = Secret("sk-1")
    assert [repr(secret), str(secret), f"{secret}", f"{secret:>20}", "%s" % secret] == ["***"] * 5  # noqa: UP031
    assert secret.reveal() == "sk-1"


def test_value_semantics():
    """Two secrets of one text are equal, so that a reload can tell what changed; an empty one is
    false.
    """
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert [bool(Secret("")), bool(Secret("x"))] == [False, True]


@pytest.mark.parametrize("leak", [pickle.dumps, copy.deepcopy, copy.copy, json.dumps])
def test_cannot_be_serialised(leak):
    """Nothing writes a secret out by accident."""
    with pytest.raises(TypeError):
        leak(Secret("sk-1"))


def test_redacted_shows_no_secret(tmp_path):
    """Keys, header values, Redis URLs, passwords, whatever came from a file and user info in URLs
    are masked.
    """
    (tmp_path / "t").write_text("S3CRET {routes} {conversation}")
    text = f"""
model_providers:
  - {{model: openai/a, access_key: S3CRET, headers: {{x-tenant: S3CRET}}}}
model_metrics_sources: [{{type: latency, provider: prometheus, url: "http://u:S3CRE@T@h/p?token=S3CRET", query: up}}]
routing:
  prompt_template: ${{file:{tmp_path}/t}}
  session_cache: {{type: redis, url: "redis://u:S3CRET@h", password: $P, tenant: t}}
tracing: {{otlp_endpoint: "http://S3CRET@otel:4318", exporters: [{{api_key: S3CRET}}]}}
"""
    loaded = load(text, P="S3CRET")
    shown = loaded.shown
    assert "S3CRE" not in json.dumps(shown)
    assert "S3CRET {routes}" not in repr(loaded.config)
    assert shown["model_providers"][0]["headers"] == {"x-tenant": "***"}
    assert shown["routing"]["prompt_template"] == "***"
    assert shown["model_metrics_sources"][0]["url"] == "http://***@h/p?***"
    assert shown["tracing"]["otlp_endpoint"] == "http://***@otel:4318"
    assert shown["routing"]["session_ttl_seconds"] == 600


def test_repr_of_providers():
    """A provider in a log line shows neither its key nor its header values."""
    loaded = load(
        "model_providers: [{model: openai/a, access_key: S3CRET, headers: {x-a: S3CRET}}]"
    )
    assert "S3CRET" not in repr(loaded)


def test_a_secret_out_of_a_file_can_be_read_again(tmp_path):
    """What stands there now, and nothing where that cannot be read; what came from elsewhere stays
    as it is.
    """
    file = tmp_path / "key"
    file.write_text("old\n")
    config = load(
        "model_providers:\n"
        f"  - {{model: openai/a, access_key: 'sk-${{file:{file}}}', default: true}}\n"
        "  - {model: openai/b, access_key: plain}\n",
    ).config
    from_file, plain = (entry.access_key for entry in config.model_providers)
    assert from_file is not None
    assert plain is not None
    assert from_file is from_file.renewed()
    assert plain is plain.renewed()
    file.write_text("new\n")
    renewed = from_file.renewed()
    file.unlink()
    gone = from_file.renewed()

    assert [Secret("sk-new"), Secret("")] == [renewed, gone]
    file.write_text("newer")
    assert Secret("sk-newer") == gone.renewed()


def test_secrets_of_one_source_are_known_as_such(tmp_path):
    """The same value of the same file is read once for all that have it."""
    file = tmp_path / "key"
    file.write_text("k")
    values = (f"${{file:{file}}}", f"${{file:{file}}}", f"x-${{file:{file}}}")
    entries = "".join(
        f"  - {{model: openai/{at}, access_key: '{value}'}}\n" for at, value in enumerate(values)
    )
    providers = load(f"model_providers:\n{entries}").providers
    keys = [each.access_key for each in providers]
    first, second, third = [None if key is None else key.source for key in keys]

    assert (first, hash(first)) == (second, hash(second))
    assert first != third
    assert first != "x"
    assert third is not None
    assert (file,) == third.files
