"""Two configs are compared key by key, and no secret is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.config.changes import Changes, changes_between
from tests.config.loading import load

ONE = {"model": "openai/gpt-4o", "access_key": "sk-1"}
OTHER = {"model": "anthropic/claude", "access_key": "sk-2", "name": "eu"}
ROUTE = {"name": "code", "description": "d", "models": ["openai/gpt-4o"]}


def _changes(old: dict[str, Any], new: dict[str, Any], **environ: str) -> Changes:
    """Compare two configs; ``model_providers`` is `ONE` where they do not say."""
    before, after = (
        load(json.dumps({"model_providers": [ONE], **each}), **environ) for each in (old, new)
    )
    return changes_between(before, after)


def _lines(old: dict[str, Any], new: dict[str, Any], **environ: str) -> tuple[str, ...]:
    return _changes(old, new, **environ).lines


def test_equal_configs_have_no_changes():
    """Whatever they hold, and in whichever order their keys stand."""
    config = {"model_aliases": {"fast": {"target": "gpt-4o"}}, "limits": {"attempts": 2}}

    assert Changes() == _changes(config, dict(reversed(config.items())))


@pytest.mark.parametrize(
    ("key", "old", "new", "lines"),
    [
        ("model_providers", [ONE], [ONE, OTHER], ("+ model eu",)),
        ("model_providers", [ONE, OTHER], [OTHER], ("- model openai/gpt-4o",)),
        (
            "model_providers",
            [ONE, OTHER],
            [OTHER, ONE],
            ("~ model_providers: in another order",),
        ),
        (
            "model_providers",
            [ONE],
            [ONE | {"price": {"input": 0.5}, "fallbacks": ["gpt-4o"]}],
            ("~ model openai/gpt-4o: price.input unset -> 0.5, fallbacks [] -> [gpt-4o]",),
        ),
        ("routing_preferences", [], [ROUTE], ("+ route code",)),
        (
            "routing_preferences",
            [ROUTE],
            [ROUTE | {"selection_policy": {"prefer": "none"}, "models": ["gpt-4o"]}],
            ("~ route code: models [openai/gpt-4o] -> [gpt-4o]",),
        ),
        (
            "routing_preferences",
            [ROUTE],
            [ROUTE | {"description": "e" * 61}],
            ("~ route code: description changed",),
        ),
        ("model_aliases", {"a": {"target": "gpt-4o"}}, {}, ("- alias a",)),
        (
            "model_aliases",
            {"a": {"target": "gpt-4o"}},
            {"a": {"target": "openai/gpt-4o"}},
            ("~ alias a: target gpt-4o -> openai/gpt-4o",),
        ),
        (
            "model_metrics_sources",
            [{"type": "cost", "provider": "models.dev"}],
            [{"type": "cost", "provider": "models.dev", "refresh_interval": 60}],
            ("~ source cost models.dev: refresh_interval unset -> 60",),
        ),
        (
            "passthrough",
            [],
            [{"path": "/v1/files", "provider": "openai"}],
            ("+ path /v1/files",),
        ),
        ("propagate", [], ["x-team"], ("~ propagate [] -> [x-team]",)),
        ("limits", {}, {"in_flight": 5}, ("~ limits.in_flight 1024 -> 5",)),
        ("access_log", {}, {"sample": 0.5}, ("~ access_log.sample 0.01 -> 0.5",)),
        ("listeners", [{}], [{"allow_origins": ["https://a"]}],
         ("~ listeners[0].allow_origins [] -> [https://a]",)),
        ("admin", {}, {"mutations": True}, ("~ admin.mutations false -> true",)),
    ],
)  # fmt: skip
def test_a_change_is_a_line(key, old, new, lines):
    """One for each entry that came, went or differs, and one for each other key."""
    assert lines == _lines({key: old}, {key: new})


def test_what_is_gone_stands_first():
    """Then what differs or came, in the order of the new config."""
    old = {"model_providers": [ONE, OTHER], "limits": {"attempts": 1}}
    new = {"model_providers": [OTHER | {"name": "us"}, ONE | {"default": True}]}

    assert (
        "- model eu",
        "+ model us",
        "~ model openai/gpt-4o: default false -> true",
        "~ limits.attempts 1 -> 3",
    ) == _lines(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"access_key": "marked-1"}, {"access_key": "marked-2"}),
        ({"access_key": "marked-1"}, {"access_key": "$KEY"}),
        ({"headers": {"x-a": "marked-1"}}, {"headers": {"x-a": "marked-2"}}),
        ({"base_url": "$URL"}, {"base_url": "http://marked.example"}),
        ({"tls": {"server_name": "$KEY"}}, {}),
    ],
)
def test_a_secret_has_only_changed(old, new):
    """Neither what it was nor what it is can be read from a line; what came out of the environment
    counts as one.
    """
    environ = {"KEY": "marked-3", "URL": "http://marked.other"}
    entry = {"model": "openai/gpt-4o", "access_key": "sk"}
    configs: list[dict[str, Any]] = [{"model_providers": [entry | each]} for each in (old, new)]
    (key,) = (old.keys() | new.keys()) - {"model"}

    (line,) = _lines(configs[0], configs[1], **environ)
    assert line.startswith(f"~ model openai/gpt-4o: {key}")
    assert line.endswith(" changed")
    assert "marked" not in line


def test_a_path_out_of_the_environment_is_masked():
    """Though it names its entry; two of them are one subject."""
    entries = [{"path": f"${name}", "provider": "openai"} for name in ("A", "B")]
    old = {"passthrough": [entries[0]]}
    environ = {"A": "/marked-1", "B": "/marked-2"}

    assert ("+ path ***",) == _lines({}, old, **environ)
    (line,) = _lines(old, {"passthrough": entries}, **environ)
    assert line.startswith("~ path ***: ")
    assert "marked" not in line


def test_an_entry_whose_key_is_found_comes():
    """One that is optional and left out is no model yet, and is named as such."""
    entries = [ONE, {"model": "groq/a", "access_key": "$KEY", "optional": True}]
    config = json.dumps({"model_providers": entries})
    without, with_key = load(config), load(config, KEY="sk")

    assert ("- left-out model groq/a", "+ model groq/a") == changes_between(without, with_key).lines
    assert ("- model groq/a", "+ left-out model groq/a") == changes_between(with_key, without).lines


def test_a_line_is_one_line():
    """Whatever name the file gives to an entry."""
    named = {"model_providers": [ONE | {"name": "a\n- model b"}, OTHER | {"name": "n" * 250}]}
    (first, second, third) = _lines({}, named)

    assert ("- model openai/gpt-4o", r"+ model 'a\n- model b'") == (first, second)
    assert third.startswith("+ model 'nnn")
    assert len(third) < 100


REDIS = {"type": "redis", "url": "redis://h"}


@pytest.mark.parametrize(
    ("old", "new", "restart"),
    [
        ({}, {"listeners": [{"port": 1}]}, ("listeners[0].port 12000 -> 1",)),
        ({}, {"listeners": [{"address": "::1"}]}, ("listeners[0].address unset -> ::1",)),
        ({}, {"listeners": [{"allow_origins": ["https://a"]}]}, ()),
        ({}, {"admin": {"port": 1, "mutations": True}}, ("admin.port 9901 -> 1",)),
        ({}, {"admin": {"operator_address": "off"}}, ("admin.operator_address unset -> off",)),
        ({}, {"routing": {"session_cache": REDIS}},
         ("routing.session_cache.type memory -> redis", "routing.session_cache.url changed")),
        ({}, {"routing": {"session_cache": {"tls": {"ca_file": "/etc/hosts"}}}},
         ("routing.session_cache.tls.ca_file unset -> /etc/hosts",)),
        ({}, {"routing": {"session_cache": {"tenant_header": "x-org"}}}, ()),
        ({}, {"logging": {"format": "json", "level": "debug"}},
         ("logging.format unset -> json",)),
        ({}, {"limits": {"in_flight": 1}, "drain": {"grace_s": 1}}, ()),
        ({}, {"routing": {"session_ttl_seconds": 1, "session_cache": {"call_budget_ms": 1}}}, ()),
        ({}, {"tracing": {"random_sampling": 1}},
         ("tracing.random_sampling unset -> 1",)),
        ({"tracing": {"random_sampling": 1}}, {"tracing": {"random_sampling": 2}}, ()),
        ({"tracing": {"random_sampling": 1}}, {"tracing": {}}, ()),
        ({"tracing": {"random_sampling": 1}},
         {"tracing": {"random_sampling": 1, "otlp_endpoint": "http://h:1"}},
         ("tracing.otlp_endpoint unset -> http://h:1",)),
    ],
)  # fmt: skip
def test_what_needs_a_restart_is_named(old, new, restart):
    """The keys that are read once; the others take effect at once."""
    assert restart == _changes(old, new).restart


@pytest.mark.parametrize(
    ("key", "old", "new", "restart"),
    [
        ("password", "one", "two", ()),
        ("username", "one", "two", ()),
        ("url", "redis://a:one@h", "redis://b:two@h", ()),
        ("url", "redis://h", "redis://other", ("routing.session_cache.url changed",)),
    ],
)
def test_a_login_out_of_a_file_is_followed_without_a_restart(tmp_path, key, old, new, restart):
    """It is read again for each connection; another server is not followed."""
    file, loaded = tmp_path / "secret", []
    cache = {"type": "redis", "url": "redis://h", key: f"${{file:{file}}}"}
    config = {"model_providers": [ONE], "routing": {"session_cache": cache}}
    for text in (old, new):
        file.write_text(text)
        loaded.append(load(json.dumps(config)))
    changes = changes_between(*loaded)

    assert (f"~ routing.session_cache.{key} changed",) == changes.lines
    assert restart == changes.restart


def test_a_login_from_elsewhere_needs_a_restart():
    """As does one that comes to stand in a file, or in another one."""
    old, new = (
        {"routing": {"session_cache": {"type": "redis", "url": "redis://h", "password": text}}}
        for text in ("one", "two")
    )

    assert ("routing.session_cache.password changed",) == _changes(old, new).restart
