"""What a provider is sent: the request line, the header lines and the body of one attempt, byte by
byte.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from sidecar.config.providers import ProviderKind, Timeouts
from sidecar.config.secret import Secret
from sidecar.config.tls_files import TlsFiles
from sidecar.domain.call import (
    ENDPOINTS,
    BodyFacts,
    Call,
    DialectName,
    Endpoint,
    Operation,
)
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import ConfigError
from sidecar.http1.origin import Connections, ExchangeTimeouts, Origin
from sidecar.http1.pool import Pool
from sidecar.upstream.client import ProviderClient, ProviderRegistry
from sidecar.wire.body import peek_body
from tests.support.providers import a_provider
from tests.support.values import TRACE, a_call

TRACEPARENT = f"traceparent: {TRACE.traceparent}"
BODY = b'{"model":"asked","messages":[]}'
AZURE_CHAT = "/openai/deployments/{model}/chat/completions?api-version=2025-01-01-preview"


def _link(model: str = "openai/gpt-4o", **changes: Any) -> ProviderClient:
    provider = a_provider(model, **changes)
    return ProviderClient(provider, Pool(Origin(provider.scheme, provider.host, provider.port)))


def _candidate(upstream_model: str = "gpt-4o") -> Candidate:
    return Candidate(
        "entry", f"openai/{upstream_model}", upstream_model, "openai/*", frozenset(DialectName)
    )


def _call(path: str = "/v1/chat/completions", **changes: Any) -> Call:
    fields = {"endpoint": ENDPOINTS.get(path), "body": BODY, "facts": peek_body(BODY), **changes}
    return a_call(**fields)


def _sent(
    link: ProviderClient, call: Call, upstream_model: str = "gpt-4o"
) -> tuple[str, list[str], bytes]:
    """The request line, the header lines and the body."""
    head, pieces = link.request(call, _candidate(upstream_model))
    assert head.endswith(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")[:-2]
    return first, lines, b"".join(pieces)


def test_a_chat_call_at_openai():
    """The whole of it: Host, the key, identity coding, ids, the length of the patched body."""
    assert _sent(_link(), _call()) == (
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
    assert _sent(_link("anthropic/claude"), _call("/v1/messages"), "claude") == (
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
    assert f"POST {target}{query} HTTP/1.1" == _sent(_link(model), _call(path, query=query))[0]


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
    link = _link("azure_openai/*", paths={DialectName.CHAT: AZURE_CHAT})

    assert f"POST {target} HTTP/1.1" == _sent(link, _call(query=query), model)[0]


def test_azure_has_its_own_header_for_the_key():
    """`api-key`."""
    lines = _sent(_link("azure_openai/gpt-4o"), _call())[1]

    assert ["api-key: sk-provider"] == [line for line in lines if "sk-provider" in line]


def test_a_query_without_a_path_of_its_own_for_count_tokens_stays_merged():
    """A provider whose messages path has a query has one for the counter too."""
    link = _link("anthropic/claude", count_tokens_path="/v1/messages/count_tokens?v=1")
    target = _sent(link, _call("/v1/messages/count_tokens", query="?beta=true"))[0]

    assert "POST /v1/messages/count_tokens?v=1&beta=true HTTP/1.1" == target


PASSED = Endpoint("/v1/files/f1/content", DialectName.CHAT, Operation.PASSTHROUGH)


@pytest.mark.parametrize(
    ("base_path", "path", "target"),
    [
        ("/v1", "/v1/files/f1/content", "/v1/files/f1/content"),
        ("/api/v1", "/v1/files/f1/content", "/api/v1/files/f1/content"),
        ("/openai/v1", "/audio/speech", "/openai/v1/audio/speech"),
        ("/v1", "/v1", "/v1"),
        ("/v1", "/video/v2", "/v1/video/v2"),
        ("/v1beta/openai", "/v1/files", "/v1beta/openai/files"),
        ("/v1beta/openai", "/v1beta/models/m:countTokens", "/v1beta/models/m:countTokens"),
        ("/api/v1", "/v2/x", "/v2/x"),
        ("/v1", "/v12/x", "/v12/x"),
    ],
)
def test_a_passthrough_path_gets_the_providers_base(base_path, path, target):
    """What stands at the provider where the app says `/v1`."""
    endpoint = Endpoint(path, DialectName.CHAT, Operation.PASSTHROUGH)
    call = a_call(
        endpoint=endpoint, method="PUT", body=b"\x00raw", facts=BodyFacts(), query="?purpose=x"
    )
    first, lines, body = _sent(_link(base_path=base_path), call)

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
    _, lines, sent = _sent(_link(), call)

    assert (length, body) == ([line for line in lines if line.startswith("Content-Length")], sent)


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
        # A compatible server behind an interface of its own: the kind decides, not the prefix.
        (
            "vllm/llama",
            {"kind": ProviderKind.ANTHROPIC},
            [
                "x-api-key: sk-provider",
                "anthropic-beta: a",
                "anthropic-version: 2042-01-01",
                "Accept-Encoding: identity",
            ],
        ),
    ],
)
def test_header_lines_follow_the_providers_kind_and_options(model, changes, own):
    """Its family, its key or the caller's, its own headers; never another kind's, and no account
    without the caller's key.
    """
    lines = _sent(_link(model, **changes), _call(headers=HEADERS))[1]

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
    link = _link("anthropic/claude", headers=((name, Secret("own")),))
    lines = _sent(link, _call(headers=HEADERS))[1]

    assert sent == [line for line in lines if line.lower().startswith(f"{name.lower()}:")]


def test_a_provider_that_rejects_trace_headers_gets_none():
    """A switch of its own."""
    lines = _sent(_link(propagate_trace=False), _call())[1]

    assert [] == [line for line in lines if line.startswith("trace")]


def test_no_version_is_added_to_a_chat_call_at_anthropic():
    """Its OpenAI-compatible path knows no versions."""
    lines = _sent(_link("anthropic/claude"), _call())[1]

    assert [] == [line for line in lines if line.startswith("anthropic-version")]


GIVEN = Timeouts(connect_s=2, first_byte_s=10, response_s=60, stream_idle_s=30)


@pytest.mark.parametrize(
    ("is_stream", "left_s", "expected"),
    [
        (True, None, ExchangeTimeouts(2, 10, None, 30)),
        (False, None, ExchangeTimeouts(2, None, 60, None)),
        (True, 5.0, ExchangeTimeouts(2, 5.0, None, 30)),
        (False, 5.0, ExchangeTimeouts(2, None, 5.0, None)),
        (False, 1.0, ExchangeTimeouts(1.0, None, 1.0, None)),
        (True, 1000.0, ExchangeTimeouts(2, 10, None, 30)),
        (False, 1000.0, ExchangeTimeouts(2, None, 60, None)),
        (True, -1.0, ExchangeTimeouts(0.001, 0.001, None, 30)),
    ],
)
def test_the_apps_patience_shortens_timeouts_and_never_lengthens_them(is_stream, left_s, expected):
    """Streams have a first byte and an idle time, whole answers one limit; patience that is spent
    is a moment, not for ever.
    """
    call = _call(facts=BodyFacts(wants_stream=is_stream))

    assert expected == _link(timeouts=GIVEN).timeouts(call, left_s=left_s)


def _context(_files: TlsFiles) -> ssl.SSLContext:
    return ssl.create_default_context()


def test_entries_of_one_origin_share_a_pool():
    """Connections are the origin's, keys and models the entry's."""
    cluster = ProviderRegistry(
        [
            a_provider("openai/a"),
            a_provider("openai/b"),
            a_provider("openai/c", port=2),
            a_provider("openai/d", scheme="https"),
        ],
        _context,
    )
    pools = [cluster.links[f"openai/{name}"].pool for name in "abcd"]

    assert pools[0] is pools[1]
    assert 3 == len({id(pool) for pool in pools})


def test_trust_is_loaded_once_and_only_where_it_is_needed():
    """Reading the system's certificates takes 20 ms and 3 MB."""
    made: list[ssl.SSLContext] = []

    def make(_files: TlsFiles) -> ssl.SSLContext:
        made.append(ssl.create_default_context())
        return made[-1]

    ProviderRegistry([a_provider("openai/a")], make)
    assert 0 == len(made)
    ProviderRegistry(
        [a_provider("openai/a", scheme="https"), a_provider("openai/b", scheme="https", port=2)],
        make,
    )
    assert 1 == len(made)


async def test_closing_closes_every_pool():
    """Nothing can be sent afterwards."""
    cluster = ProviderRegistry([a_provider("openai/a"), a_provider("openai/b", port=2)], _context)
    await cluster.aclose()

    assert [True, True] == [link.pool._is_closed for link in cluster.links.values()]


def test_entries_with_certificates_of_their_own_have_pools_of_their_own():
    """A connection that showed one client certificate is not used for another; each pair of files
    is loaded once.
    """
    asked: list[TlsFiles] = []

    def make(files: TlsFiles) -> ssl.SSLContext:
        asked.append(files)
        return ssl.create_default_context()

    private = TlsFiles(ca_file="ca.pem")
    cluster = ProviderRegistry(
        [
            a_provider("openai/a", scheme="https"),
            a_provider("openai/b", scheme="https", tls_files=private),
            a_provider("openai/c", scheme="https", tls_files=private),
            a_provider("openai/d", scheme="https", server_name="other.example"),
        ],
        make,
    )
    pools = [cluster.links[f"openai/{name}"].pool for name in "abcd"]

    assert pools[1] is pools[2]
    assert 3 == len({id(pool) for pool in pools})
    assert [TlsFiles(), private] == asked
    assert "other.example" == pools[3].origin.server_name


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), ssl.SSLError(1, "bad key"), ValueError("x")]
)
def test_certificates_that_cannot_be_used_end_the_start_with_the_entry_named(error):
    """The path and the key stay out of it."""

    def make(_files: TlsFiles) -> ssl.SSLContext:
        raise error

    with pytest.raises(ConfigError, match="provider openai/a: its tls files cannot be used"):
        ProviderRegistry([a_provider("openai/a", scheme="https")], make)


def test_connections_are_counted_under_the_first_entry():
    """Entries that share an address share them."""
    cluster = ProviderRegistry(
        [a_provider("openai/a"), a_provider("openai/b"), a_provider("openai/c", port=2)], _context
    )

    assert [Connections("openai/a", 0, 0), Connections("openai/c", 0, 0)] == list(
        cluster.connections()
    )
