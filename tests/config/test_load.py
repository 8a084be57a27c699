"""A config file is read whole: every problem at once, each with its line; nothing secret in any of
them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.config.load import load_config
from sidecar.config.secret import Secret
from sidecar.domain.errors import ConfigError
from tests.config.loading import ONE_PROVIDER, load, problems, warnings

CONTRACT = """
version: v0.4.0
listeners: [{type: model, name: llm, address: 127.0.0.1, port: 12000}]
admin: {address: 0.0.0.0, port: 9901}
model_providers:
  - model: openai/gpt-4o-mini
    access_key: $OPENAI_API_KEY
    default: true
  - model: anthropic/claude-sonnet-4-5
    access_key: ${ANTHROPIC}
    price: {input: 3.0, output: 15.0, cached_input: 0.3}
  - model: plano/Arch-Router
    base_url: http://router.llm.svc:8000
model_aliases: {fast: {target: openai/gpt-4o-mini}}
routing_preferences:
  - name: code generation
    description: writing new functions, scripts or boilerplate
    models: [anthropic/claude-sonnet-4-5, openai/gpt-4o-mini]
    selection_policy: {prefer: cheapest}
model_metrics_sources:
  - {type: latency, provider: prometheus, url: http://prometheus:9090, query: "up", refresh_interval: 60}
overrides: {llm_routing_model: plano/Arch-Router}
routing:
  session_ttl_seconds: 600
  session_max_entries: 100000
  session_headers: [x-model-affinity, x-claude-code-session-id]
  router_timeout_ms: 1000
  session_cache:
    type: redis
    url: rediss://user:pass@redis:6379/0
    tenant_header: x-org-id
    call_budget_ms: 20
    username: app
    password: ${REDIS}
    tls: {ca_file: /ca, cert_file: /cert, key_file: /key}
timeouts: {request_header_s: 10, request_body_s: 30, connect_s: 2, first_byte_s: 120, response_s: 600, stream_idle_s: 300}
drain: {quiet_s: 2, grace_s: 25}
limits: {in_flight: 1024, body_bytes: 33554432, buffered_bytes: 67108864, attempts: 3}
tracing: {random_sampling: 1, otlp_endpoint: http://otel:4318}
access_log: {mode: off, sample: 0.5}
passthrough: [{path: /v1/files, provider: openai}]
propagate: [x-app-version]
"""

_EACH_ENTRY = "; write an entry for each model: - model: openai/gpt-4o"


def test_the_long_example_loads():
    """An example with nearly every key is a valid config, and its values arrive under names with
    units.
    """
    config = load(CONTRACT, OPENAI_API_KEY="sk-1", ANTHROPIC="sk-2", REDIS="pw").config
    assert (config.listeners[0].port, config.listeners[0].addresses) == (12000, ("127.0.0.1",))
    assert (config.admin.port, config.admin.addresses) == (9901, ("0.0.0.0",))
    assert Secret("sk-1") == config.model_providers[0].access_key
    assert (config.routing.session_ttl_s, config.model_metrics_sources[0].refresh_interval_s) == (
        600,
        60,
    )
    assert (config.tracing.random_sampling_percent, config.access_log.mode) == (1.0, "off")
    assert config.model_aliases["fast"].target == "openai/gpt-4o-mini"


def test_unbuilt_rooms_warn():
    """A key whose room does not stand yet loads with one warning, at its line."""
    reported = warnings(CONTRACT, OPENAI_API_KEY="sk-1", ANTHROPIC="sk-2", REDIS="pw")
    assert not any("tracing" in line for line in reported)
    assert sorted(reported, key=lambda line: int(line.split(":")[0])) == reported


def test_smallest_config():
    """One provider is a config; all else has a default and nothing warns."""
    loaded = load(ONE_PROVIDER)
    config = loaded.config
    assert loaded.warnings == []
    assert (config.listeners[0].addresses, config.admin.addresses) == (
        ("127.0.0.1", "::1"),
        ("0.0.0.0", "::"),
    )
    assert (config.timeouts.request_header_s, config.timeouts.request_body_s) == (10.0, 30.0)
    assert (config.drain.quiet_s, config.drain.grace_s) == (2.0, 25.0)
    assert (
        config.limits.in_flight,
        config.limits.body_bytes,
        config.limits.memory_bytes,
        config.limits.buffered_bytes,
        config.limits.attempts,
    ) == (1024, 33554432, None, None, 3)
    assert not loaded.is_zero_config


@pytest.mark.parametrize(
    "where", ["listeners: [{address: localhost}]", "admin: {address: localhost}"]
)
def test_localhost_is_both_loopbacks(where):
    """``localhost`` is bound in both address families."""
    config = load(ONE_PROVIDER + where).config
    assert ("127.0.0.1", "::1") in {config.listeners[0].addresses, config.admin.addresses}


def test_every_problem_at_once():
    """One reading tells all: unknown keys with a guess, types, ranges, variables, names,
    duplicates.
    """
    text = """version: v0.5
agents: []
listners: []
model_providers:
  - model: gpt-4o
    acess_key: x
    default: yes
  - model: openai/x
    access_key: $NOPE
    timeouts: {connect_s: 0, connect_s: 3}
  - {model: foo/x}
limits: {in_flight: 0, attempts: two}
routing: [a]
propagate: [authorization]
model_aliases: {fast: {target: openai/y}}
"""
    assert problems(text) == [
        "1: version: expected 0.1-beta or 0.2.0 or v0.1 or v0.1.0 or v0.2.0 or v0.3.0 or v0.4.0; did you mean 'v0.1'?",
        "2: agents: is not served: this sidecar serves model listeners, not agents, prompts or filters",
        "3: listners: unknown key 'listners'; did you mean 'listeners'?",
        "5: model_providers[0].model: must be provider/model, or provider/* for all of a provider's models; write openai/gpt-4o",
        "6: model_providers[0].acess_key: unknown key 'acess_key'; did you mean 'access_key'?",
        "7: model_providers[0].default: expected true or false",
        "9: model_providers[1].access_key: environment variable NOPE is not set",
        "10: key 'connect_s' stands twice; first on line 10",
        "10: model_providers[1].timeouts.connect_s: must be above 0",
        "11: model_providers[2].model: the prefix of 'foo/x' is not built in: it needs base_url and provider_interface",
        "12: limits.in_flight: must be at least 1",
        "12: limits.attempts: expected a whole number",
        "13: routing: expected a mapping",
        "14: propagate[0]: 'authorization' is a credential; use passthrough_auth of a provider",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1: the file is empty"]),
        ("# only this\n", ["1: the file is empty"]),
        ("~", ["1: the file is empty"]),
        ("- a\n", ["1: expected a mapping of keys such as model_providers"]),
        ("just text", ["1: expected a mapping of keys such as model_providers"]),
        ("a: [", ["2: not YAML: did not find expected node content"]),
        (b"a: \xff\n", [" is not UTF-8"]),
        ("listeners: []\n", ["1: listeners: must not be empty", "1: needs model_providers"]),
        ("model_providers: {}\n", [f"1: model_providers: expected a list{_EACH_ENTRY}"]),
        ("model_providers: []\n", ["1: model_providers: must not be empty"]),
        ("model_providers:\n", [f"1: model_providers: expected a list{_EACH_ENTRY}"]),
        ("llm_providers: x\n", [f"1: model_providers: expected a list{_EACH_ENTRY}"]),
        ("model_providers: [x]\n", ["1: model_providers[0]: expected a mapping"]),
    ],
)
def test_files_that_are_no_config(text, expected):
    """A file that cannot be a config at all says so in one line."""
    assert expected == problems(text)


def test_missing_file(tmp_path):
    """A file that is not there is named."""
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "no.yaml", {})
    assert [
        f"{tmp_path}/no.yaml: cannot be read: No such file or directory"
    ] == caught.value.problems


def test_too_large():
    """The file's size is bounded."""
    assert problems(b"#" * (4 << 20) + b"#") == [" is larger than 4194304 bytes"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("admin: {port: 65536}", ["2: admin.port: must be at most 65535"]),
        ("admin: {port: -1}", ["2: admin.port: must be at least 0"]),
        ("admin: {port: '9901'}", ["2: admin.port: expected a whole number"]),
        ("admin: {port: [1]}", ["2: admin.port: expected a whole number"]),
        ("admin: {port: $P}", ["2: admin.port: environment variable P is not set"]),
        ("admin: {mutations: on}", ["2: admin.mutations: expected true or false"]),
        ("admin: {address: ''}", ["2: admin.address: must not be empty"]),
        ("admin: {address: 5}", ["2: admin.address: expected text; put it in quotes"]),
        ("admin: {address: {a: b}}", ["2: admin.address: expected text"]),
        ("propagate: [~]", ["2: propagate[0]: has no value"]),
        ("propagate: {a: b}", ["2: propagate: expected a list"]),
        ("timeouts: {response_s: .inf}", ["2: timeouts.response_s: expected a number"]),
        ("drain: {quiet_s: -1}", ["2: drain.quiet_s: must be at least 0"]),
        (
            "access_log: {mode: error}",
            ["2: access_log.mode: expected all or errors or off; did you mean 'errors'?"],
        ),
        ("access_log: {mode: [x]}", ["2: access_log.mode: expected text"]),
        ("access_log: {sample: 2}", ["2: access_log.sample: must be at most 1"]),
        (
            "model_aliases: [a]",
            [
                "2: model_aliases: expected a mapping; write the name as the key: fast: {target: openai/gpt-4o}"
            ],
        ),
        ("model_aliases: {a: {}}", ["2: model_aliases.a: needs target"]),
        ('"two\\nlines": 1', ["2: 'two\\nlines': unknown key 'two\\nlines'"]),
    ],
)
def test_single_values(line, expected):
    """Each wrong value is reported in words, at its path."""
    assert expected == problems(ONE_PROVIDER + line)


@pytest.mark.parametrize(
    "line",
    [
        "timeouts:",
        "limits: ~",
        "propagate:",
        "model_aliases: null",
        "admin: {address: ~}",
        "ratelimits:",
        "admin:\n  # port: 1\n",
    ],
)
def test_no_value_is_the_default(line):
    """A section whose keys are all commented out is as if it were not there."""
    expected = load(ONE_PROVIDER).config
    assert expected == load(ONE_PROVIDER + line).config


def test_references_take_the_type_of_their_key():
    """An expanded scalar is a number where one is needed, quoted or not, and stays text where text
    is needed.
    """
    text = """
model_providers: [{model: openai/a, access_key: $N, name: "${N}"}]
admin: {port: $N, mutations: "$T"}
timeouts: {connect_s: "${X:-0.5}"}
access_log: {mode: $M}
"""
    config = load(text, N="12345", T="true", M="all").config
    assert (Secret("12345"), "12345") == (
        config.model_providers[0].access_key,
        config.model_providers[0].name,
    )
    assert (
        config.admin.port,
        config.admin.mutations,
        config.timeouts.connect_s,
        config.access_log.mode,
    ) == (12345, True, 0.5, "all")


def test_errors_quote_the_file_and_not_the_environment():
    """A value from the environment or a file is reported by its reference only."""
    text = """
model_providers:
  - {model: openai/a, access_key: $S, name: $S}
  - {model: openai/b, access_key: $S, name: $S, base_url: "http://u:$S@h", http_host: "$S !", headers: {a: "$S\\n"}}
  - {model: $S, dialects: [$S], default: $S}
admin: {port: $S, address: $S}
model_aliases: {a: {target: $S}}
routing: {session_cache: {type: $S, url: $S}}
propagate: [$S]
"""
    reported = "\n".join(problems(text, S="sk-VERY secret"))
    assert "VERY" not in reported
    assert "4: model_providers[1].name: name '$S' is taken by model_providers[0]" in reported


def test_optional_entry_whose_key_is_missing():
    """``optional`` leaves an entry out with a warning: an undefined variable or missing file is no
    error then.
    """
    text = """
model_providers:
  - {model: openai/a, access_key: $K, default: true}
  - {model: openai/b, access_key: $NOPE, optional: true}
  - {model: openai/c, access_key: "${file:/no/such}", optional: $T}
  - {model: openai/d, access_key: "${NOPE:-}", optional: true}
  - {model: openai/e, optional: true}
  - {model: openai/f, access_key: $K, optional: true}
model_aliases: {fast: {target: openai/b}}
"""
    loaded = load(text, K="k", T="true")
    assert [provider.name for provider in loaded.providers] == ["openai/a", "openai/f"]
    assert len(loaded.warnings) == 4
    assert loaded.warnings[0].endswith(
        "c.yaml:4: model_providers[1]: is left out: it is optional and its access_key is missing"
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            "{model: openai/b, access_key: $NOPE, optional: false}",
            "access_key: environment variable NOPE is not set",
        ),
        ("{model: openai/b, access_key: [x], optional: true}", "access_key: expected text"),
        (
            "{model: openai/b, access_key: $NOPE, optional: [x]}",
            "access_key: environment variable NOPE is not set",
        ),
        ("{model: openai/b, access_key: ''}", "access_key: is empty"),
    ],
)
def test_key_that_is_not_optional(entry, expected):
    """Without ``optional: true`` a missing key keeps the sidecar from starting."""
    assert any(expected in problem for problem in problems(f"model_providers: [{entry}]"))


def test_files_to_watch(tmp_path):
    """The config file and every file that it names are listed for the reload."""
    (tmp_path / "key").write_text("k\n")
    path = tmp_path / "c.yaml"
    path.write_text("model_providers: [{model: openai/a, access_key: '${file:key}'}]")
    loaded = load_config(path, {})
    assert (path, Path(tmp_path, "key")) == loaded.files
    assert Secret("k") == loaded.providers[0].access_key
