"""A provider's response headers on their way to the app."""

from __future__ import annotations

import pytest

from sidecar.wire import response_headers
from sidecar.wire.response_headers import coding_of, response_lines


def lines(*raw: str) -> list[str]:
    """``Name: value`` of the answer -> ``Name: value`` for the app."""
    parts = [line.encode("latin-1").partition(b": ") for line in raw]
    pairs = [(name, value) for name, _, value in parts]
    return [
        line.decode("latin-1").removesuffix("\r\n")
        for line in response_lines(pairs, [b"x-plano-model: m\r\n"])
    ][:-1]


@pytest.mark.parametrize(
    "line",
    [
        "Content-Type: text/event-stream",
        "retry-after: 3",
        "X-RateLimit-Remaining-Requests: 9",
        "anthropic-ratelimit-tokens-limit: 1",
        "x-should-retry: true",
        "Set-Cookie: a=b",
        "Content-Encoding: gzip",
        "server-timing: x",
        "date: Mon, 01 Jan 2026 00:00:00 GMT",
        "X-B\u00fcro: caf\u00e9",
    ],
)
def test_what_is_not_hop_by_hop_passes_as_it_came(line):
    """Spelling and bytes kept."""
    assert [line] == lines(line)


@pytest.mark.parametrize(
    "line",
    [
        'Alt-Svc: h2="elsewhere:443"',
        "strict-transport-security: max-age=9",
        'Clear-Site-Data: "*"',
        "NEL: {}",
        "report-to: {}",
    ],
)
def test_what_is_true_of_the_providers_origin_alone_does_not_pass(line):
    """Here it would be taken for true of this host: a client that heeds `alt-svc` sends its next
    request to the server that it names.
    """
    assert [] == lines(line)


@pytest.mark.parametrize(
    "line",
    [
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Authenticate: Basic",
        "TE: trailers",
        "Trailer: x",
        "Transfer-Encoding: chunked",
        "Upgrade: h2",
        "Content-Length: 3",
        "X-Plano-Model: forged",
    ],
)
def test_hop_by_hop_framing_and_our_own_names_do_not_pass(line):
    """The listener frames anew, and only we say what we did."""
    assert lines(line) == []


def test_repeated_headers_stay_repeated_in_order():
    """Nothing is folded or sorted."""
    assert lines("B: 1", "a: 2", "b: 3", "B: 1") == ["B: 1", "a: 2", "b: 3", "B: 1"]


def test_our_own_lines_come_last():
    """As given."""
    assert response_lines(
        [(b"a", b"1")], [b"x-plano-model: m\r\n", b"x-plano-source: pinned\r\n"]
    ) == [
        b"a: 1\r\n",
        b"x-plano-model: m\r\n",
        b"x-plano-source: pinned\r\n",
    ]


def test_the_providers_id_has_its_own_name():
    """`x-request-id` is ours; Anthropic's `request-id` keeps its name as well."""
    assert lines("X-Request-Id: req_1") == ["x-plano-upstream-request-id: req_1"]
    assert lines("Request-Id: req_2") == ["Request-Id: req_2", "x-plano-upstream-request-id: req_2"]


def test_what_connection_names_is_dropped_wherever_it_stands():
    """Several Connection headers, any case."""
    assert lines(
        "X-Hop: 1", "Connection: close, x-hop", "a: 1", "connection: X-Two", "x-two: 2"
    ) == ["a: 1"]


def test_made_up_names_do_not_fill_the_memory():
    """What is remembered of a provider's names is bounded."""
    for number in range(2000):
        response_lines([(b"x-%d" % number, b"1")])
    assert len(response_headers._response_names) <= 512


def test_a_long_made_up_name_is_judged_and_not_kept():
    """A provider that sends ever new names of 8 KiB would fill the memory with all that are kept."""
    long = b"x-" + b"n" * 8192
    passed = response_lines([(long, b"1")], [])

    assert [long + b": 1\r\n"] == passed
    assert long not in response_headers._response_names


@pytest.mark.parametrize(
    ("headers", "coding"),
    [
        ([], b""),
        ([(b"Content-Type", b"gzip")], b""),
        ([(b"Content-Encoding", b" GZip ")], b"gzip"),
        ([(b"content-encoding", b"identity")], b""),
        ([(b"content-encoding", b"none")], b""),
        ([(b"content-encoding", b"")], b""),
        ([(b"content-encoding", b"br"), (b"Content-Encoding", b"identity")], b"br"),
        ([(b"content-encoding", b"br"), (b"Content-Encoding", b"zstd")], b"zstd"),
    ],
)
def test_a_coding_is_what_changes_the_bytes(headers, coding):
    """One reading for all that look into a provider's body."""
    assert coding == coding_of(headers)
