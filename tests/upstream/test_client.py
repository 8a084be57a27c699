"""What a provider is sent: the request line, the header lines and the body of one attempt, byte by
byte.
"""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.config.families import FAMILIES
from sidecar.config.providers import Timeouts
from sidecar.config.secret import Secret
from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.request import REQUEST_BODY
from sidecar.domain.call import (
    CHAT,
    MESSAGES,
    BodyFacts,
    Call,
    Endpoint,
    Operation,
)
from sidecar.domain.decision import Candidate
from sidecar.http1.origin import ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from sidecar.upstream.client import ProviderClient
from tests.support.providers import a_provider
from tests.support.values import TRACE, a_call

TRACEPARENT = f"traceparent: {TRACE.traceparent}"
BODY = b'{"model":"asked","messages":[]}'
AZURE_CHAT = "/openai/deployments/{model}/chat/completions?api-version=2025-01-01-preview"


ANTHROPIC = FAMILIES["anthropic"]
BY_DIALECTS = {"by_dialect": ANTHROPIC.paths("/v1", "").by_dialect}
"""An entry at Anthropic that serves chat too, which it does by ``dialects`` alone."""


def _client(model: str = "openai/gpt-4o", *, via: bytes = b"", **changes: Any) -> ProviderClient:
    if model.startswith("anthropic/") or changes.get("conventions") is ANTHROPIC:
        changes = {**BY_DIALECTS, **changes}
    provider = a_provider(model, **changes)
    pool = Pool(Origin("http", "127.0.0.1", 1))
    return ProviderClient(provider, pool, DIALECTS.by_name, via)


def _candidate(upstream_model: str = "gpt-4o") -> Candidate:
    return Candidate(
        "entry", f"openai/{upstream_model}", upstream_model, "openai/*", frozenset(DIALECTS.by_name)
    )


def _call(path: str = "/v1/chat/completions", **changes: Any) -> Call:
    fields = {
        "endpoint": DIALECTS.endpoints.get(path),
        "body": BODY,
        "facts": REQUEST_BODY.peek(BODY),
        **changes,
    }
    return a_call(**fields)


def _sent(
    client: ProviderClient, call: Call, upstream_model: str = "gpt-4o"
) -> tuple[str, list[str], bytes]:
    """The request line, the header lines and the body."""
    head, pieces = client.request(call, _candidate(upstream_model))
    assert head.endswith(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")[:-2]
    return first, lines, b"".join(pieces)


def test_a_chat_call_at_openai():
    """The whole of it: Host, the key, identity coding, ids, the length of the patched body."""
    assert _sent(_client(), _call()) == (
        "POST /v1/chat/completions HTTP/1.1",
        [
            "Host: 127.0.0.1:1",
            "Authorization: Bearer sk-provider",
            "Accept-Encoding: identity",
            "x-request-id: req-1",
            TRACEPARENT,
            "Content-Length: 32",
        ],
        b'{"model":"gpt-4o","messages":[]}',
    )


def test_a_messages_call_at_anthropic():
    """The key in Anthropic's header, and a version where the app sent none."""
    assert _sent(_client("anthropic/claude"), _call("/v1/messages"), "claude") == (
        "POST /v1/messages HTTP/1.1",
        [
            "Host: 127.0.0.1:1",
            "x-api-key: sk-provider",
            "anthropic-version: 2023-06-01",
            "Accept-Encoding: identity",
            "x-request-id: req-1",
            TRACEPARENT,
            "Content-Length: 32",
        ],
        b'{"model":"claude","messages":[]}',
    )


@pytest.mark.parametrize(
    ("path", "model", "target"),
    [
        ("/v1/chat/completions", "openai/gpt-4o", "/v1/chat/completions"),
        ("/v1/responses", "openai/gpt-4o", "/v1/responses"),
        ("/v1/embeddings", "openai/gpt-4o", "/v1/embeddings"),
        ("/v1/messages", "anthropic/claude", "/v1/messages"),
        ("/v1/messages/count_tokens", "anthropic/claude", "/v1/messages/count_tokens"),
        ("/v1/chat/completions", "anthropic/claude", "/v1/chat/completions"),
    ],
)
@pytest.mark.parametrize("query", ["", "?beta=true&x=%20"])
def test_every_dialect_has_its_path_and_keeps_the_query(path, model, target, query):
    """What the app wrote behind the question mark goes on as it stands."""
    assert f"POST {target}{query} HTTP/1.1" == _sent(_client(model), _call(path, query=query))[0]


@pytest.mark.parametrize(
    ("model", "query", "target"),
    [
        ("gpt-4o", "", AZURE_CHAT.replace("{model}", "gpt-4o")),
        ("gpt-4o", "?x=1", AZURE_CHAT.replace("{model}", "gpt-4o") + "&x=1"),
        ("a b/../c?d", "", AZURE_CHAT.replace("{model}", "a%20b%2F..%2Fc%3Fd")),
    ],
)
def test_a_deployment_stands_in_the_path_and_queries_are_merged(model, query, target):
    """A wildcard's model is the client's to name, and reaches no other path by it."""
    client = _client("azure_openai/*", by_dialect={CHAT: AZURE_CHAT})

    assert f"POST {target} HTTP/1.1" == _sent(client, _call(query=query), model)[0]


def test_azure_has_its_own_header_for_the_key():
    """`api-key`."""
    lines = _sent(_client("azure_openai/gpt-4o"), _call())[1]

    assert ["api-key: sk-provider"] == [line for line in lines if "sk-provider" in line]


def test_a_query_without_a_path_of_its_own_for_count_tokens_stays_merged():
    """A provider whose messages path has a query has one for the counter too."""
    client = _client("anthropic/claude", by_dialect={MESSAGES: "/v1/messages?v=1"})
    target = _sent(client, _call("/v1/messages/count_tokens", query="?beta=true"))[0]

    assert "POST /v1/messages/count_tokens?v=1&beta=true HTTP/1.1" == target


PASSED_AND_READ = Endpoint("/v1/moderations", CHAT, Operation.PASSTHROUGH, names_model=True)
PASSED = Endpoint("/v1/files/f1/content", CHAT, Operation.PASSTHROUGH)
CODING = "Content-Encoding: gzip"


@pytest.mark.parametrize(
    ("base_path", "path", "target"),
    [
        ("/v1", "/v1/files/f1/content", "/v1/files/f1/content"),
        ("/api/v1", "/v1/files/f1/content", "/api/v1/files/f1/content"),
        ("/openai/v1", "/audio/speech", "/audio/speech"),
        ("/openai/v1", "/openai/v1/files", "/openai/v1/files"),
        ("/openai/v1", "/openai/deployments/d/images", "/openai/deployments/d/images"),
        ("/v1", "/tokenize", "/tokenize"),
        ("/v1", "/v1", "/v1"),
        ("/v1", "/video/v2", "/video/v2"),
        ("/v1beta/openai", "/v1/files", "/v1beta/openai/files"),
        ("/v1beta/openai", "/v1beta/models/m:countTokens", "/v1beta/models/m:countTokens"),
        ("/api/v1", "/v2/x", "/v2/x"),
        ("/v1", "/v12/x", "/v12/x"),
    ],
)
def test_a_passthrough_path_gets_the_providers_base(base_path, path, target):
    """What stands at the provider where the app says `/v1`; any other path goes as it is."""
    endpoint = Endpoint(path, CHAT, Operation.PASSTHROUGH)
    call = a_call(
        endpoint=endpoint, method="PUT", body=b"\x00raw", facts=BodyFacts(), query="?purpose=x"
    )
    first, lines, body = _sent(_client(base_path=base_path), call)

    assert (f"PUT {target}?purpose=x HTTP/1.1", b"\x00raw") == (first, body)
    assert "Content-Length: 4" == lines[-1]


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", b"", []),
        ("HEAD", b"", []),
        ("DELETE", b"", []),
        ("DELETE", b"{}", ["Content-Length: 2"]),
        ("POST", b"", ["Content-Length: 0"]),
        ("PATCH", b"{}", ["Content-Length: 2"]),
    ],
)
def test_a_passthrough_body_is_announced_where_its_method_has_one(method, body, length):
    """A GET without a body has no length; a POST without one has zero (RFC 9110, 8.6)."""
    call = a_call(endpoint=PASSED, method=method, body=body, facts=BodyFacts())
    _, lines, sent = _sent(_client(), call)

    assert (length, body) == ([line for line in lines if line.startswith("Content-Length")], sent)


@pytest.mark.parametrize(
    ("endpoint", "sent"), [(PASSED, [CODING]), (PASSED_AND_READ, []), (None, [])]
)
def test_a_bodys_coding_goes_with_a_body_that_is_passed_through(endpoint, sent):
    """Any other body was decoded."""
    headers = {"coding": [f"{CODING}\r\n".encode()]}
    changes = {} if endpoint is None else {"endpoint": endpoint}
    _, lines, _ = _sent(_client(), _call(headers=headers, **changes))

    assert sent == [line for line in lines if line.lower().startswith("content-encoding")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{ "model" : "openai/omni",\n"input":"x"}', b'{ "model" : "omni",\n"input":"x"}'),
        (b'{ "model" : "omni",\n"input":"x"}', b'{ "model" : "omni",\n"input":"x"}'),
        (b'{"model":null,"input":"x"}', b'{"model":null,"input":"x"}'),
        (b'{"input":"x"}', b'{"input":"x"}'),
    ],
)
def test_a_passed_through_body_keeps_every_byte_but_a_name_of_the_configs(body, expected):
    """The provider gets its own name of the model; a body that names none gets none."""
    call = a_call(endpoint=PASSED, body=body, facts=REQUEST_BODY.peek(body))
    _, lines, sent = _sent(_client(), call, "omni")

    assert (expected, f"Content-Length: {len(expected)}") == (sent, lines[-1])


HEADERS = {
    "common": [b"Accept: x\r\n"],
    "openai": [b"OpenAI-Beta: o\r\n"],
    "anthropic": [b"anthropic-beta: a\r\n", b"anthropic-version: 2042-01-01\r\n"],
    "openai_account": [b"openai-organization: org\r\n"],
    "anthropic_account": [b"anthropic-workspace-id: ws\r\n"],
    "credentials": [b"Authorization: Bearer mine\r\n"],
    "accept_encoding": [b"Accept-Encoding: br\r\n"],
    "baggage": [b"baggage: b=1\r\n"],
}
COMMON = ["Accept: x", "baggage: b=1", "x-request-id: req-1", TRACEPARENT]


@pytest.mark.parametrize(
    ("model", "changes", "own"),
    [
        (
            "openai/gpt-4o",
            {},
            ["Authorization: Bearer sk-provider", "OpenAI-Beta: o", "Accept-Encoding: identity"],
        ),
        (
            "anthropic/claude",
            {},
            [
                "x-api-key: sk-provider",
                "anthropic-beta: a",
                "anthropic-version: 2042-01-01",
                "Accept-Encoding: identity",
            ],
        ),
        (
            "openai/gpt-4o",
            {"passthrough_auth": True},
            [
                "OpenAI-Beta: o",
                "Authorization: Bearer mine",
                "openai-organization: org",
                "Accept-Encoding: identity",
            ],
        ),
        (
            "anthropic/claude",
            {"passthrough_auth": True},
            [
                "anthropic-beta: a",
                "anthropic-version: 2042-01-01",
                "Authorization: Bearer mine",
                "anthropic-workspace-id: ws",
                "Accept-Encoding: identity",
            ],
        ),
        (
            "openai/gpt-4o",
            {
                "access_key": None,
                "accept_encoding_passthrough": True,
                "headers": (("X-Own", Secret("own")),),
            },
            ["X-Own: own", "OpenAI-Beta: o", "Accept-Encoding: br"],
        ),
        # A compatible server behind an interface of its own: the row decides, not the prefix.
        (
            "vllm/llama",
            {"conventions": FAMILIES["anthropic"]},
            [
                "x-api-key: sk-provider",
                "anthropic-beta: a",
                "anthropic-version: 2042-01-01",
                "Accept-Encoding: identity",
            ],
        ),
    ],
)
def test_header_lines_follow_the_providers_conventions_and_options(model, changes, own):
    """Its family, its key or the caller's, its own headers; never another family's, and no account
    without the caller's key.
    """
    lines = _sent(_client(model, **changes), _call(headers=HEADERS))[1]

    assert sorted([*COMMON, *own]) == sorted(lines[1:-1])


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Anthropic-Version", ["Anthropic-Version: own"]),
        ("ACCEPT-ENCODING", ["ACCEPT-ENCODING: own"]),
        ("traceparent", ["traceparent: own"]),
        ("anthropic-beta", ["anthropic-beta: own", "anthropic-beta: a"]),
        ("Accept", ["Accept: own", "Accept: x"]),
    ],
)
def test_a_configured_header_goes_instead_of_the_apps(name, sent):
    """Two of what there can be one of is an error to most servers; lists add up."""
    client = _client("anthropic/claude", headers=((name, Secret("own")),))
    lines = _sent(client, _call(headers=HEADERS))[1]

    assert sent == [line for line in lines if line.lower().startswith(f"{name.lower()}:")]


def test_a_provider_that_rejects_trace_headers_gets_none():
    """A switch of its own."""
    lines = _sent(_client(propagate_trace=False), _call())[1]

    assert [] == [line for line in lines if line.startswith("trace")]


def test_no_version_is_added_to_a_chat_call_at_anthropic():
    """Its OpenAI-compatible path knows no versions."""
    lines = _sent(_client("anthropic/claude"), _call())[1]

    assert [] == [line for line in lines if line.startswith("anthropic-version")]


GIVEN = Timeouts(connect_s=2, first_byte_s=10, response_s=60, stream_idle_s=30)


def test_a_stream_and_a_whole_response_have_timeouts_of_their_own():
    """Streams have a first byte and an idle time, whole responses one limit."""
    client = _client(timeouts=GIVEN)

    assert ExchangeTimeouts(2, 10, None, 30) == client.timeouts(is_stream=True)
    assert ExchangeTimeouts(2, None, 60, None) == client.timeouts(is_stream=False)


@pytest.mark.parametrize(
    ("endpoint", "wants_stream", "expected"),
    [
        (None, True, ExchangeTimeouts(2, 10, None, 30)),
        (None, False, ExchangeTimeouts(2, None, 60, None)),
        (PASSED, False, ExchangeTimeouts(2, 60, None, 30)),
        (PASSED, True, ExchangeTimeouts(2, 60, None, 30)),
    ],
)
def test_what_is_passed_through_may_take_as_long_as_it_moves(endpoint, wants_stream, expected):
    """Nobody knows whether it is a stream: it begins like a whole response and goes on like one."""
    changes = {} if endpoint is None else {"endpoint": endpoint}
    call = a_call(facts=BodyFacts(wants_stream=wants_stream), **changes)

    assert expected == _client(timeouts=GIVEN).timeouts_for(call)


@pytest.mark.parametrize(
    ("scheme", "host", "is_sent"),
    [
        ("http", "127.0.0.1", True),
        ("http", "llm.svc", True),
        ("https", "localhost", True),
        ("https", "::1", True),
        ("https", "api.openai.com", False),
        ("https", "10.0.0.1", False),
    ],
)
def test_via_goes_to_what_may_be_a_sidecar(scheme, host, is_sent):
    """By its own name and those that have come: a loop is found so. A hosted provider could tell by
    it which calls come from one pod.
    """
    client = _client(scheme=scheme, host=host, via=b"1.1 own")
    _, lines, _ = _sent(client, _call(headers={"via": [b"Via: 1.1 other\r\n"]}))
    client.use(client.provider)
    _, again, _ = _sent(client, _call())
    vias = [[line for line in each if line.startswith("Via:")] for each in (lines, again)]

    assert ([["Via: 1.1 own", "Via: 1.1 other"], ["Via: 1.1 own"]] if is_sent else [[], []]) == vias


@pytest.mark.parametrize(
    ("model", "query", "owners", "sent"),
    [
        ("anthropic/c", "?beta=true&key=secret", None, "?beta=true&key=secret"),
        ("anthropic/c", "?beta=true&key=secret", {"anthropic/c"}, "?beta=true&key=secret"),
        ("anthropic/c", "?key=secret&beta=true&beta=x", {"other"}, "?beta=true"),
        ("anthropic/c", "?key=secret", {"other"}, ""),
        ("anthropic/c", "?beta=true;key=secret&beta=true%26key", {"other"}, ""),
        ("anthropic/c", "?", {"other"}, ""),
        ("openai/c", "?beta=true&key=secret", {"other"}, ""),
        ("openai/c", "?beta=true", {"openai/c"}, "?beta=true"),
    ],
)
def test_of_a_query_that_was_written_for_another_only_what_its_family_shares_is_sent(
    model, query, owners, sent
):
    """It may hold a key, or what means something else elsewhere."""
    path = "/v1/messages" if model.startswith("anthropic") else "/v1/chat/completions"
    call = _call(path, query=query, query_for=None if owners is None else frozenset(owners))

    assert f"POST {path}{sent} HTTP/1.1" == _sent(_client(model), call)[0]


def test_a_query_of_the_entrys_own_path_is_kept():
    """Azure's version of its API."""
    client = _client("azure_openai/m", by_dialect={CHAT: AZURE_CHAT})
    call = _call(query="?key=secret", query_for=frozenset({"other"}))

    assert _sent(client, call, "m")[0].endswith(
        "completions?api-version=2025-01-01-preview HTTP/1.1"
    )
