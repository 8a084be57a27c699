"""Provider entries become complete: address, paths, dialects, credentials, timeouts."""

from __future__ import annotations

import msgspec
import pytest

from sidecar.config.address import Server, read_base_url
from sidecar.config.conventions import ProviderPaths
from sidecar.config.families import FAMILIES
from sidecar.config.providers import Provider, Timeouts, find_router
from sidecar.config.secret import Secret
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from sidecar.domain.decision import Price
from tests.config.loading import load, problems, warnings

ALL = "dialects: [chat, responses, embeddings, messages]"


def provider(entry: str) -> Provider:
    """The one entry ``{entry}``, resolved."""
    return load(f"model_providers: [{{{entry}}}]").providers[0]


def paths(entry: str) -> dict[str, str]:
    """Its paths by dialect."""
    return {str(name): path for name, path in provider(entry).paths.by_dialect.items()}


@pytest.mark.parametrize(
    ("prefix", "url", "path", "base_path"),
    [
        ("openai", "https://api.openai.com", "/v1/chat/completions", "/v1"),
        ("anthropic", "https://api.anthropic.com", "/v1/messages", "/v1"),
        (
            "gemini",
            "https://generativelanguage.googleapis.com",
            "/v1beta/openai/chat/completions",
            "/v1beta/openai",
        ),
        ("groq", "https://api.groq.com", "/openai/v1/chat/completions", "/openai/v1"),
        ("mistral", "https://api.mistral.ai", "/v1/chat/completions", "/v1"),
        ("deepseek", "https://api.deepseek.com", "/v1/chat/completions", "/v1"),
        ("xai", "https://api.x.ai", "/v1/chat/completions", "/v1"),
        ("together_ai", "https://api.together.xyz", "/v1/chat/completions", "/v1"),
        ("openrouter", "https://openrouter.ai", "/api/v1/chat/completions", "/api/v1"),
        ("perplexity", "https://api.perplexity.ai", "/chat/completions", ""),
        ("moonshotai", "https://api.moonshot.ai", "/v1/chat/completions", "/v1"),
        ("zhipu", "https://open.bigmodel.cn", "/api/paas/v4/chat/completions", "/api/paas/v4"),
        (
            "qwen",
            "https://dashscope-intl.aliyuncs.com",
            "/compatible-mode/v1/chat/completions",
            "/compatible-mode/v1",
        ),
        (
            "fireworks",
            "https://api.fireworks.ai",
            "/inference/v1/chat/completions",
            "/inference/v1",
        ),
        ("cerebras", "https://api.cerebras.ai", "/v1/chat/completions", "/v1"),
        ("digitalocean", "https://inference.do-ai.run", "/v1/chat/completions", "/v1"),
        ("vercel", "https://ai-gateway.vercel.sh", "/v1/chat/completions", "/v1"),
    ],
)
def test_built_in_prefixes(prefix, url, path, base_path):
    """Every family with an address of its own is served there, over TLS."""
    found = provider(f"model: {prefix}/m, access_key: k")
    assert (url, 443, path, base_path) == (
        f"{found.server.scheme}://{found.server.http_host}",
        found.server.port,
        next(iter(found.paths.by_dialect.values())),
        found.paths.base,
    )


def test_no_prefix_is_untested():
    """These alone need a base URL; test_provider_table has every family."""
    assert {
        "amazon_bedrock", "azure_openai", "llama_cpp", "lm_studio", "ollama", "plano", "vllm"
    } == {name for name, known in FAMILIES.items() if known.origin is None}  # fmt: skip
    assert sum(known.origin is not None for known in FAMILIES.values()) == 21


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("openai", (CHAT, RESPONSES, EMBEDDINGS)),
        ("anthropic", (MESSAGES,)),
        ("mistral", (CHAT, EMBEDDINGS)),
        ("groq", (CHAT, EMBEDDINGS, RESPONSES)),
        ("vllm", (CHAT, EMBEDDINGS, RESPONSES, MESSAGES)),
    ],
)
def test_usual_dialects(prefix, expected):
    """OpenAI speaks chat, responses, embeddings; Anthropic messages, chat; the compatible ones
    chat, embeddings, and what their rows add.
    """
    assert expected == tuple(
        provider(f"model: {prefix}/m, access_key: k, base_url: 'http://h'").paths.by_dialect
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("model: openai/m, base_url: 'http://127.0.0.1:19101'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: openai/m, base_url: 'http://h/'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: openai/m, base_url: 'http://h/v1'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: openai/m, base_url: 'http://h/v1/'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: openai/m, base_url: 'http://h/x'", ("/x/chat/completions", "/x/v1/messages", "/x")),
        ("model: groq/m, base_url: 'http://h'", ("/openai/v1/chat/completions", "/openai/v1/messages", "/openai/v1")),
        ("model: groq/m, base_url: 'http://h/openai'",
         ("/openai/v1/chat/completions", "/openai/v1/messages", "/openai/v1")),
        ("model: openrouter/m, base_url: 'http://h/api/'", ("/api/v1/chat/completions", "/api/v1/messages", "/api/v1")),
        ("model: groq/m, base_url: 'http://h/v1'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: anthropic/m, base_url: 'http://x/anthropic'",
         ("/anthropic/v1/chat/completions", "/anthropic/v1/messages", "/anthropic/v1")),
        ("model: anthropic/m, base_url: 'http://h/v1'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: anthropic/m, base_url: 'http://h'", ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: new/m, base_url: 'http://h', provider_interface: openai",
         ("/v1/chat/completions", "/v1/messages", "/v1")),
        ("model: new/m, base_url: 'http://h', provider_interface: groq",
         ("/openai/v1/chat/completions", "/openai/v1/messages", "/openai/v1")),
        ("model: new/m, base_url: 'http://h', provider_interface: xiaomi",
         ("/v1/chat/completions", "/anthropic/v1/messages", "/v1")),
        ("model: azure_openai/m, base_url: 'https://r.openai.azure.com'",
         ("/openai/deployments/{model}/chat/completions?api-version=2025-01-01-preview", "/anthropic/v1/messages",
          "/openai/v1")),
        ("model: azure_openai/m, base_url: 'https://r.openai.azure.com/openai?api-version=2024-10-21'",
         ("/openai/deployments/{model}/chat/completions?api-version=2024-10-21", "/anthropic/v1/messages", "/openai/v1")),
        ("model: azure_openai/m, base_url: 'https://r.openai.azure.com/openai/deployments/d'",
         ("/openai/deployments/d/chat/completions?api-version=2025-01-01-preview", "/anthropic/v1/messages",
          "/openai/v1")),
        ("model: azure_openai/m, base_url: 'https://r.openai.azure.com/openai/v1'",
         ("/openai/v1/chat/completions", "/anthropic/v1/messages", "/openai/v1")),
    ],
)  # fmt: skip
def test_base_url(entry, expected):
    """A path in the base URL replaces the built-in prefix; for messages /v1/messages follows it,
    never /v1/v1.
    """
    found = provider(f"{entry}, access_key: k, {ALL}")
    assert expected == (
        found.paths.by_dialect[CHAT],
        found.paths.by_dialect[MESSAGES],
        found.paths.base,
    )


def test_azure_responses():
    """Azure serves responses beside its deployments."""
    entry = f"model: azure_openai/m, access_key: k, base_url: 'https://r.openai.azure.com', {ALL}"
    assert paths(entry)["responses"] == "/openai/responses?api-version=2025-01-01-preview"


@pytest.mark.parametrize(
    ("dialects", "expected"),
    [
        ("[messages]", {"messages": "/v1/messages"}),
        ("{messages: {path: /a/v1/messages}}",
         {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings", "messages": "/a/v1/messages"}),
        ("{messages: {}, chat: {path: /c}}",
         {"chat": "/c", "embeddings": "/v1/embeddings", "messages": "/v1/messages"}),
        ("~", {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings"}),
    ],
)  # fmt: skip
def test_dialects(dialects, expected):
    """A list replaces the usual dialects, a map adds to them and may say where."""
    assert expected == paths(f"model: mistral/m, access_key: k, dialects: {dialects}")


@pytest.mark.parametrize(
    ("dialects", "expected"),
    [
        ("[messages]", "/v1/messages/count_tokens"),
        ("{messages: {path: '/x?v=1'}}", "/x/count_tokens?v=1"),
        ("[chat]", None),
    ],
)
def test_count_tokens_path(dialects, expected):
    """The token counter stands behind the messages path, where there is one."""
    assert (
        expected
        == provider(f"model: openai/m, access_key: k, dialects: {dialects}").paths.count_tokens
    )


def test_dialect_problems():
    """A misspelt dialect is reported, in a list and in a map."""
    expected = "expected chat or responses or embeddings or messages"
    head = "model_providers: [{model: openai/m, access_key: k, dialects: "
    assert [f"1: model_providers[0].dialects[0]: {expected}; did you mean 'messages'?"] == problems(
        head + "[message]}]"
    )
    assert [f"1: model_providers[0].dialects.msg: {expected}"] == problems(head + "{msg: {}}}]")
    assert problems(head + "chat}]") == [
        "1: model_providers[0].dialects: expected a list or a mapping"
    ]
    assert problems(head + "[[chat]]}]") == ["1: model_providers[0].dialects[0]: expected text"]
    assert problems(head + "{chat: {path: x}}}]") == [
        "1: model_providers[0].dialects.chat.path: must be a path that begins with a slash, without blanks"
    ]


def test_every_field():
    """What an entry says arrives where callers look for it."""
    found = provider(
        "name: n, model: deepseek/a/b, access_key: k, base_url: 'HTTP://H.example:8080', http_host: 'x:1', "
        "provider_interface: anthropic, headers: {X-A: v}, propagate: [X-B], cache_hint: leave, "
        "patches: false, propagate_trace: false, accept_encoding: passthrough, "
        "timeouts: {connect_s: 1, first_byte_s: 2, response_s: 3, stream_idle_s: 4}, "
        "price: {input: 1, output: 2, cached_input: 0.5}, default: true, failover_on_response_timeout: true, "
        "translate: strict"
    )
    assert Provider(
        name="n", model="deepseek/a/b", prefix="deepseek", model_id="a/b",
        server=Server(scheme="http", host="h.example", port=8080, http_host="x:1", keep_idle_s=4.0),
        paths=ProviderPaths("/v1", {MESSAGES: "/v1/messages"}),
        conventions=msgspec.structs.replace(FAMILIES["anthropic"], origin="https://api.deepseek.com"),
        access_key=Secret("k"), passthrough_auth=False, headers=(("X-A", Secret("v")),),
        propagate_trace=False, accept_encoding_passthrough=True, timeouts=Timeouts(1.0, 2.0, 3.0, 4.0),
        is_default=True, price=Price(1.0, 2.0, 0.5), fallbacks=(),
        failover_on_response_timeout=True, is_router=False, patches=False, propagate=("X-B",), cache_hint="leave",
        translate="strict",
    ) == found  # fmt: skip


@pytest.mark.parametrize(
    ("top", "entry", "expected"),
    [
        ("", "", 120.0),
        ("", ", base_url: 'http://vllm:8000'", 300.0),
        ("timeouts: {first_byte_s: 20}", "", 20.0),
        ("timeouts: {first_byte_s: 20}", ", base_url: 'http://vllm:8000'", 20.0),
        ("timeouts: {first_byte_s: 20}", ", timeouts: {first_byte_s: 7}", 7.0),
    ],
)
def test_a_server_of_ones_own_may_take_longer_for_its_first_byte(top, entry, expected):
    """A long prompt on a small machine is no failure; what the config says holds for all."""
    text = f"{top}\nmodel_providers: [{{model: openai/m, access_key: k{entry}}}]"
    assert expected == load(text).providers[0].timeouts.first_byte_s


@pytest.mark.parametrize(
    ("entry", "expected"), [("", 20.0), (", base_url: 'http://vllm:8000'", 4.0)]
)
def test_a_server_of_ones_own_keeps_idle_connections_for_less_long(entry, expected):
    """Most of them close after 5 s; hosted ones after a minute or more."""
    found = load(f"model_providers: [{{model: openai/m, access_key: k{entry}}}]").providers[0]
    assert expected == found.server.keep_idle_s


def test_timeouts_default_to_the_top_level():
    """An entry's own timeouts win one by one."""
    text = "timeouts: {connect_s: 9, response_s: 8}\nmodel_providers: [{model: openai/m, access_key: k, timeouts: {connect_s: 1}}]"
    assert Timeouts(1.0, 120.0, 8.0, 300.0) == load(text).providers[0].timeouts


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", ("http", "h", 80, "h")),
        ("https://h:443", ("https", "h", 443, "h")),
        ("https://h:8443/x", ("https", "h", 8443, "h:8443")),
        ("http://[::1]:80", ("http", "::1", 80, "[::1]")),
        ("http://[::1]:81", ("http", "::1", 81, "[::1]:81")),
        ("http://h:", ("http", "h", 80, "h")),
    ],
)
def test_addresses(url, expected):
    """The Host header names the port only where it is not the scheme's own."""
    address = read_base_url(url)
    assert not isinstance(address, str)
    assert expected == (address.scheme, address.host, address.port, address.host_header)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://h", "must begin with http:// or https://"),
        ("h/v1", "must begin with http:// or https://"),
        ("http://u:p@h", "must not hold a user or password; put the key under access_key"),
        ("http://u@h", "must not hold a user or password; put the key under access_key"),
        ("http://", "is not a URL with a valid host and port"),
        ("http://h:0", "is not a URL with a valid host and port"),
        ("http://h:99999", "is not a URL with a valid host and port"),
        ("http://h:x", "is not a URL with a valid host and port"),
        ("http://[::1", "is not a URL with a valid host and port"),
        ("http://h h", "is not a URL with a valid host and port"),
        ("http://h/a b", "must not hold a fragment, blanks or characters beyond ASCII"),
        ("http://h/#x", "must not hold a fragment, blanks or characters beyond ASCII"),
        ("http://h/é", "must not hold a fragment, blanks or characters beyond ASCII"),
        ("http://h/v1?k=v", "must not hold a query"),
    ],
)
def test_base_url_problems(url, message):
    """A base URL that cannot be used is reported without being quoted: it may hold a secret."""
    text = f"model_providers: [{{model: openai/m, access_key: k, base_url: '{url}'}}]"
    assert [f"1: model_providers[0].base_url: {message}"] == problems(text)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("model: ollama/m", ["1: model_providers[0]: needs base_url: the address of this provider is not built in"]),
        ("model: new/m, provider_interface: openai",
         ["1: model_providers[0]: needs base_url: the address of this provider is not built in"]),
        ("model: antropic/m, base_url: 'http://h'",
         [("1: model_providers[0].model: the prefix of 'antropic/m' is not built in: it needs base_url and "
          "provider_interface; did you mean 'anthropic'?")]),
        ("model: openai/m, access_key: k, timeouts: {connect_s: 0}",
         ["1: model_providers[0].timeouts.connect_s: must be above 0"]),
        ("model: openai/m, access_key: k, price: {input: -1}",
         ["1: model_providers[0].price.input: must be at least 0"]),
    ],
)  # fmt: skip
def test_entry_problems(entry, expected):
    """An entry that cannot be called is reported at its line, without any value."""
    assert expected == problems(f"model_providers: [{{{entry}}}]")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("model: openai/m", ["1: model_providers[0]: has no access_key: the provider will refuse its calls"]),
        ("model: openai/m, base_url: 'http://h'", []),
        ("model: ollama/m, base_url: 'http://h'", []),
        ("model: ollama/m, base_url: 'http://h', optional: true", []),
        ("model: openai/m, passthrough_auth: true", []),
        ("model: openai/m, passthrough_auth: true, access_key: k",
         ["1: model_providers[0].passthrough_auth: the caller's credential is forwarded, so access_key is not used"]),
    ],
)  # fmt: skip
def test_credentials(entry, expected):
    """An entry without a key, or with a key that is not used, is worth a warning."""
    assert expected == warnings(f"model_providers: [{{default: true, {entry}}}]")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("model: mistral/m, access_key: k, cache_hint: body", None),
        ("model: groq/m, access_key: k, cache_hint: header", None),
        ("model: groq/m, access_key: k, cache_hint: leave", None),
        ("model: groq/m, access_key: k, cache_hint: body", "nothing is known of a prompt_cache_key at 'groq/m'"),
        ("model: openai/m, passthrough_auth: true, cache_hint: body",
         "a session's name is made with an access_key of the entry's own"),
        ("model: openai/m, base_url: 'http://h', cache_hint: body",
         "a session's name is made with an access_key of the entry's own"),
    ],
)  # fmt: skip
def test_a_cache_hint_that_cannot_be_made_is_worth_a_warning(entry, why):
    """Nothing is sent then, and nothing breaks."""
    text = f"model_providers: [{{default: true, {entry}}}]"
    expected = f"1: model_providers[0].cache_hint: adds nothing to bodies: {why}"

    assert ([] if why is None else [expected]) == warnings(text)


def test_passthrough_auth_drops_the_key():
    """Where the caller's credential is forwarded, ours cannot be sent beside it."""
    assert None is provider("model: openai/m, passthrough_auth: true, access_key: k").access_key


ROUTERS = """
model_providers:
  - {model: plano/R, base_url: "http://r"}
  - {model: vllm/small, base_url: "http://v"}
  - {model: openai/*, access_key: k}
"""


@pytest.mark.parametrize(
    ("more", "hidden", "router"),
    [
        ("", ["plano/R"], None),
        ("overrides: {llm_routing_model: plano/R}", ["plano/R"], "plano/R"),
        ("overrides: {llm_routing_model: vllm/small}", ["plano/R", "vllm/small"], "vllm/small"),
        (
            "overrides: {llm_routing_model: small}\nmodel_aliases: {s: {target: vllm/small}}",
            ["plano/R"],
            "vllm/small",
        ),
        ("overrides: {llm_routing_model: openai/gpt-4o-mini}", ["plano/R"], "openai/*"),
    ],
)
def test_router_model(more, hidden, router):
    """The router model is no model for apps, unless an alias, a preference or a fallback makes it
    one too.
    """
    loaded = load(ROUTERS + more)
    found = find_router(loaded.config, loaded.providers)
    assert hidden == [each.name for each in loaded.providers if each.is_router]
    assert router == (None if found is None else found.name)


def test_wildcard():
    """A wildcard entry serves any model of its prefix."""
    found = provider("model: openai/*, access_key: k")
    assert (found.is_wildcard, found.model_id, found.name) == (True, "*", "openai/*")
