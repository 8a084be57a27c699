"""What contradicts itself, or names what is not there, keeps the sidecar from starting."""

from __future__ import annotations

import pytest

from sidecar.config.checks import check
from sidecar.config.checks_routing import check_routing
from sidecar.config.report import Report
from sidecar.config.schema import Config
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.schema_routing import Routing, RoutingPreference
from sidecar.wire.headers import _NEVER_PROPAGATED
from tests.config.loading import ONE_PROVIDER, load, problems, warnings

AGENTS = "is not served: this sidecar serves model listeners, not agents, prompts or filters"
ESCAPE = "; in a user or password @ : / ? # must be percent-encoded, or stand under username and password"
TWO = "model_providers:\n  - {model: openai/a, access_key: k}\n  - {model: groq/*, access_key: k}\n"
ROUTED = TWO + "overrides: {llm_routing_model: openai/a}\n"


def preference(**values: str) -> str:
    """A preferences section; line 5 in ROUTED."""
    given = {"name": "code", "description": "d", "models": "[openai/a]", **values}
    return (
        "routing_preferences: [{"
        + ", ".join(f"{key}: {value}" for key, value in given.items())
        + "}]\n"
    )


def test_a_config_of_defaults_contradicts_nothing():
    """One entry is enough."""
    report = Report("f")
    check(Config(model_providers=(ModelProvider(model="openai/a", is_default=True),)), report)

    assert ([], []) == (report.problems, report.warnings)


def test_contradictions_of_routing_are_all_reported():
    """The template's and the preferences' in one go."""
    report = Report("f")
    config = Config(
        model_providers=(ModelProvider(model="openai/a"),),
        routing=Routing(prompt_template="no placeholder"),
        routing_preferences=(RoutingPreference("other", "d", ("openai/a",)),),
    )
    check_routing(config, report)

    assert 2 == len(report.problems)
    assert 1 == len(report.warnings)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("{model: openai/a, access_key: k}",
         [("3: model_providers[1].model: name 'openai/a' is taken by model_providers[0]; "
          "entries of one model need names of their own")]),
        ("{model: openai/a, access_key: k, name: openai/a}",
         ["3: model_providers[1].name: name 'openai/a' is taken by model_providers[0]"]),
        ("{model: openai/b, access_key: k, name: openai/a}",
         ["3: model_providers[1].name: name 'openai/a' is taken by model_providers[0]"]),
        ("{model: openai/b, access_key: k, name: openai/c}\n  - {model: openai/c, access_key: k, name: c}",
         ["3: model_providers[1].name: name 'openai/c' is another entry's model"]),
        ("{model: openai/b, access_key: k, name: none}",
         ["3: model_providers[1].name: name 'none' cannot be asked for: it means the default"]),
        (f"{{model: openai/b, access_key: k, name: {'n' * 256}}}", []),
        (f"{{model: openai/b, access_key: k, name: {'n' * 257}}}",
         [f"3: model_providers[1].name: name '{'n' * 77}...' cannot be asked for: it is longer than 256 bytes"]),
        ("{model: openai/b, access_key: k, default: true}", []),
        ("{model: openai/b, access_key: k, default: true}\n  - {model: openai/c, access_key: k, default: true}",
         ["4: model_providers[2].default: there are two defaults; the other is model_providers[1]"]),
        ("{model: openai/*, access_key: k, default: true}",
         ["3: model_providers[1].default: a wildcard cannot be the default: it is no one model"]),
        ("{model: plano/R, base_url: 'http://r', default: true}",
         ["3: model_providers[1].default: a router model cannot be the default"]),
        ("{model: openai/a, access_key: k, name: second}", []),
        ("{model: openai/b, access_key: k, fallbacks: [openai/a]}", []),
        ("{model: openai/b, access_key: k, fallbacks: [openai/ab]}",
         ["3: model_providers[1].fallbacks[0]: 'openai/ab' is not a configured model; did you mean 'openai/b'?"]),
    ],
)  # fmt: skip
def test_provider_entries(second, expected):
    """Names are unique, entries of one model need them, one entry may be the default."""
    assert expected == problems(
        f"model_providers:\n  - {{model: openai/a, access_key: k}}\n  - {second}\n"
    )


@pytest.mark.parametrize("target", ["openai/a", "a", "groq/llama"])
def test_known_models(target):
    """A name, a model, a bare id and whatever a wildcard covers are configured models."""
    assert problems(f"{TWO}model_aliases: {{fast: {{target: {target}}}}}") == []


@pytest.mark.parametrize("target", ["openai/b", "groq/", "groq/*", "*", "fast"])
def test_unknown_models(target):
    """Anything else is not, another alias included: aliases do not chain."""
    reported = problems(f"{TWO}model_aliases: {{fast: {{target: '{target}'}}}}")
    assert [
        each.startswith(f"4: model_aliases.fast.target: '{target}' is not a configured model")
        for each in reported
    ] == [True]


def test_indices_are_those_of_the_file():
    """An unusable entry does not shift the places that are reported for the ones behind it."""
    text = (
        "model_providers: [x, {model: openai/a, access_key: k}, {model: openai/a, access_key: k}]"
    )
    assert problems(text) == [
        "1: model_providers[0]: expected a mapping",
        (
            "1: model_providers[2].model: name 'openai/a' is taken by model_providers[1]; "
            "entries of one model need names of their own"
        ),
    ]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (preference(), []),
        (preference(models="[openai/x]"),
         ["5: routing_preferences[0].models[0]: 'openai/x' is not a configured model; did you mean 'openai/a'?"]),
        (preference(models="[]"), ["5: routing_preferences[0].models: must not be empty"]),
        (preference(name="other"),
         ["5: routing_preferences[0].name: 'other' is what the router model answers where nothing fits"]),
        (preference(name='"a\\tb"'),
         ["5: routing_preferences[0].name: holds a control character; the name stands in a response header"]),
        (preference(selection_policy="{prefer: cheapest}"),
         [("5: routing_preferences[0].selection_policy.prefer: 'cheapest' needs a price on one of its models, "
          "or a source of type cost in model_metrics_sources")]),
        (preference(selection_policy="{prefer: cheapest}")
         + "model_metrics_sources: [{type: cost, provider: models.dev}]", []),
        (preference(selection_policy="{prefer: fastest}"), []),
        ("routing_preferences: [{name: x, description: d, models: [a]}, {name: x, description: d, models: [a]}]",
         ["5: routing_preferences[1].name: two preferences are named 'x'"]),
        ("routing: {prompt_template: 'only {routes}'}",
         ["5: routing.prompt_template: must hold {routes} and {conversation}"]),
        ("routing: {prompt_template: '{routes} {conversation}'}", []),
    ],
)  # fmt: skip
def test_preferences(section, expected):
    """Preferences name configured models under names of their own; ``cheapest`` needs a price."""
    assert expected == problems(ROUTED + section)


def test_cheapest_with_a_price():
    """A price on one of the models is enough."""
    text = "model_providers: [{model: openai/a, access_key: k, price: {input: 1}}]\n"
    assert problems(text + preference(selection_policy="{prefer: cheapest}")) == []


def test_preferences_without_router_model():
    """Preferences that nothing can match are worth a warning, not a failure."""
    expected = (
        "4: routing_preferences: without overrides.llm_routing_model nothing can be matched: "
        "every call uses the model that it requests"
    )
    assert expected in warnings(TWO + preference())


def test_unknown_router_model():
    """The router model is one of the entries."""
    expected = ["4: overrides.llm_routing_model: 'plano/R' is not a configured model"]
    assert expected == problems(TWO + "overrides: {llm_routing_model: plano/R}")


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("{type: latency, provider: prometheus, url: 'http://p', query: up}, {type: cost, provider: file, path: /p}", []),
        ("{type: cost, provider: prometheus}",
         ["4: model_metrics_sources[0]: prometheus tells latency; digitalocean, models.dev and file tell cost"]),
        ("{type: latency, provider: file}",
         ["4: model_metrics_sources[0]: prometheus tells latency; digitalocean, models.dev and file tell cost"]),
        ("{type: latency, provider: prometheus, url: 'http://p'}",
         ["4: model_metrics_sources[0]: prometheus needs url and query"]),
        ("{type: cost, provider: file}", ["4: model_metrics_sources[0]: file needs path"]),
        ("{type: latency, provider: prometheus, url: 'http://u:p@p:9090/x', query: up}", []),
        *[
            (f"{{type: latency, provider: prometheus, url: '{url}', query: up}}",
             ["4: model_metrics_sources[0]: its url must be one of http:// or https://, without blanks"])
            for url in ("prometheus:9090", "ftp://p", "http://", "http://p:x", "http://p:0", "http://p/a b", "http://[p")
        ],
        ("{type: cost, provider: models.dev}, {type: cost, provider: digitalocean}",
         ["4: model_metrics_sources[1]: there is a source of type cost already"]),
    ],
)  # fmt: skip
def test_sources(sources, expected):
    """One source of each type at most, with what its provider needs."""
    assert expected == problems(f"{TWO}model_metrics_sources: [{sources}]")


AFTER = (
    "the port after it, {}, is for operators' pages and {}; "
    "admin.operator_address names another place"
)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("listeners: [{port: 9901}]", ["4: listeners[0].port: is the admin port as well"]),
        ("listeners: [{port: 9901}]\nadmin: {address: 10.0.0.1}", []),
        ("listeners: [{port: 9901, address: 10.0.0.1}]\nadmin: {address: 10.0.0.1}",
         ["4: listeners[0].port: is the admin port as well"]),
        ("listeners: [{port: 9901, address: '::'}]\nadmin: {address: '::1'}",
         ["4: listeners[0].port: is the admin port as well"]),
        ("listeners: [{port: 0}]\nadmin: {port: 0}", []),
        ("admin: {port: 11999}", [f"4: admin.port: {AFTER.format(12000, 'is the data port')}"]),
        ("admin: {port: 11999, operator_address: 'off'}", []),
        ("listeners: [5]\nadmin: {operator_address: '127.0.0.1:9'}", ["4: listeners[0]: expected a mapping"]),
        ("listeners: [{port: 9902, address: 10.0.0.1}]", []),
        ("listeners: [{port: 9902, address: '::'}]", [f"1: admin.port: {AFTER.format(9902, 'is the data port')}"]),
        ("admin: {port: 65535}", [f"4: admin.port: {AFTER.format(65536, 'does not exist')}"]),
        ("admin: {port: 65535, operator_address: 'unix:/run/x'}", []),
        ("listeners: [{}, {port: 1}]", ["4: listeners[1]: only one model listener is served"]),
        ("listeners: [{address: example.com}]", ["4: listeners[0].address: must be an IP address or localhost"]),
        ("admin: {address: nowhere}", ["4: admin.address: must be an IP address or localhost"]),
        ("listeners: [{allow_origins: ['http://localhost:3000', 'https://a.example']}]", []),
        ("listeners: [{allow_origins: ['http://h/', '*']}]",
         ["4: listeners[0].allow_origins[0]: 'http://h/' is not an origin such as http://localhost:3000",
          "4: listeners[0].allow_origins[1]: '*' is not an origin such as http://localhost:3000"]),
        ("listeners: [{type: agent}]", [f"4: listeners[0].type: {AGENTS}"]),
        ("listeners: [{type: modl}]", ["4: listeners[0].type: expected model; did you mean 'model'?"]),
        ("listeners: [{input_filters: [x]}]", [f"4: listeners[0].input_filters: {AGENTS}"]),
        ("prompt_targets: []", [f"4: prompt_targets: {AGENTS}"]),
        ("state_storage: {type: memory}", ["4: state_storage: is not served: no conversation is stored here"]),
    ],
)  # fmt: skip
def test_listeners(section, expected):
    """One model listener on an address of its own; all else is refused by name."""
    assert expected == problems(TWO + section)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("passthrough: [{path: /v1/files, provider: openai}, {path: /v1/audio, provider: openai/a}]", []),
        ("passthrough: [{path: /v1/files, provider: opnai}]",
         ["4: passthrough[0].provider: 'opnai' is neither a provider entry nor the prefix of one; did you mean 'openai'?"]),
        ("passthrough: [{path: /x, provider: openai}, {path: /x, provider: openai}]",
         ["4: passthrough[1].path: must be a path of its own below /"]),
        ("passthrough: [{path: /, provider: openai}]", ["4: passthrough[0].path: must be a path of its own below /"]),
        ("passthrough: [{path: v1, provider: openai}]",
         ["4: passthrough[0].path: must be a path that begins with a slash, without blanks"]),
        ("propagate: [x-a, X_B]", []),
        ("propagate: ['x a']", ["4: propagate[0]: 'x a' is not a header name"]),
        ("propagate: [Host]", ["4: propagate[0]: 'Host' belongs to the connection and cannot be sent on"]),
        *[
            (f"propagate: [{name}]", [f"4: propagate[0]: '{name}' {why}"])
            for name, why in (
                ("proxy-authenticate", "belongs to the connection and cannot be sent on"),
                ("Cookie", "never leaves the pod"),
                ("X-Model-Affinity", "never leaves the pod"),
                ("x-plano-timeout-ms", "never leaves the pod"),
                ("Accept-Encoding", "cannot be sent on; see accept_encoding of a provider"),
            )
        ],
        ("propagate: [X-Org]\nrouting: {session_cache: {tenant_header: x-org}}",
         ["4: propagate[0]: 'X-Org' never leaves the pod"]),
        ("model_aliases: {'': {target: a}, none: {target: a}, None: {target: a}}",
         ["4: model_aliases.'': cannot be asked for: an empty model, or none, means the default",
          "4: model_aliases.none: cannot be asked for: an empty model, or none, means the default"]),
        (f"model_aliases: {{{'n' * 257}: {{target: a}}}}",
         [f"4: model_aliases.{'n' * 257}: cannot be asked for: it is longer than 256 bytes"]),
        ("tracing: {otlp_endpoint: 'otel:4318'}",
         ["4: tracing.otlp_endpoint: must be a URL of http:// or https://, without blanks"]),
        ("propagate: [X-Api-Key]", ["4: propagate[0]: 'X-Api-Key' is a credential; use passthrough_auth of a provider"]),
        ("propagate: [X-Auth-Request-Access-Token]",
         ["4: propagate[0]: 'X-Auth-Request-Access-Token' is a credential, and goes to no provider"]),
        *[
            (f"routing: {{session_headers: [x-a, {name}]}}",
             [f"4: routing.session_headers[1]: '{name}' carries a credential and cannot be a name"])
            for name in ("Authorization", "cookie", "X-Api-Key", "proxy-authorization", "api-key", "x-goog-api-key")
        ],
        ("routing: {agent_headers: [Cookie], session_cache: {tenant_header: X-API-Key}}",
         ["4: routing.session_cache.tenant_header: 'X-API-Key' carries a credential and cannot be a name",
          "4: routing.agent_headers[0]: 'Cookie' carries a credential and cannot be a name"]),
        ("routing: {session_headers: [x-a, X-A]}", []),
        ("routing: {session_headers: [x-a], agent_headers: [X-A], session_cache: {tenant_header: x-a}}",
         ["4: routing.session_headers[0]: 'x-a' has a meaning already: routing.session_cache.tenant_header",
          "4: routing.agent_headers[0]: 'X-A' has a meaning already: routing.session_cache.tenant_header"]),
        ("routing: {agent_headers: ['a b']}", ["4: routing.agent_headers[0]: 'a b' is not a header name"]),
        ("routing: {agent_headers: [], session_body_keys: []}", []),
        ("routing: {session_body_keys: [known_clients, prompt_cache_key, metadata.conversation-id]}", []),
        *[
            (f"routing: {{session_body_keys: ['{key}']}}",
             [("4: routing.session_body_keys[0]: must be known_clients, or the name of a member of the body, "
              "or of a member of that: prompt_cache_key, metadata.conversation")])
            for key in ("", "a.b.c", "a.", ".a", "a b", "7", "metadata[0]")
        ],
        ("routing: {session_cache: {key_prefix: 'staging:affinity:'}}", []),
        *[
            (f"routing: {{session_cache: {{key_prefix: '{prefix}'}}}}",
             [("4: routing.session_cache.key_prefix: must be 1 to 128 characters of printable ASCII "
              "but blanks, braces and ~")])
            for prefix in ("", "a b", "{a}:", "a~", "é:", "x" * 129)
        ],
        ("routing: {session_headers: ['a:b']}", ["4: routing.session_headers[0]: 'a:b' is not a header name"]),
        ("routing: {session_cache: {tenant_header: 'é'}}",
         ["4: routing.session_cache.tenant_header: 'é' is not a header name"]),
        ("routing: {session_cache: {type: redis}}", ["4: routing.session_cache: type redis needs url"]),
        ("routing: {session_cache: {type: redis, url: ''}}", ["4: routing.session_cache: type redis needs url"]),
        ("routing: {session_cache: {url: 'http://x'}}",
         ["4: routing.session_cache.url: must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://"]),
        ("routing: {session_cache: {type: redis, url: 'redis+sentinel://a:1,b:2/m/0'}}", []),
        ("routing: {session_cache: {tls: {cert_file: /c}}}",
         ["4: routing.session_cache.tls: cert_file and key_file need each other"]),
    ],
)  # fmt: skip
def test_the_rest(section, expected):
    """Paths, header names and the session cache hold what they must."""
    assert expected == problems(TWO + section)


def test_whatever_is_never_sent_is_told():
    """A name that `propagate` could not send is refused here, but for what is sent anyway."""
    sent_anyway = {"traceparent", "tracestate", "x-request-id"}
    names = sorted(_NEVER_PROPAGATED - sent_anyway)
    reported = problems(f"{TWO}propagate: [{', '.join(names)}]")

    assert [f"4: propagate[{index}]: {name!r}" for index, name in enumerate(names)] == [
        " ".join(each.split(" ")[:3]) for each in reported
    ]


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("url: 'redis://h'", []),
        ("url: 'redis://h:99999/0'", ["url: is not a URL with a valid host and port" + ESCAPE]),
        ("url: 'REDISS://h', tls: {ca_file: /nowhere.pem}", []),
        ("url: 'redis://h', tls: {ca_file: /nowhere.pem}",
         ["tls: is for rediss://; with redis:// the password would go in the clear"]),
    ],
)  # fmt: skip
def test_redis(cache, expected):
    """What would only be seen once the sidecar runs is reported before."""
    reported = problems(f"{TWO}routing: {{session_cache: {{type: redis, {cache}}}}}")

    assert [f"4: routing.session_cache.{each}" for each in expected] == reported


def test_a_certificate_for_redis_that_is_not_there():
    """Told, but a sidecar serves without Redis."""
    text = f"{ONE_PROVIDER}routing: {{session_cache: {{type: redis, url: 'rediss://h', tls: {{ca_file: /nowhere}}}}}}"

    assert warnings(text) == [
        "2: routing.session_cache.tls.ca_file: names no file that can be read: until it does, pins are kept in memory"
    ]


def test_body_that_never_fits():
    """A body limit above what may be buffered is reported."""
    expected = [
        "2: limits.body_bytes: is above buffered_bytes: a body between the two can never be admitted"
    ]
    assert expected == warnings(ONE_PROVIDER + "limits: {body_bytes: 100, buffered_bytes: 99}")


def test_planos_unserved_keys_warn():
    """Plano's keys without which calls are served all the same load, whatever they hold, and are
    named.
    """
    text = (
        ONE_PROVIDER
        + "ratelimits: [{model: $UNSET}]\nprompt_caching: {enabled: true}\nrouting: {routing_budget: {}}\n"
    )
    assert warnings(text) == [
        "2: ratelimits: is accepted but not served",
        "3: prompt_caching: is accepted but not served",
        "4: routing.routing_budget: is accepted but not served",
    ]
    assert load(text).config.ratelimits is None


def test_passthrough_to_nobody():
    """A passthrough path to an entry that is left out, or to a router model, is not served, and
    says so.
    """
    text = """model_providers:
  - {model: openai/a, access_key: k, default: true}
  - {model: groq/a, access_key: $NOPE, optional: true}
  - {model: plano/R, base_url: "http://r"}
passthrough:
  - {path: /v1/files, provider: openai}
  - {path: /v1/audio, provider: groq}
  - {path: /v1/images, provider: plano/R}
"""
    assert [entry.path for entry in load(text).config.passthrough] == ["/v1/files"]
    assert warnings(text)[1:] == [
        "7: passthrough[1]: is not served: its provider is left out, or is a router model",
        "8: passthrough[2]: is not served: its provider is left out, or is a router model",
    ]


def test_only_known_models_and_aliases_can_be_routed_alone():
    """A misspelt one would turn routing off in silence."""
    text = (
        f"{TWO}model_aliases: {{quick: {{target: openai/a}}}}\n"
        "routing: {route_only: [quick, openai/a, openai/nope]}"
    )
    (problem,) = problems(text)
    assert "routing.route_only[2]: 'openai/nope' is not a configured model" in problem
