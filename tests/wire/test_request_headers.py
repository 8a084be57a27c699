"""Which of the app's header fields go where, and what is read from them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import (
    HeadersTooLarge,
    InvalidHeader,
    MalformedRequest,
    UnsupportedEncoding,
)
from sidecar.wire.client_timeouts import timeouts_of
from sidecar.wire.headers import HeaderPolicy
from sidecar.wire.request_headers import (
    FREE_HEAD_BYTES,
    STANDS_ALONE,
    RequestHeaders,
    agent_of,
    read_headers,
    request_id_of,
    session_id_of,
    tenant_of,
)

POLICY = HeaderPolicy(
    session_headers=("x-model-affinity", "X-Claude-Code-Session-Id", "session_id"),
    tenant_header="X-Org-Id",
    agent_headers=("X-Claude-Code-Agent-Id", "thread"),
)


def read(*lines: str, policy: HeaderPolicy = POLICY) -> RequestHeaders:
    """Header lines as an app writes them -> facts."""
    pairs = [line.encode().partition(b":") for line in lines]
    return read_headers([(name, value.strip(b" ")) for name, _, value in pairs], policy)


FACTS = (
    "sessions",
    "agents",
    "tenants",
    "client_timeouts",
    "request_ids",
    "traceparents",
    "tracestates",
)
OTHERS = ("content_encoding", "has_origin", "is_chunked", "is_upgrade")


def only(**fields: Any) -> RequestHeaders:
    """Facts by the names of their fields; every other keyword is a group of lines."""
    others = {key: fields.pop(key) for key in OTHERS if key in fields}
    lists = {name: list(value) for name, value in fields.items()}
    facts = {name: lists.pop(name) for name in FACTS if name in lists}
    return RequestHeaders(lists, facts, **others)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Content-Type: application/json", "common"),
        ("content-language: de", "common"),
        ("ACCEPT: */*", "common"),
        ("User-Agent: OpenAI/Python 3", "common"),
        ("Idempotency-Key: k", "common"),
        ("X-Stainless-Lang: python", "common"),
        ("Anthropic-Version: 2023-06-01", "anthropic"),
        ("anthropic-beta: a,b", "anthropic"),
        ("x-app: cli", "anthropic"),
        ("OpenAI-Beta: assistants=v2", "openai"),
        ("x-codex-turn-state: s", "openai"),
        ("originator: codex", "openai"),
        ("HTTP-Referer: https://app", "openai"),
        ("X-Title: app", "openai"),
        ("OpenAI-Organization: org", "openai_account"),
        ("openai-project: p", "openai_account"),
        ("anthropic-workspace-id: w", "anthropic_account"),
        ("Authorization: Bearer k", "credentials"),
        ("X-Api-Key: k", "credentials"),
        ("Accept-Encoding: gzip", "accept_encoding"),
    ],
)
def test_a_line_goes_to_the_providers_that_may_see_it(line, expected):
    """With the app's own spelling."""
    assert {expected: [line.encode() + b"\r\n"]} == read(line).lines


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length: 3",
        "Expect: 100-continue",
        "Keep-Alive: 5",
        "Proxy-Authorization: Basic x",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: x",
        "Transfer-Encoding: chunked",
        "Cookie: a=b",
        "X-Plano-Model: m",
        "X-Forwarded-For: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "Via: 1.1 x",
        "X-Unknown: 1",
        "x_model_affinity: s",
        "x_org_id: t",
        "Content_Type: application/json",
        "baggage: a=b",
        "trace-parent: 00-12345678901234567890123456789012-1234567890123456-01",
        "Content-MD5: x",
        "Content-Digest: x",
        "Connection: keep-alive",
        "Connection: close",
        "Upgrade: h2c",
    ],
)
def test_nothing_else_leaves_the_pod(line):
    """The connection's own fields, framing, cookies, our headers, their underscore twins, and what
    nobody listed.
    """
    assert only(is_chunked=line.startswith("Transfer-Encoding")) == read(line)


def test_chunks_are_known_by_their_header():
    """HTTP/1.0 must not send any."""
    assert read("Transfer-Encoding: chunked").is_chunked
    assert not read("Connection: close").is_chunked


def test_facts_are_read_from_every_repetition_in_order():
    """Repeated headers stay repeated; names are found in any case."""
    headers = read(
        "X-Request-ID: r1",
        "x-request-id: r2",
        "TraceParent: t1",
        "tracestate: a=1",
        "TRACESTATE: b=2",
        "X-Model-Affinity: s",
        "x-claude-code-session-id: c",
        "x-org-id: t",
        "x-plano-timeout-ms: 5",
        "origin: https://page",
    )
    assert headers == only(
        request_ids=(b"r1", b"r2"),
        traceparents=(b"t1",),
        tracestates=(b"a=1", b"b=2"),
        sessions=(("x-model-affinity", b"s"), ("x-claude-code-session-id", b"c")),
        tenants=(b"t",),
        client_timeouts=(("x-plano-timeout-ms", b"5"),),
        has_origin=True,
    )


def test_a_header_can_be_read_and_forwarded():
    """Codex' session id pins and goes to OpenAI, the SDKs' timeouts are read and go to all, the
    version is noticed.
    """
    assert read("session_id: s", "x-stainless-timeout: 60", "anthropic-version: v") == only(
        common=(b"x-stainless-timeout: 60\r\n",),
        openai=(b"session_id: s\r\n",),
        anthropic=(b"anthropic-version: v\r\n",),
        sessions=(("session_id", b"s"),),
        client_timeouts=(("x-stainless-timeout", b"60"),),
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("content-encoding: identity",), b""),
        (("content-encoding: GZIP",), b"gzip"),
        (("content-encoding: gzip , identity", "content-encoding: br"), b"gzip, br"),
        (("content-encoding:",), b""),
    ],
)
def test_the_bodys_coding_is_told_and_kept_for_paths_that_are_passed_through(lines, expected):
    """Identity is none. No other group has it: what is looked into goes on decoded."""
    coding = tuple(f"{line}\r\n".replace(":\r", ": \r").encode() for line in lines)

    assert only(content_encoding=expected, coding=coding) == read(*lines)


@pytest.mark.parametrize("value", ["gzip", "gzip, chunked", "deflate", "chunked, br"])
def test_a_body_compressed_by_a_transfer_coding_is_refused(value):
    """Only what the parser undoes is served, whatever Content-Encoding says."""
    with pytest.raises(UnsupportedEncoding):
        read("content-encoding: gzip", f"transfer-encoding: {value}")


def test_propagate_opens_no_transfer_coding():
    """It is the connection's."""
    policy = HeaderPolicy(propagate=frozenset(("transfer-encoding",)))

    assert {} == read("transfer-encoding: chunked", policy=policy).lines


@pytest.mark.parametrize(
    "value", ["", ",", ", chunked", "chunked,", "identity", "identity, chunked"]
)
def test_a_transfer_coding_is_chunked_or_refused(value):
    """Also what the parser takes for none, or for chunked: servers differ in what they make of
    it.
    """
    with pytest.raises(MalformedRequest):
        read(f"transfer-encoding: {value}")


@pytest.mark.parametrize("value", ["chunked", "Chunked", " chunked\t"])
def test_chunks_are_no_coding_of_the_body(value):
    """Aiohttp has taken them off."""
    assert only(is_chunked=True) == read(f"transfer-encoding: {value}")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("connection: Upgrade", "upgrade: WebSocket"), True),
        (("upgrade: websocket", "connection: keep-alive, upgrade"), True),
        (("connection: upgrade", "upgrade: h2c"), False),
        (("upgrade: websocket",), False),
    ],
)
def test_an_upgrade_is_one_to_websocket_that_connection_confirms(lines, expected):
    """h2c offers and stray Upgrade headers are ignored (RFC 9110, 7.8)."""
    assert only(is_upgrade=expected) == read(*lines)


def test_propagate_adds_names_for_every_provider():
    """In any case; baggage has a field of its own, and a family's header may be opened to all."""
    policy = HeaderPolicy(
        propagate=frozenset(("X-Tenant-Color", "baggage", "openai-beta", "content-md5"))
    )
    headers = read(
        "x-tenant-color: red", "baggage: a=b", "OpenAI-Beta: x", "content-md5: x", policy=policy
    )
    assert headers == only(
        common=(b"x-tenant-color: red\r\n", b"OpenAI-Beta: x\r\n", b"content-md5: x\r\n"),
        baggage=(b"baggage: a=b\r\n",),
    )


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "te",
        "proxy-authorization",
        "content-length",
        "host",
        "expect",
        "cookie",
        "x-model-affinity",
        "x-plano-source",
        "x-org-id",
        "traceparent",
        "tracestate",
        "x-request-id",
        "content-encoding",
    ],
)
def test_propagate_never_opens_what_would_harm(name):
    """The connection's fields, framing, cookies, and what the sidecar sends itself or keeps."""
    policy = HeaderPolicy(tenant_header="X-Org-Id", propagate=frozenset((name,)))
    headers = read(f"{name}: keep-alive", policy=policy)
    assert "common" not in headers.lines


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_propagate_leaves_credentials_where_they_are(name):
    """Only `passthrough_auth` forwards them."""
    headers = read(f"{name}: k", policy=HeaderPolicy(propagate=frozenset((name,))))
    assert headers == only(credentials=(f"{name}: k\r\n".encode(),))


def test_host_and_site_are_read_and_go_nowhere():
    """Whoever lets the request in judges them."""
    headers = read("Host: a", "host: b", "Sec-Fetch-Site: none")

    assert ({}, [b"a", b"b"], [b"none"]) == (headers.lines, headers.hosts, headers.fetch_sites)


def test_a_field_that_connection_names_stays_on_this_hop():
    """Wherever it stands; other fields pass."""
    headers = read(
        "x-stainless-lang: python",
        "Connection: X-Stainless-Lang, X-Hop, close",
        "accept: */*",
        "x-hop: 1",
    )
    assert headers == only(common=(b"accept: */*\r\n",))


@pytest.mark.parametrize(
    "name",
    [
        "x-model-affinity",
        "X-Org-Id",
        "session_id",
        "x-plano-timeout-ms",
        "x-plano-anything",
        "x-request-id",
        "traceparent",
        "authorization",
        "X-API-Key",
        "content-length",
        "content-type",
        "content-encoding",
        "host",
        "cookie",
        "origin",
        "sec-fetch-site",
        "anthropic-version",
        "x-stainless-timeout",
    ],
)
def test_connection_must_not_name_what_steers_a_call(name):
    """Else one hop reads a request that another hop does not."""
    with pytest.raises(InvalidHeader, match="Connection header names"):
        read(f"Connection: close, {name}")


@pytest.mark.parametrize(
    "value", [b"a\rb", b"a\nb", b"a\r\nx-evil: 1", b"a\x00b", b"\x01", b"\x7f", b"\x1b[0m"]
)
@pytest.mark.parametrize("name", [b"accept", b"x-unknown", b"x-model-affinity"])
def test_a_control_character_in_a_value_is_refused(name, value):
    """Also in headers that go nowhere."""
    with pytest.raises(InvalidHeader, match="control character"):
        read_headers([(name, value)], POLICY)


def test_tabs_and_bytes_beyond_ascii_are_no_control_characters():
    """They pass as they came (RFC 9110, 5.5)."""
    assert read_headers([(b"accept", b"a\tb\xc3\xa9\xff")], POLICY).lines["common"] == [
        b"accept: a\tb\xc3\xa9\xff\r\n"
    ]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"caf\xc3\xa9", b"a\x00"])
def test_a_name_that_is_no_token_is_refused(name):
    """So that no line can be smuggled in by its name."""
    with pytest.raises(InvalidHeader, match="name holds"):
        read_headers([(name, b"1")], POLICY)


def test_made_up_names_neither_fill_the_memory_nor_change_answers():
    """Names are the peer's to choose: what is remembered of them is bounded, and long ones are not
    remembered.
    """
    policy = HeaderPolicy(tenant_header="x-cache-test")
    for number in range(2000):
        read_headers([(b"x-%d" % number, b"1"), (b"X" * 100 + b"%d" % number, b"1")], policy)
    assert len(policy) <= 512
    assert max(map(len, policy)) <= 64
    assert read("accept: */*", policy=policy) == only(common=(b"accept: */*\r\n",))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), None),
        (("x-model-affinity: s1",), "s1"),
        (("x-model-affinity: \t s1 \t",), "s1"),
        (("x-model-affinity:", "session_id: s2"), "s2"),
        (("session_id: s2", "x-model-affinity: s1"), "s1"),
        (("session_id: s2", "x-claude-code-session-id: c"), "c"),
        (("x-model-affinity: s1", "X-Model-Affinity: s1"), "s1"),
        (("x-model-affinity: s1", "x-model-affinity:"), "s1"),
        (("x-model-affinity:", "session_id: "), None),
        (("x-model-affinity: off", "session_id: s2"), STANDS_ALONE),
        (("x-model-affinity: OFF",), STANDS_ALONE),
        (("session_id: off",), "off"),
        (("x-model-affinity: caf\u00e9 \U0001f600",), "caf\u00e9 \U0001f600"),
        (("x-model-affinity: " + "s" * 4096,), "s" * 4096),
        (("x-model-affinity: s", "session_id: a", "session_id: b"), "s"),
    ],
)
def test_the_session_is_the_first_header_that_is_present(lines, expected):
    """In the policy's order; trimmed, empty is absent, off stands alone."""
    assert expected == session_id_of(read(*lines), POLICY)


@pytest.mark.parametrize(
    ("session_headers", "expected"),
    [((), "a"), (("session_id",), "a"), (("session_id", "x-model-affinity"), "s")],
)
def test_our_own_session_header_leads_unless_the_policy_places_it(session_headers, expected):
    """`x-model-affinity` counts also where the config does not list it."""
    policy = HeaderPolicy(session_headers=session_headers)
    assert expected == session_id_of(
        read("session_id: s", "x-model-affinity: a", policy=policy), policy
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), None),
        (("x-claude-code-agent-id: a7",), "a7"),
        (("thread: t", "x-claude-code-agent-id: a7 "), "a7"),
        (("x-claude-code-agent-id: ", "thread: t"), "t"),
        (("x-claude-code-agent-id:",), None),
        (("x-claude-code-parent-agent-id: p",), None),
    ],
)
def test_the_agent_is_the_first_header_that_is_present(lines, expected):
    """As with sessions."""
    assert expected == agent_of(read(*lines), POLICY)


@pytest.mark.parametrize(
    "line",
    [
        "x-model-affinity: s",
        "X-Claude-Code-Session-Id: s",
        "X-Claude-Code-Agent-Id: a",
        "thread: t",
        "X-Org-Id: t",
    ],
)
def test_what_names_a_session_an_agent_or_a_tenant_goes_nowhere(line):
    """But for what belongs to a family of headers, as Codex' ``session_id`` does."""
    assert {} == read(line).lines


def test_a_session_header_of_a_family_goes_to_providers_of_that_family():
    """OpenAI reads Codex' own."""
    headers = read("session_id: s")

    assert ({"openai": [b"session_id: s\r\n"]}, "s") == (
        headers.lines,
        session_id_of(headers, POLICY),
    )


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("Session-Id: s", "openai_cache"),
        ("thread-id: s", "openai_cache"),
        ("x-client-request-id: s", "openai_cache"),
        ("X-Session-Affinity: s", "fireworks_cache"),
        ("x-affinity: s", "mistral_cache"),
        ("x-grok-conv-id: s", "xai_cache"),
    ],
)
def test_what_names_a_session_to_one_providers_cache_goes_there_alone(line, group):
    """Whether it names the session here too or not."""
    name = line.partition(":")[0]
    for policy in (POLICY, HeaderPolicy((name,))):
        assert {group: [f"{line}\r\n".encode()]} == read(line, policy=policy).lines


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("X-Tier: gold", "+x-tier"),
        ("session_id: s", "+session_id"),
        ("User-Agent: a", "+user-agent"),
        ("baggage: a=b", "+baggage"),
        ("x-everywhere: 1", "common"),
        ("Accept-Encoding: gzip", "accept_encoding"),
        ("X-Org-Id: t", None),
        ("x-plano-tier: gold", None),
    ],
)
def test_what_some_entries_see_beside_others_has_a_group_of_its_own(line, group):
    """Unless all see it, or none may."""
    names = (
        "x-Tier",
        "session_id",
        "user-agent",
        "baggage",
        "x-everywhere",
        "x-org-id",
        "x-plano-tier",
    )
    policy = HeaderPolicy(
        tenant_header="x-org-id", propagate=frozenset({"X-Everywhere"}), split=frozenset(names)
    )

    expected = {} if group is None else {group: [f"{line}\r\n".encode()]}
    assert expected == read(line, policy=policy).lines


def test_a_header_that_names_an_agent_cannot_be_dropped_by_connection():
    """An app behind a proxy would lose its agent's pin."""
    with pytest.raises(InvalidHeader, match="may not remove"):
        read("Connection: x-claude-code-agent-id", "x-claude-code-agent-id: a")


@pytest.mark.parametrize("name", ["x-model-affinity", "X-Org-Id", "X-Claude-Code-Agent-Id"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((b"a", b"b"), "different values"),
        ((b"\xff",), "not UTF-8"),
        ((b"a" * 4097,), "longer than 4096"),
    ],
)
def test_a_session_agent_or_tenant_that_cannot_be_used_is_refused_by_name(name, values, message):
    """Rather than served as somebody else's session; the value is not repeated."""
    headers = read_headers([(name.encode(), value) for value in values], POLICY)
    with pytest.raises(InvalidHeader, match=f"(?i){name} .*{message}") as caught:
        session_id_of(headers, POLICY) or agent_of(headers, POLICY) or tenant_of(headers, POLICY)
    assert caught.value.param is not None
    assert name.lower() == caught.value.param.lower()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [((), None), (("x-org-id:",), None), (("x-org-id: t ",), "t"), (("x-org-id: off",), "off")],
)
def test_the_tenant_is_what_its_header_says(lines, expected):
    """Trimmed; empty is absent."""
    assert expected == tenant_of(read(*lines), POLICY)


def test_without_a_tenant_header_there_is_no_tenant():
    """Nobody is asked."""
    policy = HeaderPolicy()
    assert tenant_of(read("x-org-id: t", policy=policy), policy) is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), None),
        (("x-plano-timeout-ms: 1500",), 1.5),
        (("x-stainless-timeout: 600",), 600.0),
        (("x-stainless-read-timeout: 12.5",), 12.5),
        (
            ("x-stainless-timeout: 600", "x-plano-timeout-ms: 250", "x-stainless-read-timeout: 5"),
            0.25,
        ),
        (("x-plano-timeout-ms: 9000", "x-stainless-timeout: 3"), 3.0),
        *(
            ((f"x-stainless-timeout: {text}",), None)
            for text in (
                "",
                "0",
                "0.0",
                "-1",
                "nan",
                "inf",
                "1e3",
                "NOT_GIVEN",
                "1_0",
                "0x1",
                "9" * 13,
            )
        ),
        (("x-stainless-timeout: never", "x-plano-timeout-ms: 100"), 0.1),
    ],
)
def test_the_apps_timeout_is_the_least_that_makes_sense(lines, expected):
    """Milliseconds or seconds; nonsense, zero and the infinite are ignored."""
    assert expected == timeouts_of(read(*lines).client_timeouts)[0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), None),
        (("x-stainless-timeout: 600", "x-stainless-read-timeout: 5"), None),
        (("x-plano-timeout-ms: 9000", "x-stainless-timeout: 3"), 9.0),
        (("x-plano-timeout-ms: 9000", "x-plano-timeout-ms: 500"), 0.5),
        (("x-plano-timeout-ms: 500", "x-plano-timeout-ms: 9000"), 0.5),
        (("x-plano-timeout-ms: 0",), None),
    ],
)
def test_what_planos_own_header_says_is_told_apart(lines, expected):
    """It is set by an app that means it; SDKs set the others for everybody."""
    assert expected == timeouts_of(read(*lines).client_timeouts)[1]


@pytest.mark.parametrize("value", ["r", "a" * 128, "Az09._~:/+=@-"])
def test_a_good_request_id_is_kept_byte_for_byte(value):
    """So that the app finds its own id everywhere."""
    assert value == request_id_of(read(f"x-request-id: {value}").request_ids)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("x-request-id: a b",),
        ("x-request-id:",),
        ("x-request-id: " + "a" * 129,),
        ("x-request-id: a", "x-request-id: a"),
    ],
)
def test_any_other_request_id_is_replaced(lines):
    """By a new UUIDv4, each time another."""
    first, second = request_id_of(read(*lines).request_ids), request_id_of(read(*lines).request_ids)
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first
    )
    assert first != second


names = st.sampled_from(
    [b"Accept", b"x-api-key", b"connection", b"upgrade", b"x-model-affinity", b"Content-Encoding"]
)
names |= st.text(st.sampled_from("abcXYZ-_019"), min_size=1, max_size=12).map(str.encode)


@given(st.lists(st.tuples(names, st.binary(max_size=12)), max_size=8))
def test_any_headers_are_sorted_or_refused(raw):
    """No input ends in another error than ours, and no line holds more than one line end."""
    try:
        headers = read_headers(raw, POLICY)
    except InvalidHeader:
        return
    for lines in headers.lines.values():
        for line in lines:
            assert line.endswith(b"\r\n")
            assert len(line.splitlines()) == 1 or b"\x85" in line
            assert line.count(b"\r") == line.count(b"\n") == 1


@pytest.mark.parametrize("name_bytes", [4, 9000])
def test_fields_of_more_than_64_kib_are_too_many(name_bytes):
    """Names and values, all together: the parser bounds each field alone."""
    value = b"a" * (9004 - name_bytes)
    with pytest.raises(HeadersTooLarge):
        read_headers([(b"x" * (name_bytes - 1) + b"%d" % n, value) for n in range(8)], POLICY)


def test_a_long_head_is_told():
    """For as long as its request is at hand somebody counts it; a short one nobody."""
    sizes: list[int] = []
    for value_bytes in (FREE_HEAD_BYTES - 4, FREE_HEAD_BYTES - 3):
        read_headers([(b"x-a", b"a" * value_bytes), (b"x", b"")], POLICY, sizes.append)
    read_headers([(b"x-a", b"a" * 9000)], POLICY)

    assert [FREE_HEAD_BYTES + 1] == sizes


def test_of_via_only_what_sidecars_add_is_kept():
    """In one line, for providers that may be sidecars."""
    own = f"1.1 plano-sidecar-{'0' * 32}"
    headers = read(f"Via: 1.1 squid, {own}", f"via: {own}")

    assert [own.encode()] * 2 == headers.vias
    assert {"via": [f"Via: {own}, {own}\r\n".encode()]} == headers.lines
